"""BERT's clean-up and word splitting in TensorFlow operations; every character is treated as the library treats it.

N is the number of characters of all texts, W that of their words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmkeras.tokenizers.bert_text import BertTextRules
from lmkeras.tokenizers.in_graph.bert_characters import (
    ALONE,
    GONE,
    MANY,
    MARK,
    SPACE,
    character_table,
)
from lmkeras.tokenizers.in_graph.lower_case import step

# Private-use characters stand for special tokens: the clean-up removes those that a text holds.
STAND_INS = 0xE000
_REMOVED = "\ufffd"  # by the clean-up, as well
_FATE_BITS = 3  # a change of code point and a fate in one number: change << 3 | fate
_TEXT_BITS = 32  # texts and spaces counted in one number: texts << 32 | spaces


class Words(NamedTuple):
    """The words of a batch, one text after the other.

    codes: int32 [N], their characters; a special token is the one character STAND_INS + its place among the names.
    rows: int64 [N], which text each is of.
    starts: int32 [W], where each word starts in codes.
    """

    codes: tf.Tensor
    rows: tf.Tensor
    starts: tf.Tensor


class InGraphBertText:
    """Texts to words.

    Args:
        rules: how texts become words.
        special_tokens: the texts that are words as they stand, whatever is around them.
    """

    def __init__(self, rules: BertTextRules, special_tokens: Sequence[str]):
        self._special_tokens = special_tokens
        self._table = character_table(rules)
        changes = self._table.targets - np.arange(len(self._table.targets)) << _FATE_BITS | self._table.fates
        changes[STAND_INS : STAND_INS + len(special_tokens)] = ALONE
        starts = np.flatnonzero(np.diff(changes, prepend=-1))
        self._changes = starts.astype(np.int32), changes[starts].astype(np.int32)

    def words(self, texts: tf.Tensor) -> Words:
        """The words of UTF-8 strings [B]."""
        ragged = tf.strings.unicode_decode(self._with_stand_ins(texts), "UTF-8")
        codes, text_ends = ragged.flat_values, ragged.row_splits[1:]
        changes = step(codes, *self._changes)
        # where texts begin, from the second one on, each counts for itself and for the empty ones before it
        begun = tf.zeros([tf.size(codes) + 1], tf.int64)
        one_text = tf.fill(tf.shape(text_ends), tf.constant(1 << _TEXT_BITS, tf.int64))
        begun = tf.tensor_scatter_nd_add(begun, text_ends[:, None], one_text)[:-1]
        codes, begun, changes = tf.cond(
            tf.reduce_any(_fate(changes) == MANY),
            lambda: self._expanded(codes, begun, changes),
            lambda: (codes, begun, changes),
        )
        codes, fates = codes + _change(changes), _fate(changes)
        codes = tf.cond(
            tf.reduce_any(fates == MARK), lambda: self._with_marks_in_order(codes, begun, fates), lambda: codes
        )
        passed = tf.cumsum(begun + tf.cast(fates == SPACE, tf.int64))
        kept = tf.where(fates <= MARK)[:, 0]
        codes, passed, alone = tf.gather(codes, kept), tf.gather(passed, kept), tf.gather(fates, kept) == ALONE
        cut = alone[1:] | alone[:-1] | (passed[1:] != passed[:-1])
        begins = tf.concat([tf.ones_like(alone[:1]), cut], axis=0)
        starts = tf.cast(tf.where(begins)[:, 0], tf.int32)
        return Words(codes, tf.bitwise.right_shift(passed, _TEXT_BITS), starts)

    def _with_stand_ins(self, texts: tf.Tensor) -> tf.Tensor:
        """Texts with one private-use character in the place of each special token."""
        names = self._special_tokens
        stand_ins = [chr(STAND_INS + i) for i in range(len(names) + 2)]
        before, after = stand_ins[-2:]
        texts = tf.strings.regex_replace(texts, f"[{stand_ins[0]}-{stand_ins[-1]}]", _REMOVED)
        # The leftmost one counts where two overlap, the longest one where several start.
        any_of_them = "|".join(map(_escaped, sorted(names, key=len, reverse=True)))
        texts = tf.strings.regex_replace(texts, f"({any_of_them})", rf"{before}\1{after}")
        for stand_in, name in zip(stand_ins, names, strict=False):
            texts = tf.strings.regex_replace(texts, before + _escaped(name) + after, stand_in)
        return texts

    def _expanded(self, codes: tf.Tensor, begun: tf.Tensor, changes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The same with what each character of fate MANY becomes in its place."""
        many = _fate(changes) == MANY
        becomes = tf.gather(self._table.expansions, tf.where(many, codes + _change(changes), 0))  # [N, longest]
        itself = tf.pad(codes[:, None], [[0, 0], [0, self._table.expansions.shape[1] - 1]], constant_values=-1)
        becomes = tf.where(many[:, None], becomes, itself)
        at = tf.where(becomes >= 0)
        codes = tf.gather_nd(becomes, at)
        begun = tf.where(at[:, 1] == 0, tf.gather(begun, at[:, 0]), 0)
        return codes, begun, step(codes, *self._changes)

    def _with_marks_in_order(self, codes: tf.Tensor, begun: tf.Tensor, fates: tf.Tensor) -> tf.Tensor:
        """Marks between two characters that are none are sorted by class; equal ones stay in their order."""
        at = tf.where(fates == MARK)[:, 0]
        ends_stretch = ((fates != MARK) & (fates != GONE)) | (begun > 0)
        stretch = tf.gather(tf.cumsum(tf.cast(ends_stretch, tf.int64)), at)
        marks = tf.gather(codes, at)
        classes = tf.gather(self._table.mark_classes, tf.searchsorted(self._table.marks, marks))
        order = tf.argsort(
            stretch * (1 + self._table.mark_classes.max(initial=0)) + tf.cast(classes, stretch.dtype), stable=True
        )
        return tf.tensor_scatter_nd_update(codes, at[:, None], tf.gather(marks, order))


def _change(changes: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(changes, _FATE_BITS)


def _fate(changes: tf.Tensor) -> tf.Tensor:
    return changes & (2**_FATE_BITS - 1)


def _escaped(text: str) -> str:
    """A regular expression for a text."""
    return "".join(rf"\x{{{ord(character):x}}}" for character in text)
