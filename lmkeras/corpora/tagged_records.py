"""Texts of a tagged corpus as objects with keys: lines of JSON, and what a user holds in memory."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import NamedTuple

from lmkeras.corpora.characters import read_characters, read_lines
from lmkeras.corpora.corpus import require_usable
from lmkeras.corpora.spans import Place, Span, TaggedRow, TaggedText
from lmkeras.corpora.table_files import listed
from lmkeras.corpora.tagged_spans import character_span, tagged_text
from lmkeras.errors import InputError

#: keys that are looked for, where the user names none
WORD_KEYS = ("tokens", "words")
TAG_KEYS = ("tags", "ner_tags", "labels", "ner")
SPAN_KEYS = ("spans", "entities", "label", "labels")

#: what Prodigy notes of texts whose spans are not accepted
_NOT_ACCEPTED = ("reject", "ignore")
#: what Prodigy names its spans, which it leaves out of texts without any
_PRODIGY_SPANS = "spans"
_OF_TAGS, _OF_WORDS, _OF_CHARACTERS = "words and tags", "words and spans of words", "text and spans of characters"


class Keys(NamedTuple):
    """Where objects hold the parts of an example; None: under one of the known keys."""

    word: str | None = None
    tag: str | None = None
    text: str = "text"
    tag_names: tuple[str, ...] | None = None


def required_names(names: Iterable, keys: Keys, place: str) -> tuple:
    """The two names that are read: of words and tags, or of a text and its spans.

    Args:
        names: the names that there are, of keys or columns.
        keys: those that the user has named.
        place: where they are from, in the user's words.

    Raises:
        InputError: there are none.

    Example:
        >>> required_names(["id", "tokens", "ner_tags"], Keys(), "a.jsonl line 1")
        ('tokens', 'ner_tags')
    """
    names = list(names)
    word = next((name for name in ([keys.word] if keys.word is not None else WORD_KEYS) if name in names), None)
    tag, spans = (
        next((name for name in ([keys.tag] if keys.tag is not None else known) if name in names), None)
        for known in (TAG_KEYS, SPAN_KEYS)
    )
    if word is not None and tag is not None:
        return word, tag
    if keys.word is None and keys.text in names and spans is not None:
        return keys.text, spans
    missing = [f"{name!r} is missing; " for name in (keys.word, keys.tag) if name is not None and name not in names]
    raise InputError(
        f"{place}: {''.join(missing)}expected words and tags (such as tokens and tags) or a text and spans (such as "
        f"text and spans), got {listed(map(str, names))}. Name others with word_column (--word-column), tag_column "
        "(--tag-column) and text_column (--text-column)"
    )


def read_json(path: str, encoding: str, keys: Keys, whole: bool) -> Iterator[TaggedRow]:
    """The texts of a file of JSON: a value a line, or one list of them, which is read into memory as a whole.

    Raises:
        InputError: the file is not JSON, or a value is no tagged text.
    """
    for place, value in _values(path, encoding, whole):
        if isinstance(value, Mapping) and value.get("answer") in _NOT_ACCEPTED:
            continue
        yield row_of(value, keys, place)


def _values(path: str, encoding: str, whole: bool) -> Iterator[tuple[Place, object]]:
    if whole:
        values = _parsed("".join(read_characters(path, encoding)), path)
        for number, value in enumerate(values if isinstance(values, list) else [values], 1):
            yield Place(f"{path} item {number}"), value
        return
    for number, line in enumerate(read_lines(path, encoding), 1):
        if not line.isspace():
            place = f"{path} line {number}"
            yield Place(place), _parsed(line, place)


def _parsed(text: str, place: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise InputError(f"{place}: not JSON ({reason}): expected an object a line, or one list of them") from error


def row_of(value: object, keys: Keys, place: Place) -> TaggedRow:
    """The row of a value: an object with keys, a TaggedText, or a pair (words, tags) or (text, spans).

    Raises:
        InputError: the value is none of these, or its parts do not belong together.
    """
    if isinstance(value, TaggedText):
        return _of_spans(value.words, value.spans, place)
    if isinstance(value, Mapping):
        value = {**value, _PRODIGY_SPANS: []} if _is_prodigy_without_spans(value, keys) else value
        first, second = (value[name] for name in required_names(value, keys, str(place)))
        if second is None and isinstance(first, str):  # as Doccano has it, where a text has no spans
            second = []
    elif isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        first, second = value
    else:
        got = str(value)[:80] if isinstance(value, str | Sequence) else type(value).__name__
        raise InputError(f"{place}: expected (words, tags) or (text, spans), got {got!r}")
    if isinstance(second, Mapping):  # as spaCy has it
        second = second.get("entities", second)
    if isinstance(first, str):
        return _of_characters(first, second, place=place)
    return _of_words(first, second, place=place, keys=keys)


def _is_prodigy_without_spans(value: Mapping, keys: Keys) -> bool:
    """Whether an object is a text of Prodigy's in which there are no spans; one with other spans or tags is none."""
    others = any(name in value for name in (*TAG_KEYS, *SPAN_KEYS))
    own = keys.text in value and (value.get("answer") == "accept" or "_input_hash" in value)
    return own and not others and keys.word is None and keys.tag in (None, _PRODIGY_SPANS)


def _of_characters(text: str, spans: object, place: Place) -> TaggedRow:
    require_usable(text, str(place))
    if not _is_list(spans):
        raise InputError(f"{place}: expected a list of spans for the text {text[:40]!r}, got {str(spans)[:80]!r}")
    found = [character_span(span, place) for span in spans]
    words, spans = tagged_text(text, found, place=place, splitting="signs")
    return TaggedRow(words, None, spans, place=place, form=_OF_CHARACTERS, splitting="signs")


def _of_words(words: object, tags: object, place: Place, keys: Keys) -> TaggedRow:
    if not _is_list(words) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{place}: expected a list of words, or a text, got {str(words)[:80]!r}")
    if not _is_list(tags):
        raise InputError(f"{place}: expected a list of tags, got {str(tags)[:80]!r}")
    if all(isinstance(tag, tuple | list) for tag in tags) if tags else isinstance(tags, tuple):
        return _of_spans(words, tags, place)
    if len(words) != len(tags):
        raise InputError(f"{place}: expected a tag for each word, got {len(words)} words and {len(tags)} tags")
    named = tuple(_tag(tag, place.of_word(i), keys.tag_names) for i, tag in enumerate(tags))
    return TaggedRow(_usable(words, place), named, (), place=place, form=_OF_TAGS)


def _of_spans(words: Sequence[str], spans: Iterable, place: Place) -> TaggedRow:
    """The row of words and spans of words; InputError if a span is not inside the text or overlaps another."""
    found = sorted({Span(*character_span(span, place)) for span in spans})
    for before, span in zip([Span(0, 0, ""), *found], found, strict=False):
        if not before.end <= span.start < span.end <= len(words):
            reason = "is empty, overlaps another or is outside"
            raise InputError(f"{place}: span [{span.start}, {span.end}) {span.type} {reason} of the {len(words)} words")
    return TaggedRow(_usable(words, place), None, tuple(found), place=place, form=_OF_WORDS)


def _usable(words: Sequence[str], place: Place) -> tuple[str, ...]:
    for word in words:
        require_usable(word, str(place))
    return tuple(map(str, words))


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _tag(tag: object, place: str, names: Sequence[str] | None) -> str:
    if isinstance(tag, Integral) and not isinstance(tag, bool) and names is not None and 0 <= tag < len(names):
        return names[tag]
    if not isinstance(tag, str):
        known = "tag_names gives no name for it" if names is not None else "give the names of numbers with tag_names"
        raise InputError(f"{place}: expected a tag such as B-PER, got {tag!r}: {known}")
    return str(tag)
