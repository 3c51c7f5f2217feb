"""The twins of Tokenizer: at word level and at character level."""

from collections.abc import Iterable, Mapping

import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.tokenizers.in_graph.lower_case import lower
from lmkeras.tokenizers.keras_legacy import KerasTokenizer

# An id in no vocabulary, for tokens that have no id, and a regular expression that matches nothing.
DROPPED = -1
NOTHING = r"[^\x00-\x{10ffff}]"


class InGraphWords(tf.Module):
    """Words to ids and back, as a fitted Tokenizer does it.

    Args:
        tokenizer: a fitted Tokenizer at word level, without analyzer.

    Raises:
        InputError: its split is empty, or cannot be written as UTF-8.
    """

    def __init__(self, tokenizer: KerasTokenizer):
        super().__init__()
        if tokenizer.split is not None and (not tokenizer.split or not _utf8(tokenizer.split)):
            raise InputError(f"split {tokenizer.split!r} cannot cut UTF-8 strings: give a separator that is text")
        self._lower = tokenizer.lower
        self._separator = tokenizer.split or " "
        self._rewrites = [(_character_class(tokenizer.filters), tokenizer.split or "")]
        if tokenizer.split is None:  # as in str.split: cut at white space
            self._rewrites.append((_character_class(filter(str.isspace, map(chr, range(0x110000)))), " "))
        ids = {_utf8(word): id for word, id in _ids_below_limit(tokenizer).items()}
        self._ids = _table(ids, tf.string, _unknown(tokenizer))
        self._words = _Words(tokenizer, separator=" ")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text's words, int32 [B, words]."""
        if self._lower:
            texts = tf.strings.unicode_encode(lower(texts), "UTF-8")
        else:
            texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
        for pattern, rewrite in self._rewrites:
            texts = tf.strings.regex_replace(texts, pattern, rewrite.replace("\\", r"\\"))
        words = tf.strings.split(texts, self._separator)
        words = tf.ragged.boolean_mask(words, words != "")
        return _known(words.with_flat_values(self._ids.lookup(words.flat_values)))

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """The words of each row of ids, joined by one space."""
        return self._words.joined(ids)


class InGraphCharacters(tf.Module):
    """Characters to ids and back, as a fitted Tokenizer does it.

    Args:
        tokenizer: a fitted Tokenizer at character level, without analyzer.
    """

    def __init__(self, tokenizer: KerasTokenizer):
        super().__init__()
        self._lower = tokenizer.lower
        ids = {ord(character): id for character, id in _ids_below_limit(tokenizer).items() if len(character) == 1}
        self._ids = _table(ids, tf.int64, _unknown(tokenizer))
        self._words = _Words(tokenizer, separator="")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text's characters, int32 [B, characters]."""
        codes = lower(texts) if self._lower else tf.strings.unicode_decode(texts, "UTF-8")
        return _known(codes.with_flat_values(self._ids.lookup(tf.cast(codes.flat_values, tf.int64))))

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """The characters of each row of ids."""
        return self._words.joined(ids)


class _Words(tf.Module):
    """Ids to words. A word that holds lone surrogates has '?' for each of them: UTF-8 cannot write them."""

    def __init__(self, tokenizer: KerasTokenizer, separator: str):
        super().__init__()
        limit = tokenizer.num_words or 2**31
        words = {id: word for id, word in tokenizer.index_word.items() if 0 < id < limit}
        unknown = tokenizer.index_word.get(tokenizer.unknown_id)
        # Row 0 is what stands for every id without a word. Each word brings its separator along, because reduce_join
        # leaves out separators after empty words at the start.
        texts = [separator + text for text in [unknown or "", *words.values()]]
        self._texts = tf.constant([text.encode("utf-8", "replace") for text in texts])
        rows = {0: DROPPED} | {id: row for row, id in enumerate(words, start=1)}
        self._rows = _table(rows, tf.int64, DROPPED if unknown is None else 0)
        self._separator = separator

    def joined(self, ids: tf.RaggedTensor) -> tf.Tensor:
        rows = _known(ids.with_flat_values(self._rows.lookup(tf.cast(ids.flat_values, tf.int64))))
        joined = tf.strings.reduce_join(rows.with_flat_values(tf.gather(self._texts, rows.flat_values)), axis=-1)
        return tf.strings.regex_replace(joined, r"\A" + self._separator, "", replace_global=False)


def _known(ids: tf.RaggedTensor) -> tf.RaggedTensor:
    return tf.ragged.boolean_mask(ids, ids != DROPPED)


def _unknown(tokenizer: KerasTokenizer) -> int:
    return DROPPED if tokenizer.unknown_id is None else tokenizer.unknown_id


def _ids_below_limit(tokenizer: KerasTokenizer) -> dict[str, int]:
    limit = tokenizer.num_words or 2**31
    return {word: id for word, id in tokenizer.word_index.items() if id < limit}


def _table(entries: Mapping, key_dtype: tf.DType, default: int) -> tf.lookup.StaticHashTable:
    # TensorFlow takes no empty table. No word in a text is empty, and no code point or id is the least int64.
    entries = dict(entries) | {b"" if key_dtype == tf.string else tf.int64.min: default}
    keys, values = tf.constant([*entries], key_dtype), tf.constant([*entries.values()], tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)


def _character_class(characters: Iterable[str]) -> str:
    """A regular expression for one of these characters, save surrogates, which never occur in UTF-8."""
    codes = [ord(character) for character in characters if _utf8(character)]
    return "[" + "".join(rf"\x{{{code:x}}}" for code in codes) + "]" if codes else NOTHING


def _utf8(text: str) -> bytes:
    """The bytes of a text; none where it has lone surrogates."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return b""
