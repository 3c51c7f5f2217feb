"""What all reports need: shares, tables as plain text, and fonts for pictures."""

import unicodedata

import numpy as np

#: a name at the beginning of a row, or on an axis of a picture, is shortened to this width
ROW_CELLS = 24
# Font families with Chinese, Japanese and Korean letters, of which most systems have one; matplotlib's fonts lack them.
_CJK_FONTS = """Noto Sans CJK SC,Noto Sans CJK JP,Noto Sans CJK KR,Noto Sans SC,Noto Sans JP,Noto Sans KR,
Source Han Sans SC,WenQuanYi Zen Hei,WenQuanYi Micro Hei,Droid Sans Fallback,Microsoft YaHei,SimHei,Yu Gothic,
Malgun Gothic,PingFang SC,Hiragino Sans,Apple SD Gothic Neo,Arial Unicode MS""".replace("\n", "").split(",")


def share(parts, wholes):
    """parts / wholes, where 0/0 is 0."""
    return np.divide(parts, np.maximum(wholes, 1), dtype="float64")


def cells_of(text: str) -> int:
    """The width of a text in a terminal, in cells: two for a wide character, none for a combining one."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)


def shown(label: str, cells: int) -> str:
    """A label on one line, at most `cells` wide; a long label loses its middle, since names differ most at the ends."""
    label = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in str(label)).split())
    if cells_of(label) <= cells:
        return label
    head, tail = len(label), len(label)
    while cells_of(label[:head]) > cells // 2:
        head -= 1
    while cells_of(label[len(label) - tail :]) > (cells - 1) // 2:
        tail -= 1
    return f"{label[:head]}…{label[len(label) - tail :]}"


def aligned(rows: list[list[str]]) -> str:
    """A table as text: the first column is left-aligned, the others are right-aligned, two blanks between columns."""
    widths = [max(map(cells_of, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        blanks = [" " * (width - cells_of(text)) for width, text in zip(widths, row, strict=True)]
        parts = [row[0] + blanks[0], *(blank + text for blank, text in zip(blanks[1:], row[1:], strict=True))]
        lines.append("  ".join(parts))
    return "\n".join(lines)


def font_families() -> list[str]:
    """Matplotlib's own font, then those of _CJK_FONTS that are installed, for the letters that the first one lacks."""
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _CJK_FONTS if name in installed)]
