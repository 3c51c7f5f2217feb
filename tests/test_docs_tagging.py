"""docs/tagging.md: its programs print what it says, its tables are those of the code, and every form in it is read."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from lmkeras.corpora.spans import Span, TaggedText
from lmkeras.corpora.tag_schemes import SCHEMES, tags_of
from lmkeras.corpora.tagged import open_tagged_corpus
from lmkeras.corpora.tagged_files import ENDINGS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["tagging.md", "tagging.zh.md"]


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page, kind):
    found = re.findall(r"^```(\w*)\n(.*?)^```", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == kind]


@pytest.mark.parametrize("page", PAGES)
def test_programs_print_what_the_page_says(page):
    programs = [program for program in blocks(page, "python") if ".fit(" not in program]
    assert len(programs) >= 2
    for program in programs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(program, page, "exec"), {})
        assert printed.getvalue().splitlines() == re.findall(r"^# (.*)", program, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_table_of_schemes(page):
    rows = [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in text_of(page).splitlines() if "| `" in row]
    rows = {row[0]: row[1:5] for row in rows if len(row) == 6}
    assert tuple(rows) == SCHEMES
    for scheme, (first, between, last, single) in rows.items():
        if scheme == "tags":
            assert tags_of([Span(0, 1, "X")], 1, scheme) == [first]
        else:
            assert tags_of([Span(0, 3, "X"), Span(4, 5, "X")], 5, scheme) == [first, between, last, "O", single]


@pytest.mark.parametrize("page", PAGES)
def test_forms_are_read(page, tmp_path):
    objects = re.findall(r"\| `([{\[].*?[}\]])`", text_of(page))
    assert len(objects) == 5
    for written in objects:
        (tmp_path / "a").write_text(written, encoding="utf-8")
        assert list(open_tagged_corpus(tmp_path / "a")) == [TaggedText(("Ada", "left"), (Span(0, 1, "PER"),))]
    columns = next(block for block in blocks(page, "") if block.startswith("EU "))
    (tmp_path / "a").write_text(columns, encoding="utf-8")
    assert [span for text in open_tagged_corpus(tmp_path / "a") for span in text.spans] == [
        Span(0, 1, "ORG"),
        Span(2, 3, "MISC"),
        Span(0, 2, "PER"),
    ]


@pytest.mark.parametrize("page", PAGES)
def test_endings_of_files_and_links(page):
    prose = text_of(page)
    assert all(f"`.{ending}`" in prose for ending in ENDINGS)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", re.sub(r"`[^`\n]*`", "", prose)):
        assert (DOCS / target).exists()
