"""Writes predictions to a file, one row for each text, as .csv or .jsonl."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lmkeras.corpora.corpus import Text
from lmkeras.durable import local, replacing
from lmkeras.errors import InputError

if TYPE_CHECKING:
    from lmkeras.tasks.base import Task


def require_writable_table(path: str | Path, overwrite: bool) -> None:
    """Raises InputError if `path` has no suffix for predictions, or if `require_writable_file` refuses it."""
    if Path(path).suffix not in (".csv", ".jsonl"):
        raise InputError(f"{path}: predictions are written as .csv or .jsonl; end the name in one of these")
    require_writable_file(path, overwrite)


def require_writable_file(path: str | Path, overwrite: bool) -> None:
    """Raises InputError if a file at `path` cannot be made, or exists and `overwrite` is False.

    Call this before the work whose result is to be written, so that the work is not done in vain.
    """
    path = local(path).absolute()
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: name another file, or say --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: make it first")


def write_predictions(path: str | Path, predictions: Iterable[tuple[Text, object]], task: "Task") -> int:
    """Writes one row for each text, first to a temporary file, so that the file at `path` is never incomplete.

    Args:
        path: .csv with the columns text (and pair) and those that `task.row_names` names, for a classifier label and
            one for the probability of each label; or .jsonl with objects of text (and pair) and what `task.row` gives.
        predictions: texts with the model's answers.
        task: the model's task, which says how an answer is written.

    Returns:
        The number of rows, one for each text.
    """
    write = _write_csv if Path(path).suffix == ".csv" else _write_json_lines
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        return write(file, predictions, task)


def _columns(text: Text) -> dict[str, str]:
    return {"text": text[0], "pair": text[1]} if isinstance(text, tuple) else {"text": text}


def _write_csv(file, predictions, task) -> int:
    # every text is quoted, because a carriage return in a text without quotes would end the row
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    count = 0
    for text, answer in predictions:
        columns = _columns(text)
        if not count:
            writer.writerow([*columns, *task.row_names()])
        count += 1
        writer.writerow([*columns.values(), *_cells(task.row(answer).values())])
    if not count:
        writer.writerow(["text", *task.row_names()])
    return count


def _cells(values: Iterable[object]) -> Iterator[object]:
    """All numbers and texts, also those inside objects; numbers are rounded to six digits."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _cells(value.values())
        else:
            yield float(f"{value:.6g}") if isinstance(value, float) else value


def _write_json_lines(file, predictions, task) -> int:
    count = 0
    for text, answer in predictions:
        file.write(json.dumps({**_columns(text), **task.row(answer)}, ensure_ascii=False) + "\n")
        count += 1
    return count
