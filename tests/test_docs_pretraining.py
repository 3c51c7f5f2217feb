"""docs/pretraining.md: its program prints what it says, and what it names is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lmkeras
from lmkeras.tasks import tasks
from lmkeras.tasks.masked import MaskedLanguage

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["pretraining.md", "pretraining.zh.md"]


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


def programs(page):
    return re.findall(r"^```python\n(.*?)^```", text_of(page), flags=re.DOTALL | re.MULTILINE)


def test_the_program_prints_what_the_page_says(tmp_path):
    (program,) = programs(PAGES[0])
    assert programs(PAGES[1]) == [program]
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == re.findall(r"^# (.*)", program, flags=re.MULTILINE), done.stderr[-2000:]


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_names_is_there(page):
    text = text_of(page)
    assert set(re.findall(r"`(TFBertFor\w+)`", text)) == {name for name in lmkeras.__all__ if "TFBertFor" in name}
    named = {name.removeprefix("Bert") for name in re.findall(r"`(BertFor\w+)`", text)}
    assert named == {one for task in tasks().values() for one in task.architectures}
    options = {option.replace("-", "_") for option in re.findall(r"`--((?!no-)[\w-]+)`", text)}
    assert options - {"text"} <= set(vars(MaskedLanguage()))
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (DOCS / target).exists()
