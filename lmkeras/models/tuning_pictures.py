"""Draws a search: the values of its trials in their order, and over each searched setting."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmkeras.display import ROW_CELLS, shown
from lmkeras.durable import replacing
from lmkeras.models.search_space import Choices, Range, text_of
from lmkeras.models.studies import FINISHED, PRUNED, TrialResult
from lmkeras.reports.tables import font_families

_COLUMNS, _MOST_NAMES, _MOST_LETTERS = 3, 12, 30
_LOOKS = {FINISHED: ("o", "tab:blue", "trained to its end"), PRUNED: ("x", "tab:gray", "ended early")}


def draw_search(
    picture: str | Path,
    results: Sequence[TrialResult],
    *,
    searched: Mapping[str, Range | Choices],
    monitor: tuple[str, bool],
) -> None:
    """Writes a PNG file: values by trial with the best so far, then for each setting the values over it.

    Args:
        picture: the file; an existing one is replaced.
        results: of all trials.
        searched: what was searched for each setting.
        monitor: the name of the value, and whether higher is better.
    """
    # matplotlib's Figure, not pyplot, because pyplot would look for a window system
    from matplotlib.figure import Figure

    rows = -(-(1 + len(searched)) // _COLUMNS)
    figure = Figure(figsize=(4.2 * _COLUMNS, 3.3 * rows), layout="constrained")
    valued = [result for result in results if result.value is not None]
    _history(figure.add_subplot(rows, _COLUMNS, 1), valued, monitor)
    for place, name in enumerate(searched, 2):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        axes.set(xlabel=name.replace("_", " "), ylabel=monitor[0])
        axes.grid(alpha=0.3)
        own = [result for result in valued if name in result.settings]
        _slice(axes, name, values=searched[name], valued=own)
    with replacing(picture) as aside, warnings.catch_warnings():
        # matplotlib warns of a letter that no font has, and draws a box for it
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(aside, format="png", dpi=120)


def _history(axes, valued: Sequence[TrialResult], monitor: tuple[str, bool]) -> None:
    name, higher = monitor
    for state, (marker, colour, label) in _LOOKS.items():
        points = [(result.number, result.value) for result in valued if result.state == state]
        if points:
            axes.scatter(*zip(*points, strict=True), marker=marker, color=colour, label=label)
    best, course = None, []
    for result in valued:
        if result.finished:
            best = result.value if best is None else (max if higher else min)(best, result.value)
            course.append((result.number, best))
    if course:
        axes.step(*zip(*course, strict=True), where="post", color="tab:green", label="best so far")
        axes.legend(fontsize=8)
    axes.set(xlabel="trial", ylabel=f"{name} ({'higher' if higher else 'lower'} is better)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)


def _slice(axes, name: str, values: Range | Choices, valued: Sequence[TrialResult]) -> None:
    """The values of trials over a setting: on an axis of numbers for a range, else side by side by name."""
    tried = [result.settings[name] for result in valued]
    if isinstance(values, Range):
        if values.log:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(lambda *_: "")  # else its numbers overlap
        axes.set_xlim(values.low, values.high)
    else:
        texts = list(map(text_of, values.values))
        tried = [texts.index(text_of(value)) for value in tried]
        labels = [shown(text, ROW_CELLS) for text in texts]
        # otherwise matplotlib would read dollar signs in a name as the marks of a formula
        style = {"family": font_families(labels), "parse_math": False}
        style |= {"size": 8, "rotation": 20, "ha": "right"} if len("".join(labels)) > _MOST_LETTERS else {}
        every = math.ceil(len(labels) / _MOST_NAMES)
        axes.set_xticks(range(0, len(labels), every), labels[::every], **style)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    for state, (marker, colour, _) in _LOOKS.items():
        points = [(x, result.value) for x, result in zip(tried, valued, strict=True) if result.state == state]
        if points:
            axes.scatter(*zip(*points, strict=True), marker=marker, color=colour)
