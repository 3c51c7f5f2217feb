"""Reads questions from files: SQuAD's JSON, JSON lines and tables; the content decides, not the name, where it can."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lmkeras.corpora.characters import read_characters, read_lines, require_encoding
from lmkeras.corpora.memory import column_names, is_column, sources_in
from lmkeras.corpora.paths import find_readers, named_files
from lmkeras.corpora.questions import Places, Question, Questions, answers_of
from lmkeras.corpora.records import missing_name
from lmkeras.corpora.table_files import SEPARATORS, read_table, require_quoting
from lmkeras.corpora.tables import Rows
from lmkeras.errors import InputError

#: the endings of the files that are read of a folder; a file of JSON that is named may have any other
SUFFIXES = (".json", ".jsonl", ".csv", ".tsv")
SUFFIXES = (*SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES))
#: names under which answers and their places are looked for where the user names none
_ANSWERS = ("answer", "answers")
_STARTS = ("answer_start", "start")


class Names(NamedTuple):
    """The names of columns of tables, and of keys of JSON.

    Attributes:
        question: of the question.
        context: of its context.
        answer: of its answer, or answers.
        start: of the place where the answer starts; None: answer_start or start, if there is such a column.
    """

    question: str = "question"
    context: str = "context"
    answer: str = "answer"
    start: str | None = None

    @classmethod
    def of(cls, columns: Mapping[str, object]) -> "Names":
        """From options such as question_column."""
        return cls(**{name: columns[f"{name}_column"] for name in cls._fields if f"{name}_column" in columns})

    @property
    def of_answers(self) -> tuple[str, ...]:
        """The names under which answers are looked for."""
        return (self.answer, *_ANSWERS * (self.answer in _ANSWERS))


def open_questions(
    sources: str | Path | Sequence[str | Path], encoding: str = "utf-8", quoting: str = "auto", **columns
) -> Questions:
    """The questions of files, globs or folders, in the order given; they are read here, into memory.

    A file is recognised by its content: SQuAD 1.1 and 2.0 (JSON), JSON lines with a question each, or a table (.csv,
    .tsv) with a header; .gz too. A question of JSON lines may have answers in any of the forms of `answers_of`.

    Args:
        sources: one source or a sequence of them.
        encoding: name of the files' encoding.
        quoting: what a quotation mark means in tables, as for `open_corpus`.
        columns: question_column, context_column, answer_column and start_column, if they are not called question,
            context, answer (or answers) and answer_start (or start).

    Raises:
        InputError: a file cannot be read, lacks a column, or an answer is not in its context.
    """
    places = Places()
    rows = _open(sources, Names.of(columns), encoding=encoding, quoting=quoting, answered=True)
    found = Questions.of(places.question(**row) for row in rows)
    places.tell()
    return found


def open_asked(
    sources: str | Path | Sequence[str | Path], encoding: str = "utf-8", quoting: str = "auto", **columns
) -> Iterator[tuple[str, str, str]]:
    """(question, context, id) of files as for `open_questions`, which need no answers."""
    places = Places()
    for row in _open(sources, Names.of(columns), encoding=encoding, quoting=quoting, answered=False):
        question = places.question(**{**row, "answers": (), "starts": ()})
        yield question.question, question.context, question.id


def _open(sources, names: Names, *, encoding: str, quoting: str, answered: bool) -> Iterator[dict]:
    require_encoding(encoding)
    require_quoting(quoting)
    how = {"names": names, "encoding": encoding, "quoting": quoting, "answered": answered}
    readers = find_readers(
        sources, {}, lambda path: [partial(_read, file, **how) for file in named_files(path, SUFFIXES)]
    )
    return (row for read in readers for row in read())


def _read(path: str, names: Names, encoding: str, quoting: str, answered: bool) -> Iterator[dict]:
    """The questions of one file, as arguments of `Places.question`."""
    blocks = read_characters(path, encoding)
    beginning = next((block for block in blocks if block.strip()), "").lstrip()
    if beginning.startswith(("{", "[")):
        text = beginning + "".join(blocks)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            if "\n" not in text.strip():
                raise _no_json(path, error) from error
            yield from _line_rows(path, names, encoding=encoding, answered=answered)
            return
        yield from _json_rows(value, names, path=path, answered=answered)
        return
    if not path.lower().removesuffix(".gz").endswith(tuple(SEPARATORS)):
        raise InputError(f"{path}: expected JSON, JSON lines, or a table whose name ends in .csv or .tsv")
    if beginning:
        yield from _table_rows(path, names, encoding=encoding, quoting=quoting, answered=answered)


def _line_rows(path: str, names: Names, encoding: str, answered: bool) -> Iterator[dict]:
    for number, line in enumerate(read_lines(path, encoding), 1):
        if line.isspace():
            continue
        place = f"{path} line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _no_json(place, error) from error
        if not isinstance(value, Mapping):
            raise InputError(f"{place}: expected an object with a question and its context, got {type(value).__name__}")
        yield _row(value, names, place, answered=answered)


def _no_json(place: str, error: Exception) -> InputError:
    reason = f"{error.msg} at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else error
    return InputError(f"{place}: not JSON ({reason})")


def _table_rows(path: str, names: Names, *, encoding: str, quoting: str, answered: bool) -> Iterator[dict]:
    wanted = {"question_column": names.question, "context_column": names.context}
    if answered:
        first = next(read_table(path, wanted, encoding=encoding, quoting=quoting), None)
        known = [name.strip() for name in first.names] if first else []
        wanted["answer_column"] = next((name for name in names.of_answers if name in known), names.answer)
    if answered and names.start is not None:
        wanted["start_column"] = names.start
    for record in read_table(path, wanted, encoding=encoding, quoting=quoting):
        row = dict(zip((name.strip() for name in record.names), record.cells, strict=True))
        row |= dict(zip(wanted.values(), record.values, strict=True))
        yield _row(row, names, f"{path} line {record.line}", answered=answered)


def _json_rows(value: object, names: Names, path: str, answered: bool) -> Iterator[dict]:
    """The questions of a whole JSON value: SQuAD's form, a list of questions, or one question."""
    articles = value.get("data") if isinstance(value, Mapping) else value
    if isinstance(value, Mapping) and articles is None:
        articles = [value]
    if not isinstance(articles, list) or not all(isinstance(article, Mapping) for article in articles):
        raise InputError(f"{path}: expected SQuAD's form, with articles under data, or a list of questions")
    for number, article in enumerate(articles, 1):
        if "paragraphs" in article:
            yield from _article_rows(article, f"{path} article {number}")
        else:
            yield _row(article, names, f"{path} question {number}", answered=answered)


def _article_rows(article: Mapping, place: str) -> Iterator[dict]:
    for number, paragraph in enumerate(_list_in(article, "paragraphs", place), 1):
        inside = f"{place} paragraph {number}"
        for count, asked in enumerate(_list_in(paragraph, "qas", inside), 1):
            one = f"{inside} question {asked.get('id', count)}"
            answers, starts = answers_of(asked.get("answers"), None, one)
            if asked.get("is_impossible"):
                answers, starts = (), ()
            texts = {"question": asked.get("question"), "context": paragraph.get("context")}
            yield {**texts, "answers": answers, "starts": starts, "place": one, "id": str(asked.get("id", ""))}


def _list_in(value: Mapping, key: str, place: str) -> list[Mapping]:
    found = value.get(key)
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise InputError(f"{place}: expected a list of objects under {key!r}")
    return found


def _row(row: Mapping, names: Names, place: str, answered: bool) -> dict:
    """A question of JSON lines, of a table or in memory, as arguments of `Places.question`."""
    for option, name in (("question_column", names.question), ("context_column", names.context)):
        if name not in row:
            raise missing_name(place, what="key", option=option, column=name, names=map(str, row))
    texts = {"question": row[names.question], "context": row[names.context]}
    common = {"place": place, "id": "" if row.get("id") is None else str(row["id"])}
    if not answered:
        return {**texts, **common, "answers": (), "starts": ()}
    key = next((name for name in names.of_answers if name in row), None)
    if key is None:
        raise missing_name(place, what="key", option="answer_column", column=names.answer, names=map(str, row))
    if names.start is not None and names.start not in row:
        raise missing_name(place, what="key", option="start_column", column=names.start, names=map(str, row))
    start = next((row[name] for name in ((names.start,) if names.start else _STARTS) if name in row), None)
    answers, starts = answers_of(row[key], start, place)
    return {**texts, **common, "answers": answers, "starts": starts}


def as_questions(value: object, encoding: str = "utf-8", quoting: str = "auto", **columns) -> Rows:
    """Turns the argument of a function that takes questions into a corpus.

    Args:
        value: Questions; files, as for `open_questions`; SQuAD's object; a table (such as a DataFrame, a
            datasets.Dataset or a dictionary of lists) with columns question, context, and answer or answers; or a list
            of dictionaries with these keys, of `Question`s, or of tuples (question, context, answer) or (question,
            context, answer, start), where an answer may be a list of answers and "" or None stands for no answer; or a
            tuple of such columns.
        encoding: the files' encoding.
        quoting: as for `open_questions`.
        columns: as for `open_questions`.

    Raises:
        InputError: the value is none of these, or as for `open_questions`.
    """
    if isinstance(value, Rows):
        return value
    if sources_in(value) is not None:
        return open_questions(list(map(str, sources_in(value))), encoding=encoding, quoting=quoting, **columns)
    places = Places()
    found = Questions.of(places.question(**row) for row in _rows_in(value, Names.of(columns)))
    places.tell()
    return found


def _rows_in(value: object, names: Names) -> Iterator[dict]:
    if isinstance(value, Mapping) and "data" in value:
        yield from _json_rows(value, names, "the object", answered=True)
        return
    if hasattr(value, "to_pylist"):  # of pyarrow, whose own items are no Python values
        value = value.to_pylist()
    if isinstance(value, Mapping) and isinstance(value.get(names.question), str):
        value = [value]
    if isinstance(value, tuple) and len(value) in (3, 4) and all(map(is_column, value)):  # columns, not rows
        value, names = dict(zip(Names._fields, value, strict=False)), Names(start="start" if len(value) == 4 else None)
    if (columns := column_names(value)) is not None:
        columns = [name for name in columns if isinstance(name, str)]
        rows: Iterable = (
            dict(zip(columns, one, strict=True)) for one in zip(*(value[c] for c in columns), strict=True)
        )
    elif is_column(value):
        rows = value
    else:
        raise InputError(f"expected questions: files, a table or a list, got {type(value).__name__}")
    for number, row in enumerate(rows, 1):
        place, own = f"item {number} of the list", names
        if isinstance(row, Question):
            row, own = {**row._asdict(), "answer": row.answers, "answer_start": row.starts}, Names()
        elif isinstance(row, tuple | list) and len(row) in (3, 4):
            row, own = dict(zip(("question", "context", "answer", "answer_start"), row, strict=False)), Names()
        if not isinstance(row, Mapping):
            raise InputError(f"{place}: expected (question, context, answer) or a dictionary, got {repr(row)[:80]}")
        yield _row(row, own, place, answered=True)
