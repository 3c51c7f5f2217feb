"""What all reports need: shares, and fonts for pictures. Tables are made by `display`."""

import numpy as np

# Font families with Chinese, Japanese and Korean letters, of which most systems have one; matplotlib's fonts lack them.
_CJK_FONTS = """Noto Sans CJK SC,Noto Sans CJK JP,Noto Sans CJK KR,Noto Sans SC,Noto Sans JP,Noto Sans KR,
Source Han Sans SC,WenQuanYi Zen Hei,WenQuanYi Micro Hei,Droid Sans Fallback,Microsoft YaHei,SimHei,Yu Gothic,
Malgun Gothic,PingFang SC,Hiragino Sans,Apple SD Gothic Neo,Arial Unicode MS""".replace("\n", "").split(",")


def share(parts, wholes):
    """parts / wholes, where 0/0 is 0."""
    return np.divide(parts, np.maximum(wholes, 1), dtype="float64")


def font_families() -> list[str]:
    """Matplotlib's own font, then those of _CJK_FONTS that are installed, for the letters that the first one lacks."""
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in _CJK_FONTS if name in installed)]
