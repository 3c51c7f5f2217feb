"""The twins of Tokenizer: at word level and at character level."""

import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.tokenizers.in_graph.lower_case import lower, lowered_lengths, step, steps
from lmkeras.tokenizers.in_graph.offsets import in_rows, places_in_text

DROPPED = -1  # stands for the id of a word that is left out
NOTHING = r"[^\x00-\x{10ffff}]"  # a regular expression that matches nothing


class WordTable(NamedTuple):
    """What a fitted Tokenizer knows of words (or characters) and ids.

    ids: the id of each word that may come out of `encode`; num_words bounds them.
    unknown_id: the id of every other word; None where other words are left out.
    words: the word of each id above 0 that `decode` knows; id 0 is padding.
    unknown: the word of every other id, id 0 aside; None where other ids are left out.
    """

    ids: Mapping[str, int]
    unknown_id: int | None
    words: Mapping[int, str]
    unknown: str | None


class InGraphWords(tf.Module):
    """Words to ids and back, as a fitted Tokenizer does it.

    Args:
        table: the words and their ids.
        lower: whether texts are lower-cased first.
        filters: characters that separate words like `split` does.
        split: the string between two words; None cuts at white space, and the characters of `filters` vanish.

    Raises:
        InputError: split is empty, or cannot be written as UTF-8.
    """

    def __init__(self, table: WordTable, lower: bool, filters: Iterable[str], split: str | None):
        super().__init__()
        if split is not None and (not split or not _utf8(split)):
            raise InputError(f"split {split!r} cannot cut UTF-8 strings: give a separator that is text")
        self._lower = lower
        self._separator = split or " "
        self._rewrites = [(_character_class(filters), split or "")]
        if split is None:  # as in str.split: cut at white space
            self._rewrites.append((_character_class(filter(str.isspace, map(chr, range(0x110000)))), " "))
        self._rewritten_lengths = None if split and len(split) == 1 else _rewritten_lengths(filters, split or "")
        self._ids = _lookup({_utf8(word): id for word, id in table.ids.items()}, tf.string, table.unknown_id)
        self._words = _Words(table, separator=" ")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text's words, int32 [B, words]."""
        words = self._parts(texts)
        words = tf.ragged.boolean_mask(words, words != "")
        return _known(words.with_flat_values(self._ids.lookup(words.flat_values)))

    def encode_with_offsets(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The ids of each text's words, and the starts and ends of what they were cut from; int32 [B, words] all."""
        with tf.device("CPU"):  # where strings are
            parts, origins = self._parts(texts), self._origins(texts)
            rows, part_lengths = parts.value_rowids(), tf.strings.length(parts.flat_values, "UTF8_CHAR")
            # a separator is behind every part but the last of its text
            passed = tf.cumsum(part_lengths + len(self._separator), exclusive=True)
            passed -= tf.gather(passed, tf.gather(parts.row_starts(), rows))
            first = passed + tf.cast(tf.gather(origins.row_starts(), rows), tf.int32)
            ids = self._ids.lookup(parts.flat_values)
            kept = tf.where((part_lengths > 0) & (ids != DROPPED))[:, 0]
            first, part_lengths = tf.gather(first, kept), tf.gather(part_lengths, kept)
            return in_rows(
                rows=tf.gather(rows, kept),
                num_texts=parts.nrows(),
                ids=tf.gather(ids, kept),
                starts=tf.gather(origins.flat_values, first),
                ends=tf.gather(origins.flat_values, first + part_lengths - 1) + 1,
            )

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """The words of each row of ids, joined by one space."""
        return self._words.joined(ids)

    def _parts(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The texts cut at separators, strings [B, parts]; a part is empty where two separators follow one another."""
        if self._lower:
            texts = tf.strings.unicode_encode(lower(texts), "UTF-8")
        else:
            texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
        for pattern, rewrite in self._rewrites:
            texts = tf.strings.regex_replace(texts, pattern, rewrite.replace("\\", r"\\"))
        return tf.strings.split(texts, self._separator)

    def _origins(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Where each character of the rewritten text (the one that `_parts` cuts) comes from in the given text.

        Returns:
            int32 [B, characters after lower-casing and rewriting].
        """
        codes, origins = _lowered_with_origins(texts) if self._lower else _with_places(texts)
        if self._rewritten_lengths is None:
            return origins
        return _repeated(origins, step(codes.flat_values, *self._rewritten_lengths))


class InGraphCharacters(tf.Module):
    """Characters to ids and back, as a fitted Tokenizer does it.

    Args:
        table: the characters and their ids.
        lower: whether texts are lower-cased first.
    """

    def __init__(self, table: WordTable, lower: bool):
        super().__init__()
        self._lower = lower
        ids = {ord(character): id for character, id in table.ids.items() if len(character) == 1}
        self._ids = _lookup(ids, tf.int64, table.unknown_id)
        self._words = _Words(table, separator="")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text's characters, int32 [B, characters]."""
        codes = lower(texts) if self._lower else tf.strings.unicode_decode(texts, "UTF-8")
        return _known(codes.with_flat_values(self._ids.lookup(tf.cast(codes.flat_values, tf.int64))))

    def encode_with_offsets(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The ids of each text's characters, and the starts and ends of these; int32 [B, characters] all."""
        with tf.device("CPU"):  # where strings are
            codes, origins = _lowered_with_origins(texts) if self._lower else _with_places(texts)
            ids = self._ids.lookup(tf.cast(codes.flat_values, tf.int64))
            kept = tf.where(ids != DROPPED)[:, 0]
            starts = tf.gather(origins.flat_values, kept)
            rows = tf.gather(codes.value_rowids(), kept)
            return in_rows(rows, num_texts=codes.nrows(), ids=tf.gather(ids, kept), starts=starts, ends=starts + 1)

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """The characters of each row of ids."""
        return self._words.joined(ids)


class _Words(tf.Module):
    """Ids to words. A word that holds lone surrogates has '?' for each of them: UTF-8 cannot write them."""

    def __init__(self, table: WordTable, separator: str):
        super().__init__()
        # Row 0 of the texts is for every id without a word. The separator is part of each text, because reduce_join
        # would leave a separator out after empty words at the start.
        texts = [separator + text for text in [table.unknown or "", *table.words.values()]]
        self._texts = tf.constant([text.encode("utf-8", "replace") for text in texts])
        rows = {0: DROPPED} | {id: row for row, id in enumerate(table.words, start=1)}
        self._rows = _lookup(rows, tf.int64, None if table.unknown is None else 0)
        self._separator = separator

    def joined(self, ids: tf.RaggedTensor) -> tf.Tensor:
        rows = _known(ids.with_flat_values(self._rows.lookup(tf.cast(ids.flat_values, tf.int64))))
        joined = tf.strings.reduce_join(rows.with_flat_values(tf.gather(self._texts, rows.flat_values)), axis=-1)
        return tf.strings.regex_replace(joined, r"\A" + self._separator, "", replace_global=False)


def _known(ids: tf.RaggedTensor) -> tf.RaggedTensor:
    return tf.ragged.boolean_mask(ids, ids != DROPPED)


def _with_places(texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """The code points of texts, and which character of its text each is; int32 [B, characters] both."""
    codes = tf.strings.unicode_decode(texts, "UTF-8")
    return codes, codes.with_flat_values(places_in_text(codes))


def _lowered_with_origins(texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """The code points of lower-cased texts, and for each which character of its text it comes from."""
    codes, places = _with_places(texts)
    return lower(texts), _repeated(places, step(codes.flat_values, *lowered_lengths()))


def _repeated(values: tf.RaggedTensor, counts: tf.Tensor) -> tf.RaggedTensor:
    """Each value `counts` [N] times in its row."""
    row_lengths = tf.reduce_sum(values.with_flat_values(counts), axis=1)
    return tf.RaggedTensor.from_row_lengths(tf.repeat(values.flat_values, counts), row_lengths, validate=False)


def _rewritten_lengths(filters: Iterable[str], split: str) -> tuple[np.ndarray, np.ndarray]:
    """How many characters stand for each code point once `split` has replaced filters, as a step function."""
    counts = np.ones(sys.maxunicode + 1, np.int32)
    counts[[ord(character) for character in filters]] = len(split)
    return steps(counts)


def _lookup(entries: Mapping, key_dtype: tf.DType, default: int | None) -> tf.lookup.StaticHashTable:
    """A table that gives `default`, or DROPPED where there is no default, for keys that are not among the entries."""
    default = DROPPED if default is None else default
    # One entry more, because TensorFlow takes no empty table: its key is never looked up, since no word in a text is
    # empty and no code point or id is the least int64.
    entries = dict(entries) | {b"" if key_dtype == tf.string else tf.int64.min: default}
    keys, values = tf.constant([*entries], key_dtype), tf.constant([*entries.values()], tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)


def _character_class(characters: Iterable[str]) -> str:
    """A regular expression for one of these characters, without the surrogates, which never occur in UTF-8."""
    codes = [ord(character) for character in characters if _utf8(character)]
    return "[" + "".join(rf"\x{{{code:x}}}" for code in codes) + "]" if codes else NOTHING


def _utf8(text: str) -> bytes:
    """The bytes of a text; no bytes if it holds lone surrogates."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return b""
