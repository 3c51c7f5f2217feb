import logging

import pytest

from lmkeras.reports import ClassificationReport, tables


@pytest.fixture
def no_cjk_font(monkeypatch):
    monkeypatch.setattr(tables, "_CJK_FONTS", [])
    monkeypatch.setattr(tables, "_find_new_fonts", lambda: False)


def warnings_of(labels, caplog, folder):
    report = ClassificationReport.from_predictions([0, 1], [0, 1], labels)
    with caplog.at_level(logging.WARNING, "lmkeras"):
        report.draw(folder / "confusion.png")
    return [record.getMessage() for record in caplog.records]


@pytest.mark.usefixtures("no_cjk_font")
def test_letters_without_a_font_are_said_once_and_how_to_get_one(caplog, tmp_path):
    (message,) = warnings_of(["好评", "差评"], caplog, tmp_path)
    assert message.startswith("the picture shows empty boxes for 3 letters, such as 好,")
    assert "apt install fonts-noto-cjk" in message


@pytest.mark.usefixtures("no_cjk_font")
def test_letters_that_matplotlib_brings_need_no_word(caplog, tmp_path):
    assert warnings_of(["good\tor so", "schön Ω"], caplog, tmp_path) == []


def test_fonts_are_looked_for_again_where_letters_are_missing(monkeypatch, caplog):
    """STIX, which comes with matplotlib, stands for a font that was installed after matplotlib looked for fonts."""
    fraktur = "\U0001d504"  # a letter that STIX has, and matplotlib's own font lacks
    fonts = []
    monkeypatch.setattr(tables, "_CJK_FONTS", fonts)
    monkeypatch.setattr(tables, "_find_new_fonts", lambda: fonts.append("STIXGeneral") or True)
    with caplog.at_level(logging.WARNING, "lmkeras"):
        assert tables.font_families(["plain"]) == ["DejaVu Sans"]
        assert tables.font_families([fraktur]) == ["DejaVu Sans", "STIXGeneral"]
    assert caplog.records == []
