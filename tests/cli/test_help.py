import dataclasses
import inspect
import re
import subprocess
import sys

import pytest

from lmkeras.cli import verbs
from tests.cli.command import run

VERBS = verbs()


def option_names(verb):
    """The options of a verb's signature, with the fields of settings in the place of these."""
    names = set()
    for parameter in inspect.signature(VERBS[verb]).parameters.values():
        if dataclasses.is_dataclass(parameter.default):
            names.update(field.name for field in dataclasses.fields(parameter.default))
        elif parameter.name not in ("run", "folder", "texts"):  # which have no name on the command line
            names.add(parameter.name)
    return {f"--{name.replace('_', '-')}" for name in names}


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_every_option_with_its_default(verb, capsys):
    code, out, _ = run(capsys, *verb.split(), "--help")
    assert code == 0
    options = re.split(r"\n\W*(?=--\w)", out)[1:]
    assert option_names(verb) <= {re.match(r"[\w-]+", option)[0] for option in options}
    for option in options:
        words = " ".join(re.sub("[│╰╯─]", " ", option).split())
        assert "(default:" in words or "(required)" in words, words


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_for_training_lists_the_tasks(option, capsys):
    code, out, err = run(capsys, "train", option)
    assert (code, err) == (0, "")
    assert "train lm" in out
    assert "train classifier" in out


def test_help_comes_without_tensorflow():
    code = "import sys, lmkeras.cli; lmkeras.cli.main(['--help']); assert 'tensorflow' not in sys.modules, 'imported'"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
