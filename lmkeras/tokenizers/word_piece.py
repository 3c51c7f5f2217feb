"""WordPieceTokenizer: words cut into pieces as BERT cuts them, and BERT's inputs of one text or two."""

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from lmkeras.archives import parse_json, shortened
from lmkeras.errors import InputError
from lmkeras.tokenizers import bert_files
from lmkeras.tokenizers.base import BaseTokenizer, EncodedText
from lmkeras.tokenizers.bert_inputs import BertInputs
from lmkeras.tokenizers.bert_text import LONGEST_WORD, BertTextRules
from lmkeras.tokenizers.special import SpecialIds
from lmkeras.tokenizers.special_tokens import SpecialTokens
from lmkeras.tokenizers.utf8 import encodable
from lmkeras.tokenizers.word_piece_training import PREFIX, learn_pieces

if TYPE_CHECKING:
    import tensorflow as tf

FORMAT_VERSION = 1


class WordPieceTokenizer(BertInputs, BaseTokenizer):
    """BERT's tokenizer: texts are cleaned up and cut into words, and words, from their start, into the longest pieces.

    For every text, the ids are those of Hugging Face's BertTokenizerFast. Where the name of a special token is written
    out in a text, it is encoded to that token's id: "[PAD]" to 0, which no other text is encoded to.

    Args:
        vocabulary: the token of each id from 0 on, special tokens included; pieces that continue a word start with
            "##". If a token occurs twice, its last id counts. None for the special tokens alone, until `fit`.
        lowercase: whether texts are lower-cased, as for "uncased" models.
        strip_accents: whether accents are removed; None for the same as `lowercase`.
        tokenize_chinese_chars: whether every CJK ideograph is a word of its own.
        vocabulary_size: the most ids that `fit` may hand out, special tokens included, >= 6.
        special_tokens: the names of the special tokens; None for those of BERT.
        model_max_length: the number of tokens that `truncation=True` cuts to if no max_length is given; None for no
            such length.

    Raises:
        InputError: a vocabulary that lacks a special token, or whose first token is not the padding token.

    Source: Wu et al. 2016, "Google's Neural Machine Translation System", 4.1; Devlin et al. 2019, "BERT".

    Example:
        >>> tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##able", "able"])
        >>> tokenizer.encode("Unable, able"), tokenizer.decode([5, 6, 7])
        ([5, 6, 1, 7], 'unable able')
        >>> tokenizer("able", "unable")["input_ids"]
        [2, 7, 3, 5, 6, 3]
    """

    def __init__(
        self,
        vocabulary: Sequence[str] | None = None,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
        vocabulary_size: int = 8192,
        special_tokens: SpecialTokens | None = None,
        model_max_length: int | None = None,
    ):
        self.special_tokens = special_tokens or SpecialTokens()
        fewest = len(self.special_tokens.names()) + 1
        if type(vocabulary_size) is not int or vocabulary_size < fewest:
            raise InputError(
                f"vocabulary_size must be at least {fewest} (special tokens, a piece), not {vocabulary_size!r}"
            )
        if model_max_length is not None and (type(model_max_length) is not int or model_max_length < 3):
            raise InputError(f"model_max_length must be at least 3 tokens, not {model_max_length!r}")
        self.rules = BertTextRules(lowercase, strip_accents, tokenize_chinese_chars)
        self.max_vocabulary_size, self.model_max_length = vocabulary_size, model_max_length
        self._set_vocabulary(list(self.special_tokens.names() if vocabulary is None else vocabulary))

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, **settings) -> "WordPieceTokenizer":
        """The tokenizer of a BERT checkpoint.

        Args:
            source: a folder with vocab.txt or tokenizer.json and, if it has one, tokenizer_config.json; a vocabulary
                file alone; or a name on the Hugging Face hub.
            settings: arguments of the constructor that override what the files say.

        Raises:
            InputError: no such files, files that are damaged, or a tokenizer that is not BERT's.
        """
        return cls(**bert_files.read_pretrained(source, settings))

    def save_vocabulary(self, folder: str | os.PathLike) -> None:
        """Writes vocab.txt and tokenizer_config.json into a folder, for `from_pretrained` here and in transformers."""
        limit = {"model_max_length": self.model_max_length}
        bert_files.write_pretrained(folder, self.vocabulary, rules=self.rules, special=self.special_tokens, **limit)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, special tokens included: 5 before fit."""
        return len(self.vocabulary)

    @property
    def special(self) -> SpecialIds:
        """The ids of the special tokens; the padding id also starts and ends texts that a language model writes."""
        pad, unknown, cls, sep, mask = (self._ids[name] for name in self.special_tokens.names())
        return SpecialIds(pad, start=pad, ends=(pad,), separator=sep, classification=cls, mask=mask, unknown=unknown)

    @property
    def unknown_id(self) -> int:
        """The id of a word that the pieces cannot spell, or that has more than 100 characters."""
        return self.special.unknown

    @property
    def cls_id(self) -> int:
        """The id that starts every sequence."""
        return self.special.classification

    @property
    def sep_id(self) -> int:
        """The id that ends each text of a sequence."""
        return self.special.separator

    @property
    def mask_id(self) -> int:
        """The id that stands in the place of a hidden piece."""
        return self.special.mask

    def fit(self, texts: Iterable[str]) -> "WordPieceTokenizer":
        """Learns the vocabulary from one pass over `texts`, keeping the distinct words in memory; returns self.

        The same texts give the same vocabulary. A pair that occurs once is not merged.
        """
        special = self.special_tokens.names()
        pieces = learn_pieces(texts, self.rules, self.max_vocabulary_size - len(special))
        self._set_vocabulary([*special, *(piece for piece in pieces if piece not in special)])
        return self

    def encode(self, text: str) -> list[int]:
        """The ids of a text's pieces, without [CLS] and [SEP]; InputError for lone surrogates, which are no text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, computed on all cores."""
        encodings = self._library.encode_batch_fast([encodable(text) for text in texts])
        return [encoding.ids for encoding in encodings]

    def encode_batch_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
        """The ids of each text and their offsets, computed on all cores.

        The offsets are those of Hugging Face's BertTokenizerFast; those of an unknown word span the whole word. If
        Unicode's normalization reorders combining marks, the first mark in the new order has the offsets of the first
        mark in the text, and so on.
        """
        encodings = self._library.encode_batch([encodable(text) for text in texts])
        return [EncodedText(encoding.ids, encoding.offsets) for encoding in encodings]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The words of ids, joined by spaces except before . , ? ! and in some contractions; padding is skipped.

        Args:
            ids: each in [0, vocabulary_size).
            skip_special_tokens: whether every special token is skipped.

        Raises:
            InputError: an id outside the vocabulary.
        """
        ids = [int(id) for id in ids]  # the library takes no NumPy numbers
        for id in ids:
            if not 0 <= id < self.vocabulary_size:
                raise InputError(f"id {id} is not in the vocabulary: expected 0 to {self.vocabulary_size - 1}")
        padding = self.special.padding
        return self._library.decode([id for id in ids if id != padding], skip_special_tokens=skip_special_tokens)

    def token(self, id: int) -> str:
        """The token of an id as the vocabulary has it, or ""."""
        return self.vocabulary[id] if id < self.vocabulary_size else ""

    def to_json(self) -> str:
        """The whole tokenizer as JSON; the place of a token in "vocabulary" is its id."""
        fields = {
            "class_name": "WordPieceTokenizer",
            "version": FORMAT_VERSION,
            **dataclasses.asdict(self.rules),
            "vocabulary_size": self.max_vocabulary_size,
            "special_tokens": dataclasses.asdict(self.special_tokens),
            "model_max_length": self.model_max_length,
            "vocabulary": self.vocabulary,
        }
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "WordPieceTokenizer":
        """The tokenizer that `to_json` wrote; InputError where the text is not such JSON."""
        try:
            return cls(**_read_json(text))
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {shortened(error)}"
            raise InputError(f"not the JSON of a WordPieceTokenizer ({reason})") from None

    def in_graph(self) -> "tf.Module":
        """The TensorFlow twin; for an id outside the vocabulary its `decode` fails with InvalidArgumentError.

        The twin has an `assemble` too, which puts special tokens around each row of ragged ids.
        """
        from lmkeras.tokenizers.in_graph.word_piece import InGraphWordPieces

        return InGraphWordPieces(self.vocabulary, self.rules, self.special_tokens)

    def _set_vocabulary(self, vocabulary: list[str]) -> None:
        ids = _checked_ids(vocabulary, self.special_tokens)
        self.vocabulary, self._ids = vocabulary, ids
        unknown = self.special_tokens.unknown
        model = models.WordPiece(ids, unk_token=unknown, max_input_chars_per_word=LONGEST_WORD)
        self._library = tokenizers.Tokenizer(model)
        self._library.normalizer = self.rules.normalizer()
        self._library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._library.decoder = decoders.WordPiece(prefix=PREFIX)
        self._library.add_special_tokens(list(self.special_tokens.names()))


def _read_json(text: str) -> dict[str, Any]:
    """The arguments of the constructor that a tokenizer's JSON holds; errors of many classes where it is damaged."""
    fields = parse_json(text)
    class_name, version = fields.pop("class_name"), fields.pop("version")
    special_tokens = SpecialTokens(**fields.pop("special_tokens"))
    if (class_name, version) != ("WordPieceTokenizer", FORMAT_VERSION):
        found = shortened(f"{class_name} of version {version!r}")
        raise InputError(f"this is a {found}: expected version {FORMAT_VERSION}")
    return fields | {"special_tokens": special_tokens}


def _checked_ids(vocabulary: list[str], special: SpecialTokens) -> dict[str, int]:
    if not all(isinstance(token, str) for token in vocabulary):
        raise InputError("a vocabulary must be a list of texts, one for each id from 0 on")
    ids = {encodable(token): id for id, token in enumerate(vocabulary)}
    if missing := [name for name in special.names() if name not in ids]:
        raise InputError(
            f"the vocabulary lacks the special tokens {missing}: add them, or give special_tokens the names that it has"
        )
    return ids
