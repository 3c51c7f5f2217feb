"""What a search for settings has found: its trials as a table, the best settings, and a picture."""

import csv
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmkeras.display import Described, aligned, html_table, number, shown
from lmkeras.durable import replacing
from lmkeras.errors import InputError
from lmkeras.models.search_space import Choices, Range, text_of
from lmkeras.models.studies import FAILED, FINISHED, PRUNED, TrialResult
from lmkeras.models.tuning_pictures import draw_search
from lmkeras.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lmkeras.models.model import Model
    from lmkeras.models.trials import Trials

_BEST_ROWS = 10
_CELLS = 24
_NEAR_END = 0.05  # of a range
_FEW = 5
_ARE = ("is at the end", "are at the ends")


@dataclasses.dataclass(frozen=True, repr=False)
class Tuning(Described):
    """The results of a search for settings.

    Attributes:
        trials: what came of each trial, in their order: number, state ("finished", "pruned" or "failed"), value,
            settings, updates, seconds, and why it failed.
        monitor: the name of the value, such as val_accuracy.
        higher_is_better: whether a higher value is better.
        searched: for each searched setting its values; `str` of them is as they are typed.
    """

    trials: tuple[TrialResult, ...]
    monitor: str
    higher_is_better: bool
    searched: Mapping[str, Range | Choices]
    _made_by: "Trials | None" = dataclasses.field(default=None, compare=False)

    @property
    def best(self) -> TrialResult:
        """The best of the finished trials: of equal values that with the lower loss; InputError if none is finished."""
        finished = self._ranked()
        if not finished:
            raise InputError(f"none of {len(self.trials)} trials came to its end{self._why('; most often: ')}")
        return finished[0]

    def _ranked(self) -> list[TrialResult]:
        sign = -1 if self.higher_is_better else 1
        finished = [trial for trial in self.trials if trial.finished]
        return sorted(finished, key=lambda trial: (sign * trial.value, trial.loss))

    @property
    def best_value(self) -> float:
        """The best value of the monitor."""
        return self.best.value

    @property
    def best_settings(self) -> dict[str, object]:
        """The searched settings of the best trial, by name."""
        return dict(self.best.settings)

    def best_model(self) -> "Model":
        """A new, untrained model of the best trial; `best_training` says how to train it."""
        return self._made_by.untrained(self.best_settings)

    def best_training(self) -> TrainingSettings:
        """How the model of the best trial was trained: the argument `settings` of `fit`."""
        return self._made_by.training(self.best_settings)

    def counts(self) -> str:
        """How many trials there are of each state, for people."""
        found = Counter(trial.state for trial in self.trials)
        states = {FINISHED: "finished", PRUNED: "ended early", FAILED: "failed"}
        parts = [f"{found[state]} {said}" for state, said in states.items() if found[state]]
        return f"{len(self.trials)} trials: {', '.join(parts)}{self._why(', most often: ')}" if parts else "no trials"

    def _why(self, before: str) -> str:
        """The most common reason why trials failed, after the words `before`; "" if none did."""
        reasons = Counter(trial.why for trial in self.trials if trial.state == FAILED)
        return f"{before}{reasons.most_common(1)[0][0]}" if reasons else ""

    def advice(self) -> str:
        """Which of the best settings are at an end of their range, where better ones may lie beyond it; "" for none.

        Only ranges by their logarithm count: others often end where there is nothing beyond, such as dropout 0. Of a
        few trials nothing is said.
        """
        if len(self._ranked()) < _FEW:
            return ""
        wide = {name: values for name, values in self.searched.items() if isinstance(values, Range) and values.log}
        best = self.best_settings
        shares = {name: values.share_below(best[name]) for name, values in wide.items() if name in best}
        near = [name for name, share in shares.items() if not _NEAR_END < share < 1 - _NEAR_END]
        return f"the best {' and '.join(near)} {_ARE[len(near) > 1]} of what was searched" if near else ""

    def table(self, most: int = _BEST_ROWS) -> str:
        """The best finished trials, the best first, as plain text.

        Args:
            most: how many of them.
        """
        return aligned(self._rows(most))

    def _rows(self, most: int) -> list[list[str]]:
        rows = [["trial", self.monitor, *self.searched, "updates", "seconds"]]
        for trial in self._ranked()[:most]:
            settings = [_setting(trial.settings, name) for name in self.searched]
            end = [f"{trial.updates:,}", f"{trial.seconds:.1f}"]
            rows.append([str(trial.number), number(float(trial.value)), *settings, *end])
        return rows

    def __str__(self) -> str:
        return f"{self.table()}\n{self.counts()}" if any(trial.finished for trial in self.trials) else self.counts()

    def _facts(self):
        done = any(trial.finished for trial in self.trials)
        best = {name: _setting(self.best_settings, name) for name in self.best_settings} if done else {}
        return {"trials": len(self.trials), self.monitor: self.best_value if done else None, **best}

    def _repr_html_(self) -> str:
        return html_table(self._rows(_BEST_ROWS), self.counts())

    def data(self) -> dict[str, object]:
        """All trials and the best settings, as JSON can hold them."""
        best = next((self.best for trial in self.trials if trial.finished), None)
        found = {"monitor": self.monitor, "best": best and dataclasses.asdict(best)}
        return {**found, "trials": [dataclasses.asdict(trial) for trial in self.trials]}

    def draw(self, picture: str | Path) -> None:
        """Draws values by trial with the best so far, and over each searched setting.

        Args:
            picture: the PNG file to write; an existing file is replaced.
        """
        draw_search(
            picture,
            self.trials,
            searched=self.searched,
            monitor=(self.monitor, self.higher_is_better),
        )

    def write_csv(self, path: str | Path) -> None:
        """Writes a .csv file with a row for each trial.

        Args:
            path: the file to write; an existing file is replaced.
        """
        with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["trial", "state", "value", *self.searched, "updates", "seconds", "why"])
            for trial in self.trials:
                settings = [text_of(trial.settings[name]) if name in trial.settings else "" for name in self.searched]
                value = "" if trial.value is None else repr(trial.value)
                end = [trial.updates, trial.seconds, trial.why]
                writer.writerow([trial.number, trial.state, value, *settings, *end])


def _setting(settings: Mapping[str, object], name: str) -> str:
    """A setting as tables show it; empty where a trial's network does not have it."""
    if name not in settings:
        return ""
    value = settings[name]
    return rounded(value) if isinstance(value, float) else shown(text_of(value), _CELLS)


def rounded(value: float) -> str:
    """A number in three digits.

    Example:
        >>> rounded(0.0123456), rounded(0.5), rounded(0.000012345)
        ('0.0123', '0.5', '1.23e-05')
    """
    return f"{value:.3g}"


def described_settings(settings: Mapping[str, object], names: Sequence[str]) -> str:
    """The searched settings of a trial, in one line."""
    return ", ".join(f"{name} {_setting(settings, name)}" for name in names if name in settings)
