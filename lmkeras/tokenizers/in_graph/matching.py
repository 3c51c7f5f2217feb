"""Cuts texts where a regular expression matches, for all places at once, with the arithmetic of runs.

For each place, and each part of the expression from the last one to the first, it is computed where a match of this
part and those behind it would end. Such a match takes what a backtracking engine takes, because the part chooses the
longest repetition, or the first alternative, with which the rest matches as well. Then matches are followed from the
start of each text: where one ends, the next begins.
"""

import itertools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.tokenizers.in_graph.code_points import CodePointTable, members
from lmkeras.tokenizers.patterns import Ahead, Choice, Repeated, sets_of

_MOST_SETS = 31
_NOWHERE = -1  # where a match ends that is none


class _Ends(NamedTuple):
    """Where a match from each place ends: int32 [N + 1], `_NOWHERE` for none; whether there always is one."""

    at: tf.Tensor
    always: bool


class Matches(NamedTuple):
    """What `PatternInGraph` found; N is the number of characters.

    Attributes:
        visited: bool [N], whether a match, or a character between matches, begins at each place.
        gap: bool [N], whether no match begins at each place.
        begins: bool [N], whether a text begins at each place.
    """

    visited: tf.Tensor
    gap: tf.Tensor
    begins: tf.Tensor


class PatternInGraph:
    """A regular expression that is matched in a graph.

    Args:
        pattern: its parts.

    Raises:
        InputError: it has more than 31 sets of characters.
    """

    def __init__(self, pattern: Choice):
        self._pattern = pattern
        sets = sorted(sets_of(pattern))
        if len(sets) > _MOST_SETS:
            raise InputError(f"an expression with {len(sets)} sets of characters has no twin: at most {_MOST_SETS} can")
        self._bits = {characters: 1 << place for place, characters in enumerate(sets)}
        self._table = CodePointTable(sum(members(each).astype(np.int32) * bit for each, bit in self._bits.items()))

    def __call__(self, codes: tf.Tensor) -> Matches:
        """Matches in texts.

        Args:
            codes: int32 [N], code points; a negative number stands behind each text, and nothing matches it.
        """
        matcher = _Matcher(tf.concat([self._table(codes), [0]], axis=0), self._bits)
        ends = matcher.choice(self._pattern, matcher.nothing).at
        between = codes < 0
        begins = tf.concat([[True], between[:-1]], axis=0)[: tf.size(codes)] & ~between
        gap = (ends[:-1] == _NOWHERE) & ~between
        if all(_is_one_character(parts) for parts in self._pattern.alternatives):
            return Matches(~between, gap, begins)
        size = tf.size(codes)
        following = tf.concat([tf.where(gap, tf.range(1, size + 1), ends[:-1]), [size]], axis=0)
        stops = tf.concat([between, [True]], axis=0)
        following = tf.where(stops | tf.gather(stops, tf.maximum(following, 0)), size, following)
        return Matches(_visited(following, begins), gap, begins)


class _Matcher:
    """Matches parts of an expression.

    Args:
        sets: int32 [N + 1], a bit for each set that the character is of; 0 behind each text.
        bits: the bit of each set.
    """

    def __init__(self, sets: tf.Tensor, bits: dict[str, int]):
        self._sets, self._bits = sets, bits
        self._places = tf.range(tf.size(sets))
        self._runs = {}
        #: the match of nothing: it ends where it begins
        self.nothing = _Ends(self._places, True)

    def choice(self, choice: Choice, after: _Ends) -> _Ends:
        """The ends of matches of a choice and of what follows it.

        Args:
            choice: the alternatives.
            after: the ends of matches of what follows.
        """
        found = None
        for fixed, alternatives in itertools.groupby(choice.alternatives, _is_fixed):
            if fixed and after is self.nothing:
                each = [_Ends(self._fixed(list(alternatives)), False)]
            else:
                each = (self._sequence(parts, after) for parts in alternatives)
            for ends in each:
                found = ends if found is None else self._first(found, ends)
        return self._first(found, after) if choice.optional else found

    def _sequence(self, parts: tuple, after: _Ends) -> _Ends:
        for part in reversed(parts):
            if isinstance(part, Choice):
                after = self.choice(part, after)
            elif isinstance(part, Ahead):
                after = _Ends(tf.where(self._is(part.characters) == part.wanted, after.at, _NOWHERE), False)
            else:
                after = self._repeated(part, after)
        return after

    def _first(self, ends: _Ends, others: _Ends) -> _Ends:
        return ends if ends.always else _Ends(tf.where(ends.at != _NOWHERE, ends.at, others.at), others.always)

    def _repeated(self, part: Repeated, after: _Ends) -> _Ends:
        if part.most == 1:
            one = tf.concat([after.at[1:], [_NOWHERE]], axis=0)
            one = _Ends(tf.where(self._is(part.characters), one, _NOWHERE), False)
            return one if part.least else self._first(one, after)
        last, least = self._run_ends(part.characters), self._places + part.least
        if part.most is not None:
            last = tf.minimum(last, self._places + part.most)
        if not after.always:
            # the longest repetition behind which the rest matches
            matches = after.at != _NOWHERE
            before = tf.concat([[_NOWHERE], tf.cast(tf.where(matches)[:, 0], tf.int32)], axis=0)
            last = tf.gather(before, tf.gather(tf.cumsum(tf.cast(matches, tf.int32)), last))
        end = last if after is self.nothing else tf.gather(after.at, tf.maximum(last, 0))
        return _Ends(tf.where(last >= least, end, _NOWHERE), after.always and not part.least)

    def _is(self, characters: str) -> tf.Tensor:
        return self._sets & self._bits[characters] != 0

    def _run_ends(self, characters: str) -> tf.Tensor:
        """For each place the next place, or the same, whose character is not of a set; int32 [N + 1]."""
        if characters not in self._runs:
            others = ~self._is(characters)
            self._runs[characters] = tf.gather(
                tf.cast(tf.where(others)[:, 0], tf.int32), tf.cumsum(tf.cast(others, tf.int32), exclusive=True)
            )
        return self._runs[characters]

    def _fixed(self, alternatives: list[tuple[Repeated, ...]]) -> tf.Tensor:
        """The ends of the first alternative that matches, each a sequence of single characters; int32 [N + 1].

        Such alternatives, like "'s|'t", match at few places, so only these are looked at.
        """
        bits = [[self._bits[part.characters] for part in parts] for parts in alternatives]
        first = int(np.bitwise_or.reduce([each[0] for each in bits]))
        at = tf.where(self._sets & first != 0)
        places = tf.cast(at[:, 0], tf.int32)
        following = [
            tf.gather(self._sets, tf.minimum(places + offset, tf.size(self._sets) - 1))
            for offset in range(max(map(len, bits)))
        ]
        ends = tf.fill(tf.shape(places), _NOWHERE)
        for each in reversed(bits):
            matches = tf.reduce_all([found & bit != 0 for found, bit in zip(following, each, strict=False)], axis=0)
            ends = tf.where(matches, places + len(each), ends)
        return tf.tensor_scatter_nd_update(tf.fill(tf.shape(self._sets), _NOWHERE), at, ends)


def _is_one_character(parts: tuple) -> bool:
    return len(parts) == 1 and isinstance(parts[0], Repeated) and parts[0].least == parts[0].most == 1


def _is_fixed(parts: tuple) -> bool:
    """Whether an alternative is a sequence of at least two single characters."""
    return len(parts) > 1 and all(_is_one_character((part,)) for part in parts)


def _visited(following: tf.Tensor, begins: tf.Tensor) -> tf.Tensor:
    """The places that one comes to from some of them, always going on to the following place; bool [N].

    In round k the places are known that are fewer than 2^k steps away, and `following` leads 2^k steps on.

    Args:
        following: int32 [N + 1], the place that follows each; N behind the last one, and behind N itself.
        begins: bool [N], where one begins.
    """
    size = tf.size(begins)
    known = tf.cast(tf.where(begins)[:, 0], tf.int32)

    def twice_as_far(known, following, _):
        found = tf.gather(following, known)
        found = tf.boolean_mask(found, found < size)
        return tf.concat([known, found], axis=0), tf.gather(following, following), tf.size(found) > 0

    known, _, _ = tf.while_loop(
        lambda known, following, more: more,
        twice_as_far,
        (known, following, tf.size(known) > 0),
        shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([])),
    )
    ones = tf.fill(tf.shape(known), True)
    return tf.tensor_scatter_nd_update(tf.zeros_like(begins), known[:, None], ones)
