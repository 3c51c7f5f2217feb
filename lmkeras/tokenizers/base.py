"""The contract that every tokenizer keeps: text to ids and back, with a TensorFlow twin of itself."""

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from lmkeras.display import Described
from lmkeras.errors import InputError
from lmkeras.tokenizers.special import SpecialIds

if TYPE_CHECKING:  # in_graph() imports TensorFlow when it is called, not before
    import tensorflow as tf


_BEGINNING = 200  # characters


class EncodedText(NamedTuple):
    """A text's ids, and the characters that each of them stands for.

    Attributes:
        ids: as `BaseTokenizer.encode` gives them.
        offsets: for each id (start, end): it stands for text[start:end] of the text that was given, before any
            lower-casing or other change. 0 <= start < end <= len(text); neither starts nor ends ever decrease.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


class BaseTokenizer(Described, abc.ABC):
    """Text to ids and back; `special` names the ids that stand for something other than a piece of text."""

    #: whether decode(encode(text)) is the text itself, except for characters that have no id
    spells_text: bool = False
    #: the special tokens that `encode_marked` finds in a text, by name, with their ids
    marks: Mapping[str, int] = MappingProxyType({})
    #: what is put before a word that is encoded alone, so that it gets the ids that it has inside a text
    before_words: str = ""

    @property
    @abc.abstractmethod
    def vocabulary_size(self) -> int:
        """Number of distinct ids, special ones included: encode returns ids in [0, vocabulary_size)."""

    @property
    @abc.abstractmethod
    def special(self) -> SpecialIds:
        """The ids that stand for something other than a piece of text, such as padding. A text in which the name of a
        special token is written out, like "[MASK]", may still be encoded to that token's id."""

    def _facts(self):
        fitted = self.vocabulary_size > len(self.special.ids)
        return {"vocabulary_size": self.vocabulary_size, "fitted": None if fitted else "no"}

    @abc.abstractmethod
    def fit(self, texts: Iterable[str]) -> "BaseTokenizer":
        """Learns the vocabulary in one pass over `texts`, keeping distinct words or pieces in memory; returns self."""

    @abc.abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of a text, each in [0, vocabulary_size), without special ids around them."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text."""
        return [self.encode(text) for text in texts]

    def token(self, id: int) -> str:
        """What one id stands for, for people: a special id for its name, and an id that no token has for ""."""
        return self.decode([id])

    def encode_marked(self, text: str) -> list[int]:
        """The ids of a text in which the names of special tokens stand for these tokens.

        Raises:
            InputError: the tokenizer does not tell such names from other text.
        """
        raise InputError(
            f"special_tokens is for the tokenizers of published language models, and this is a {type(self).__name__}: "
            "leave it out"
        )

    def encode_alone(self, text: str, special_tokens: bool = False) -> list[int]:
        """The ids of a text that a language model reads alone, after the id that `special.before` puts before them.

        Args:
            text: the text.
            special_tokens: whether the names of special tokens stand for these tokens. A text that begins with the one
                that stands before texts gets no second one.
        """
        ids = self.encode_marked(text) if special_tokens else self.encode(text)
        before = self.special.before(ids)
        return ids if special_tokens and before == ids[:1] else [*before, *ids]

    def knows(self, text: str) -> bool:
        """Whether any token of a text has an id of its own; False for an empty text."""
        if len(text) > _BEGINNING and self.knows(text[:_BEGINNING].rpartition(" ")[0]):
            return True  # so that a long text need not be encoded as a whole
        return not {self.special.unknown}.issuperset(self.encode(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """For each id of `encode(text)`, the characters [start, end) of the text that it stands for."""
        return self.encode_with_offsets(text).offsets

    def encode_with_offsets(self, text: str) -> EncodedText:
        """The ids of a text and their offsets, in one pass."""
        return self.encode_batch_with_offsets([text])[0]

    @abc.abstractmethod
    def encode_batch_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
        """The ids of each text, those of `encode_batch`, and their offsets.

        Offsets count Unicode code points, as Python's strings do. Where several ids share one character (ids of single
        bytes, or of what a character becomes in lower case), each of them has the offsets of the whole character. The
        id of an unknown word has the offsets of the whole word. Characters that the tokenizer removes may lie between
        two ids, or inside the offsets of one.

        Raises:
            InputError: the tokenizer, or what was given as a text, has no positions to tell.
        """

    @abc.abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without the padding id.

        Decoding more ids only adds to the end of the text, with one exception: where the last ids hold only some bytes
        of a character, U+FFFD stands there until the ids with its other bytes are decoded too.
        """

    def decode_whole(self, ids: Iterable[int]) -> str:
        """The text of ids, as `decode` gives it, without a character at its end of which some bytes are missing.

        Texts that end because no more ids were wanted may end within a character. Tokenizers whose ids are never parts
        of characters need no other method than this one.
        """
        return self.decode(ids)

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

        Its `encode` maps strings [B] to ragged int32 ids [B, T]; its `encode_with_offsets` maps them to the same ids
        and to the starts and the ends of their offsets, ragged int32 [B, T] both, in code points; its `decode` maps
        ragged int32 ids [B, T] to strings [B]. All three give what the Python side gives, for every input. The two
        without offsets are tf.functions; the one with offsets is to be called inside a tf.function. Where a tokenizer
        has a `decode_whole` of its own, its twin has one too, of the form of `decode`.
        """


def in_blocks(texts: Iterable, characters: int) -> Iterator[list]:
    """The texts in lists, each closed as soon as its texts together have at least so many characters.

    Where a text is a list of words, its words are counted instead of characters. The last list may be shorter.

    Raises:
        InputError: a text is neither, such as None or NaN; the message has its number, from 1.

    Example:
        >>> list(in_blocks(["ab", "c", "d", "ef"], 3))
        [['ab', 'c'], ['d', 'ef']]
    """
    block, length = [], 0
    for number, text in enumerate(texts, 1):
        try:
            length += len(text)
        except TypeError:
            raise InputError(f"text {number}: expected a string, got {text!r}") from None
        block.append(text)
        if length >= characters:
            yield block
            block, length = [], 0
    if block:
        yield block
