"""What a training reports: the values of each of its evaluations."""

from collections.abc import Iterable, Mapping, Sequence

from lmkeras.display import aligned, html_table, number
from lmkeras.training.outcome import MEAN, Outcome

_MOST_ROWS = 12  # a longer table is shown without its middle


class History(list):
    """The values of each evaluation of a training: a list of dictionaries and, as in Keras, a dictionary of lists.

    Args:
        evaluations: for each evaluation its values by name, such as loss and val_loss.
        updates: for each evaluation the number of updates before it.
        steps_per_epoch: how many updates make one pass over the corpus.

    Attributes:
        updates: as given: what to draw the values over.
        steps_per_epoch: as given.
        outcome: which weights were kept, how the training went and what to try next; None until a model's `fit` ends.

    Where the mean of the weights at the last evaluations was made (average_checkpoints), the last evaluation also has
    "mean_of", of how many, and the mean's values on the validation part, such as "mean_val_loss".

    Example:
        >>> history = History([{"loss": 2.0}, {"loss": 1.5}], updates=[5, 10], steps_per_epoch=5)
        >>> history[-1]["loss"], history.history["loss"], history.epoch
        (1.5, [2.0, 1.5], [1.0, 2.0])
        >>> history
        updates  epoch    loss
        5         1.00  2.0000
        10        2.00  1.5000
    """

    outcome: Outcome | None = None

    def __init__(
        self,
        evaluations: Iterable[Mapping[str, float]] = (),
        updates: Sequence[int] = (),
        steps_per_epoch: int = 1,
    ):
        super().__init__(evaluations)
        self.updates, self.steps_per_epoch = list(updates), steps_per_epoch

    @property
    def history(self) -> dict[str, list[float | None]]:
        """For each name the values of all evaluations; None where an evaluation lacks it."""
        return {
            name: [line.get(name) for line in self] for name in dict.fromkeys(name for line in self for name in line)
        }

    @property
    def epoch(self) -> list[float]:
        """For each evaluation the passes over the corpus before it, such as 1.5."""
        return [updates / self.steps_per_epoch for updates in self.updates]

    @property
    def kept(self) -> dict[str, float]:
        """The values of the weights that were kept, by the names that all evaluations have; needs an outcome."""
        values, mean = self[self.updates.index(self.outcome.update)], self.outcome.mean
        if mean is None or not mean.kept:
            return dict(values)
        return values | {name.removeprefix(MEAN): values[name] for name in values if name.startswith(f"{MEAN}val_")}

    def _rows(self) -> list[list[str]]:
        """The table: a header and a row for each evaluation, without the middle if there are many."""
        columns = {
            "updates": map(str, self.updates),
            "epoch": (f"{epoch:.2f}" for epoch in self.epoch),
            **{name: map(number, values) for name, values in self.history.items()},
        }
        rows = [list(columns), *map(list, zip(*columns.values(), strict=True))]
        if len(rows) > _MOST_ROWS + 1:
            middle = ["…"] * len(rows[0])
            rows = [*rows[: _MOST_ROWS // 2 + 1], middle, *rows[1 - _MOST_ROWS // 2 :]]
        return rows

    def __repr__(self) -> str:
        return aligned(self._rows()) if self else "History of no evaluation"

    def _repr_html_(self) -> str:
        return html_table(self._rows())
