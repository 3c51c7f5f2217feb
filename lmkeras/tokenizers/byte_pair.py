"""BytePairTokenizer: sub-words learnt by merging bytes; every text comes back exactly as it was."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from lmkeras.archives import parse_json, shortened
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer, EncodedText
from lmkeras.tokenizers.pieces import LONGEST_PIECE_BYTES, piece_pattern
from lmkeras.tokenizers.special import SpecialIds
from lmkeras.tokenizers.spelling import stand_ins
from lmkeras.tokenizers.utf8 import encodable, whole_characters

if TYPE_CHECKING:
    import tensorflow as tf

FORMAT_VERSION = 1
#: id 0, which pads, and one id for each byte: byte b has id b + 1
BYTE_VOCABULARY_SIZE = 257


class BytePairTokenizer(BaseTokenizer):
    """Byte-level byte-pair encoding: frequent sequences of bytes are one token each, and no text is unknown.

    A text is cut into pieces (see `pieces.py`), and each piece is encoded as UTF-8, where each byte is a token. Then,
    inside each piece, pairs of neighbouring tokens become one token, in the order in which training learnt these
    merges. Before `fit` there are no merges, and every byte is a token.

    Args:
        vocabulary_size: the most ids that `fit` may hand out, id 0 included, >= 257. A corpus with too few repeated
            pairs gives fewer.

    Raises:
        InputError: vocabulary_size below 257.

    Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"; on bytes as in
    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", 2.2.

    Example:
        >>> tokenizer = BytePairTokenizer(258).fit(["no no no"])
        >>> tokenizer.encode("no 9"), tokenizer.decode(tokenizer.encode("no 9"))
        ([257, 33, 58], 'no 9')
    """

    spells_text = True

    def __init__(self, vocabulary_size: int = 4096):
        if vocabulary_size < BYTE_VOCABULARY_SIZE:
            raise InputError(f"vocabulary_size must be at least 257 (padding and 256 bytes), not {vocabulary_size}")
        self.max_vocabulary_size = vocabulary_size
        self._set_merges([])

    @property
    def vocabulary_size(self) -> int:
        """Number of ids in use, id 0 included: 257 before fit, then up to the size asked for."""
        return len(self.token_bytes)

    @property
    def special(self) -> SpecialIds:
        """Id 0 pads, starts and ends texts; no text is unknown."""
        return SpecialIds(padding=0, start=0, ends=(0,))

    def fit(self, texts: Iterable[str]) -> "BytePairTokenizer":
        """Learns the merges from one pass over `texts`, keeping the distinct pieces in memory; returns self.

        The same texts give the same merges. A pair that occurs once is not merged.
        """
        learner = tokenizers.Tokenizer(models.BPE())
        learner.pre_tokenizer = _pre_tokenizer()
        trainer = trainers.BpeTrainer(
            vocab_size=self.max_vocabulary_size - 1,
            min_frequency=2,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        learner.train_from_iterator((encodable(text) for text in texts), trainer)
        ids = {stand_in: byte + 1 for byte, stand_in in enumerate(stand_ins())}
        merges = []
        for left, right in json.loads(learner.to_str())["model"]["merges"]:
            merges.append((ids[left], ids[right]))
            ids.setdefault(left + right, len(ids) + 1)
        self._set_merges(merges)
        return self

    def encode(self, text: str) -> list[int]:
        """The ids of a text; decode gives the text back. InputError for lone surrogates, which are no text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, computed on all cores."""
        encodings = self._library.encode_batch_fast([encodable(text) for text in texts])
        return [encoding.ids for encoding in encodings]

    def encode_batch_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
        """The ids of each text and their offsets, computed on all cores. An id that holds only some of the bytes of a
        character has the offsets of the whole character.
        """
        encodings = self._library.encode_batch([encodable(text) for text in texts])
        return [EncodedText(encoding.ids, encoding.offsets) for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, U+FFFD where their bytes are not UTF-8; id 0 is skipped. InputError for an unknown id."""
        return self._bytes_of(ids).decode("utf-8", errors="replace")

    def decode_whole(self, ids: Iterable[int]) -> str:
        """The text of ids, as `decode` gives it, without a character at its end of which some bytes are missing."""
        return whole_characters(self._bytes_of(ids))

    def _bytes_of(self, ids: Iterable[int]) -> bytes:
        ids = list(ids)
        for id in ids:
            if not 0 <= id < self.vocabulary_size:
                raise InputError(f"id {id} is not in the vocabulary: expected 0 to {self.vocabulary_size - 1}")
        return b"".join(self.token_bytes[id] for id in ids)

    def to_json(self) -> str:
        """The whole tokenizer as JSON; "merges" holds pairs of ids, and the k-th new token made has the id 256 + k."""
        fields = {
            "class_name": "BytePairTokenizer",
            "version": FORMAT_VERSION,
            "vocabulary_size": self.max_vocabulary_size,
            "merges": self.merges,
        }
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "BytePairTokenizer":
        """The tokenizer that `to_json` wrote; InputError where the text is not such JSON."""
        try:
            fields = parse_json(text)
            version, size, merges = fields["version"], fields["vocabulary_size"], fields["merges"]
            merges = [(left, right) for left, right in merges]
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"not the JSON of a BytePairTokenizer ({type(error).__name__}: {shortened(error)})"
            ) from None
        if version != FORMAT_VERSION:
            raise InputError(f"this BytePairTokenizer has version {shortened(version)}: expected {FORMAT_VERSION}")
        if type(size) is not int or size >= 2**31:
            raise InputError(f"damaged JSON of a BytePairTokenizer: vocabulary_size is {shortened(size)}")
        tokenizer = cls(size)
        tokenizer._set_merges(merges)
        return tokenizer

    def in_graph(self) -> "tf.Module":
        """The TensorFlow twin; for an id outside the vocabulary its `decode` fails with InvalidArgumentError."""
        from lmkeras.tokenizers.in_graph.byte_pair import InGraphBytePairs

        return InGraphBytePairs(self.token_bytes, self.merges)

    def _set_merges(self, merges: list[tuple[int, int]]) -> None:
        self.merges, self.token_bytes = merges, _token_bytes(merges)
        names = ["".join(stand_ins()[byte] for byte in token) for token in self.token_bytes]
        vocabulary = {name: id for id, name in enumerate(names) if id}
        self._library = tokenizers.Tokenizer(
            models.BPE(vocabulary, [(names[left], names[right]) for left, right in merges])
        )
        self._library.pre_tokenizer = _pre_tokenizer()


def _token_bytes(merges: list[tuple[int, int]]) -> list[bytes]:
    """The bytes of each id. Where two merges make the same bytes, both make the same id."""
    tokens = [b"", *(bytes([byte]) for byte in range(256))]
    seen, pairs = set(tokens), set()
    for pair in merges:
        if not all(type(id) is int and 0 < id < len(tokens) for id in pair) or pair in pairs:
            raise InputError(
                f"damaged merges of a BytePairTokenizer: {shortened(pair)} repeats or names ids that are not made yet"
            )
        token = tokens[pair[0]] + tokens[pair[1]]
        if len(token) > LONGEST_PIECE_BYTES:
            raise InputError(f"damaged merges of a BytePairTokenizer: {pair} makes a token longer than any piece")
        pairs.add(pair)
        if token not in seen:
            seen.add(token)
            tokens.append(token)
    return tokens


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    pieces = pre_tokenizers.Split(tokenizers.Regex(piece_pattern()), behavior="isolated")
    return pre_tokenizers.Sequence([pieces, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
