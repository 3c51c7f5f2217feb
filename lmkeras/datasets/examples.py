"""Whole texts and their classes in batches: texts of like length together, padded to the longest.

Shape letters: B batch, T tokens.
"""

import array
import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lmkeras.datasets.layout import TextLayout
from lmkeras.tokenizers.base import BaseTokenizer

if TYPE_CHECKING:
    import tensorflow as tf

Text = str | tuple[str, str]

_TOKENIZED_AT_A_TIME = 1024
_POOL_BATCHES = 64  # texts are sorted by length inside pools of so many batches, so that batches stay mixed
_LENGTH_STEP = 8  # lengths are multiples of this, and there are four of them from a power of two to the next


@dataclasses.dataclass(frozen=True)
class EncodedExamples:
    """Texts as a network reads them, in memory: 4 bytes an id.

    Attributes:
        ids: int32, the ids of all texts, one text after the other.
        starts: int64 [number of texts + 1], where each text's ids begin in `ids`, and where the last one's end.
        first_lengths: int32, of each pair the number of ids that belong to its first text; None for single texts, and
            where the network is not told.
    """

    ids: np.ndarray
    starts: np.ndarray
    first_lengths: np.ndarray | None

    @classmethod
    def encode(cls, texts: Iterable[Text], tokenizer: BaseTokenizer, layout: TextLayout) -> "EncodedExamples":
        """Tokenizes texts, all single or all pairs, and arranges them."""
        ids, starts, first_lengths, pairs = array.array("i"), array.array("q", [0]), array.array("i"), False
        texts = iter(texts)
        while some := list(itertools.islice(texts, _TOKENIZED_AT_A_TIME)):
            pairs = isinstance(some[0], tuple)
            parts = zip(*some, strict=True) if pairs else (some,)
            for parts_ids in zip(*(tokenizer.encode_batch(list(part)) for part in parts), strict=True):
                arranged, first_length = layout.arrange(*parts_ids)
                ids.extend(arranged)
                starts.append(len(ids))
                first_lengths.append(first_length)
        firsts = np.asarray(first_lengths, np.int32) if pairs and layout.token_types else None
        return cls(np.asarray(ids, np.int32), np.asarray(starts, np.int64), firsts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def digest(self, classes: np.ndarray) -> str:
        """What no other examples with these classes have: in hexadecimal."""
        digest = hashlib.sha256()
        firsts = [] if self.first_lengths is None else [self.first_lengths]
        for numbers in (self.ids, self.starts, classes, *firsts):
            digest.update(f"{numbers.dtype} {len(numbers)}".encode())
            digest.update(np.ascontiguousarray(numbers))
        return digest.hexdigest()

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """The number of ids of each text, int64."""
        return np.diff(self.starts)

    def inputs(self, rows: np.ndarray) -> np.ndarray | dict[str, np.ndarray]:
        """The texts of these numbers as a network's inputs.

        Returns:
            int32 [B, T], padded with 0 to one of few lengths: 8, 16, 24 … 64, 80, 96, 112, 128, 160 … and no longer
            than the longest text of all. Where the first texts' lengths are known, a dictionary: these as input_ids,
            and token_type_ids int32 [B, T], 1 in the second text and 0 elsewhere.
        """
        lengths = self.lengths[rows]
        size = self._padded(lengths.max())
        at = np.arange(size)
        real = at < lengths[:, None]
        ids = np.zeros((len(rows), size), np.int32)
        ids[real] = self.ids[(self.starts[rows][:, None] + at)[real]]
        if self.first_lengths is None:
            return ids
        second = real & (at >= self.first_lengths[rows][:, None])
        return {"input_ids": ids, "token_type_ids": second.astype(np.int32)}

    def batches_by_length(self, batch_ids: int) -> Iterator[np.ndarray]:
        """The numbers of all texts, the shortest first, as many at a time as fill `batch_ids` ids, one at least.

        Padding counts: what `inputs` makes of them has at most `batch_ids` places, unless it is one text alone.
        """
        batch, sizes = [], self._padded(self.lengths)
        for row in np.argsort(self.lengths, kind="stable"):
            if batch and (len(batch) + 1) * sizes[row] > batch_ids:
                yield np.array(batch)
                batch = []
            batch.append(row)
        if batch:
            yield np.array(batch)

    def _padded(self, lengths):
        """T of batches whose longest texts have these lengths."""
        # what is compiled for a length is compiled anew for the next: long texts get longer steps
        step = np.maximum(_LENGTH_STEP, 2.0 ** np.ceil(np.log2(np.maximum(lengths, 1)) - 3)).astype(int)
        steps = -(-lengths // step) * step
        return np.maximum(1, np.minimum(steps, self.lengths.max(initial=0)))


def training_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """The batches of one epoch as numbers of texts: every text once, texts of like length together, in random order.

    The texts are shuffled, sorted by length inside pools of 64 batches, cut into batches, and the batches shuffled.

    Args:
        lengths: of each text.
        batch_size: B; one batch holds what remains.
        seed: with `epoch` it fixes the order.
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
        classes: int32, of each text.
        batch_size: B.
        seed: fixes the order.
        class_weights: how much an example of each class counts; None for 1 each.
    """

    def __init__(
        self,
        examples: EncodedExamples,
        classes: np.ndarray,
        batch_size: int,
        seed: int = 0,
        class_weights: Sequence[float] | None = None,
    ):
        self.examples, self.classes, self.batch_size, self.seed = examples, classes, batch_size, seed
        self._weights = np.ones(len(classes), np.float32)
        if class_weights is not None:
            self._weights = np.asarray(class_weights, np.float32)[classes]
        self.steps_per_epoch = -(-len(examples) // batch_size)

    def digest(self) -> str:
        """What no other examples have, see `EncodedExamples.digest`."""
        return self.examples.digest(self.classes)

    def dataset(self, first_step: int = 0) -> "tf.data.Dataset":
        """All batches from `first_step` on, without end.

        Returns:
            Dataset of (inputs, classes int32 [B], weights float32 [B]); the inputs are ids [B, T], or for pairs a
            dictionary, see `EncodedExamples.inputs`.
        """

        def batches():
            first_epoch, skip = divmod(first_step, self.steps_per_epoch)
            for epoch in itertools.count(first_epoch):
                order = training_order(self.examples.lengths, self.batch_size, self.seed, epoch)
                for rows in itertools.islice(order, skip if epoch == first_epoch else 0, None):
                    yield self.examples.inputs(rows), self.classes[rows], self._weights[rows]

        return _dataset(batches, self.examples)


def evaluation_batches(examples: EncodedExamples, classes: np.ndarray, batch_ids: int = 8192) -> "tf.data.Dataset":
    """Every text once, the shortest first.

    Args:
        examples: the texts.
        classes: int32, of each text.
        batch_ids: the most ids in a batch, those included that fill up the shorter texts.

    Returns:
        Dataset of (inputs, classes, weights) as in `TrainingExamples`, of known cardinality.
    """
    import tensorflow as tf

    parts = list(examples.batches_by_length(batch_ids))

    def batches():
        for rows in parts:
            yield examples.inputs(rows), classes[rows], np.ones(len(rows), np.float32)

    return _dataset(batches, examples).apply(tf.data.experimental.assert_cardinality(len(parts)))


def _dataset(batches, examples: EncodedExamples) -> "tf.data.Dataset":
    import tensorflow as tf

    ids = tf.TensorSpec((None, None), tf.int32)
    inputs = ids if examples.first_lengths is None else {"input_ids": ids, "token_type_ids": ids}
    signature = (inputs, tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32))
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(tf.data.AUTOTUNE)
