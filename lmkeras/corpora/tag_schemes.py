"""Schemes by which the tags of words say where spans begin and end: IOB1, IOB2, BIOES, BILOU, BMES, or plain tags.

| scheme | the first of several words | those between | the last | a single word |
|---|---|---|---|---|
| IOB1 | I; B right after a span of the same type | I | I | I; B as before |
| IOB2 | B | I | I | B |
| BIOES | B | I | E | S |
| BILOU | B | I | L | U |
| BMES | B | M | E | S |
| tags | every word has a tag of its own, such as its part of speech | | | |

A tag is the letter, a hyphen (or an underscore) and the type, as in B-PER, or the letter alone where there is a single
type of spans. O is the tag of words outside spans.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from lmkeras.corpora.spans import Place, Span
from lmkeras.errors import InputError, unknown_name

#: the type of spans whose tags are letters alone
UNTYPED = "_"

#: the letters of each scheme: of a first word, one between, a last word and a single word
_LETTERS = {"IOB1": "IIII", "IOB2": "BIIB", "BIOES": "BIES", "BILOU": "BILU", "BMES": "BMES"}
#: the names of all schemes
SCHEMES = (*_LETTERS, "tags")
MODES = ("default", "strict")

#: what a letter means, in the letters of BIOES
_MEANING = {"O": "O", "B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}

_TAG = re.compile(r"([BIMELSU])(?:[-_](.+))?")
_LETTER_LAST = re.compile(r".+[-_][BIMELSU]")
_LOWER_CASE = re.compile(r"[bimelsu][-_].+|o")


@lru_cache(maxsize=2**16)
def parts_of(tag: str) -> tuple[str, str] | None:
    """A tag's letter and type; None for a tag without a letter, such as a part of speech.

    Example:
        >>> parts_of("B-PER"), parts_of("M"), parts_of("O"), parts_of("NN")
        (('B', 'PER'), ('M', '_'), ('O', ''), None)
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        return ("O", "") if tag == "O" else None
    return match[1], match[2] or UNTYPED


def types_in(tags: Iterable[str]) -> tuple[str, ...]:
    """The types of tags, in the order of the alphabet; a tag without a letter is a type.

    Example:
        >>> types_in(["O", "B-PER", "I-PER", "NN"])
        ('NN', 'PER')
    """
    return tuple(sorted({(parts_of(tag) or ("", tag))[1] for tag in tags} - {""}))


def tags_of(spans: Sequence[Span], num_words: int, scheme: str = "BIOES") -> list[str]:
    """The tags of a text's words.

    Args:
        spans: in the order of the words, without overlaps.
        num_words: number of words of the text.
        scheme: one of `SCHEMES`; with "tags", each word of a span has the span's type as its tag.

    Example:
        >>> tags_of([Span(1, 3, "PER"), Span(3, 4, "LOC")], 5)
        ['O', 'B-PER', 'E-PER', 'S-LOC', 'O']
    """
    if scheme not in SCHEMES:
        raise unknown_name("tag scheme", scheme, SCHEMES)
    tags, before = ["O"] * num_words, Span(-1, -1, "")
    for span in spans:
        first, between, last, single = _LETTERS.get(scheme, "    ")
        if scheme == "IOB1" and before.end == span.start and before.type == span.type:
            first = single = "B"
        letters = [first, *between * (span.end - span.start - 2), last] if span.end > span.start + 1 else [single]
        tags[span.start : span.end] = [_tag(letter, span.type) for letter in letters]
        before = span
    return tags


def _tag(letter: str, kind: str) -> str:
    if letter == " ":
        return kind
    return letter if kind == UNTYPED else f"{letter}-{kind}"


def entities_of(tags: Sequence[str], mode: str = "default", scheme: str = "BIOES") -> list[Span]:
    """The spans that tags stand for, even if the tags do not fit together, as those of a network may.

    Args:
        tags: the tag of each word.
        mode: "default": a new span begins at B, S, after E, S and O, and where the type changes, whatever the scheme
            is, as in the CoNLL shared tasks. "strict": only what the scheme allows is a span, from its first word to
            its last.
        scheme: one of `SCHEMES`; of tags without letters, every word is a span by itself.

    Raises:
        InputError: unknown mode or scheme; or, in strict mode, a letter that the scheme does not have.

    Source: the modes of seqeval (Nakayama 2018), of which "default" is conlleval's (Tjong Kim Sang and Buchholz 2000).

    Example:
        >>> entities_of(["B-PER", "I-PER", "O", "E-LOC"])
        [Span(start=0, end=2, type='PER'), Span(start=3, end=4, type='LOC')]
        >>> entities_of(["B-PER", "E-PER", "O", "E-LOC"], mode="strict")
        [Span(start=0, end=2, type='PER')]
    """
    if scheme not in SCHEMES or mode not in MODES:
        raise unknown_name("mode", mode, MODES) if scheme in SCHEMES else unknown_name("tag scheme", scheme, SCHEMES)
    if scheme == "tags":
        return [Span(i, i + 1, tag) for i, tag in enumerate(tags) if tag != "O"]
    parts = [_meaning(tag) for tag in tags]
    if mode == "default":
        return _lenient(parts)
    allowed = {"O", "B", *(_MEANING[letter] for letter in _LETTERS[scheme])}
    for (letter, _), tag in zip(parts, tags, strict=True):
        if letter not in allowed:
            raise InputError(f"tag {tag!r} is none of {scheme}: name the scheme of the tags with scheme")
    return _strict_iob1(parts) if scheme == "IOB1" else _strict(parts, has_ends="E" in allowed)


def _meaning(tag: str) -> tuple[str, str]:
    parts = parts_of(tag)
    if parts is None:
        raise InputError(f"expected a tag such as B-PER or O, got {tag!r}; of plain tags the scheme is 'tags'")
    return _MEANING[parts[0]], parts[1]


def _lenient(parts: Sequence[tuple[str, str]]) -> list[Span]:
    spans, start, before = [], None, ("O", "")
    for i, part in enumerate([*parts, ("O", "")]):
        begins = part[0] in "BS" or before[0] in "OES" or part[1] != before[1]
        if start is not None and (part[0] == "O" or begins):
            spans.append(Span(start, i, before[1]))
            start = None
        if part[0] != "O" and begins:
            start = i
        before = part
    return spans


def _strict(parts: Sequence[tuple[str, str]], has_ends: bool) -> list[Span]:
    """Spans that begin with B or S and, where there are ends, end with E or S."""
    spans, start = [], None
    for i, (letter, kind) in enumerate([*parts, ("O", "")]):
        goes_on = start is not None and letter in "IE" and kind == parts[start][1]
        if start is not None and not goes_on:
            if not has_ends:
                spans.append(Span(start, i, parts[start][1]))
            start = None
        if goes_on and letter == "E":
            spans.append(Span(start, i + 1, kind))
            start = None
        if letter == "S":
            spans.append(Span(i, i + 1, kind))
        if letter == "B":
            start = i
    return spans


def _strict_iob1(parts: Sequence[tuple[str, str]]) -> list[Span]:
    """Spans that begin with I, or with B after a word of the same type; a lone B before a B of another type is none."""
    spans, start, before = [], None, ("O", "")
    for i, part in enumerate([*parts, ("O", "")]):
        if start is not None and (part[0] != "I" or part[1] != before[1]):
            if before[0] == "I" or part[0] != "B" or part[1] == before[1]:
                spans.append(Span(start, i, before[1]))
            start = None
        follows = before[0] != "O" and before[1] == part[1]
        if start is None and (part[0] == ("B" if follows else "I") or (part[0] == "I" and before[0] == "B")):
            start = i
        before = part
    return spans


def spans_of(tags: Sequence[str], scheme: str, place: Place) -> tuple[Span, ...]:
    """The spans of a text whose tags must fit together.

    Args:
        tags: the tag of each word.
        scheme: one of `SCHEMES`.
        place: where the text comes from.

    Raises:
        InputError: a tag is not what the scheme has for such spans; the message names its place.

    Example:
        >>> spans_of(["O", "B-PER", "O"], "BIOES", Place("a.conll", (1, 2, 3)))
        Traceback (most recent call last):
        lmkeras.errors.InputError: a.conll line 2: B-PER does not fit the tags around it: BIOES has S-PER here
    """
    spans = entities_of(tags, scheme=scheme)
    if scheme != "tags":
        for index, (tag, wanted) in enumerate(zip(tags, tags_of(spans, len(tags), scheme), strict=True)):
            if tag != wanted and parts_of(tag) != parts_of(wanted):
                reason = f"{tag} does not fit the tags around it: {scheme} has {wanted} here"
                raise InputError(f"{place.of_word(index)}: {reason}")
    return tuple(spans)


class SchemeFinder:
    """Finds out the scheme of a corpus from its tags, in memory for each different tag alone.

    Example:
        >>> finder = SchemeFinder()
        >>> finder.add(["I-PER", "I-PER", "O", "I-LOC"], Place("the list"))
        >>> finder.scheme()
        'IOB1'
    """

    def __init__(self):
        self._first = {}  # where each tag stands first
        self._begins = {"I": [], "B": []}  # how spans begin that follow no other of their type: places of the first
        self._counts = {"I": 0, "B": 0}

    def add(self, tags: Sequence[str], place: Place) -> None:
        """Looks at the tags of one text."""
        before = ("O", "")
        for index, tag in enumerate(tags):
            if tag not in self._first:
                self._first[tag] = place.of_word(index)
            part = parts_of(tag) or ("O", "")
            if part[0] in self._begins and part[1] != before[1]:
                self._counts[part[0]] += 1
                if self._counts[part[0]] == 1:
                    self._begins[part[0]] = [place.of_word(index), tag]
            before = part

    def scheme(self) -> str:
        """The scheme of all tags so far.

        Raises:
            InputError: the tags are of several schemes.
        """
        plain = [tag for tag in self._first if parts_of(tag) is None]
        with_letters = [tag for tag in self._first if parts_of(tag) and tag != "O"]
        typed, alone = ([tag for tag in with_letters if (len(tag) > 1) == several] for several in (True, False))
        if plain and typed:
            raise self._mixed(plain[0], typed[0], "a tag without a letter such as B-, I- or S- before its type")
        if plain and all(map(_LETTER_LAST.fullmatch, plain)):
            raise InputError(f"{self._first[plain[0]]}: {plain[0]!r} has its letter last: put it first, as in B-PER")
        if plain != ["o"] and plain and all(map(_LOWER_CASE.fullmatch, plain)):
            tag = next(tag for tag in plain if tag != "o")
            wanted = f"put it in upper case, {tag[0].upper()}{tag[1:]}, and O outside of spans"
            raise InputError(f"{self._first[tag]}: {tag!r} has its letter in lower case: {wanted}")
        if plain:
            return "tags"
        if typed and alone:
            raise self._mixed(alone[0], typed[0], "a tag without a type")
        letters = {parts_of(tag)[0]: tag for tag in reversed(self._first)}
        for one, other in ("IM", "EL", "SU", "ML", "MU"):
            if one in letters and other in letters:
                raise self._mixed(letters[one], letters[other], f"one tag has the letter {one}, another {other}")
        if letters.keys() <= set("OBI"):
            return self._iob()
        return "BMES" if "M" in letters else "BILOU" if letters.keys() & set("LU") else "BIOES"

    def _iob(self) -> str:
        """IOB1 or IOB2, by how those spans begin that follow no other of their type."""
        counts = self._counts
        scheme = "IOB1" if counts["I"] > counts["B"] else "IOB2"
        odd = "B" if scheme == "IOB1" else "I"
        if counts[odd]:
            place, tag = self._begins[odd]
            wanted = _tag("BI"[odd == "B"], parts_of(tag)[1])
            many = f"{max(counts.values()):,} of {sum(counts.values()):,} spans begin as in {scheme}"
            raise InputError(f"{place}: {tag} begins a span, but {many}, where {wanted} does: put {wanted}")
        return scheme

    def _mixed(self, one: str, other: str, what: str) -> InputError:
        places = f"{one!r} ({self._first[one]}) and {other!r} ({self._first[other]})"
        return InputError(f"{self._first[one]}: tags of several schemes, {places}: {what}. Use one scheme for all")
