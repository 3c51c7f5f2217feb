"""Draws a picture of a training run: its loss, and the metric that chose the weights, over the updates."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmkeras.training.outcome import MEAN, MEAN_OF, mean_is_kept, place_of_best

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOSS = "loss: -log of the right answer's probability"


def draw_curves(
    metrics_file: str | Path, picture: str | Path, monitor: str | None = None, higher_is_better: bool = False
) -> None:
    """Draws the values in a metrics.jsonl as a function of the number of updates, and marks the weights that are kept.

    Args:
        metrics_file: a file with one JSON object per line, with "step" and "loss", and "val_loss" if there was a
            validation.
        picture: the PNG file to write; it is not written if `metrics_file` is empty.
        monitor: the value that chose the weights, such as "val_accuracy"; None if the last weights were kept.
        higher_is_better: whether a higher value of it is better.
    """
    lines = [json.loads(line) for line in Path(metrics_file).read_text().splitlines()]
    if lines:
        curves(lines, monitor, higher_is_better).savefig(picture, dpi=120)


def curves(lines: Sequence[Mapping[str, float | None]], monitor: str | None, higher_is_better: bool) -> "Figure":
    """The figure that `draw_curves` writes, from the lines of a metrics.jsonl."""
    # matplotlib's Figure, not pyplot, because pyplot would look for a window system
    from matplotlib.figure import Figure

    kept = kept_line(lines, monitor, higher_is_better)
    metric = None if monitor in (None, "val_loss", "loss") else monitor.removeprefix("val_")
    figure = Figure(figsize=(7 if metric is None else 11, 4), layout="constrained")
    value, steps = kept.get(monitor), [kept["step"]]
    title = f"weights kept after update {steps[0]:,} of {lines[-1]['step']:,}"
    if mean := _evaluations_of_mean(lines, monitor, higher_is_better):
        value, steps = lines[-1].get(f"{MEAN}{monitor}"), [line["step"] for line in lines[-mean:]]
        title = f"weights kept: the mean of the last {mean:,} evaluations"
    figure.suptitle(title if value is None else f"{title}: {monitor} {value:.4g}", size=11)
    shown = {"loss": f"{_LOSS} (lower is better)"}
    if metric is not None:
        shown[metric] = f"{metric.replace('_', ' ')} ({'higher' if higher_is_better else 'lower'} is better)"
    for place, (name, words) in enumerate(shown.items(), 1):
        axes = figure.add_subplot(1, len(shown), place, xlabel="updates of the weights", ylabel=words)
        for part, label in ((name, "training text"), (f"val_{name}", "validation text")):
            points = [(line["step"], line[part]) for line in lines if line.get(part) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=label)
        for step in steps:
            label = "weights kept" if step == steps[0] else None
            axes.axvline(step, color="tab:green", linestyle="--", label=label)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _evaluations_of_mean(lines, monitor, higher_is_better) -> int:
    """Of how many of the last evaluations the weights' mean is kept; 0 where the weights of one are."""
    if MEAN_OF not in lines[-1] or None in lines[-1].values():
        return 0
    judged = [line for line in lines if None not in line.values()]
    return lines[-1][MEAN_OF] if mean_is_kept(judged, monitor, higher_is_better) else 0


def kept_line(lines: Sequence[Mapping[str, float | None]], monitor: str | None, higher_is_better: bool) -> Mapping:
    """The evaluation whose weights are kept.

    Args:
        lines: the evaluations, in their order.
        monitor: the value that chooses; None for the last evaluation. Evaluations that lack it do not count.
        higher_is_better: whether a higher value of it is better.
    """
    judged = [line for line in lines if None not in (monitor, line.get(monitor), line.get("val_loss"))]
    return judged[place_of_best(judged, monitor, higher_is_better)] if judged else lines[-1]
