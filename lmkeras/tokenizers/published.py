"""PublishedTokenizer: the tokenizer of a published language model, as its tokenizer.json describes it."""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import tokenizers

from lmkeras.archives import parse_json, shortened
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer, EncodedText
from lmkeras.tokenizers.published_library import around_texts, asked, ids_of, marking, token_bytes
from lmkeras.tokenizers.special import SpecialIds
from lmkeras.tokenizers.spelling import Spelling, bytes_left_out, offsets_without, trimmed
from lmkeras.tokenizers.utf8 import encodable

if TYPE_CHECKING:
    import tensorflow as tf

FORMAT_VERSION = 1
_MOST_UNUSED_IDS = 100_000
_NO_LIMIT = 10**9  # Hugging Face writes 1e30 for a model_max_length that is unknown


class PublishedTokenizer(BaseTokenizer):
    """Byte-pair encoding as published models describe it in a tokenizer.json; its ids are those of `tokenizers`.

    Where the name of a special token is written out in a text, `encode` reads it as any other text; `encode_marked`
    gives the token's id. Added tokens that are not special, such as "<think>" of Qwen 3, are found by both.

    Args:
        tokenizer: the content of tokenizer.json.
        config: the content of tokenizer_config.json; {} where there is none.
        ends: further ids that end a text, such as those of generation_config.json.

    Raises:
        InputError: a file is damaged, or its model is none of byte-pair encoding.

    Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units".
    """

    #: whether `encode` gives the ids of special tokens whose names are written out in a text
    reads_names: bool = False
    #: whether offsets leave out the white space with which a piece begins
    trims_offsets: bool = False

    def __init__(self, tokenizer: Mapping, config: Mapping | None = None, ends: Sequence[int] = ()):
        self._tokenizer, self._config = _checked(tokenizer), _kept({} if config is None else config)
        # without post-processor: it would trim offsets
        library_json = json.dumps({**self._tokenizer, "post_processor": None})
        self._library = asked(lambda: tokenizers.Tokenizer.from_str(library_json))
        self._library.encode_special_tokens = not self.reads_names
        self._ids = asked(lambda: self._library.get_vocab(with_added_tokens=True))
        self._size = 1 + max(self._ids.values(), default=0)
        if self._size > 2 * len(self._ids) + _MOST_UNUSED_IDS:
            raise InputError(f"damaged tokenizer.json: {len(self._ids):,} tokens have ids up to {self._size - 1:,}")
        self._spelling = Spelling.of_decoder(self._tokenizer.get("decoder"))
        self._added = asked(self._library.get_added_tokens_decoder)
        self._ends = _checked_ends(ends)

    @property
    def vocabulary_size(self) -> int:
        """One more than the largest id of a token."""
        return self._size

    @functools.cached_property
    def special(self) -> SpecialIds:
        """The ids of the special tokens that the files name.

        `ends` begins with the end that tokenizer_config.json names. `always_before` tells whether the post-processor of
        tokenizer.json puts `start` before every text. "add_bos_token" of tokenizer_config.json says the same in most
        checkpoints; where it does not, transformers 5 goes by the post-processor, and so does this.
        """
        names, before = self.special_names, next(iter(around_texts(self._tokenizer)), None)
        if before is not None and before >= self.vocabulary_size:
            raise InputError(
                f"damaged tokenizer.json: its post-processor puts id {before:,} before texts, and the ids of "
                f"tokens end at {self.vocabulary_size - 1:,}"
            )
        start = self._ids.get(names.get("bos_token")) if before is None else before
        end, unknown = self._ids.get(names.get("eos_token")), self._ids.get(self._tokenizer["model"].get("unk_token"))
        ends = tuple(dict.fromkeys(id for id in (end, *self._ends) if id is not None and id < self.vocabulary_size))
        return SpecialIds(
            padding=self._ids.get(names.get("pad_token")),
            start=start,
            ends=ends,
            unknown=None if unknown in (start, *ends) else unknown,
            always_before=before is not None,
        )

    @property
    def special_names(self) -> dict[str, str]:
        """The special tokens that tokenizer_config.json names, such as {"bos_token": "<s>"}, for chat templates."""
        return {name: token for name, token in self._config.items() if name.endswith("_token") and type(token) is str}

    @functools.cached_property
    def marks(self) -> dict[str, int]:
        """The special tokens by name, with their ids: what `encode_marked` looks for in a text."""
        return {one.content: id for id, one in self._added.items() if one.special}

    @property
    def chat_template(self) -> str | None:
        """The Jinja template that writes a conversation as one text; None where the files have none."""
        return self._config.get("chat_template")

    @property
    def spells_text(self) -> bool:
        """Whether every text comes back: for byte-level tokenizers that change no character and read no names."""
        return self._keeps_bytes and not self.reads_names

    @property
    def _keeps_bytes(self) -> bool:
        return bool(self._spelling and self._spelling.byte_level and not self._tokenizer.get("normalizer"))

    def fit(self, texts: Iterable[str]) -> "PublishedTokenizer":
        """Raises InputError: a published vocabulary belongs to its network's weights."""
        raise InputError("a published tokenizer cannot be fitted: its vocabulary belongs to the network's weights")

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without special ids; names of special tokens in it are plain text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, computed on all cores."""
        return ids_of(self._library, texts)

    def encode_marked(self, text: str) -> list[int]:
        """The ids of a text in which the names of special tokens stand for these tokens, as in a rendered template."""
        return ids_of(self._marking_library, [text])[0]

    def encode_batch_with_offsets(self, texts: Sequence[str]) -> list[EncodedText]:
        """The ids of each text and their offsets, computed on all cores.

        An id that holds only some of the bytes of a character has the offsets of the whole character. What the
        normalizer puts in ("▁" before a text) has the offsets of the character beside it; of characters that it
        composes to one, the first one counts.
        """
        texts = [encodable(text) for text in texts]
        encodings = asked(lambda: self._library.encode_batch(texts, add_special_tokens=False))
        gone = bytes_left_out(self._tokenizer["model"]) if self._keeps_bytes else frozenset()
        found = []
        for text, one in zip(texts, encodings, strict=True):
            offsets = one.offsets
            if gone and not gone.isdisjoint(text.encode()):  # behind such a byte the library counts on wrongly
                offsets = offsets_without(gone, text=text, pieces=_pieces(text, one.ids, self._token_bytes))
            found.append(EncodedText(one.ids, trimmed(text, offsets) if self.trims_offsets else offsets))
        return found

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without special tokens; ids that no token has are skipped, since networks may have some."""
        ids = [int(id) for id in ids]
        if self._spelling is None:
            known = [id for id in ids if 0 <= id < self.vocabulary_size]
            return asked(lambda: self._library.decode(known, skip_special_tokens=True))
        return self._spelling.text_of(self._bytes_of(ids))

    def decode_whole(self, ids: Iterable[int]) -> str:
        """The text of ids, as `decode` gives it, without a character at its end of which some bytes are missing.

        Where the tokenizer.json has a decoder that only the library knows, what is missing cannot be told.
        """
        if self._spelling is None:
            return self.decode(ids)
        return self._spelling.text_of(self._bytes_of(ids), whole=True)

    def _bytes_of(self, ids: Iterable[int]) -> bytes:
        return b"".join(self._token_bytes.get(int(id), b"") for id in ids)

    def to_json(self) -> str:
        """The whole tokenizer as JSON: the content of its files, as far as it counts."""
        fields = {"class_name": type(self).__name__, "version": FORMAT_VERSION, "ends": self._ends}
        return json.dumps({**fields, "config": self._config, "tokenizer": self._tokenizer}, separators=(",", ":"))

    def files(self) -> dict[str, dict]:
        """The content of the files that transformers reads, by their names: "tokenizer" and "tokenizer_config"."""
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **self._config}
        return {"tokenizer": self._tokenizer, "tokenizer_config": config}

    @classmethod
    def from_json(cls, text: str) -> "PublishedTokenizer":
        """The tokenizer that `to_json` wrote; InputError where the text is not such JSON."""
        try:
            fields = parse_json(text)
            version, parts = fields["version"], [fields[name] for name in ("tokenizer", "config", "ends")]
        except (ValueError, TypeError, KeyError) as error:
            reason = f"{type(error).__name__}: {shortened(error)}"
            raise InputError(f"not the JSON of a {cls.__name__} ({reason})") from None
        if version != FORMAT_VERSION:
            raise InputError(f"this {cls.__name__} has version {shortened(version)}: expected {FORMAT_VERSION}")
        return cls(*parts)

    def in_graph(self) -> "tf.Module":
        """The TensorFlow twin; InputError naming the first part of the tokenizer.json that has no twin."""
        from lmkeras.tokenizers.in_graph.published import published_in_graph

        try:
            return asked(
                lambda: published_in_graph(
                    self._tokenizer,
                    self._library,
                    added=self._added,
                    token_bytes=lambda: self._token_bytes,
                    reads_names=self.reads_names,
                    trims_offsets=self.trims_offsets,
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"damaged tokenizer.json ({type(error).__name__}: {shortened(error)})") from None

    @functools.cached_property
    def _marking_library(self) -> tokenizers.Tokenizer:
        return marking(self._library, self._added)

    @functools.cached_property
    def _token_bytes(self) -> dict[int, bytes]:
        return token_bytes(self._spelling, self._ids, added=self._added, normalizer=self._library.normalizer)


def _pieces(text: str, ids: Sequence[int], token_bytes: Mapping[int, bytes]) -> list[bytes]:
    """The bytes of the ids of a text; InputError if one of them is a special token, of which none are known."""
    if not token_bytes.keys() >= {*ids}:
        raise InputError(f"no positions are known, as the vocabulary lacks bytes of the text {text[:60]!r}")
    return [token_bytes[id] for id in ids]


def _checked(tokenizer: Mapping) -> dict:
    """The content of a tokenizer.json without what belongs to training (dropout) and to batches (truncation, padding).

    Raises:
        InputError: its model is no byte-pair encoding.
    """
    model = tokenizer.get("model") if isinstance(tokenizer, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(model.get("vocab"), Mapping):
        raise InputError("expected the content of a tokenizer.json, with a model and its vocabulary")
    if model.get("type", "BPE") != "BPE" or "merges" not in model:  # early files do not name the type
        found = shortened(model.get("type", "another"))
        raise InputError(f"expected a tokenizer.json whose model is BPE (byte-pair encoding), got {found}")
    plain = {**model, "type": "BPE", "dropout": None}
    return {**tokenizer, "truncation": None, "padding": None, "model": plain}


def _kept(config: Mapping) -> dict[str, object]:
    """What counts of a tokenizer_config.json: special tokens, whether texts begin with one, lengths and templates."""
    if not isinstance(config, Mapping):
        raise InputError(f"expected the content of a tokenizer_config.json, an object, got {shortened(config)}")
    kept = {}
    for name, value in config.items():
        token = value.get("content") if isinstance(value, Mapping) else value
        if isinstance(name, str) and name.endswith("_token") and isinstance(token, str | bool):
            kept[name] = token
    template = config.get("chat_template")
    if isinstance(template, list):  # several templates with names
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, Mapping)}
        template = named.get("default")
    most = config.get("model_max_length")
    kept |= {"model_max_length": most} if type(most) is int and 0 < most < _NO_LIMIT else {}
    return kept | ({"chat_template": template} if isinstance(template, str) else {})


def _checked_ends(ends: Sequence[int]) -> list[int]:
    if not isinstance(ends, list | tuple) or not all(type(id) is int and id >= 0 for id in ends):
        raise InputError(f"expected ids that end texts, got {shortened(ends)}")
    return list(ends)
