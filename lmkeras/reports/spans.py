"""How well a tagger does, type by type: scores of whole spans, tables, and a picture of the confusions between types.

Shape letters: C types.
"""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmkeras.corpora.spans import Span
from lmkeras.display import ROW_CELLS, Described, aligned, html_table, shown
from lmkeras.errors import InputError
from lmkeras.reports.matrix import Axis, draw_counts
from lmkeras.reports.tables import COLUMN_CELLS, MOST_HTML_COLUMNS, share

_MISSED, _SPURIOUS = "missed", "spurious"


class TypeScores(NamedTuple):
    """The scores of one type of spans, each in [0, 1]; a score that would be 0/0 is 0.0."""

    type: str
    precision: float
    """Share of the spans predicted to be of this type that really are."""
    recall: float
    """Share of the spans of this type that are predicted."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Number of true spans of this type."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SpanReport(Described):
    """A comparison of predicted spans with the true ones; a span is right if both boundaries and its type are.

    Args:
        types: names of the C types, sorted: those of true and of predicted spans.
        confusion: int [C + 1, C + 1]. Row i, column j counts the true spans of type i for which a span of type j with
            the same boundaries was predicted; the last column those for which no such span was, the last row the
            predicted spans that have the boundaries of no true one.
        texts: number of texts.

    Source: Tjong Kim Sang and De Meulder 2003, section 2.3; averages and the conventions for 0/0 are seqeval's.

    Example:
        >>> true = [[Span(0, 2, "PER"), Span(3, 4, "LOC")], []]
        >>> report = SpanReport.from_spans(true, [[Span(0, 2, "PER"), Span(3, 4, "PER")], []])
        >>> report.scores()
        {'precision': 0.5, 'recall': 0.5, 'f1': 0.5, 'macro_f1': 0.3333333333333333}
    """

    types: tuple[str, ...]
    confusion: np.ndarray
    texts: int

    @classmethod
    def from_spans(cls, true: Iterable[Collection[Span]], predicted: Iterable[Collection[Span]]) -> "SpanReport":
        """The report of predictions.

        Args:
            true: the true spans of each text, which do not overlap.
            predicted: the predicted spans of each text, which do not overlap.

        Raises:
            InputError: there are more texts of one kind than of the other.
        """
        true, predicted = list(true), list(predicted)
        if len(true) != len(predicted):
            raise InputError(f"expected spans for each of {len(true)} texts, got those of {len(predicted)}")
        types = tuple(sorted({span[2] for text in (*true, *predicted) for span in text}))
        number = {kind: i for i, kind in enumerate(types)}
        confusion = np.zeros((len(types) + 1, len(types) + 1), np.int64)
        for right, found in zip(true, predicted, strict=True):
            right = {(start, end): number[kind] for start, end, kind in right}
            found = {(start, end): number[kind] for start, end, kind in found}
            for bounds in right.keys() | found.keys():
                confusion[right.get(bounds, -1), found.get(bounds, -1)] += 1
        return cls(types, confusion, len(true))

    @classmethod
    def together(cls, reports: Sequence["SpanReport"]) -> "SpanReport":
        """One report on the texts of several reports."""
        types = tuple(sorted({kind for report in reports for kind in report.types}))
        confusion = np.zeros((len(types) + 1, len(types) + 1), np.int64)
        for report in reports:
            places = [*map(types.index, report.types), len(types)]
            confusion[np.ix_(places, places)] += report.confusion
        return cls(types, confusion, sum(report.texts for report in reports))

    @property
    def precision(self) -> float:
        """Share of all predicted spans that are right, in [0, 1]."""
        return float(share(self._hits.sum(), self._predicted.sum()))

    @property
    def recall(self) -> float:
        """Share of all true spans that are predicted, in [0, 1]."""
        return float(share(self._hits.sum(), self._true.sum()))

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]."""
        return float(share(2 * self._hits.sum(), self._true.sum() + self._predicted.sum()))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the types, in [0, 1]; 0.0 where there are none."""
        return float(self._f1.mean()) if self.types else 0.0

    def scores(self) -> dict[str, float]:
        """The scores of all types together, by name."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1, "macro_f1": self.macro_f1}

    def per_type(self) -> list[TypeScores]:
        """The scores of each type, in the order of `types`."""
        precision, recall = share(self._hits, self._predicted), share(self._hits, self._true)
        columns = (precision.tolist(), recall.tolist(), self._f1.tolist(), self._true.tolist())
        return [TypeScores(*row) for row in zip(self.types, *columns, strict=True)]

    def table(self) -> str:
        """The scores as plain text: a line for each type, then those of all spans, and macro F1.

        Example:
            >>> report = SpanReport.from_spans([[Span(0, 2, "PER"), Span(3, 4, "LOC")]], [[Span(0, 2, "PER")]])
            >>> print(report.table())
                       precision  recall     F1  spans
            LOC            0.000   0.000  0.000      1
            PER            1.000   1.000  1.000      1
            all spans      1.000   0.500  0.667      2
            macro F1                      0.500
        """
        return "\n".join(line.rstrip() for line in aligned(self._score_rows()).splitlines())

    def _score_rows(self) -> list[list[str]]:
        everything = TypeScores("all spans", self.precision, self.recall, f1=self.f1, support=int(self._true.sum()))
        rows = [
            [shown(row.type, ROW_CELLS), *(f"{score:.3f}" for score in row[1:4]), str(row.support)]
            for row in (*self.per_type(), everything)
        ]
        return [["", "precision", "recall", "F1", "spans"], *rows, ["macro F1", "", "", f"{self.macro_f1:.3f}", ""]]

    def confusion_table(self) -> str:
        """The counts as plain text: a row for each true type, a column for each predicted one.

        Example:
            >>> report = SpanReport.from_spans([[Span(0, 2, "PER"), Span(3, 4, "LOC")]], [[Span(0, 2, "LOC")]])
            >>> print(report.confusion_table())
            true \\ predicted  LOC  PER  missed
            LOC                 0    0       1
            PER                 1    0       0
            spurious            0    0
        """
        return "\n".join(line.rstrip() for line in aligned(self._confusion_rows()).splitlines())

    def _confusion_rows(self) -> list[list[str]]:
        header = ["true \\ predicted", *(shown(kind, COLUMN_CELLS) for kind in self.types), _MISSED]
        names = [*(shown(kind, ROW_CELLS) for kind in self.types), _SPURIOUS]
        rows = [[name, *map(str, counts)] for name, counts in zip(names, self.confusion.tolist(), strict=True)]
        rows[-1][-1] = ""  # what is neither true nor predicted is no span
        return [header, *rows]

    def data(self) -> dict[str, object]:
        """What the tables show, as JSON takes it: types, the scores of each, and the counts [C + 1, C + 1]."""
        scores = [row._asdict() for row in self.per_type()]
        return {"types": list(self.types), "scores": scores, "confusion": self.confusion.tolist()}

    def text(self) -> str:
        """Both tables, one below the other."""
        return f"{self.table()}\n\n{self.confusion_table()}"

    def __str__(self) -> str:
        return self.text()

    def _facts(self):
        return {**self.scores(), "spans": int(self._true.sum()), "texts": self.texts, "types": self.types}

    def _repr_html_(self) -> str:
        confusions = html_table(self._confusion_rows()) if len(self.types) < MOST_HTML_COLUMNS else ""
        return html_table(self._score_rows()) + confusions

    def draw(self, picture: str | Path) -> None:
        """Draws the confusions: the number in a cell is its count, a darker cell has a larger share of its row.

        Args:
            picture: the PNG file to write; an existing file is replaced.
        """
        draw_counts(
            picture,
            self.confusion,
            rows=Axis([*self.types, _SPURIOUS], "type of the true span"),
            columns=Axis([*self.types, _MISSED], "type of the predicted span with the same boundaries"),
            of_rows="the true spans of this type",
            title=f"F1 {self.f1:.3f}, macro F1 {self.macro_f1:.3f}, {self._true.sum():,} spans",
        )

    @property
    def _hits(self) -> np.ndarray:
        return np.diag(self.confusion)[:-1]

    @property
    def _true(self) -> np.ndarray:
        return self.confusion.sum(axis=1)[:-1]

    @property
    def _predicted(self) -> np.ndarray:
        return self.confusion.sum(axis=0)[:-1]

    @property
    def _f1(self) -> np.ndarray:
        return share(2 * self._hits, self._true + self._predicted)
