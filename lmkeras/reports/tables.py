"""What all reports need: shares, and fonts for pictures. Tables are made by `display`."""

import logging
from collections.abc import Iterable

import numpy as np

#: a name above a column of counts is shortened to this width
COLUMN_CELLS = 12
#: a notebook does not show counts of more columns
MOST_HTML_COLUMNS = 30

_log = logging.getLogger("lmkeras")

# Font families with Chinese, Japanese and Korean letters, of which most systems have one; matplotlib's fonts lack them.
_CJK_FONTS = """Noto Sans CJK SC,Noto Sans CJK JP,Noto Sans CJK KR,Noto Sans SC,Noto Sans JP,Noto Sans KR,
Source Han Sans SC,WenQuanYi Zen Hei,WenQuanYi Micro Hei,Droid Sans Fallback,Microsoft YaHei,SimHei,Yu Gothic,
Malgun Gothic,PingFang SC,Hiragino Sans,Apple SD Gothic Neo,Arial Unicode MS""".replace("\n", "").split(",")


def share(parts, wholes):
    """parts / wholes, where 0/0 is 0."""
    return np.divide(parts, np.maximum(wholes, 1), dtype="float64")


def font_families(texts: Iterable[str] = ()) -> list[str]:
    """Fonts for a picture: matplotlib's own, then those of _CJK_FONTS that are installed, for the letters it lacks.

    Logs a warning if none of them has a letter of the texts, for which the picture shows an empty box.

    Args:
        texts: what the picture will show.
    """
    letters = {letter for text in texts for letter in text if not letter.isspace()}
    families = _installed()
    missing = _missing(letters, families)
    if missing and _find_new_fonts():
        families = _installed()
        missing = _missing(letters, families)
    if missing:
        _log.warning(
            "the picture shows empty boxes for %s letters, such as %s, which no font found here has: install one, "
            "such as by `apt install fonts-noto-cjk` or `dnf install google-noto-sans-cjk-fonts`, and draw again",
            len(missing),
            min(missing),
        )
    return families


def _installed() -> list[str]:
    from matplotlib import font_manager

    found = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _CJK_FONTS if name in found)]


def _missing(letters: set[str], families: Iterable[str]) -> set[str]:
    """The letters that no font of these families has."""
    from matplotlib import font_manager

    for family in families if letters else ():
        known = font_manager.get_font(font_manager.findfont(family)).get_charmap()
        letters = {letter for letter in letters if ord(letter) not in known}
    return letters


def _find_new_fonts() -> bool:
    """Adds fonts that were installed since matplotlib listed them, which it does once a machine; whether there are."""
    from matplotlib import font_manager

    listed = {font.fname for font in font_manager.fontManager.ttflist}
    new = [path for path in font_manager.findSystemFonts() if path not in listed]
    for path in new:
        try:
            font_manager.fontManager.addfont(path)
        except RuntimeError:  # not a font that can be drawn
            continue
    return bool(new)
