"""Writes predictions to a file, one row for each text, as .csv or .jsonl."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmkeras.corpora.labelled import Text
from lmkeras.durable import replacing
from lmkeras.errors import InputError

if TYPE_CHECKING:
    from lmkeras.models.prediction import Prediction


def require_writable_table(path: str | Path, overwrite: bool) -> None:
    """Raises InputError if `path` has no suffix for predictions, or if `require_writable_file` refuses it."""
    if Path(path).suffix not in (".csv", ".jsonl"):
        raise InputError(f"{path}: predictions are written as .csv or .jsonl; end the name in one of these")
    require_writable_file(path, overwrite)


def require_writable_file(path: str | Path, overwrite: bool) -> None:
    """Raises InputError if a file at `path` cannot be made, or exists and `overwrite` is False.

    Call this before the work whose result is to be written, so that the work is not done in vain.
    """
    path = Path(path).absolute()
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: name another file, or say --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: make it first")


def write_predictions(path: str | Path, predictions: Iterable[tuple[Text, "Prediction"]], labels: Sequence[str]) -> int:
    """Writes a row for each text as soon as its prediction comes.

    The rows go to a temporary file, which is renamed at the end, so that there is never half a file under this name.

    Args:
        path: a .csv with the columns text (and pair), label, and for each label `probability LABEL`; or a .jsonl with
            objects of text (and pair), label and probabilities.
        predictions: texts with the model's prediction for each.
        labels: the model's labels.

    Returns:
        The number of rows, one for each text.
    """
    write = _write_csv if Path(path).suffix == ".csv" else _write_json_lines
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        return write(file, predictions, labels)


def _columns(text: Text) -> dict[str, str]:
    return {"text": text[0], "pair": text[1]} if isinstance(text, tuple) else {"text": text}


def _write_csv(file, predictions, labels) -> int:
    # every text is quoted, because a carriage return in a text without quotes would end the row
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    count, header = 0, ["label", *(f"probability {label}" for label in labels)]
    for text, prediction in predictions:
        columns = _columns(text)
        if not count:
            writer.writerow([*columns, *header])
        count += 1
        probabilities = (float(f"{p:.6g}") for p in prediction.probabilities.values())
        writer.writerow([*columns.values(), prediction.label, *probabilities])
    if not count:
        writer.writerow(["text", *header])
    return count


def _write_json_lines(file, predictions, labels) -> int:
    count = 0
    for text, prediction in predictions:
        row = {**_columns(text), "label": prediction.label, "probabilities": prediction.probabilities}
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count
