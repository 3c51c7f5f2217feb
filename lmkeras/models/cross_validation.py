"""Cross-validation: every example of a corpus is judged by a model that was not trained on it."""

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

from lmkeras.display import Described, aligned, html_table
from lmkeras.errors import InputError
from lmkeras.models.given import Given
from lmkeras.models.model import Model
from lmkeras.models.preparing import settings_for
from lmkeras.tasks import tasks
from lmkeras.tasks.base import Task
from lmkeras.training.settings import TrainingSettings


@dataclasses.dataclass(frozen=True, repr=False)
class CrossValidation(Described):
    """The results of a cross-validation.

    Attributes:
        reports: for each fold the report on the examples that were held out of its training.
        fold_values: for each fold the values that `evaluate` gives for these examples.
    """

    reports: tuple[Any, ...]
    fold_values: tuple[Mapping[str, float], ...]

    @property
    def report(self):
        """One report on the examples of all folds together, each example counted once."""
        return type(self.reports[0]).together(self.reports)

    def values(self) -> dict[str, float]:
        """Each metric as mean and sample standard deviation over the folds; the sums of counts; the number of folds."""
        values = {}
        for name in self.fold_values[0]:
            each = [of_fold[name] for of_fold in self.fold_values]
            if name in self._metrics:
                values |= {name: statistics.mean(each), f"{name}_deviation": statistics.stdev(each)}
            else:
                values[name] = sum(each)
        return {**values, "folds": len(self.reports)}

    @property
    def _metrics(self) -> list[str]:
        """The names of the values that are no counts."""
        return [name for name, value in self.fold_values[0].items() if isinstance(value, float)]

    def table(self) -> str:
        """A line for each fold, then mean and sample standard deviation over the folds, as plain text."""
        return aligned(self._rows())

    def _rows(self) -> list[list[str]]:
        names, values = list(self.fold_values[0]), self.values()
        rows = [["fold", *names]]
        for number, of_fold in enumerate(self.fold_values, 1):
            rows.append([str(number), *(_shown(of_fold[name]) for name in names)])
        rows.append(["mean", *(_shown(values[name]) for name in names)])
        rows.append(["deviation", *(_shown(values.get(f"{name}_deviation", "")) for name in names)])
        return rows

    def __str__(self) -> str:
        return self.table()

    def _facts(self):
        values = self.values()
        scores = {name: f"{values[name]:.4f} ± {values[f'{name}_deviation']:.4f}" for name in self._metrics}
        return {**scores, **{name: value for name, value in values.items() if not isinstance(value, float)}}

    def _repr_html_(self) -> str:
        return html_table(self._rows())


def _shown(value: float | str) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def require_reports(task: type[Task]) -> None:
    """Raises InputError if models of a task have no report, which cross-validation adds up over its folds."""
    if not task.reports:
        titles = " or ".join(other.title for other in tasks().values() if other.reports)
        raise InputError(f"cross-validation is for {titles}, and this is {task.title}: evaluate it on text of its own")


def cross_validate(
    model: Model,
    corpus,
    y=None,
    num_folds: int = 10,
    validation_fraction: float = 0.1,
    settings: TrainingSettings | None = None,
    verbose: str | int = 0,
    encoding: str = "utf-8",
    **changes,
) -> CrossValidation:
    """Trains a fresh model for each fold, on all examples outside the fold, and judges it on those in the fold.

    Args:
        model: an untrained model with a network given by name, of a task that has reports, such as a classifier. Each
            fold trains a copy; `model` stays untrained.
        corpus: as in `Model.fit`.
        y: the answers to the texts, such as labels, if they stand apart.
        num_folds: number of folds, at least 2; of a classifier, every label has its share in each fold.
        validation_fraction: share, in (0, 1), of a fold's training examples that is used to choose the best weights
            instead of training on them; 0 to train on all of them and keep the last weights.
        settings: how to train, as in `Model.fit`; the seed also decides which examples are in which fold.
        verbose: as in `Model.fit`.
        encoding: the files' encoding.
        changes: settings to change, and columns of files and tables, by name.

    Returns:
        The reports and values of all folds, with their means and standard deviations.

    Raises:
        InputError: the task has no reports; of a classifier, there are fewer than two labels, or a label has only one
            example; or `Model.fit` refuses an argument.

    Source: Kohavi 1995, "A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection".
    """
    require_reports(type(model.task))
    given, changes = Given.to(cross_validate, model.task, named=changes, encoding=encoding)
    settings = settings_for(model.task, settings, changes)
    results = []
    for train, held_out in model.task.folds(given.corpus(corpus, y), num_folds, settings.seed):
        fresh = model.untrained()
        fresh.fit(train, validation_fraction=validation_fraction, settings=settings, verbose=verbose)
        results.append(fresh.judge(held_out))
    return CrossValidation(
        tuple(report for _, report in results),
        tuple(values for values, _ in results),
    )
