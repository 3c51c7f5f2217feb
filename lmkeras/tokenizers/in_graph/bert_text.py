"""BERT's clean-up and word splitting in TensorFlow operations, with the results of the `tokenizers` library.

N is the number of characters of all words of a batch, W the number of these words, and M the number of characters when
those that the clean-up removes are counted too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmkeras.tokenizers.bert_text import BertTextRules
from lmkeras.tokenizers.in_graph.bert_characters import (
    ALONE,
    GONE,
    GONE_MARK,
    MANY,
    MARK,
    SPACE,
    character_table,
)
from lmkeras.tokenizers.in_graph.lower_case import step
from lmkeras.tokenizers.in_graph.offsets import places_in_text

# The private-use characters from STAND_INS on stand for special tokens. If a text already contains such a character, it
# is first replaced by _REMOVED. This changes no result, because the clean-up removes both.
STAND_INS = 0xE000
_REMOVED = "\ufffd"
_FATE_BITS = 3  # a change of code point and a fate in one number: change << 3 | fate
_TEXT_BITS = 32  # texts and spaces counted in one number: texts << 32 | spaces


class Words(NamedTuple):
    """The words of a batch, one text after the other.

    codes: int32 [N], their characters; a special token is the one character STAND_INS + its place among the names.
    rows: int64 [N], which text each character is of.
    starts: int32 [W], where each word starts in codes.
    """

    codes: tf.Tensor
    rows: tf.Tensor
    starts: tf.Tensor


class Spans(NamedTuple):
    """Where the characters of words come from: the characters [start, end) of their text, as it was given.

    starts: int32 [N].
    ends: int32 [N].
    """

    starts: tf.Tensor
    ends: tf.Tensor


class _Cleaned(NamedTuple):
    """The characters of a batch after the clean-up, except for its last steps: the characters that it removes are still
    there, and marks are still in their old order.

    codes: int32 [M].
    begun: int64 [M], how many texts begin at each character, shifted left by _TEXT_BITS. Empty texts right before it
        count too; the first text of the batch does not.
    fates: int32 [M], see bert_characters.
    origins: int32 [M], which character of all texts each comes from, special tokens being one character.
    """

    codes: tf.Tensor
    begun: tf.Tensor
    fates: tf.Tensor
    origins: tf.Tensor


class InGraphBertText:
    """Texts to words.

    Args:
        rules: how texts become words.
        special_tokens: names that are words wherever they are written out in a text, before any clean-up.
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
        return self._cut(self._cleaned(self._characters(texts)))

    def words_with_spans(self, texts: tf.Tensor) -> tuple[Words, Spans]:
        """The words of UTF-8 strings [B], and where their characters come from."""
        characters = self._characters(texts)
        cleaned = self._cleaned(characters)
        starts, ends = self._spans(characters)
        origins = tf.cond(
            tf.reduce_any(cleaned.fates == MARK),
            lambda: self._origins_in_order(cleaned),
            lambda: tf.boolean_mask(cleaned.origins, cleaned.fates <= MARK),
        )
        return self._cut(cleaned), Spans(tf.gather(starts, origins), tf.gather(ends, origins))

    def _characters(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The code points of texts, one for each special token; int32 [B, characters]."""
        return tf.strings.unicode_decode(self._with_stand_ins(texts), "UTF-8")

    def _spans(self, characters: tf.RaggedTensor) -> Spans:
        """Where all characters stand in the texts that spell the special tokens out."""
        name = characters.flat_values - STAND_INS
        is_token = (name >= 0) & (name < len(self._special_tokens))
        lengths = tf.gather([*map(len, self._special_tokens), 1], tf.where(is_token, name, len(self._special_tokens)))
        surplus = tf.cumsum(lengths - 1)  # by how many characters the given texts are longer, up to each character
        surplus_of_row = tf.gather(tf.concat([[0], surplus], axis=0), characters.row_starts())
        ends = places_in_text(characters) + 1 + surplus - tf.gather(surplus_of_row, characters.value_rowids())
        return Spans(ends - lengths, ends)

    def _cleaned(self, characters: tf.RaggedTensor) -> _Cleaned:
        """What becomes of the characters of texts."""
        codes, text_ends = characters.flat_values, characters.row_splits[1:]
        changes, origins = step(codes, *self._changes), tf.range(tf.size(codes))
        begun = tf.zeros([tf.size(codes) + 1], tf.int64)
        one_text = tf.fill(tf.shape(text_ends), tf.constant(1 << _TEXT_BITS, tf.int64))
        begun = tf.tensor_scatter_nd_add(begun, text_ends[:, None], one_text)[:-1]
        codes, begun, changes, origins = tf.cond(
            tf.reduce_any(_fate(changes) == MANY),
            lambda: self._expanded(codes, begun, changes),
            lambda: (codes, begun, changes, origins),
        )
        return _Cleaned(codes + _change(changes), begun=begun, fates=_fate(changes), origins=origins)

    def _cut(self, cleaned: _Cleaned) -> Words:
        """The words that the characters make."""
        codes, begun, fates, _ = cleaned
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
        # Where two names overlap, the leftmost counts; where several start at one place, the longest.
        any_of_them = "|".join(map(_escaped, sorted(names, key=len, reverse=True)))
        texts = tf.strings.regex_replace(texts, f"({any_of_them})", rf"{before}\1{after}")
        for stand_in, name in zip(stand_ins, names, strict=False):
            texts = tf.strings.regex_replace(texts, before + _escaped(name) + after, stand_in)
        return texts

    def _expanded(self, codes: tf.Tensor, begun: tf.Tensor, changes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Codes, begun, changes and origins after each character of fate MANY is replaced by those that it becomes."""
        many = _fate(changes) == MANY
        becomes = tf.gather(self._table.expansions, tf.where(many, codes + _change(changes), 0))  # [N, longest]
        itself = tf.pad(codes[:, None], [[0, 0], [0, self._table.expansions.shape[1] - 1]], constant_values=-1)
        becomes = tf.where(many[:, None], becomes, itself)
        at = tf.where(becomes >= 0)
        codes = tf.gather_nd(becomes, at)
        begun = tf.where(at[:, 1] == 0, tf.gather(begun, at[:, 0]), 0)
        return codes, begun, step(codes, *self._changes), tf.cast(at[:, 0], tf.int32)

    def _with_marks_in_order(self, codes: tf.Tensor, begun: tf.Tensor, fates: tf.Tensor) -> tf.Tensor:
        """The codes of all characters with the marks that stay in Unicode's order."""
        at = tf.where(fates == MARK)[:, 0]
        marks = tf.gather(codes, at)
        order = self._order(marks, tf.gather(_stretches(begun, fates), at), tf.ones_like(marks, tf.bool))
        return tf.tensor_scatter_nd_update(codes, at[:, None], tf.gather(marks, order))

    def _origins_in_order(self, cleaned: _Cleaned) -> tf.Tensor:
        """The origins of the characters that stay, as the `tokenizers` library has them.

        Marks that change places do not take their origins with them: the library gives the first mark in the new order
        the first origin, and so on. Accents count here even if they are removed later. If a character becomes several,
        all but the first of these have the origin of the character before them in the new order.
        """
        codes, begun, fates, origins = cleaned
        at = tf.where(fates != GONE)[:, 0]
        stretch = tf.gather(_stretches(begun, fates), at)
        codes, fates, origins = tf.gather(codes, at), tf.gather(fates, at), tf.gather(origins, at)
        in_text = tf.concat([[True], origins[1:] != origins[:-1]], axis=0)  # the first of what a character becomes
        order = self._order(codes, stretch, (fates == MARK) | (fates == GONE_MARK))
        nth_origin = tf.cumsum(tf.cast(tf.gather(in_text, order), tf.int32)) - 1
        origins = tf.gather(tf.boolean_mask(origins, in_text), nth_origin)
        return tf.boolean_mask(origins, tf.gather(fates, order) <= MARK)

    def _order(self, codes: tf.Tensor, stretch: tf.Tensor, is_mark: tf.Tensor) -> tf.Tensor:
        """The order of the characters: in each stretch, marks come last, sorted by class; equal ones keep their order.

        Args:
            codes: int32 [M].
            stretch: int64 [M], ascending.
            is_mark: bool [M]; every character that is not a mark begins a new stretch.

        Returns:
            int32 [M], which character comes 0th, 1st, and so on.
        """
        place = tf.minimum(tf.searchsorted(self._table.marks, codes), len(self._table.marks) - 1)
        rank = tf.where(is_mark, 1 + tf.gather(self._table.mark_classes, place), 0)
        num_ranks = 2 + self._table.mark_classes.max(initial=0)
        return tf.argsort(stretch * num_ranks + tf.cast(rank, stretch.dtype), stable=True)


def _stretches(begun: tf.Tensor, fates: tf.Tensor) -> tf.Tensor:
    """Numbers, ascending, that are equal for characters between which marks may move; int64 [N]."""
    stays_between = (fates == MARK) | (fates == GONE_MARK) | (fates == GONE)
    return tf.cumsum(tf.cast(~stays_between | (begun > 0), tf.int64))


def _change(changes: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.right_shift(changes, _FATE_BITS)


def _fate(changes: tf.Tensor) -> tf.Tensor:
    return changes & (2**_FATE_BITS - 1)


def _escaped(text: str) -> str:
    """A regular expression for a text."""
    return "".join(rf"\x{{{ord(character):x}}}" for character in text)
