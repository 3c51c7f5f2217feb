"""Cross-validation: every example of a corpus is judged by a classifier that was not trained on it."""

import dataclasses
import statistics
from collections.abc import Iterator

import numpy as np

from lmkeras.corpora import folds, require_several_labels
from lmkeras.display import Described, aligned, html_table
from lmkeras.errors import InputError
from lmkeras.models.given import Given
from lmkeras.models.text_classifier import TextClassifier
from lmkeras.reports import ClassificationReport
from lmkeras.training.settings import ClassifierFitSettings, changed


@dataclasses.dataclass(frozen=True, repr=False)
class CrossValidation(Described):
    """The results of a cross-validation.

    Attributes:
        reports: for each fold the report on the examples that were held out of its training.
    """

    reports: tuple[ClassificationReport, ...]

    @property
    def report(self) -> ClassificationReport:
        """One report on the examples of all folds together, each example counted once."""
        return ClassificationReport(self.reports[0].labels, np.sum([part.confusion for part in self.reports], axis=0))

    def values(self) -> dict[str, float]:
        """Accuracy and macro F1, each as mean and sample standard deviation over the folds, and two counts."""
        values = {}
        for name in ("accuracy", "macro_f1"):
            each = [getattr(report, name) for report in self.reports]
            values |= {name: statistics.mean(each), f"{name}_deviation": statistics.stdev(each)}
        return {**values, "folds": len(self.reports), "examples": self.report.examples}

    def table(self) -> str:
        """A line for each fold, then mean and sample standard deviation over the folds, as plain text."""
        return aligned(self._rows())

    def _rows(self) -> list[list[str]]:
        rows = [["fold", "accuracy", "macro F1", "examples"]]
        for number, report in enumerate(self.reports, 1):
            rows.append([str(number), f"{report.accuracy:.3f}", f"{report.macro_f1:.3f}", str(report.examples)])
        values = self.values()
        for name, end in (("mean", ""), ("deviation", "_deviation")):
            scores = (f"{values[score + end]:.3f}" for score in ("accuracy", "macro_f1"))
            rows.append([name, *scores, "" if end else str(values["examples"])])
        return rows

    def __str__(self) -> str:
        return self.table()

    def _facts(self):
        values = self.values()
        scores = {name: f"{values[name]:.4f} ± {values[f'{name}_deviation']:.4f}" for name in ("accuracy", "macro_f1")}
        return {**scores, "folds": values["folds"], "examples": values["examples"]}

    def _repr_html_(self) -> str:
        return html_table(self._rows())


def cross_validate(
    model: TextClassifier,
    corpus,
    y=None,
    num_folds: int = 10,
    validation_fraction: float = 0.1,
    settings: ClassifierFitSettings | None = None,
    verbose: str | int = 0,
    encoding: str = "utf-8",
    **changes,
) -> CrossValidation:
    """Trains a fresh classifier for each fold, on all examples outside the fold, and judges it on those in the fold.

    Args:
        model: an untrained classifier with a network given by name. Each fold trains a copy; `model` stays untrained.
        corpus: as in `TextClassifier.fit`.
        y: the labels of the texts, if they stand apart.
        num_folds: number of folds, at least 2; every label has its share in each fold.
        validation_fraction: share, in (0, 1), of a fold's training examples that is used to choose the best weights
            instead of training on them; 0 to train on all of them and keep the last weights.
        settings: how to train, see ClassifierFitSettings; the seed also decides which examples are in which fold.
        verbose: as in `TextClassifier.fit`.
        encoding: the files' encoding.
        changes: settings to change, and columns of files and tables, by name.

    Returns:
        The reports of all folds, with their mean and standard deviation.

    Raises:
        InputError: there are fewer than two labels, a label has only one example, or `TextClassifier.fit` refuses an
            argument.

    Source: Kohavi 1995, "A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection".
    """
    given, changes = Given.to(cross_validate, model.task, named=changes, encoding=encoding)
    settings = changed(settings or ClassifierFitSettings(), changes)
    corpus = given.corpus(corpus, y)
    counts = corpus.label_counts()
    require_several_labels(counts)
    if lonely := [label for label, count in counts.items() if count < 2]:
        raise InputError(
            f"expected at least two examples of every label, got one of {', '.join(map(repr, lonely))}: where it is "
            "held out there is none to learn from; add examples or leave the label out"
        )
    return CrossValidation(
        tuple(
            _reports(
                model,
                corpus=corpus,
                num_folds=num_folds,
                fraction=validation_fraction,
                settings=settings,
                verbose=verbose,
            )
        )
    )


def _reports(model, corpus, num_folds, fraction, settings, verbose) -> Iterator[ClassificationReport]:
    for train, held_out in folds(corpus, num_folds, settings.seed):
        fresh = model.untrained()
        fresh.fit(train, validation_fraction=fraction, settings=settings, verbose=verbose)
        yield fresh.report(held_out)
