"""docs/translation.md: its programs and commands print what it says, in both languages, and what it names is there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lmkeras.cli import main
from lmkeras.decoding.sampling import Beams
from lmkeras.networks.registry import sizes_of
from lmkeras.tasks.seq2seq import Seq2SeqEvaluation, Seq2SeqOptions
from lmkeras.training.settings import FitSettings

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["translation.md", "translation.zh.md"]
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page, kind):
    found = re.findall(r"^```(\w*)\n(.*?)^```", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == kind]


def runs(program, folder):
    """Whether a program prints, in a process of its own, what its comments at the lines' beginnings say."""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.stdout.splitlines() == re.findall(r"^# (.*)", program, flags=re.MULTILINE), done.stderr[-2000:]


def without_numbers(text):
    return [" ".join(NUMBER.sub("0", line).split()) for line in text.splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_programs_and_commands_print_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    making, loading, alone = blocks(page, "python")
    (commands,), (printed,) = blocks(page, "sh"), blocks(page, "text")
    runs(making, tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in commands.replace("\\\n", "").splitlines():
        assert main(shlex.split(command, comments=True)[1:]) == 0
    # the last digits of values and the texts after the best one may differ between machines
    expected = [line for line in without_numbers(printed) if not line.startswith("0 ")]
    assert set(expected) <= set(without_numbers(capsys.readouterr().out))
    runs(loading, tmp_path)
    assert "lmkeras" not in alone
    runs(alone, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_options_that_the_page_names_are_there(page):
    named = {option.replace("-", "_") for option in re.findall(r"`--([\w-]+)", text_of(page))}
    known = {name for one in (Seq2SeqOptions, Seq2SeqEvaluation, FitSettings, Beams) for name in vars(one())}
    of_networks = {size for body in ("transformer", "lstm") for size in sizes_of(body, "encoder_decoders")}
    of_commands = {"text", "output", "json", "picture", "resume", "source_column", "target_column", "num_best"}
    assert named <= known | of_networks | of_commands


def test_both_pages_have_the_same_verbs():
    english, chinese = (re.findall(r"^lmkeras (\w+)", blocks(page, "sh")[0], flags=re.MULTILINE) for page in PAGES)
    assert english == chinese
