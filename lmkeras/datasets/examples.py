"""Batches of whole texts and their targets: texts of similar length go together, padded to the longest of them.

Shape letters: B batch, T tokens, N examples.
"""

import array
import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from lmkeras.datasets.layout import TextLayout
from lmkeras.datasets.notes import Text, TextNotes
from lmkeras.datasets.prefetching import prefetched
from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.tokenizers.base import BaseTokenizer

if TYPE_CHECKING:
    import tensorflow as tf

_TOKENIZED_AT_A_TIME = 1024
_POOL_BATCHES = 64  # texts are sorted by length inside pools of this many batches, so that batches stay mixed
# padded lengths are multiples of this up to 64; above, there are four of them from one power of two to the next
_LENGTH_STEP = 8


@dataclasses.dataclass(frozen=True)
class EncodedExamples:
    """Texts as a network reads them, in memory: 4 bytes an id.

    Attributes:
        ids: int32, the ids of all texts, one text after the other.
        starts: int64 [number of texts + 1], where each text's ids begin in `ids`, and where those of the last text end.
        first_lengths: int32, for each pair the number of ids that belong to its first text; None for single texts, and
            for networks that do not read token types.
        filler: the id with which shorter rows are padded.
        whole_lengths: int32, the number of ids that each text would have if long texts were not cut; None if unknown.
        notes: what was noted of the texts; None if these are not known.
    """

    ids: np.ndarray
    starts: np.ndarray
    first_lengths: np.ndarray | None
    filler: int = 0
    whole_lengths: np.ndarray | None = None
    notes: TextNotes | None = None

    @classmethod
    def encode(cls, texts: Iterable[Text], tokenizer: BaseTokenizer, layout: TextLayout) -> "EncodedExamples":
        """Tokenizes texts, all of them single or all of them pairs, and arranges their ids as `layout` says."""
        ids, starts, first_lengths, pairs = array.array("i"), array.array("q", [0]), array.array("i"), False
        wholes, notes, texts = array.array("i"), TextNotes(tokenizer.special.unknown), iter(texts)
        while some := list(itertools.islice(texts, _TOKENIZED_AT_A_TIME)):
            pairs = isinstance(some[0], tuple)
            parts = zip(*some, strict=True) if pairs else (some,)
            for text, *parts_ids in zip(some, *(tokenizer.encode_batch(list(part)) for part in parts), strict=True):
                notes.add(text, *parts_ids)
                arranged, first_length = layout.arrange(*parts_ids)
                wholes.append(layout.whole_length(*parts_ids))
                ids.extend(arranged)
                starts.append(len(ids))
                first_lengths.append(first_length)
        firsts = np.asarray(first_lengths, np.int32) if pairs and layout.token_types else None
        filler = tokenizer.special.filler
        return cls(
            np.asarray(ids, np.int32),
            np.asarray(starts, np.int64),
            first_lengths=firsts,
            filler=filler,
            whole_lengths=np.asarray(wholes, np.int32),
            notes=notes,
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def digest(self, *others: np.ndarray) -> str:
        """A fingerprint (SHA-256, in hexadecimal) of the examples: two corpora have the same one only if equal.

        Args:
            others: arrays that belong to the examples, such as their targets.
        """
        digest = hashlib.sha256()
        firsts = [] if self.first_lengths is None else [self.first_lengths]
        for numbers in (self.ids, self.starts, *others, *firsts):
            digest.update(f"{numbers.dtype} {len(numbers)}".encode())
            digest.update(np.ascontiguousarray(numbers))
        return digest.hexdigest()

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """The number of ids of each text, int64."""
        return np.diff(self.starts)

    def inputs(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """A network's inputs for some of the texts.

        Args:
            rows: int [B], the numbers of the texts.

        Returns:
            input_ids int32 [B, T], padded to one of few lengths: 8, 16, 24 … 64, 80, 96, 112, 128, 160 … and no longer
            than the longest text of all; attention_mask int32 [B, T], 1 for tokens and 0 for padding; and, if
            `first_lengths` is known, token_type_ids int32 [B, T], 1 in the second text and 0 elsewhere.
        """
        lengths = self.lengths[rows]
        size = padded_length(lengths.max(initial=0), self.lengths.max(initial=0))
        at = np.arange(size)
        real = at < lengths[:, None]
        ids = np.full((len(rows), size), self.filler, np.int32)
        ids[real] = self.ids[(self.starts[rows][:, None] + at)[real]]
        inputs = {"input_ids": ids, "attention_mask": real.astype(np.int32)}
        if self.first_lengths is not None:
            second = real & (at >= self.first_lengths[rows][:, None])
            inputs["token_type_ids"] = second.astype(np.int32)
        return inputs

    def batches_by_length(self, batch_ids: int) -> Iterator[np.ndarray]:
        """The numbers of all texts, in batches, see the function `batches_by_length`."""
        return batches_by_length(self.lengths, batch_ids)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return ("input_ids", "attention_mask", *(() if self.first_lengths is None else ("token_type_ids",)))


def padded_length(lengths: np.ndarray, longest: int):
    """The padded length T of batches, from the lengths of their longest texts: 8, 16 … 64, 80, 96, 112, 128, 160 ….

    Args:
        lengths: int, or int [N].
        longest: the length of the longest text of all, which no padded length exceeds.
    """
    # a graph is traced or compiled for every new length, so there are few lengths: steps grow with the length
    step = np.maximum(_LENGTH_STEP, 2.0 ** np.ceil(np.log2(np.maximum(lengths, 1)) - 3)).astype(int)
    steps = -(-lengths // step) * step
    return np.maximum(1, np.minimum(steps, longest))


def batches_by_length(lengths: np.ndarray, batch_ids: int) -> Iterator[np.ndarray]:
    """The numbers of all texts, in batches, the shortest texts first.

    A batch has as many texts as fit into `batch_ids` ids, padding included; a text that is longer is a batch alone.

    Args:
        lengths: int [N], the number of ids of each text.
        batch_ids: the most ids of a batch.
    """
    batch, sizes = [], padded_length(lengths, lengths.max(initial=0))
    for row in np.argsort(lengths, kind="stable"):
        if batch and (len(batch) + 1) * sizes[row] > batch_ids:
            yield np.array(batch)
            batch = []
        batch.append(row)
    if batch:
        yield np.array(batch)


def training_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """The batches of one epoch as numbers of texts: every text once, texts of similar length together, in random order.

    The texts are shuffled, sorted by length inside pools of 64 batches, cut into batches, and the batches shuffled.

    Args:
        lengths: number of ids of each text.
        batch_size: B; one batch has fewer texts if N is not a multiple of B.
        seed: fixes the order, together with `epoch`.
        epoch: number of the epoch.
    """
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(lengths))
    pool = batch_size * _POOL_BATCHES
    order = np.concatenate(
        [part[np.argsort(lengths[part], kind="stable")] for part in np.split(order, range(pool, len(order), pool))]
    )
    batches = np.split(order, range(batch_size, len(order), batch_size))
    for number in random.permutation(len(batches)):
        yield batches[number]


class TrainingExamples:
    """Examples in batches for training, forever; the order is a function of (seed, epoch), see `training_order`.

    Args:
        examples: the texts.
        targets: [N, …], what the network should learn to answer for each text.
        batch_size: B.
        seed: fixes the order.
        weights: float [N, …], how much each target counts; None for 1 each.
    """

    def __init__(
        self,
        examples: EncodedExamples,
        targets: np.ndarray,
        batch_size: int,
        seed: int = 0,
        weights: np.ndarray | None = None,
    ):
        self.examples, self.targets, self.batch_size, self.seed = examples, targets, batch_size, seed
        self.weights = _weights_or_ones(weights, targets)
        self.steps_per_epoch = -(-len(examples) // batch_size)

    def digest(self) -> str:
        """The fingerprint of the examples and their targets, see `EncodedExamples.digest`."""
        return self.examples.digest(self.targets)

    def dataset(self, first_step: int = 0, share: Share = WHOLE) -> "tf.data.Dataset":
        """All batches from `first_step` on, or a share of the rows of each, without end.

        Returns:
            Dataset of (inputs, targets [B, …], weights float32 [B, …]); the inputs are those of
            `EncodedExamples.inputs`.
        """

        def rows():
            first_epoch, skip = divmod(first_step, self.steps_per_epoch)
            for epoch in itertools.count(first_epoch):
                order = training_order(self.examples.lengths, batch_size=self.batch_size, seed=self.seed, epoch=epoch)
                yield from itertools.islice(order, skip if epoch == first_epoch else 0, None)

        return _dataset(rows, examples=self.examples, targets=self.targets, weights=self.weights, share=share)


def evaluation_batches(
    examples: EncodedExamples,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    batch_ids: int = 8192,
    share: Share = WHOLE,
) -> "tf.data.Dataset":
    """Batches that contain every text once, the shortest texts first.

    Args:
        examples: the texts.
        targets: [N, …], the right answer for each text.
        weights: float [N, …], how much each target counts; None for 1 each.
        batch_ids: the most ids in a batch, padding included.
        share: which rows of each batch are made.

    Returns:
        Dataset of (inputs, targets, weights) as in `TrainingExamples`, of known cardinality.
    """
    import tensorflow as tf

    parts = list(examples.batches_by_length(batch_ids))
    weights = _weights_or_ones(weights, targets)
    dataset = _dataset(lambda: iter(parts), examples=examples, targets=targets, weights=weights, share=share)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(parts)))


def _weights_or_ones(weights, targets):
    if weights is None:
        return np.ones(len(targets), np.float32)
    return np.asarray(weights, np.float32) if isinstance(weights, list | np.ndarray) else weights


def _dataset(rows, examples: EncodedExamples, targets: np.ndarray, weights: np.ndarray, share: Share):
    """A dataset with one batch, or a share of it, for each array of text numbers that the iterator `rows()` yields."""
    import tensorflow as tf

    def batches():
        for numbers in map(share.part, rows()):
            yield examples.inputs(numbers), targets[numbers], weights[numbers]

    inputs = dict.fromkeys(examples.names, tf.TensorSpec((None, None), tf.int32))
    targets_and_weights = (tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in (targets, weights))
    signature = (inputs, *targets_and_weights)
    return prefetched(batches, signature)
