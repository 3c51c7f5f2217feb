"""Ids of pieces of texts: of each piece that is a token as a whole, or of its bytes or characters after all merges."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmkeras.tokenizers.in_graph.barriers import END, INSIDE, added_ids
from lmkeras.tokenizers.in_graph.code_points import CodePointTable
from lmkeras.tokenizers.in_graph.merging import MergesInGraph
from lmkeras.tokenizers.published_tables import LEFT_OUT, Cuts

_NONE = -1


class Slots(NamedTuple):
    """Where ids stand. Each byte of a character has a slot, and each barrier has one.

    Attributes:
        found: int32 [S], the id that begins at each slot, -1 for none; LEFT_OUT at bytes that no id stands for.
        codes: int32 [N], the characters and barriers.
        widths: int32 [N], how many slots each of them has.
    """

    found: tf.Tensor
    codes: tf.Tensor
    widths: tf.Tensor

    def ids(self) -> tf.RaggedTensor:
        """The ids of each text, int32 [B, tokens]."""
        before = tf.cumsum(tf.cast(self.found >= 0, tf.int64))
        last = tf.boolean_mask(tf.cumsum(self.widths) - 1, self.codes == END)
        splits = tf.concat([tf.zeros([1], tf.int64), tf.gather(before, last)], axis=0)
        flat = tf.boolean_mask(self.found, self.found >= 0)
        return tf.RaggedTensor.from_row_splits(flat, splits, validate=False)

    def places(self) -> tuple[tf.Tensor, tf.Tensor]:
        """For each id the places in `codes` of its first character and of its last one, int32 both."""
        kept = self.found != LEFT_OUT
        of = tf.boolean_mask(tf.repeat(tf.range(tf.size(self.codes)), self.widths), kept)
        code, found = tf.gather(self.codes, of), tf.boolean_mask(self.found, kept)
        begins = tf.where((found != _NONE) | ((code < 0) & (code != INSIDE)))[:, 0]
        ends = tf.concat([begins[1:], tf.size(of, tf.int64)[None]], axis=0) - 1
        is_id = tf.gather(found, begins) != _NONE
        return tuple(tf.gather(of, tf.boolean_mask(each, is_id)) for each in (begins, ends))


class Symbols(NamedTuple):
    """What pieces are made of before all merges.

    Attributes:
        bytes: the id of each byte, LEFT_OUT for those without one; none for tokenizers that have no such ids.
        characters: the id of each code point, -1 for those that are written as bytes, or are unknown; none for
            tokenizers that know bytes alone.
        unknown: the id of unknown characters, None where each is written as bytes.
        fuses: whether neighbouring unknown characters have one id together.
    """

    bytes: Sequence[int]
    characters: np.ndarray | None = None
    unknown: int | None = None
    fuses: bool = False


class Written(NamedTuple):
    """Characters and barriers, and how they are written.

    Attributes:
        codes: int32 [N].
        slots: int32 [N], the first slot of each.
        widths: int32 [N], how many slots each has.
        text: their UTF-8 as one string, in which each barrier is one byte.
    """

    codes: tf.Tensor
    slots: tf.Tensor
    widths: tf.Tensor
    text: tf.Tensor


class PiecesInGraph(tf.Module):
    """Ids of pieces.

    Args:
        whole: the id of each piece that is one token.
        symbols: what other pieces are made of.
        merges: see `MergesInGraph`.
        size: larger than all ids.
        cuts: where pieces may be cut further without a change of their ids; None where nothing is known of it.
    """

    def __init__(
        self,
        whole: Mapping[bytes, int],
        symbols: Symbols,
        merges: Mapping[tuple[int, int], tuple[int, int]],
        size: int,
        cuts: Cuts | None = None,
    ):
        super().__init__()
        self._size, self._unknown, self._fuses = size, symbols.unknown, symbols.fuses
        self._cut = functools.partial(_cut, cuts.character, cuts.before) if cuts and cuts.character else None
        self._merges = MergesInGraph(merges, size)
        keys, ids = tf.constant([*whole, b""], tf.string), tf.constant([*whole.values(), _NONE], tf.int32)
        self._whole = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, ids), _NONE)
        self._bytes = tf.constant([*symbols.bytes] or [_NONE], tf.int32)
        self._characters = None if symbols.characters is None else CodePointTable(symbols.characters, _NONE)
        self._joined = None
        if cuts:
            pairs = tf.constant([_NONE, *(left * size + right for left, right in sorted(cuts.joined))], tf.int64)
            table = tf.lookup.KeyValueTensorInitializer(pairs, tf.ones_like(pairs, tf.int32))
            self._joined = tf.lookup.StaticHashTable(table, 0)

    def __call__(self, codes: tf.Tensor, begins: tf.Tensor) -> Slots:
        """The ids of all pieces and of added tokens.

        Args:
            codes: int32 [N], code points and barriers.
            begins: bool [N], where a piece begins.
        """
        between = codes < 0
        if self._cut:
            begins |= self._cut(codes) & ~between
        widths = tf.where(between, 1, 1 + sum(tf.cast(codes >= limit, tf.int32) for limit in (0x80, 0x800, 0x10000)))
        slots = tf.cumsum(widths, exclusive=True)
        text = tf.strings.unicode_encode(tf.where(between, 0, codes), "UTF-8")  # one byte for a barrier
        marks = tf.where(begins | between)[:, 0]
        pieces = tf.gather(begins, marks)
        following = tf.concat([marks[1:], tf.size(codes, tf.int64)[None]], axis=0)
        first, last = tf.boolean_mask(marks, pieces), tf.boolean_mask(following, pieces) - 1
        start = tf.gather(slots, first)
        length = tf.gather(slots, last) + tf.gather(widths, last) - start
        whole = self._whole.lookup(tf.ensure_shape(tf.strings.substr(text, start, length), [None]))
        rest = whole == _NONE
        first, last = tf.boolean_mask(first, rest), tf.boolean_mask(last, rest)
        at, symbols = self._merged(first, last, Written(codes, slots=slots, widths=widths, text=text))
        added = tf.boolean_mask(added_ids(codes), codes < INSIDE)
        found = tf.fill([tf.reduce_sum(widths)], _NONE)
        for places, ids in [(start, whole), (at, symbols), (tf.boolean_mask(slots, codes < INSIDE), added)]:
            found = tf.tensor_scatter_nd_update(found, places[:, None], ids)
        return Slots(found, codes, widths)

    def _merged(self, first: tf.Tensor, last: tf.Tensor, written: Written) -> tuple[tf.Tensor, tf.Tensor]:
        """The slots and ids of pieces that are no tokens as a whole, from `first` to `last` of the characters."""
        at, symbols, piece = self._first_symbols(*_spread(first, last), written)
        apart = piece[1:] != piece[:-1]
        if self._joined is not None:
            pairs = tf.cast(symbols[:-1], tf.int64) * self._size + tf.cast(symbols[1:], tf.int64)
            apart |= self._joined.lookup(pairs) == 0
        piece = tf.cumsum(tf.concat([tf.zeros_like(piece[:1]), tf.cast(apart, tf.int32)], axis=0))
        symbols = self._merges(symbols, piece, tf.reduce_sum(piece[-1:]) + 1)
        return tf.boolean_mask(at, symbols != _NONE), tf.boolean_mask(symbols, symbols != _NONE)

    def _first_symbols(
        self, characters: tf.Tensor, piece: tf.Tensor, written: Written
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The slots, ids and pieces of the symbols that some characters are made of before all merges."""
        codes, slots, widths = (tf.gather(each, characters) for each in written[:3])
        if self._characters is None:
            ids, parts = tf.fill(tf.shape(codes), _NONE), widths
        else:
            ids = self._characters(codes)
            unknown = ids == _NONE
            if self._unknown is not None:
                ids = tf.where(unknown, self._unknown, ids)
                if self._fuses:
                    again = unknown[1:] & unknown[:-1] & (piece[1:] == piece[:-1])
                    kept = tf.concat([tf.fill(tf.shape(unknown[:1]), True), ~again], axis=0)
                    ids, slots, piece = (tf.boolean_mask(each, kept) for each in (ids, slots, piece))
                return slots, ids, piece
            parts = tf.where(unknown, widths, 1)
        of = tf.repeat(tf.range(tf.size(codes)), parts)
        at = tf.gather(slots, of) + tf.range(tf.size(of)) - tf.gather(tf.cumsum(parts, exclusive=True), of)
        raw = tf.cast(tf.gather(tf.io.decode_raw(written.text, tf.uint8), at), tf.int32)
        ids = tf.gather(ids, of)
        return at, tf.where(ids == _NONE, tf.gather(self._bytes, raw), ids), tf.gather(piece, of)


def _spread(first: tf.Tensor, last: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """All places from `first` to `last` of each piece, and the number of the piece of each; int32 [N] both.

    `tf.ragged.range` finds the numbers by a matrix of all pieces times the longest one, which long texts have no room
    for.
    """
    counts = tf.cast(last - first, tf.int32) + 1
    begins = tf.cumsum(counts, exclusive=True)
    piece = tf.cumsum(tf.scatter_nd(begins[:, None], tf.ones_like(begins), [tf.reduce_sum(counts)])) - 1
    offset = tf.range(tf.size(piece)) - tf.gather(begins, piece)
    return tf.gather(tf.cast(first, tf.int32), piece) + offset, piece


def _cut(character: str, before: str, codes: tf.Tensor) -> tf.Tensor:
    """Where a character stands, but not behind some others; bool [N]."""
    found = codes == ord(character)
    for each in before:
        found &= tf.concat([[True], codes[:-1] != ord(each)], axis=0)[: tf.size(codes)]
    return found
