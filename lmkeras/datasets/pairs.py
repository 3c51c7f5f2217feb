"""Pairs of source and target as networks learn them, in batches by the lengths of both sides.

Shape letters: B batch, S tokens of a source, T tokens of a target, N pairs.
"""

import array
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lmkeras.corpora.pairs import Pair
from lmkeras.datasets.examples import EncodedExamples, TrainingExamples, evaluation_batches, padded_length
from lmkeras.datasets.notes import TextNotes
from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer

if TYPE_CHECKING:
    import tensorflow as tf

_TOKENIZED_AT_A_TIME = 1024
# ratios of tokens are usual from the first to the ninth decile of a corpus; a target that has nine times what the
# highest of these gives, or a ninth of the lowest, and differs by more than 20 tokens, may belong to another source
_ODD_RATIO, _ODD_TOKENS, _USUAL = 9, 20, (10, 90)


class Unusual(NamedTuple):
    """Pairs that are not as they should be.

    Attributes:
        count: how many there are.
        first: the number of the first one among all pairs, from 1; 0 if there is none.
    """

    count: int = 0
    first: int = 0

    @classmethod
    def of(cls, where: np.ndarray) -> "Unusual":
        """The pairs where a boolean array [N] is true."""
        return cls(int(where.sum()), int(where.argmax()) + 1) if where.any() else cls()


@dataclasses.dataclass(frozen=True)
class EncodedPairs:
    """Pairs as a network reads them, in memory: 4 bytes an id.

    Attributes:
        sources: the sources, each with the id that ends a text, if the tokenizer has one.
        targets: the targets, each with the id that ends a text, except where it was cut.
        start: the id that a decoder reads before the first token of a target.
        notes: what was noted of all pairs, also of those that were left out.
        too_long: pairs with a side of too many tokens: left out of training, elsewhere cut.
        odd: pairs with a target that is far too long or too short for its source: left out of training.
        left_out: whether such pairs are left out.
    """

    sources: EncodedExamples
    targets: EncodedExamples
    start: int
    notes: TextNotes
    too_long: Unusual
    odd: Unusual
    left_out: bool

    @classmethod
    def encode(
        cls,
        pairs: Iterable[Pair],
        source_tokenizer: BaseTokenizer,
        target_tokenizer: BaseTokenizer,
        *,
        max_length: int | None = None,
        max_target_length: int | None = None,
        leave_out: bool = False,
        cut_sources: bool = False,
    ) -> "EncodedPairs":
        """Tokenizes pairs.

        Args:
            pairs: read once.
            source_tokenizer: that of the sources.
            target_tokenizer: that of the targets; it may be the same.
            max_length: the most tokens of a source, with its end; None for no limit.
            max_target_length: the most tokens of a target, with its start; None for no limit.
            leave_out: whether pairs are left out that are too long, or whose target is far too long or too short for
                such a source, as for training: with more than nine times the tokens, or less than a ninth, of what four
                in five pairs have. Otherwise long sides are cut, and the end of a target that was cut is not learnt.
            cut_sources: whether long sources are cut in any case, as for summaries, which need not read all of a text.

        Raises:
            InputError: the targets' tokenizer has no id that ends a text, a length leaves no room for a token, or all
                pairs are left out.
        """
        for name, length in (("max_length", max_length), ("max_target_length", max_target_length)):
            if length is not None and length < 2:
                raise InputError(f"{name} must be at least 2, for a token and the end of the text, got {length}")
        if not target_tokenizer.special.ends:  # a tokenizer with an end has something that stands before a text, too
            raise InputError("the tokenizer has no id that ends a text, which every target needs: take another one")
        sources, targets = _Side(source_tokenizer, max_length), _Side(target_tokenizer, max_target_length)
        notes, pairs = TextNotes(), iter(pairs)
        while some := list(itertools.islice(pairs, _TOKENIZED_AT_A_TIME)):
            counts = [side.add(texts) for side, texts in zip((sources, targets), zip(*some, strict=True), strict=True)]
            for pair, (tokens, unknown), (more_tokens, more_unknown) in zip(some, *counts, strict=True):
                notes.add_counted(tuple(pair), tokens + more_tokens, unknown + more_unknown)
        too_long = targets.is_cut if cut_sources else sources.is_cut | targets.is_cut
        if leave_out and len(too_long) and too_long.all():
            raise InputError(
                f"all {len(too_long)} pairs have too many tokens for max_length {max_length} (sources) and "
                f"max_target_length {max_target_length}: give larger ones, or shorter texts"
            )
        odd = _odd(sources.lengths, targets.lengths, ~too_long) if leave_out else np.zeros_like(too_long)
        kept = ~(too_long | odd) if leave_out else np.ones_like(too_long)
        return cls(
            sources.examples(kept, ends_cut=True),
            targets.examples(kept, ends_cut=False),
            start=target_tokenizer.special.before_text,
            notes=notes,
            too_long=Unusual.of(too_long),
            odd=Unusual.of(odd),
            left_out=leave_out,
        )

    def __len__(self) -> int:
        return len(self.sources)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """Numbers by which pairs are put together, int64 [N]: those with sources of one padded length have neighbouring
        numbers, in the order of their targets' lengths."""
        sources, targets = self.sources.lengths, self.targets.lengths
        return padded_length(sources, sources.max(initial=0)).astype(np.int64) << 32 | targets

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return (*self.sources.names, "target_ids")

    def inputs(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """A network's inputs for some of the pairs.

        Args:
            rows: int [B], the numbers of the pairs.

        Returns:
            input_ids and attention_mask int32 [B, S], those of the sources, and target_ids int32 [B, T], what the
            decoder reads: the start, then the target without its last id. Both sides are padded as
            `EncodedExamples.inputs` says.
        """
        targets = self.targets.inputs(rows)
        read = np.full_like(targets["input_ids"], self.targets.filler)
        read[:, :1] = self.start
        followed = targets["attention_mask"][:, 1:] != 0
        read[:, 1:][followed] = targets["input_ids"][:, :-1][followed]
        return {**self.sources.inputs(rows), "target_ids": read}

    def batches_by_length(self, batch_ids: int) -> Iterator[np.ndarray]:
        """The numbers of all pairs, in batches, shorter ones first.

        Args:
            batch_ids: the most ids of a batch, of both sides together and with padding; a longer pair is alone.
        """
        sizes = [padded_length(of.lengths, of.lengths.max(initial=0)).tolist() for of in (self.sources, self.targets)]
        batch, longest = [], (0, 0)
        for row in np.argsort(self.lengths, kind="stable").tolist():
            with_row = tuple(max(before, size[row]) for before, size in zip(longest, sizes, strict=True))
            if batch and (len(batch) + 1) * sum(with_row) > batch_ids:
                yield np.array(batch)
                batch, with_row = [], tuple(size[row] for size in sizes)
            batch.append(row)
            longest = with_row
        if batch:
            yield np.array(batch)

    def digest(self, *others: object) -> str:
        """A fingerprint of the pairs, as that of EncodedExamples; targets and weights follow from the pairs."""
        of_targets = (self.targets.ids, self.targets.starts, np.array([self.start]))
        return self.sources.digest(*of_targets)

    def training(self, batch_size: int, seed: int = 0) -> TrainingExamples:
        """The pairs in batches for training: (inputs, targets int32 [B, T], weights float32 [B, T]), where targets are
        the tokens of a target and its end, and weights are 1 for them and 0 in padding."""
        learnt, weights = self._learnt()
        return TrainingExamples(self, learnt, batch_size, seed=seed, weights=weights)

    def evaluation(self, batch_ids: int = 8192, share: Share = WHOLE) -> "tf.data.Dataset":
        """Batches as for training that have every pair once, see `evaluation_batches`."""
        learnt, weights = self._learnt()
        return evaluation_batches(self, learnt, weights=weights, batch_ids=batch_ids, share=share)

    def _learnt(self) -> tuple["_OfTargets", "_OfTargets"]:
        """The tokens that are learnt, and how much each of them counts."""
        ids = _OfTargets(self.targets, "input_ids", np.dtype(np.int32))
        return ids, _OfTargets(self.targets, "attention_mask", np.dtype(np.float32))

    def findings(self, part: str = "training") -> Iterator[str]:
        """What is odd about the pairs, a line for each thing; nothing for most corpora.

        Args:
            part: what the pairs are for.
        """
        many, none = self.notes.texts, Unusual()
        if self.too_long != none:
            done = "left out" if self.left_out else "cut"
            yield (
                f"{self.too_long.count} of {many} {part} pairs ({self.too_long.count / many:.1%}) have too many tokens "
                f"and are {done}, the first is number {self.too_long.first}: a larger max_length (sources) or "
                "max_target_length keeps them"
            )
        if self.odd != none:
            yield (
                f"{self.odd.count} of {many} {part} pairs ({self.odd.count / many:.1%}) have a target far too long or "
                f"too short for its source and are left out, the first is number {self.odd.first}: do the two sides "
                "belong together?"
            )


class _OfTargets(NamedTuple):
    """A value for every token of every target, to be taken by the numbers of pairs: [B, T]."""

    targets: EncodedExamples
    name: str
    dtype: np.dtype

    @property
    def shape(self) -> tuple:
        return len(self.targets), None

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.targets.inputs(rows)[self.name].astype(self.dtype, copy=False)


class _Side:
    """One side of the pairs while they are tokenized.

    Args:
        tokenizer: its tokenizer.
        most: the most ids of a text, with its end; None for no limit.
    """

    def __init__(self, tokenizer: BaseTokenizer, most: int | None):
        self._tokenizer, self._most = tokenizer, most
        self._ids, self._starts, self._lengths = array.array("i"), array.array("q", [0]), array.array("q")

    def add(self, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Adds texts; for each of them the number of its tokens, and how many are unknown."""
        special = self._tokenizer.special
        for ids in self._tokenizer.encode_batch(list(texts)):
            yield len(ids), 0 if special.unknown is None else ids.count(special.unknown)
            ids = [*ids, *special.ends[:1]] or [special.filler]  # a network has to read at least one id
            self._lengths.append(len(ids))
            self._ids.extend(ids[: self._most])
            self._starts.append(len(self._ids))

    @property
    def lengths(self) -> np.ndarray:
        """int64 [N], the number of ids of each text with its end, before it is cut."""
        return np.array(self._lengths, np.int64)

    @property
    def is_cut(self) -> np.ndarray:
        """bool [N], whether a text has too many ids."""
        return self.lengths > (self._most or np.inf)

    def examples(self, kept: np.ndarray, ends_cut: bool) -> EncodedExamples:
        """The texts that are kept, where bool [N] is true; a text that is cut has its end only if `ends_cut`."""
        ids, starts = np.array(self._ids, np.int32), np.array(self._starts, np.int64)
        if ends_cut and self._tokenizer.special.ends:
            ids[starts[1:][self.is_cut] - 1] = self._tokenizer.special.ends[0]
        sizes, filler = np.diff(starts), self._tokenizer.special.filler
        starts = np.concatenate([[0], np.cumsum(sizes[kept])]).astype(np.int64)
        return EncodedExamples(ids[np.repeat(kept, sizes)], starts, first_lengths=None, filler=filler)


def _odd(sources: np.ndarray, targets: np.ndarray, fits: np.ndarray) -> np.ndarray:
    """Which of the pairs that fit have a target far too long or too short for the source, bool [N].

    Args:
        sources: int [N], the number of tokens of each source.
        targets: int [N], the number of tokens of each target.
        fits: bool [N], the pairs that are looked at; from the first to the ninth decile of their ratios is usual.
    """
    if not fits.any():
        return fits
    low, high = (share * sources for share in np.percentile(targets[fits] / sources[fits], _USUAL))
    long = (targets > _ODD_RATIO * high) & (targets - high > _ODD_TOKENS)
    short = (_ODD_RATIO * targets < low) & (low - targets > _ODD_TOKENS)
    return fits & (long | short)
