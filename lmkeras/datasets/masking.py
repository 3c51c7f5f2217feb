"""Examples with masked words, and perhaps pairs of sentences, made anew for every epoch from pieces of documents.

Shape letters: B batch, T tokens, M masked tokens, V vocabulary.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lmkeras.datasets.documents import Pieces
from lmkeras.datasets.examples import batches_by_length, padded_length, training_order
from lmkeras.datasets.prefetching import prefetched
from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.tokenizers.special import SpecialIds
from lmkeras.tokenizers.word_piece_training import PREFIX

if TYPE_CHECKING:
    import tensorflow as tf

_DRAWN = 4  # pieces of which the nearest in length gives the second text of a pair that does not follow the first
_REPLACED, _RANDOM = 0.8, 0.1  # of the masked tokens; the others stay as they are
#: the seed and the epoch of evaluations, whose masks are always the same
FIXED = (0, 2**32 - 1)


class Masked(NamedTuple):
    """An example.

    Attributes:
        ids: int64 [T], some of which are masked.
        first_length: how many of them belong to the first text.
        places: int64 [M], where the masked ones stand, in order.
        originals: int64 [M], what stood there.
        other: 1 if the second text is not the one that follows the first; else 0.
    """

    ids: np.ndarray
    first_length: int
    places: np.ndarray
    originals: np.ndarray
    other: int


@dataclasses.dataclass(frozen=True)
class Masking:
    """Which tokens are masked, and by what.

    Of the tokens of a text, a share is chosen at random. Of the chosen ones, 80 % are replaced by the id of a mask and
    10 % by any id; 10 % stay as they are.

    Args:
        special: the tokenizer's special ids, of which mask, classification and separator are needed.
        ordinary: int [V - special ones], the ids of all pieces of text.
        share: the share of tokens that are masked, in (0, 1).
        continues: bool [V], which ids continue the word before them, for masks of whole words; None for single ids.

    Source: Devlin et al. 2019, "BERT", 3.1; whole words: its release of May 2019.
    """

    special: SpecialIds
    ordinary: np.ndarray
    share: float = 0.15
    continues: np.ndarray | None = None

    @classmethod
    def of(cls, tokenizer: BaseTokenizer, share: float, whole_words: bool) -> "Masking":
        """The masking for a tokenizer; InputError if it has no mask, or for whole words, if it does not tell words."""
        special = tokenizer.special
        if None in (special.mask, special.classification, special.separator):
            raise InputError("masked words need a tokenizer with ids for a mask, [CLS] and [SEP]: take word_piece")
        if not 0 < share < 1:
            raise InputError(f"masked_share must be between 0 and 1, got {share}")
        continues = None
        if whole_words:
            if not hasattr(tokenizer, "vocabulary"):
                raise InputError(
                    "whole words are known to word pieces alone: leave whole_words out, or take word_piece"
                )
            continues = np.array([token.startswith(PREFIX) for token in tokenizer.vocabulary])
        ordinary = np.setdiff1d(np.arange(tokenizer.vocabulary_size), list(special.ids))
        return cls(special, ordinary, share=share, continues=continues)

    def count(self, tokens):
        """How many of so many tokens are masked, an int or an array of them."""
        return np.maximum(1, np.rint(self.share * np.asarray(tokens))).astype(int)

    def mask(self, ids: np.ndarray, candidates: np.ndarray, random: np.random.Generator) -> tuple:
        """Masks some ids in place.

        Args:
            ids: int64 [T].
            candidates: int64 [N], the places of tokens that may be masked, in order.
            random: where all that is random comes from.

        Returns:
            The places that are masked, in order, and what stood there.
        """
        places = np.sort(self._chosen(ids, candidates, random))
        originals, fate = ids[places], random.random(len(places))
        drawn = self.ordinary[random.integers(len(self.ordinary), size=len(places))]
        replaced = np.where(fate < _REPLACED, self.special.mask, drawn)
        ids[places] = np.where(fate < _REPLACED + _RANDOM, replaced, originals)
        return places, originals

    def _chosen(self, ids, candidates, random) -> np.ndarray:
        wanted = int(self.count(len(candidates)))
        if self.continues is None:
            return random.permutation(candidates)[:wanted]
        begins = ~self.continues[ids[candidates]]
        begins |= np.diff(candidates, prepend=-2) > 1  # after a special id, a word begins
        words = np.split(candidates, np.flatnonzero(begins)[1:])
        chosen: list[int] = []
        order = random.permutation(len(words))
        for word in order:
            if len(chosen) + len(words[word]) <= wanted:
                chosen += words[word].tolist()
            if len(chosen) == wanted:
                break
        return np.array(chosen if chosen else words[order[0]], np.int64)  # a whole word, even if it is too long


@dataclasses.dataclass(frozen=True)
class MaskedExamples:
    """Examples with masked words. What is random in an example is a function of seed, epoch and the example's number.

    Args:
        pieces: what the examples are made of, each short enough for the special ids beside it.
        masking: which words are masked.
        pairs: whether each example is a pair: the two parts of a piece, cut between two sentences; or, in half of the
            examples, the first part and some of another document.
        token_types: whether the network is told which ids belong to the second text.

    Raises:
        InputError: there are to be pairs, and there are not two documents.
    """

    pieces: Pieces
    masking: Masking
    pairs: bool
    token_types: bool

    def __post_init__(self):
        if not len(self.pieces):
            raise InputError("no text has two tokens: there is nothing to mask. Give it more text")
        if self.pairs and self.pieces.documents[0] == self.pieces.documents[-1]:
            raise InputError(
                "sentences that do not follow one another are taken from other documents, and here is one alone: part "
                "documents by blank lines, give a file for each, or say --no-next-sentence (next_sentence=False)"
            )

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def lengths(self) -> np.ndarray:
        """The most ids of each example, int64 [N]."""
        return self.pieces.lengths + self.masking.special.around(self.pairs)

    def example(self, number: int, seed: int, epoch: int) -> Masked:
        """One example as it is in one epoch."""
        random, pieces, special = np.random.default_rng((seed, epoch, number)), self.pieces, self.masking.special
        start, end, other = int(pieces.starts[number]), int(pieces.ends[number]), 0
        first, second = pieces.ids(start, end), None
        if self.pairs:
            cut = int(random.choice(pieces.boundaries(number)))
            first, second = first[: cut - start], first[cut - start :]
            if other := int(random.random() < 0.5):
                second = self._of_another_document(
                    number, like=len(second), room=int(pieces.lengths.max()) - len(first), random=random
                )
        behind = [special.separator] * (special.separators if self.pairs else 1)
        ids = [[special.classification], first, behind]
        ids += [] if second is None else [second, [special.separator]]
        whole, first_length = np.concatenate(ids).astype(np.int64), 1 + len(first) + len(behind)
        candidates = np.arange(1, len(whole) - 1)
        if self.pairs:
            candidates = candidates[(candidates <= len(first)) | (candidates >= first_length)]
        places, originals = self.masking.mask(whole, candidates, random)
        return Masked(whole, first_length, places=places, originals=originals, other=other)

    def _of_another_document(self, number: int, like: int, room: int, random: np.random.Generator) -> np.ndarray:
        """The end of a piece of another document, from a sentence on; of several drawn, that nearest to `like` ids.

        So neither its length nor where it ends tells that it is of another document.
        """
        pieces, found = self.pieces, []
        for drawn in [pieces.of_another_document(number, random) for _ in range(_DRAWN)]:
            end, begins = int(pieces.ends[drawn]), np.append(pieces.starts[drawn], pieces.boundaries(drawn))
            found += [(abs(end - begin - like), begin, end) for begin in begins.tolist() if end - begin <= room]
        if not found:  # the last sentence alone is longer
            return pieces.ids(begins[-1], begins[-1] + room)
        return pieces.ids(*min(found)[1:])

    def batch(self, numbers: np.ndarray, seed: int, epoch: int) -> tuple:
        """(inputs, targets, weights) of some examples.

        Args:
            numbers: int [B], the numbers of the examples.
            seed: fixes all that is random.
            epoch: the same.

        Returns:
            The inputs of the network: input_ids, attention_mask and perhaps token_type_ids, int32 [B, T], and
            masked_positions, int32 [B, M]. The targets: int32 [B, M], what stood there; with pairs, a dictionary of
            them as "masked_words", and of "next_sentence", int32 [B]. The weights: the same with float32, 0 for filler.
        """
        examples = [self.example(int(number), seed, epoch) for number in numbers]
        longest = max((len(one.ids) for one in examples), default=0)
        size = int(padded_length(longest, self.lengths.max()))
        most = max(int(self.masking.count(size)), *(len(one.places) for one in examples), 0)
        ids = np.full((len(examples), size), self.masking.special.filler, np.int32)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        places, originals = np.zeros((2, len(examples), most), np.int32)
        weights, other = np.zeros(places.shape, np.float32), np.zeros(len(examples), np.int32)
        for row, one in enumerate(examples):
            length, masked = len(one.ids), len(one.places)
            ids[row, :length], mask[row, :length], types[row, one.first_length : length] = one.ids, 1, 1
            places[row, :masked], originals[row, :masked], weights[row, :masked] = one.places, one.originals, 1
            other[row] = one.other
        inputs = {"input_ids": ids, "attention_mask": mask, "masked_positions": places}
        inputs |= {"token_type_ids": types} if self.token_types else {}
        if not self.pairs:
            return inputs, originals, weights
        targets = {"masked_words": originals, "next_sentence": other}
        return inputs, targets, {"masked_words": weights, "next_sentence": np.ones(other.shape, np.float32)}

    def training(self, batch_size: int, seed: int) -> tuple[Callable, int]:
        """A function that makes the batches to train on, as TrainingData takes it; and how many are in an epoch."""
        steps = -(-len(self) // batch_size)

        def dataset(first_step: int = 0, share: Share = WHOLE) -> "tf.data.Dataset":
            def batches() -> Iterator[tuple]:
                first_epoch, skip = divmod(first_step, steps)
                for epoch in itertools.count(first_epoch):
                    order = training_order(self.lengths, batch_size=batch_size, seed=seed, epoch=epoch)
                    for numbers in itertools.islice(order, skip, None):
                        yield self.batch(share.part(numbers), seed, epoch)
                    skip = 0

            return prefetched(batches, self._signature())

        return dataset, steps

    def evaluation(self, batch_ids: int, share: Share = WHOLE) -> "tf.data.Dataset":
        """Batches that contain every example once, with masks that are always the same; of known cardinality."""
        import tensorflow as tf

        parts = list(self.fixed_batches(batch_ids))
        dataset = prefetched(lambda: (self.batch(share.part(numbers), *FIXED) for numbers in parts), self._signature())
        return dataset.apply(tf.data.experimental.assert_cardinality(len(parts)))

    def fixed_batches(self, batch_ids: int) -> Iterator[np.ndarray]:
        """The numbers of all examples in batches of at most so many ids, the shortest first."""
        return batches_by_length(self.lengths, batch_ids)

    def _signature(self):
        import tensorflow as tf

        ids, rows = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32)
        names = ["input_ids", "attention_mask", "masked_positions", *["token_type_ids"] * self.token_types]
        targets = {"masked_words": ids, "next_sentence": rows} if self.pairs else ids
        weights = tf.nest.map_structure(lambda spec: tf.TensorSpec(spec.shape, tf.float32), targets)
        return dict.fromkeys(names, ids), targets, weights
