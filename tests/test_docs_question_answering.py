"""docs/question_answering.md: its program prints what it says, and both pages have the same one."""

import contextlib
import io
import re
from pathlib import Path

import pytest

PAGES = [Path(__file__).parents[1] / "docs" / f"question_answering{language}.md" for language in ("", ".zh")]


def test_the_program_prints_what_the_pages_say(tmp_path, monkeypatch):
    pytest.importorskip("bm25s")
    program, chinese = (re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL) for page in PAGES)
    assert program == chinese
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program[0], PAGES[0].name, "exec"), {})
    assert printed.getvalue().splitlines() == re.findall(r"^# (.*)", program[0], flags=re.MULTILINE)
