"""A picture of counts in rows and columns, such as those of a confusion matrix."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmkeras.display import ROW_CELLS, cells_of, shown
from lmkeras.durable import replacing
from lmkeras.reports.tables import font_families, share

_MOST_NUMBERS = 60  # rows or columns of a matrix into whose cells their counts are written
_MOST_NAMES = 100  # names fit on an axis without overlapping


class Axis(NamedTuple):
    """The names along an axis, and what they are names of."""

    names: Sequence[str]
    title: str


def draw_counts(
    picture: str | Path, counts: np.ndarray, *, rows: Axis, columns: Axis, of_rows: str, title: str
) -> None:
    """Draws counts: the number in a cell is its count, a darker cell has a larger share of its row.

    Args:
        picture: the PNG file to write; an existing file is replaced.
        counts: int [rows, columns].
        rows: the names of the rows.
        columns: the names of the columns.
        of_rows: what a row counts, in words.
        title: what stands above the picture.
    """
    # matplotlib's Figure, not pyplot, because pyplot would look for a window system
    from matplotlib.figure import Figure

    size = max(counts.shape)
    cell_inches = max(0.36, 0.9 - 0.05 * size)
    side = 2.2 + min(size, _MOST_NUMBERS) * cell_inches
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot(xlabel=columns.title, ylabel=rows.title)
    shares = share(counts, counts.sum(axis=1)[:, None])
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label=f"share of {of_rows}", shrink=min(1, 3 / side + 0.3))
    axes.set_title(title, size=10)
    if size <= _MOST_NUMBERS:
        # a digit is 0.65 times as wide as the font size, which is in points; an inch has 72 points
        digits = len(str(counts.max(initial=0)))
        _write_numbers(axes, counts, shares, font_size=min(11, 0.85 * 72 * cell_inches / (0.65 * digits)))
    # otherwise matplotlib would read dollar signs in a name as the marks of a formula
    names = [shown(name, ROW_CELLS) for name in (*rows.names, *columns.names)]
    style = {"family": font_families(names), "size": 8, "parse_math": False}
    upright = max(map(cells_of, names), default=0) * 0.09 > cell_inches
    for set_ticks, axis, rotation in ((axes.set_xticks, columns, 90 * upright), (axes.set_yticks, rows, 0)):
        every = -(-len(axis.names) // _MOST_NAMES) or 1
        places = range(0, len(axis.names), every)
        set_ticks(places, [shown(axis.names[i], ROW_CELLS) for i in places], rotation=rotation, **style)
    with replacing(picture) as aside, warnings.catch_warnings():
        # matplotlib warns of a letter that no font has, and draws a box for it
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(aside, format="png", dpi=120)


def _write_numbers(axes, counts, shares, font_size):
    """Writes every count that is not 0 into its cell."""
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        style = {"ha": "center", "va": "center", "color": colour, "size": font_size}
        axes.text(column, row, str(counts[row, column]), **style)
