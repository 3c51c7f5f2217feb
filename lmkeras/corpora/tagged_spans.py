"""Turns spans of characters, as programs for annotation write them, into spans of words."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral

from lmkeras.corpora.spans import Place, Span, TaggedText
from lmkeras.errors import InputError
from lmkeras.tokenizers.word_spans import word_spans

_BEGINS, _ENDS, _TYPES = ("start", "start_offset"), ("end", "end_offset"), ("label", "type", "labels")
_SHOWN = 40  # characters of a text in a message


def character_span(value: object, place: Place) -> tuple[int, int, str]:
    """The characters [start, end) and the type of a span: [start, end, type], or an object with keys for them.

    Raises:
        InputError: the value is neither.
    """
    if isinstance(value, Mapping):
        keys = [next((key for key in known if key in value), None) for known in (_BEGINS, _ENDS, _TYPES)]
        parts = [value.get(key) for key in keys]
    else:
        parts = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(parts) == 3 and isinstance(parts[2], list) and len(parts[2]) == 1:
        parts[2] = parts[2][0]
    whole = len(parts) == 3 and all(isinstance(at, Integral) and not isinstance(at, bool) for at in parts[:2])
    if not whole or not isinstance(parts[2], str) or not parts[2].strip():
        raise InputError(
            f"{place}: expected a span as [start, end, type] or with the keys start, end and label, got "
            f"{str(value)[:80]!r}"
        )
    return int(parts[0]), int(parts[1]), parts[2].strip()


def tagged_text(text: str, spans: Iterable[tuple[int, int, str]], place: Place, splitting: str) -> TaggedText:
    """The words of a text, and spans of them.

    Args:
        text: a text that has words.
        spans: characters [start, end) and type of each span, in any order; blanks at both ends of a span are left out,
            and of equal spans all but one.
        place: where the text comes from.
        splitting: how the text is cut into words, see `word_spans`.

    Raises:
        InputError: the text has no words; or a span is outside the text, has no words in it, begins or ends inside a
            word, or overlaps another.

    Example:
        >>> tagged_text("Ada Lovelace, London", [(14, 20, "LOC"), (0, 12, "PER")], Place("a.jsonl line 1"), "signs")
        TaggedText(words=('Ada', 'Lovelace', ',', 'London'), spans=(Span(start=0, end=2, type='PER'), \
Span(start=3, end=4, type='LOC')))
    """
    words = word_spans(text, splitting)
    if not words:
        raise InputError(f"{place}: a text without words, {text[:_SHOWN]!r}: leave it out")
    begins, ends = ({bound: i for i, bound in enumerate(bounds)} for bounds in zip(*words, strict=True))
    found, before = [], None
    for start, end, kind in sorted(set(spans)):
        said = f"{place}: span [{start}, {end}) {kind}"
        if not 0 <= start < end <= len(text):
            reason = "is empty" if start == end else "ends before it begins" if end < start else "is outside the text"
            raise InputError(f"{said} {reason}, which has the characters [0, {len(text)}): {_shown(text, 0, 0)}")
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start == end:
            raise InputError(f"{said} holds nothing but blanks: {_shown(text, start, end)}")
        if start not in begins or end not in ends:
            raise _cuts(said, text, start=start, end=end, bounds=(list(begins), list(ends)))
        span = Span(begins[start], ends[end] + 1, kind)
        if before is not None and span.start < found[-1].end:
            raise InputError(
                f"{said} overlaps [{before[0]}, {before[1]}) {before[2]}: {_shown(text, start, end)}. Nested or "
                "overlapping spans are not supported: keep one of them"
            )
        found.append(span)
        before = (start, end, kind)
    return TaggedText(tuple(text[start:end] for start, end in words), tuple(found))


def _cuts(said: str, text: str, start: int, end: int, bounds: tuple[list[int], list[int]]) -> InputError:
    """The error for a span that begins or ends inside a word, with the nearest boundary."""
    what, at, known = ("begins", start, bounds[0]) if start not in bounds[0] else ("ends", end, bounds[1])
    near = min(known, key=lambda bound: abs(bound - at))
    return InputError(f"{said} {what} inside a word: {_shown(text, start, end)}. The nearest boundary is {near}")


def _shown(text: str, start: int, end: int) -> str:
    """A span and the text around it, on one line."""
    around = text[max(0, start - _SHOWN // 2) : end + _SHOWN // 2]
    return f"{text[start:end]!r} in {around!r}" if start < end else repr(text[:_SHOWN])
