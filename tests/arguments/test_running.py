"""Which errors are the user's, and get one line, and which are bugs, and keep their traceback."""

from pathlib import Path

import pytest

import lmkeras
from lmkeras.arguments import Program, run_verb

PACKAGE = Path(lmkeras.__file__).parent


def reading(path):
    def read() -> None:
        """Read a file."""
        Path(path).read_bytes()

    return Program("prog", "1", "Reads.", verbs={"read": read}, second_words={})


def test_a_file_that_the_user_named_is_one_line(tmp_path, capsys):
    assert run_verb(reading(tmp_path / "missing"), ["read"]) == 2
    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["", "models", "arguments"])
def test_a_file_that_lmkeras_itself_lacks_is_a_bug(part):
    with pytest.raises(FileNotFoundError):
        run_verb(reading(PACKAGE / part / "missing"), ["read"])
