"""Where files and tables hold the parts of an example: options of every task."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where tables hold the parts of an example."""

    text_column: str = "text"
    """column (.csv, .tsv) or key (.jsonl) that holds the text."""
    quoting: Literal["auto", "on", "off"] = "auto"
    """what a quotation mark means in .csv and .tsv. on: a field that begins with one goes on to the closing one; off:
    it is a character like others; auto: on in .csv, off in .tsv."""


@dataclasses.dataclass(frozen=True)
class TextColumns(Columns):
    """Where tables hold a text, or a pair of texts."""

    pair_column: str | None = None
    """column or key that holds the second text, where an example is a pair of texts."""


@dataclasses.dataclass(frozen=True)
class PairColumns:
    """Where tables hold a text and what is to be made of it."""

    source_column: str = "source"
    """column (.csv, .tsv) or key (.jsonl) that holds the source, from which the target is to be made."""
    target_column: str = "target"
    """column or key that holds the target, such as the translation or the summary."""
    quoting: Literal["auto", "on", "off"] = "auto"
    """what a quotation mark means in .csv and .tsv. on: a field that begins with one goes on to the closing one; off:
    it is a character like others; auto: on in .csv, off in .tsv."""
