"""Tagged texts that a user holds in memory: lists, tables, columns and iterators."""

import logging
from collections.abc import Iterator, Mapping

from lmkeras.corpora.memory import column_names, kept_examples
from lmkeras.corpora.spans import TaggedText
from lmkeras.corpora.tagged_records import Keys, required_names

_log = logging.getLogger("lmkeras")


def items_in(value: object, keys: Keys) -> list:
    """The examples of a value in memory: pairs, dictionaries or TaggedTexts.

    Args:
        value: a list of them, a table, two columns or an iterator, as for `as_tagged_corpus`.
        keys: the names of a table's columns.

    Raises:
        InputError: the value is none of these, or has no examples.
    """
    if isinstance(value, Iterator):
        value = list(value)
        _log.warning("an iterator can be read once: %d examples are in memory now", len(value))
    if isinstance(value, list) and value and all(isinstance(item, Mapping | TaggedText) for item in value):
        return value
    names = column_names(value)
    if names and not (isinstance(value, Mapping) and any(column_names(part) for part in value.values())):
        word, tag = required_names(names, keys, f"the {type(value).__name__}")
    else:
        word, tag = keys.word or "words", keys.tag or "tags"
    pairs = kept_examples(value, {"text_column": word, "tags_column": tag})
    return [_pair(*pair, of_words=names is not None and word != keys.text) for pair in pairs]


def _pair(words: object, tags: object, of_words: bool) -> tuple:
    """Lists instead of arrays; of one word, a list of it."""
    if of_words and isinstance(words, str):
        words = [words]
    tags = tags.tolist() if hasattr(tags, "tolist") else tags
    return words, [tags] if of_words and not isinstance(tags, list | tuple) else tags
