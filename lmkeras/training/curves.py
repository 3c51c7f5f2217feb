"""The picture of a run: losses over updates."""

import json
from pathlib import Path


def draw_curves(metrics_file: str | Path, picture: str | Path) -> None:
    """Draws the losses of metrics.jsonl, over updates.

    Args:
        metrics_file: one JSON object a line, with "step" and "loss", and "val_loss" where there was validation.
        picture: the PNG file to write; nothing is written where no evaluation has been logged.
    """
    # a Figure of its own rather than pyplot, which would choose a window system
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
