"""How well a multi-label classifier does, label by label: scores, a table and a picture.

Shape letters: N texts, C labels.
"""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmkeras.display import ROW_CELLS, Described, aligned, html_table, shown
from lmkeras.durable import replacing
from lmkeras.errors import InputError
from lmkeras.reports.tables import font_families, share

_MOST_DRAWN = 100  # labels in a picture: of more, those with the most examples are drawn


class LabelScores(NamedTuple):
    """The scores of one label, each in [0, 1]; a score that would be 0/0 is 0.0."""

    label: str
    precision: float
    """Share of the texts predicted to have this label that really have it."""
    recall: float
    """Share of the texts with this label that are predicted to have it."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Number of texts that have this label."""
    threshold: float | None
    """The probability from which on the label was predicted; None where several reports with others were added up."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MultiLabelReport(Described):
    """A comparison of predicted labels with the true ones, where a text may have any number of labels.

    Args:
        labels: names of the C labels.
        hits: int [C], for each label how many texts have it and were predicted to have it.
        predicted: int [C], for each label how many texts were predicted to have it.
        true: int [C], for each label how many texts have it.
        exact: number of texts whose labels were all predicted and no others.
        examples: N.
        thresholds: [C], the probability from which on each label was predicted; None if not known.

    Source: Tsoumakas and Katakis 2007, "Multi-Label Classification: An Overview"; the conventions for 0/0 are
        scikit-learn's defaults.

    Example:
        >>> true, predicted = [[1, 0], [1, 1], [0, 0]], [[1, 0], [1, 0], [0, 0]]
        >>> report = MultiLabelReport.from_predictions(true, predicted, ["cheap", "good"])
        >>> report.scores()
        {'micro_f1': 0.8, 'macro_f1': 0.5, 'subset_accuracy': 0.6666666666666666}
    """

    labels: tuple[str, ...]
    hits: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    exact: int
    examples: int
    thresholds: tuple[float, ...] | None = None

    @classmethod
    def from_predictions(
        cls, true, predicted, labels: Sequence[str], thresholds: Sequence[float] | None = None
    ) -> "MultiLabelReport":
        """The report of N predictions.

        Args:
            true: 0 or 1 for each text and label [N, C].
            predicted: 0 or 1 for each text and label [N, C].
            labels: names of the C labels.
            thresholds: the probability from which on each label was predicted [C].

        Raises:
            InputError: the arrays are not of this shape.
        """
        true, predicted = np.asarray(true, bool), np.asarray(predicted, bool)
        if true.shape != predicted.shape or true.ndim != 2 or true.shape[1] != len(labels):
            raise InputError(
                f"expected true and predicted labels as arrays of 0 and 1 with {len(labels)} columns, one for each "
                f"label, got {true.shape} and {predicted.shape}"
            )
        return cls(
            tuple(labels),
            hits=(true & predicted).sum(axis=0),
            predicted=predicted.sum(axis=0),
            true=true.sum(axis=0),
            exact=int((true == predicted).all(axis=1).sum()),
            examples=len(true),
            thresholds=None if thresholds is None else tuple(thresholds),
        )

    @classmethod
    def together(cls, reports: Sequence["MultiLabelReport"]) -> "MultiLabelReport":
        """One report on the examples of several reports on the same labels."""
        counts = ("hits", "predicted", "true", "exact", "examples")
        added = {name: sum(getattr(report, name) for report in reports) for name in counts}
        return cls(reports[0].labels, **added)

    @property
    def micro_f1(self) -> float:
        """F1 of all decisions about all labels together, in [0, 1]."""
        return float(share(2 * self.hits.sum(), self.true.sum() + self.predicted.sum()))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of all labels, in [0, 1]; that of a label which is neither true nor predicted is 0."""
        return float(self._f1.mean()) if len(self.labels) else 0.0

    @property
    def subset_accuracy(self) -> float:
        """Share of the texts whose labels were all predicted and no others, in [0, 1]."""
        return float(share(self.exact, self.examples))

    def scores(self) -> dict[str, float]:
        """The scores of all labels together, by name."""
        return {"micro_f1": self.micro_f1, "macro_f1": self.macro_f1, "subset_accuracy": self.subset_accuracy}

    def per_label(self) -> list[LabelScores]:
        """The scores of each label, in the order of `labels`."""
        columns = (share(self.hits, self.predicted), share(self.hits, self.true), self._f1, self.true)
        thresholds = self.thresholds or [None] * len(self.labels)
        columns = (self.labels, *(column.tolist() for column in columns), thresholds)
        return [LabelScores(*row) for row in zip(*columns, strict=True)]

    def table(self) -> str:
        """The scores as plain text: a line for each label, then those of all labels together.

        Example:
            >>> true, predicted = [[1, 0], [1, 1]], [[1, 0], [1, 0]]
            >>> report = MultiLabelReport.from_predictions(true, predicted, ["cheap", "good"], thresholds=[0.5, 0.3])
            >>> print(report.table())
                             precision  recall     F1  examples  threshold
            cheap                1.000   1.000  1.000         2      0.500
            good                 0.000   0.000  0.000         1      0.300
            micro F1                            0.800         2
            macro F1                            0.500         2
            subset accuracy                     0.500         2
        """
        return "\n".join(line.rstrip() for line in aligned(self._rows()).splitlines())

    def _rows(self) -> list[list[str]]:
        header = ["", "precision", "recall", "F1", "examples", *(["threshold"] if self.thresholds else [])]
        rows = [
            [shown(row.label, ROW_CELLS), *(f"{score:.3f}" for score in row[1:4]), str(row.support)]
            + ([f"{row.threshold:.3f}"] if self.thresholds else [])
            for row in self.per_label()
        ]
        rows += [
            [name.replace("_f1", " F1").replace("_", " "), "", "", f"{score:.3f}", str(self.examples)]
            + ([""] if self.thresholds else [])
            for name, score in self.scores().items()
        ]
        return [header, *rows]

    def data(self) -> dict[str, object]:
        """What the table shows, as JSON takes it: the scores of each label, with its threshold."""
        return {"labels": list(self.labels), "scores": [row._asdict() for row in self.per_label()]}

    def text(self) -> str:
        """The table."""
        return self.table()

    def __str__(self) -> str:
        return self.text()

    def _facts(self):
        return {**self.scores(), "examples": self.examples, "labels": self.labels}

    def _repr_html_(self) -> str:
        return html_table(self._rows())

    def draw(self, picture: str | Path) -> None:
        """Draws a bar for each label, as long as its F1, with a mark at its precision and one at its recall.

        Args:
            picture: the PNG file to write; an existing file is replaced.
        """
        from matplotlib.figure import Figure

        drawn = sorted(self.per_label(), key=lambda row: -row.support)[:_MOST_DRAWN]
        figure = Figure(figsize=(7.5, 1.6 + 0.3 * len(drawn)), layout="constrained")
        axes = figure.add_subplot(xlabel="score", xlim=(0, 1.02))
        places = range(len(drawn))
        axes.barh(places, [row.f1 for row in drawn], color="#9ecae1", label="F1")
        axes.plot([row.precision for row in drawn], places, "|", color="#08519c", ms=12, mew=2, label="precision")
        axes.plot([row.recall for row in drawn], places, "x", color="#d94801", label="recall")
        # otherwise matplotlib would read dollar signs in a name as the marks of a formula
        style = {"family": font_families(), "size": 8, "parse_math": False}
        axes.set_yticks(places, [f"{shown(row.label)} ({row.support:,})" for row in drawn], **style)
        axes.invert_yaxis()
        figure.legend(loc="outside lower right", ncols=3, fontsize=8)
        scores = f"micro F1 {self.micro_f1:.3f}, macro F1 {self.macro_f1:.3f}"
        left_out = f", {len(self.labels) - len(drawn)} labels not drawn" if len(drawn) < len(self.labels) else ""
        axes.set_title(f"{scores}, {self.examples:,} texts (labels: number with it){left_out}", size=9)
        with replacing(picture) as aside, warnings.catch_warnings():
            # matplotlib warns of a letter that no font has, and draws a box for it
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            figure.savefig(aside, format="png", dpi=120)

    @property
    def _f1(self) -> np.ndarray:
        return share(2 * self.hits, self.true + self.predicted)
