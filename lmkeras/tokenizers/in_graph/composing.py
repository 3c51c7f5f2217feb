"""Canonical composition (NFC) in TensorFlow operations, with the tables of the `tokenizers` library.

Source: The Unicode Standard, 3.11: D108 to D117, canonical ordering, decomposition and composition.
"""

import functools
import sys

import numpy as np
import tensorflow as tf
from tokenizers import normalizers

from lmkeras.tokenizers.in_graph.barriers import Characters
from lmkeras.tokenizers.in_graph.bert_characters import combining_classes
from lmkeras.tokenizers.in_graph.code_points import CodePointTable

_decomposed = normalizers.NFD().normalize_str
_composed = normalizers.NFC().normalize_str


@functools.cache
def _decompositions() -> dict[int, str]:
    """What each character becomes that has a decomposition."""
    found = {}
    for first in range(0, sys.maxunicode + 1, 256):
        block = [chr(code) for code in range(first, first + 256) if not 0xD800 <= code < 0xE000]
        if _decomposed("".join(block)) != "".join(block):
            found |= {ord(character): _decomposed(character) for character in block}
    return {code: text for code, text in found.items() if text != chr(code)}


@functools.cache
def _compositions() -> dict[tuple[int, int], int]:
    """What each pair of characters becomes that has a composition."""
    found = {}
    for code, text in _decompositions().items():
        first = _composed(text[:-1])
        if len(text) > 1 and len(first) == 1 and _composed(text) == chr(code):
            found[ord(first), ord(text[-1])] = code
    return found


class CompositionInGraph(tf.Module):
    """What the normalizer NFC of the `tokenizers` library makes of characters."""

    def __init__(self):
        super().__init__()
        everything = np.zeros(sys.maxunicode + 1, np.int32)
        classes, pairs = everything.copy(), _compositions()
        for character, order in combining_classes().items():
            classes[ord(character)] = order + 1
        self._classes = CodePointTable(classes)
        joins = everything.copy()
        joins[[second for _, second in pairs]] = 1
        self._joins = CodePointTable(joins)
        changing = (classes > 0) | (joins > 0)
        changing[[code for code, text in _decompositions().items() if _composed(text) != chr(code)]] = True
        self._changing = CodePointTable(changing.astype(np.int32))
        texts = ["", *_decompositions().values()]
        rows = everything.copy()
        rows[[*_decompositions()]] = range(1, len(texts))
        self._rows = CodePointTable(rows)
        self._lengths = np.array([1, *map(len, texts[1:])], np.int32)
        self._begins = np.cumsum([0, *map(len, texts[:-1])]).astype(np.int32)
        self._texts = np.array([*map(ord, "".join(texts))], np.int32)
        keys = tf.constant([(first << 32) + second for first, second in pairs], tf.int64)
        made = tf.constant([*pairs.values()], tf.int32)
        self._pairs = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, made), -1)

    def __call__(self, characters: Characters) -> tuple[Characters, None]:
        """The composed characters. Each has the origin of the first of those that it was made of."""
        changes = tf.reduce_any(self._changing(characters.codes) != 0)
        codes, origins = tf.cond(changes, lambda: self._all(*characters), lambda: (*characters,))
        return Characters(tf.ensure_shape(codes, [None]), tf.ensure_shape(origins, [None])), None

    def _all(self, codes: tf.Tensor, origins: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        codes, taken = self._decomposed(codes)
        codes, taken, kept = self._composed(codes, taken, self._classes(codes))
        codes, taken = tf.boolean_mask(codes, kept), tf.boolean_mask(taken, kept)
        # a character that took the place of none has the origin of the one before it
        before = tf.cumsum(taken, exclusive=True)
        return codes, tf.gather(origins, tf.where(taken > 0, before, before - 1))

    def _decomposed(self, codes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Decomposed characters in canonical order, and how many of the given ones each takes the place of, 1 or 0."""
        row = self._rows(codes)
        parts = tf.gather(self._lengths, row)
        of = tf.repeat(tf.range(tf.size(codes)), parts)
        place = tf.range(tf.size(of)) - tf.gather(tf.cumsum(parts, exclusive=True), of)
        row = tf.gather(row, of)
        inner = tf.gather(self._texts, tf.minimum(tf.gather(self._begins, row) + place, len(self._texts) - 1))
        codes, taken = tf.where(row > 0, inner, tf.gather(codes, of)), tf.cast(place == 0, tf.int32)
        classes = self._classes(codes)
        moved = tf.reduce_any((classes[1:] > 0) & (classes[:-1] > classes[1:]))
        codes, taken = tf.cond(moved, lambda: _in_order(codes, taken, classes), lambda: (codes, taken))
        return tf.ensure_shape(codes, [None]), tf.ensure_shape(taken, [None])

    def _composed(self, codes: tf.Tensor, taken: tf.Tensor, classes: tf.Tensor):
        """Composes, and adds up what each takes the place of; the third tensor says which characters are left.

        A segment begins at each character that joins none before it. Each round looks at the next character of
        every segment: it joins `base`, the last starter of the segment, unless a mark between them is in its way.
        """
        size = tf.size(codes)
        starts = (classes == 0) & ((codes < 0) | (self._joins(codes) == 0))
        starts = tf.concat([[True], starts[1:]], axis=0)
        base = tf.cast(tf.where(starts)[:, 0], tf.int32)
        end = tf.concat([base[1:], [size]], axis=0)
        any_size = tf.TensorShape([None])

        def next_character(at, end, base, blocking, codes, taken, kept):
            going = at < end
            at, end, base, blocking = (tf.boolean_mask(each, going) for each in (at, end, base, blocking))
            class_, first, code = tf.gather(classes, at), tf.gather(codes, base), tf.gather(codes, at)
            made = self._pairs.lookup(tf.bitwise.left_shift(tf.cast(first, tf.int64), 32) + tf.cast(code, tf.int64))
            joins = (made >= 0) & (first >= 0) & (blocking < tf.maximum(class_, 1))
            codes = tf.tensor_scatter_nd_update(codes, base[:, None], tf.where(joins, made, first))
            taken = tf.tensor_scatter_nd_add(taken, base[:, None], tf.where(joins, tf.gather(taken, at), 0))
            kept = tf.tensor_scatter_nd_update(kept, at[:, None], ~joins)
            base = tf.where(~joins & (class_ == 0), at, base)
            blocking = tf.where(joins, blocking, class_)
            return at + 1, end, base, blocking, codes, taken, kept

        *_, codes, taken, kept = tf.while_loop(
            lambda at, end, *_: tf.reduce_any(at < end),
            next_character,
            (base + 1, end, base, tf.zeros_like(base), codes, taken, tf.fill([size], True)),
            shape_invariants=(any_size,) * 7,
        )
        return codes, taken, kept


def _in_order(codes: tf.Tensor, taken: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Marks behind each starter sorted by their classes; those of the same class stay in their order."""
    runs = tf.cumsum(tf.cast(classes == 0, tf.int64))
    order = tf.argsort(runs * 256 + tf.cast(classes, tf.int64), stable=True)
    return tf.gather(codes, order), tf.gather(taken, order)
