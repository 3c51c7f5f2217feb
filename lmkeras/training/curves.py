"""Draws a picture of a training run: its losses over the updates."""

import json
from pathlib import Path


def draw_curves(metrics_file: str | Path, picture: str | Path) -> None:
    """Draws the losses in a metrics.jsonl as a function of the number of updates.

    Args:
        metrics_file: a file with one JSON object per line, with "step" and "loss", and "val_loss" if there was a
            validation.
        picture: the PNG file to write; it is not written if `metrics_file` is empty.
    """
    # matplotlib's Figure, not pyplot, because pyplot would look for a window system
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in Path(metrics_file).read_text().splitlines()]
    if not lines:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="updates", ylabel="loss, nats a target")
    for name, label in (("loss", "training"), ("val_loss", "validation")):
        points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), marker=".", label=label)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=120)
