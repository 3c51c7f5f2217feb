"""How well a classifier does, class by class: scores, tables and a picture of the confusion matrix."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmkeras.display import ROW_CELLS, Described, aligned, html_table, shown
from lmkeras.errors import InputError
from lmkeras.reports.matrix import Axis, draw_counts
from lmkeras.reports.tables import COLUMN_CELLS, MOST_HTML_COLUMNS, share


class ClassScores(NamedTuple):
    """The scores of one class, each in [0, 1]; a score that would be 0/0 is 0.0."""

    label: str
    precision: float
    """Share of the examples predicted as this class that really belong to it."""
    recall: float
    """Share of the examples of this class that are predicted as this class."""
    f1: float
    """Harmonic mean of precision and recall."""
    support: int
    """Number of examples that belong to this class."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ClassificationReport(Described):
    """A comparison of a classifier's predictions with the true classes of the same examples.

    Args:
        labels: names of the C classes.
        confusion: int [C, C]; row i, column j counts the examples of class i that were predicted as class j.

    Source: van Rijsbergen 1979, chapter 7 (F); the conventions for 0/0 and for macro_f1 are scikit-learn's defaults.

    Example:
        >>> report = ClassificationReport.from_predictions([0, 0, 1, 1], [0, 1, 1, 1], ["cat", "dog"])
        >>> report.accuracy, round(report.macro_f1, 3)
        (0.75, 0.733)
        >>> report.per_class()[0]
        ClassScores(label='cat', precision=1.0, recall=0.5, f1=0.6666666666666666, support=2)
    """

    labels: tuple[str, ...]
    confusion: np.ndarray

    @classmethod
    def from_predictions(
        cls, true_ids: Sequence[int], predicted_ids: Sequence[int], labels: Sequence[str]
    ) -> "ClassificationReport":
        """The report of n predictions, given as numbers of classes.

        Args:
            true_ids: [n], the true class of each example, as an index into `labels`.
            predicted_ids: [n], the predicted class of each example, as an index into `labels`.
            labels: names of the C classes.

        Raises:
            InputError: the two lists differ in length, or an id is not an index into `labels`.
        """
        size = len(labels)
        true_ids, predicted_ids = (
            _class_ids("true_ids", true_ids, size),
            _class_ids("predicted_ids", predicted_ids, size),
        )
        if len(true_ids) != len(predicted_ids):
            raise InputError(
                f"expected one prediction for each example, got {len(predicted_ids)} predictions for "
                f"{len(true_ids)} examples; predict the same examples that the true classes are of"
            )
        counts = np.bincount(true_ids * size + predicted_ids, minlength=size * size)
        return cls(tuple(labels), counts.reshape(size, size))

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of the examples whose true class was predicted, in [0, 1]; 0.0 where there are no examples."""
        return float(share(np.trace(self.confusion), self.confusion.sum()))

    @property
    def macro_f1(self) -> float:
        """Mean F1, in [0, 1], of the classes that occur as a true or a predicted class; 0.0 where there are none.

        A class that no example has and that was never predicted is left out, as it says nothing about the classifier.
        A class that no example has but that was predicted counts as 0. scikit-learn's f1_score does the same by
        default.
        """
        occurs = self._true_counts + self._predicted_counts > 0
        return float(share(self._f1[occurs].sum(), occurs.sum()))

    def scores(self) -> dict[str, float]:
        """The scores of all classes together, by name."""
        return {"accuracy": self.accuracy, "macro_f1": self.macro_f1}

    @classmethod
    def together(cls, reports: Sequence["ClassificationReport"]) -> "ClassificationReport":
        """One report on the examples of several reports on the same classes."""
        return cls(reports[0].labels, np.sum([report.confusion for report in reports], axis=0))

    def per_class(self) -> list[ClassScores]:
        """The scores of each class, in the order of `labels`."""
        hits = np.diag(self.confusion)
        precision, recall = share(hits, self._predicted_counts), share(hits, self._true_counts)
        columns = (precision.tolist(), recall.tolist(), self._f1.tolist(), self._true_counts.tolist())
        return [ClassScores(*row) for row in zip(self.labels, *columns, strict=True)]

    def table(self) -> str:
        """The scores as plain text: a line for each class, then accuracy and macro F1.

        Example:
            >>> report = ClassificationReport.from_predictions([0, 0, 1, 1], [0, 1, 1, 1], ["cat", "dog"])
            >>> print(report.table())
                      precision  recall     F1  examples
            cat           1.000   0.500  0.667         2
            dog           0.667   1.000  0.800         2
            accuracy                     0.750         4
            macro F1                     0.733         4
        """
        return aligned(self._score_rows())

    def _score_rows(self) -> list[list[str]]:
        header = ["", "precision", "recall", "F1", "examples"]
        rows = [
            [shown(row.label, ROW_CELLS), *(f"{score:.3f}" for score in row[1:4]), str(row.support)]
            for row in self.per_class()
        ]
        totals = [
            [name, "", "", f"{score:.3f}", str(self.examples)]
            for name, score in (("accuracy", self.accuracy), ("macro F1", self.macro_f1))
        ]
        return [header, *rows, *totals]

    def confusion_table(self) -> str:
        """The counts as plain text: a row for each true class, a column for each predicted one.

        Example:
            >>> report = ClassificationReport.from_predictions([0, 0, 1, 1], [0, 1, 1, 1], ["cat", "dog"])
            >>> print(report.confusion_table())
            true \\ predicted  cat  dog
            cat                 1    1
            dog                 0    2
        """
        return aligned(self._confusion_rows())

    def _confusion_rows(self) -> list[list[str]]:
        header = ["true \\ predicted", *(shown(label, COLUMN_CELLS) for label in self.labels)]
        rows = [
            [shown(label, ROW_CELLS), *map(str, counts)]
            for label, counts in zip(self.labels, self.confusion.tolist(), strict=True)
        ]
        return [header, *rows]

    def data(self) -> dict[str, object]:
        """What the tables show, as JSON takes it: labels, the scores of each class, and the counts [C, C].

        Example:
            >>> report = ClassificationReport.from_predictions([0, 0, 1, 1], [0, 1, 1, 1], ["cat", "dog"])
            >>> report.data()["classes"][0]["recall"], report.data()["confusion"]
            (0.5, [[1, 1], [0, 2]])
        """
        classes = [scores._asdict() for scores in self.per_class()]
        return {"labels": list(self.labels), "classes": classes, "confusion": self.confusion.tolist()}

    def text(self) -> str:
        """Both tables, one below the other."""
        return f"{self.table()}\n\n{self.confusion_table()}"

    def __str__(self) -> str:
        return self.text()

    def _facts(self):
        scores = {"accuracy": self.accuracy, "macro_f1": self.macro_f1, "examples": self.examples}
        return {**scores, "labels": self.labels}

    def _repr_html_(self) -> str:
        pages = [html_table(self._score_rows())]
        if len(self.labels) <= MOST_HTML_COLUMNS:
            pages.append(html_table(self._confusion_rows()))
        return "".join(pages)

    def draw(self, picture: str | Path) -> None:
        """Draws the confusion matrix: the number in a cell is its count, a darker cell has a larger share of its row.

        Args:
            picture: the PNG file to write; an existing file is replaced.
        """
        draw_counts(
            picture,
            self.confusion,
            rows=Axis(self.labels, "true label"),
            columns=Axis(self.labels, "label that the model predicted"),
            of_rows="the examples with this true label",
            title=f"accuracy {self.accuracy:.3f}, macro F1 {self.macro_f1:.3f}, {self.examples} examples",
        )

    @property
    def _true_counts(self) -> np.ndarray:
        return self.confusion.sum(axis=1)

    @property
    def _predicted_counts(self) -> np.ndarray:
        return self.confusion.sum(axis=0)

    @property
    def _f1(self) -> np.ndarray:
        # the harmonic mean of hits / predicted and hits / true
        return share(2 * np.diag(self.confusion), self._true_counts + self._predicted_counts)


def _class_ids(name, ids, size):
    """The ids as int64 [n]; InputError unless each is in [0, size)."""
    ids = np.asarray(ids)
    if ids.size == 0:
        return np.zeros(0, "int64")
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise InputError(
            f"expected {name} to be a list of whole numbers, got {ids.dtype} of shape {ids.shape}; "
            "of logits or probabilities, take the argmax over classes first"
        )
    if ids.min() < 0 or ids.max() >= size:
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise InputError(f"expected {name} from 0 to {size - 1}, got {wrong}; name every class in labels")
    return ids.astype("int64")
