"""Cross-validation: every example of a corpus judged by a classifier that has not seen it."""

import dataclasses
import statistics
from collections.abc import Iterator

import numpy as np

from lmkeras.corpora import as_labelled_corpus, folds, require_several_labels
from lmkeras.errors import InputError
from lmkeras.models.model import changed
from lmkeras.models.text_classifier import TextClassifier
from lmkeras.reports import ClassificationReport
from lmkeras.training.settings import ClassifierFitSettings


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """What the folds of a cross-validation came to.

    Attributes:
        reports: one for each fold, on the examples held out from its training.
    """

    reports: tuple[ClassificationReport, ...]

    @property
    def report(self) -> ClassificationReport:
        """All folds together: every example once."""
        return ClassificationReport(self.reports[0].labels, np.sum([part.confusion for part in self.reports], axis=0))

    def values(self) -> dict[str, float]:
        """The mean and the standard deviation (of a sample) over the folds of accuracy and macro F1, and the counts."""
        values = {}
        for name in ("accuracy", "macro_f1"):
            each = [getattr(report, name) for report in self.reports]
            values |= {name: statistics.mean(each), f"{name}_deviation": statistics.stdev(each)}
        return {**values, "folds": len(self.reports), "examples": self.report.examples}


def cross_validate(
    model: TextClassifier,
    corpus,
    num_folds: int = 10,
    validation_fraction: float = 0.1,
    settings: ClassifierFitSettings | None = None,
    verbose: str | int = 0,
    **changes,
) -> CrossValidation:
    """Trains a classifier anew for each fold, on all examples but the fold's, and judges it on those.

    Args:
        model: an untrained classifier of a named network, which says what to train; it stays untrained.
        corpus: as in `TextClassifier.fit`.
        num_folds: number of folds, at least 2; every label has its share in each.
        validation_fraction: share of each fold's training examples on which the best weights are chosen, in (0, 1);
            0 to train to the end.
        settings: how to train, see ClassifierFitSettings; the seed also fixes the folds.
        verbose: as in `fit`.
        changes: fields of the settings by name.

    Returns:
        The folds' reports, their mean and deviation.

    Raises:
        InputError: fewer than two labels, a label with a single example, or what `TextClassifier.fit` refuses.

    Source: Kohavi 1995, "A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection".
    """
    settings = changed(settings or ClassifierFitSettings(), changes)
    corpus = as_labelled_corpus(corpus)
    counts = corpus.label_counts()
    require_several_labels(counts)
    if lonely := [label for label, count in counts.items() if count < 2]:
        raise InputError(
            f"expected at least two examples of every label, got one of {', '.join(map(repr, lonely))}: where it is "
            "held out there is none to learn from; add examples or leave the label out"
        )
    return CrossValidation(tuple(_reports(model, corpus, num_folds, validation_fraction, settings, verbose)))


def _reports(model, corpus, num_folds, fraction, settings, verbose) -> Iterator[ClassificationReport]:
    for train, held_out in folds(corpus, num_folds, settings.seed):
        fresh = model.untrained()
        fresh.fit(train, validation_fraction=fraction, settings=settings, verbose=verbose)
        yield fresh.report(held_out)
