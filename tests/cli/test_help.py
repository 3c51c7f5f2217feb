import re
import subprocess
import sys

import pytest

from lmkeras import __version__
from lmkeras.arguments.options import options_of
from lmkeras.cli import verbs
from lmkeras.tasks import tasks
from tests.cli.command import require_one_line, run, run_line

VERBS = verbs()
#: what a value of Python, or a type of Python, would look like in the help, and a value that is typed otherwise: auto
PYTHON = re.compile(r"\bNone\b|\bTrue\b|\bFalse\b|\bINT\b|\bSTR\b|\bFLOAT\b|\bBOOL\b|\w_\w+ must|<class|\bAuto\b")


def entries(text: str) -> dict[str, str]:
    """What the help says of each option, in one line, by the option's name."""
    found = re.split(r"\n  (?=--\w)", re.split(r"\n\n(?=\w+:\n)", text, maxsplit=1)[1])[1:]
    return {re.match(r"[\w-]+", entry)[0]: " ".join(entry.split()) for entry in found}


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_every_option_with_its_default(verb, capsys):
    code, out, _ = run(capsys, *verb.split(), "--help")
    assert code == 0
    named = {option.flag for option in options_of(VERBS[verb]) if not option.shown.positional}
    if named:
        assert named == set(entries(out))
        for entry in entries(out).values():
            assert "(default: " in entry or "(required)" in entry, entry
    assert not PYTHON.search(out), "the help speaks of the command line, not of Python"


def test_help_for_training_has_groups(capsys):
    out = run(capsys, "train", "lm", "--help")[1]
    titles = re.findall(r"^(\w+):$", out, re.MULTILINE)
    assert titles == ["data", "model", "training", "run"]
    data, model, training, of_run = re.split(r"\n\w+:\n", out)[1:]
    assert "--text-column" in data
    assert "--d-model" in model
    assert "--window-length" in training
    assert "--checkpoint-every" in of_run


def test_defaults_are_shown_as_they_act(capsys):
    told = entries(run(capsys, "train", "lm", "--help")[1])
    assert told["--num-layers"].endswith("(default: 4 for transformers, 1 for recurrent networks)")
    assert told["--tie-embeddings"].endswith("(default: no)")
    assert told["--clip-norm"].endswith("none: no limit (default: 1.0)")
    assert told["--dff"].endswith("(default: 4 times --d-model)")
    assert told["--tensorboard"].startswith("--tensorboard, --no-tensorboard")
    assert told["--tensorboard"].endswith("(default: yes)")
    assert told["--d-model"].startswith("--d-model N Width")


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"], ["－－help"], ["—help"]])
def test_help_of_the_program_lists_all_verbs(words, capsys):
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    for verb in VERBS:
        assert re.search(rf"^  {verb}\s+[A-Z]", out, re.MULTILINE)


def test_help_of_a_verb_comes_in_several_ways(capsys):
    shown = {
        run(capsys, *words)[1] for words in (["help", "train", "lm"], ["train", "lm", "-h"], ["train lm", "--help"])
    }
    assert len(shown) == 1
    assert shown.pop().startswith("usage: lmkeras train lm --text FILES ... --output RUN [OPTIONS]\n")


@pytest.mark.parametrize("words", [["train"], ["train", "-h"], ["train", "--help"], ["help", "train"]])
def test_train_alone_lists_the_tasks(words, capsys):
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    for task in tasks().values():
        assert re.search(rf"^  train {task.command} +{re.escape(task.help['summary'])[:20]}", out, re.MULTILINE)
    assert "evaluate" not in out


@pytest.mark.parametrize("task", ["classifier", "multi-label"])
def test_the_tokenizer_of_text_without_spaces_is_in_the_help(task, capsys):
    help_text = " ".join(run(capsys, "train", task, "--help")[1].split())
    assert "auto: words, characters for text such as Chinese, WordPiece for bert" in help_text


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"lmkeras {__version__}\n", "")


def test_help_of_a_verb_that_is_none(capsys):
    require_one_line(*run_line(capsys, "help trian"), "did you mean 'train'?")


def test_help_comes_without_tensorflow():
    code = "import sys, lmkeras.cli; lmkeras.cli.main(['--help']); assert 'tensorflow' not in sys.modules, 'imported'"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
