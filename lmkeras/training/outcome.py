"""What a training came to: which weights were kept, how its course was, and what to try next."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lmkeras.training.settings import TrainingSettings

_SOLVED = 0.99  # from this share on, a validation part has little left to choose by
_CLEARLY = 0.01  # by which share of itself a value must change for the change to be worth a word
#: in the last line of the evaluations: of how many evaluations the weights' mean was made, and what precedes the names
#: of its values
MEAN_OF, MEAN = "mean_of", "mean_"


def shown_number(value: float) -> str:
    """A value in at most four digits.

    Example:
        >>> shown_number(0.51236), shown_number(12.0), shown_number(2.5e9)
        ('0.5124', '12', '2.5e+09')
    """
    return f"{value:.4g}"


def place_of_best(lines: Sequence[Mapping[str, float]], monitor: str, higher_is_better: bool) -> int:
    """The place of the evaluation whose weights are kept: the first with the best value, then the lowest val_loss."""
    sign = -1 if higher_is_better else 1

    def worth(place: int) -> tuple[float, float]:  # the lower the better; what is no number is the worst
        values = sign * lines[place][monitor], lines[place]["val_loss"]
        return tuple(math.inf if math.isnan(value) else value for value in values)

    return min(range(len(lines)), key=worth)


def mean_is_kept(lines: Sequence[Mapping[str, float]], monitor: str, higher_is_better: bool) -> bool:
    """Whether the mean of the weights at the last evaluations was made and is kept, because none of all is better."""
    if MEAN_OF not in lines[-1]:
        return False
    mean = {name: lines[-1][f"{MEAN}{name}"] for name in (monitor, "val_loss") if f"{MEAN}{name}" in lines[-1]}
    return not mean or place_of_best([mean, *lines], monitor, higher_is_better) == 0


class MeanWeights(NamedTuple):
    """The mean of the weights at the last evaluations.

    Attributes:
        evaluations: of how many.
        kept: whether the network has these weights now.
        value: the monitor's value with them; None without validation.
        best: the monitor's value at the best evaluation; None without validation.
    """

    evaluations: int
    kept: bool
    value: float | None
    best: float | None

    def line(self, monitor: str | None) -> str:
        """A text for people."""
        of = f"of the last {self.evaluations:,} evaluations" if self.evaluations > 1 else "of the last evaluation alone"
        if monitor is None:
            return f"the mean of the weights {of}"
        value, best = shown_number(self.value), shown_number(self.best)
        if self.kept:
            return f"the mean of the weights {of}: {monitor} {value} instead of {best}"
        return f"the mean {of} is worse: {value}"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        update: the update after which the network had the weights that it has now; the last one where it has a mean.
        epoch: passes over the corpus until then.
        monitor: the name of the value that chose these weights; None without validation, where the last ones are kept.
        value: its value with them; without validation the last loss on the training batches.
        course: "improving", where the value or the validation loss still got better in the last two fifths of the
            training, or nothing is known of that; "overfitted", where the validation loss rose after the kept weights
            while the training loss fell; "level", where neither was so; "exploded", where the loss ended far above its
            start; or "nothing", where the kept weights are no better than a guess.
        worse_for: how many updates came after the kept weights.
        stopped_early: whether training ended before its last update, because no better evaluation came.
        advice: what to try next, one sentence.
        mean: the mean of the weights at the last evaluations; None where none was made.
    """

    update: int
    epoch: float
    monitor: str | None
    value: float
    course: str
    worse_for: int
    stopped_early: bool
    advice: str
    mean: MeanWeights | None = None

    def lines(self) -> list[tuple[str, str]]:
        """Names and texts for people."""
        kept = f"the weights of update {self.update:,} (epoch {self.epoch:.3g})"
        if self.monitor is None:
            kept = self.mean.line(None) if self.mean else f"{kept}, the last ones"
            return [("kept", f"{kept}; loss {shown_number(self.value)}"), ("try next", self.advice)]
        kept += f", the best: {self.monitor} {shown_number(self.value)}"
        if self.mean is not None:
            kept = self.mean.line(self.monitor) if self.mean.kept else f"{kept}; {self.mean.line(self.monitor)}"
        after = f"in the {self.worse_for:,} update{'s' * (self.worse_for != 1)} after it"
        course = {
            "improving": f"{' or '.join(dict.fromkeys((self.monitor, 'val_loss')))} still got better at the end",
            "nothing": "no better than a guess without reading the text",
            "overfitted": f"overfitted {after}: val_loss rose while the loss on the training text fell",
            "level": f"{self.monitor} got no better {after}"
            if self.worse_for
            else f"{self.monitor} changed little at last",
            "exploded": "the loss exploded",
        }[self.course]
        end = "; stopped early" * self.stopped_early
        return [("kept", kept), ("course", course + end), ("try next", self.advice)]


def outcome_of(
    lines: Sequence[Mapping[str, float]],
    updates: Sequence[int],
    *,
    steps_per_epoch: int,
    settings: TrainingSettings,
    best: tuple[str, bool],
    guess: Mapping[str, float] | None = None,
) -> Outcome:
    """The outcome of a training from its evaluations.

    Args:
        lines: the values of each evaluation by name, one at least.
        updates: the number of updates before each evaluation.
        steps_per_epoch: number of updates in one pass over the corpus.
        settings: how training was done.
        best: the name of the value that chose the weights, and whether higher is better.
        guess: what a guess without reading the text gets, see `Task.baseline`, if its loss is known.
    """
    monitor, higher = best
    judged = monitor in lines[-1]
    place = place_of_best(lines, monitor, higher) if judged else len(lines) - 1
    value, mean = lines[place][monitor if judged else "loss"], None
    if MEAN_OF in lines[-1]:
        of_mean, kept = lines[-1].get(f"{MEAN}{monitor}"), mean_is_kept(lines, *best)
        mean = MeanWeights(lines[-1][MEAN_OF], kept=kept, value=of_mean, best=value if judged else None)
        if kept:
            place, value = len(lines) - 1, of_mean if judged else value
    course = _course(lines, updates, place=place, best=best)
    if max(lines[-1]["loss"], lines[-1].get("val_loss", 0)) > 10 * (guess or {}).get("loss", math.inf) + 1:
        course = "exploded"
    total, solved = settings.total_steps(steps_per_epoch), judged and higher and value >= _SOLVED
    epoch, most = updates[place] / steps_per_epoch, settings.most_steps(steps_per_epoch)
    limit = "steps" if settings.steps is not None else "epochs"
    if settings.minutes is not None and (most is None or updates[-1] < most):
        limit = "minutes"
    if limit == "epochs":  # which follow from the amount of text where nobody gave them
        settings = dataclasses.replace(settings, epochs=most // steps_per_epoch)
    return Outcome(
        update=updates[place],
        epoch=epoch,
        monitor=monitor if judged else None,
        value=value,
        course=course,
        worse_for=updates[-1] - updates[place],
        stopped_early=total is not None and updates[-1] < total,
        advice=_advice(course, settings, limit=limit, update=updates[place], epoch=epoch, judged=judged, solved=solved),
        mean=mean,
    )


def _course(lines, updates, place, best) -> str:
    monitor, higher = best
    kept, last = lines[place], lines[-1]
    if last["loss"] > 2 * lines[0]["loss"] + 1:
        return "exploded"
    judged = monitor in last
    if judged and last["val_loss"] > (1 + _CLEARLY) * kept["val_loss"] and last["loss"] < kept["loss"]:
        return "overfitted"
    watched = [(monitor, -1 if higher else 1), ("val_loss", 1)] if judged else [("loss", 1)]
    # with a learning rate that falls to zero, little changes in the very last updates whatever longer training would do
    before = [line for line, update in zip(lines, updates, strict=True) if update <= 0.6 * updates[-1]]
    if not before:
        return "improving"
    for name, sign in watched:
        reached = min(sign * line[name] for line in before)
        if reached - sign * last[name] > _CLEARLY * abs(reached):
            return "improving"
    return "level"


def _advice(
    course: str, settings: TrainingSettings, limit: str, update: int, epoch: float, judged: bool, solved: bool
) -> str:
    """What to try next; `limit` is the setting that ended the training: epochs, steps or minutes."""
    if course == "exploded":
        return "a lower learning rate (find-rate on the command line, find_learning_rate in Python, suggests one)"
    if not judged:
        return "a validation part, which shows when to stop"
    if solved:
        return "a larger or harder validation part: all of this one, or nearly all, is right"
    if course == "overfitted":
        shorter = f"epochs {max(1, math.ceil(epoch))}" if limit == "epochs" else f"steps {update}"
        return f"more text, more dropout or a smaller network; {shorter} would do about as well in less time"
    if course == "improving":
        longer = f"{limit} {2 * getattr(settings, limit):g}"
        return f"{longer}, since longer training would still help"
    return "more text, or another network or learning rate: longer training alone would hardly help"
