"""Writes a text for each text that is read: finds the likeliest by beam search, or draws."""

import dataclasses
import functools
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmkeras.datasets.examples import batches_by_length, padded_length
from lmkeras.decoding.beams import WAS_FOUND, BeamSearch
from lmkeras.decoding.sampling import Beams, Sampling, require_counts
from lmkeras.decoding.sources import SourceLoop
from lmkeras.decoding.text import streamed
from lmkeras.networks.network import Network
from lmkeras.tokenizers.base import BaseTokenizer

_BATCH_IDS = 16_384  # of sources and of what may be written for them, padding and the rows of all beams counted


class Written(NamedTuple):
    """A text that was written.

    Attributes:
        text: the text.
        score: log P of its tokens and its end in nats, divided by the penalty of its length, see `decoding/beams.py`;
            None for a text that was drawn.
    """

    text: str
    score: float | None = None


@dataclasses.dataclass(frozen=True)
class Lengths:
    """How long sources may be, and what is written for them.

    Attributes:
        max_length: the most ids of a source; what is longer is cut.
        max_new_tokens: the most tokens that the network can write.
        end: the id behind a source.
    """

    max_length: int | None
    max_new_tokens: int | None
    end: int

    def are_cut(self, ids: list[int]) -> bool:
        """Whether a source has too many ids to be read whole."""
        return self.max_length is not None and len(ids) >= self.max_length

    def source(self, ids: list[int]) -> list[int]:
        """The ids of a source as the network reads them."""
        return [*(ids[: self.max_length - 1] if self.are_cut(ids) else ids), self.end]

    def limits(self, lengths: np.ndarray, max_new_tokens: int | None) -> np.ndarray:
        """The most tokens to write for sources of these lengths, int32 [B]: twice as many and ten, if none are given.

        Args:
            lengths: int [B], ids of each source.
            max_new_tokens: a limit for all of them, or None.
        """
        limits = 2 * np.asarray(lengths) + 10 if max_new_tokens is None else np.full(len(lengths), max_new_tokens)
        return np.minimum(limits, _MOST if self.max_new_tokens is None else self.max_new_tokens).astype(np.int32)


class TextRewriter:
    """Writes texts with a network that reads one text and writes another.

    Args:
        network: a built network with an EncoderDecoder and logits at every position.
        tokenizer: the tokenizer it was trained with, of both texts.
        lengths: how long texts may be.
    """

    def __init__(self, network: Network, tokenizer: BaseTokenizer, lengths: Lengths):
        self.tokenizer, self._lengths = tokenizer, lengths
        self.loop = SourceLoop(network, tokenizer.special)
        self._searches = functools.cache(functools.partial(BeamSearch, self.loop))

    def search(
        self, texts: Sequence[str], beams: Beams, max_new_tokens: int | None = None, num_best: int = 1
    ) -> list[list[Written]]:
        """The likeliest texts for each text, the best first.

        Args:
            texts: what is read; texts do not influence one another.
            beams: how to search.
            max_new_tokens: the most tokens of each; None for twice as many as the source has, and ten.
            num_best: how many to give, at most `beams.num_beams`; fewer are given where no more were found.

        Raises:
            InputError: a number is out of range.
        """
        require_counts(1 if max_new_tokens is None else max_new_tokens, 1)
        beams.require(num_best)
        search = self._searches(beams.no_repeat_ngram).search
        found: list = [None] * len(texts)
        for rows, sources, limits in self._batches(texts, max_new_tokens, beams.num_beams):
            state = self._start(sources, limits, 1)
            best = search(state, tf.constant(limits), **beams.tensors(num_best))
            for row, *of_row in zip(rows, *(part.numpy() for part in best), strict=True):
                found[row] = self._written(*(part[:num_best] for part in of_row))
        return found

    def sample(
        self, texts: Sequence[str], sampling: Sampling, max_new_tokens: int | None = None, num_samples: int = 1
    ) -> list[list[Written]]:
        """Texts that are drawn, `num_samples` for each text; the other arguments are those of `search`."""
        require_counts(1 if max_new_tokens is None else max_new_tokens, num_samples)
        found: list = [None] * len(texts)
        for rows, sources, limits in self._batches(texts, max_new_tokens, num_samples):
            state = self.loop.continued(self._start(sources, limits, num_samples), sampling.tensors(), _ALL)
            ids, ends = state["ids"].numpy(), state["lengths"].numpy()
            ends = np.minimum(ends, 1 + np.repeat(limits, num_samples))
            drawn = [
                Written(self.tokenizer.decode_whole(row[1:end].tolist())) for row, end in zip(ids, ends, strict=True)
            ]
            for number, row in enumerate(rows):
                found[row] = drawn[number * num_samples : (number + 1) * num_samples]
        return found

    def stream(self, text: str, sampling: Sampling, max_new_tokens: int | None = None) -> Iterator[str]:
        """One text piece by piece, as it is drawn; the likeliest tokens with a temperature of 0.

        Yields:
            Non-empty pieces; incomplete characters are held back.
        """
        require_counts(1 if max_new_tokens is None else max_new_tokens, 1)
        ((_, sources, limits),) = self._batches([text], max_new_tokens, 1)
        return streamed(self.loop, self._start(sources, limits, 1), sampling, text_of=self._new_text)

    def _new_text(self, state) -> str:
        """The text of the first row."""
        return self.tokenizer.decode_whole(state["ids"][0, 1 : int(state["lengths"][0])].numpy().tolist())

    def _batches(self, texts: Sequence[str], max_new_tokens: int | None, rows_of_each: int):
        """For each batch the numbers of its texts, the network's inputs, and the most tokens of each."""
        whole = self.tokenizer.encode_batch(list(texts))
        if cut := sum(map(self._lengths.are_cut, whole)):
            most = f"more than the {self._lengths.max_length} tokens that the model reads: only their start is read"
            warnings.warn(f"{cut} of {len(whole)} texts have {most}", stacklevel=2)
        ids = [self._lengths.source(row) for row in whole]
        lengths = np.array([len(row) for row in ids], np.int64)
        limits = self._lengths.limits(lengths, max_new_tokens)
        for rows in batches_by_length(lengths + limits, max(1, _BATCH_IDS // rows_of_each)):
            size = int(padded_length(lengths[rows].max(), lengths.max()))
            sources = np.full((len(rows), size), self.tokenizer.special.filler, np.int32)
            for place, row in enumerate(rows):
                sources[place, : lengths[row]] = ids[row]
            mask = (np.arange(size) < lengths[rows][:, None]).astype(np.int32)
            yield rows, {"input_ids": tf.constant(sources), "attention_mask": tf.constant(mask)}, limits[rows]

    def _start(self, sources, limits: np.ndarray, samples: int):
        most = tf.constant(int(limits.max()))
        return self.loop.start(sources, samples=tf.constant(samples, tf.int32), max_new_tokens=most)

    def _written(self, ids: np.ndarray, lengths: np.ndarray, scores: np.ndarray) -> list[Written]:
        return [
            Written(self.tokenizer.decode_whole(row[:length].tolist()), float(score))
            for row, length, score in zip(ids, lengths, scores, strict=True)
            if score > WAS_FOUND
        ]


_MOST = 1 << 14
_ALL = tf.int32.max // 2
