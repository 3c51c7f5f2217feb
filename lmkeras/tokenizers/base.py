"""The contract that every tokenizer keeps: text to ids and back, with a TensorFlow twin of itself."""

import abc
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from lmkeras.tokenizers.special import SpecialIds

if TYPE_CHECKING:  # in_graph() imports TensorFlow when it is called, not before
    import tensorflow as tf


class BaseTokenizer(abc.ABC):
    """Text to ids and back. Which ids are no piece of text, and what they stand for, `special` says."""

    #: whether decode(encode(text)) is the text itself, unknown characters aside
    spells_text: bool = False

    @property
    @abc.abstractmethod
    def vocabulary_size(self) -> int:
        """Number of distinct ids, special ones included: encode returns ids in [0, vocabulary_size)."""

    @property
    @abc.abstractmethod
    def special(self) -> SpecialIds:
        """The ids that are no piece of text. A text that spells a special token out may give its id all the same."""

    @abc.abstractmethod
    def fit(self, texts: Iterable[str]) -> "BaseTokenizer":
        """Learns the vocabulary from one pass over `texts`, in memory bounded by the vocabulary; returns self."""

    @abc.abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of a text, each in [0, vocabulary_size), without special ids around them."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        return [self.encode(text) for text in texts]

    @abc.abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; the padding id stands for no text. Decoding more ids only ever adds to the end of the text,
        except that a character whose bytes are incomplete stands as U+FFFD until the rest comes."""

    @abc.abstractmethod
    def to_json(self) -> str:
        """The whole tokenizer as a JSON object whose "class_name" names its class."""

    @classmethod
    @abc.abstractmethod
    def from_json(cls, text: str) -> "BaseTokenizer":
        """The tokenizer that `to_json` wrote; InputError where the text is not such a JSON object."""

    @abc.abstractmethod
    def in_graph(self) -> "tf.Module":
        """A twin made of TensorFlow operations alone.

        Its `encode` maps strings [B] to ragged int32 ids [B, T], its `decode` ragged int32 ids [B, T] to strings [B];
        both give what the Python side gives, for every input.
        """


def in_blocks(texts: Iterable, characters: int) -> Iterator[list]:
    """The texts in lists, each ending with the text that brings it to so many characters (or words, of lists of them).

    Example:
        >>> list(in_blocks(["ab", "c", "d", "ef"], 3))
        [['ab', 'c'], ['d', 'ef']]
    """
    block, length = [], 0
    for text in texts:
        block.append(text)
        length += len(text)
        if length >= characters:
            yield block
            block, length = [], 0
    if block:
        yield block
