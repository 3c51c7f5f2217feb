"""Reads and writes CoNLL columns: a word and its tags a line, and a blank line between sentences."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple, TextIO

from lmkeras.corpora.characters import read_lines
from lmkeras.corpora.spans import Place, TaggedRow, TaggedText
from lmkeras.corpora.table_files import listed
from lmkeras.corpora.tag_schemes import tags_of
from lmkeras.errors import InputError, did_you_mean

_BLANKS = re.compile(r"[ \t]+")
_FIRST_LINES = 200
_DOCUMENT = "-DOCSTART-"
#: the columns of CoNLL-U (universaldependencies.org/format.html)
_UNIVERSAL = "ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC".split()
_GLOBAL = "global.columns ="
#: a header that stands where the first word would, without any mark
_HEADER = ({"word", "words", "token", "tokens", "form"}, {"tag", "tags", "label", "labels", "ner", "ner_tag", "pos"})
_OF_SEVERAL = re.compile(r"\d+[-.]\d+")  # ids of CoNLL-U for several words together, and for words that are not there


class _Form(NamedTuple):
    """How a file is written: what is between columns, how many there are, which ones are wanted, what to leave out."""

    tabs: bool
    count: int
    word: int
    tag: int
    header: int  # the number of the line with the names of columns, if no "#" marks it, or 0
    numbered: bool

    def fields(self, line: str) -> list[str]:
        line = line.rstrip("\n")
        return [field.strip(" ") for field in line.split("\t")] if self.tabs else _BLANKS.split(line.strip(" "))

    def described(self) -> str:
        """The form in words, for a training to say."""
        return f"columns (word {self.word}, tag {self.tag} of {self.count}, counted from 0)"


def read_columns(
    path: str, encoding: str, word_column: int | str | None = None, tag_column: int | str | None = None
) -> Iterator[TaggedRow]:
    """The sentences of a file of columns; one of them is in memory at a time.

    Args:
        path: a file whose columns are separated by tabs, or by blanks where the first lines have no tabs.
        encoding: name of the file's encoding.
        word_column: number of the word's column, from 0, or from the end if it is negative; or its name, where a first
            line has the names. None: the first; after a column that counts the words of each sentence, the second.
        tag_column: the same for the tag; None: the last; of CoNLL-U, UPOS.

    Raises:
        InputError: a column is missing, or a line has not as many columns as the first.
    """
    lines = enumerate(read_lines(path, encoding), 1)
    first = list(islice(lines, _FIRST_LINES))
    form = _form(path, first, word_column=word_column, tag_column=tag_column)
    words, tags, numbers = [], [], []
    for number, line in chain(first, lines, [(0, "\n")]):
        if not line.strip(" \t\n") or line.startswith(_DOCUMENT):
            if words:
                place = Place(path, tuple(numbers))
                yield TaggedRow(tuple(words), tuple(tags), (), place=place, form=form.described())
                words, tags, numbers = [], [], []
            continue
        fields = form.fields(line)
        if number == form.header or (not words and _is_comment(line, fields, form.count)):
            continue
        if len(fields) != form.count:
            raise InputError(
                f"{path} line {number}: expected {form.count} columns as in the first line, got {len(fields)}: "
                f"{line.strip()[:60]!r}"
            )
        if form.numbered and _OF_SEVERAL.fullmatch(fields[0]):
            continue
        words.append(fields[form.word])
        tags.append(fields[form.tag])
        numbers.append(number)


def _is_comment(line: str, fields: Sequence[str], count: int) -> bool:
    """Whether a line before the first word of a sentence is a comment: it begins with "#" and has no columns."""
    return line.startswith("#") and (len(fields) != count or line.startswith(("# newdoc", "# newpar")))


def _form(path: str, first: Sequence[tuple[int, str]], **columns) -> _Form:
    shown = [(number, line) for number, line in first if line.strip(" \t\n") and not line.startswith(_DOCUMENT)]
    if not shown:
        raise InputError(f"{path} holds no sentences: expected a word and its tag a line, or lines of JSON")
    data = [(number, line) for number, line in shown if not line.startswith("#")] or shown
    form = _Form("\t" in data[0][1], count=0, word=0, tag=-1, header=0, numbered=False)
    fields = form.fields(data[0][1])
    form = form._replace(count=len(fields))
    comments = [line for number, line in shown if line.startswith("#") and number < data[0][0]]
    names, below = _names(comments, len(fields)), data
    wanted = [column for column in columns.values() if isinstance(column, str) and _number(column) is None]
    lowered = [field.lower() for field in fields]
    if not names and (set(wanted) & set(fields) or (_HEADER[0] & {lowered[0]} and _HEADER[1] & {lowered[-1]})):
        form, names, below = form._replace(header=data[0][0]), fields, data[1:]
    ids = [id_ for id_ in (form.fields(line)[0] for _, line in below[:3]) if not _OF_SEVERAL.fullmatch(id_)]
    numbered = len(fields) > 2 and (ids[:2] == ["1", "2"] or (ids[:1] == ["1"] and len(fields) == len(_UNIVERSAL)))
    if numbered and len(fields) == len(_UNIVERSAL) and not any(_GLOBAL in comment for comment in comments):
        names = _UNIVERSAL
    if len(fields) < 2:
        raise InputError(
            f"{path} line {data[0][0]}: expected a word and its tag, separated by blanks or a tab, got "
            f"{data[0][1].strip()[:60]!r}"
        )
    defaults = {"word_column": int(numbered), "tag_column": names.index("UPOS") if names == _UNIVERSAL else -1}
    place = f"{path} line {data[0][0]}"
    word, tag = (
        _index(defaults[option] if column is None else column, option, fields=fields, names=names, place=place)
        for option, column in columns.items()
    )
    return form._replace(word=word, tag=tag, numbered=numbered)


def _names(comments: Iterable[str], count: int) -> list[str]:
    """The names of columns in a comment: "# global.columns = ID FORM …", or a name for each column."""
    for comment in comments:
        names = comment.removeprefix("#").replace(_GLOBAL, "").split()
        if len(names) == count and "=" not in names:
            return names
    return []


def _number(column: str) -> int | None:
    return int(column) if re.fullmatch(r"-?\d+", column) else None


def _index(column: int | str, option: str, fields: Sequence[str], names: Sequence[str], place: str) -> int:
    """The index of a column, from 0; InputError if there is none."""
    number = column if isinstance(column, int) else _number(column)
    spelled = f"{option} (--{option.replace('_', '-')})"
    if number is None and column in names:
        return names.index(column)
    if number is None:
        known = f"the names are {listed(names)}" if names else "the file names no columns: give a number"
        raise InputError(f"{place}: {spelled} {column!r} is missing; {known}{did_you_mean(column, names)}")
    if not -len(fields) <= number < len(fields):
        columns = ", ".join(f"{i} {field!r}" for i, field in enumerate(fields))
        raise InputError(f"{place}: {spelled} {number} is missing; the columns are {columns}")
    return number % len(fields)


def write_conll(texts: Iterable[TaggedText], file: TextIO, scheme: str = "IOB2") -> None:
    """Writes texts as columns: a word, a tab and its tag a line, and a blank line after each text.

    Args:
        texts: words and spans.
        file: an open text file.
        scheme: one of `tag_schemes.SCHEMES`.

    Example:
        >>> import io
        >>> from lmkeras.corpora.spans import Span
        >>> write_conll([TaggedText(("Ada", "Lovelace"), (Span(0, 2, "PER"),))], file := io.StringIO())
        >>> file.getvalue()
        'Ada\\tB-PER\\nLovelace\\tI-PER\\n\\n'
    """
    for words, spans in texts:
        tags = tags_of(spans, len(words), scheme)
        file.writelines(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True))
        file.write("\n")
