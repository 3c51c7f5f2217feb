"""What the Tab key offers: by the list of words, and in bash itself."""

import shutil
import subprocess
import sys

import pytest

from lmkeras.arguments import script_for
from lmkeras.arguments.completion import completions
from lmkeras.cli import verbs
from lmkeras.tasks import tasks
from tests.cli.command import run

VERBS = verbs()
COMMANDS = [task.command for task in tasks().values()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tra"], ["train"]),
        (["train", ""], COMMANDS),
        (["train", "c"], ["classifier"]),
        (["help", "train", "l"], ["lm"]),
        (["--v"], ["--version"]),
        (["train", "lm", "--learn"], ["--learning-rate"]),
        (["train", "lm", "--no-ten"], ["--no-tensorboard"]),
        (["train", "lm", "--network", ""], ["auto", "transformer", "lstm", "gru", "simple_rnn"]),
        (["train", "lm", "--network", "l"], ["lstm"]),
        (["train", "lm", "--text", ""], []),
        (["evaluate", "--pict"], ["--picture"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["nonsense", ""], []),
    ],
)
def test_how_words_go_on(words, expected):
    assert completions(words, VERBS) == expected


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_completed(verb):
    words = verb.split()
    for count in range(len(words)):
        assert words[count] in completions([*words[:count], words[count][:1]], VERBS)
    assert "--help" in completions([*words, "-"], VERBS)


def test_the_shell_asks_lmkeras(capsys):
    assert run(capsys, "--complete", "train", "lm", "--batch") == (0, "--batch-size\n", "")
    assert run(capsys, "--complete", "train", "lm", "--text", "") == (0, "", ""), "then the shell offers files"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_its_shell_can_read(shell, capsys, tmp_path):
    assert run(capsys, "completion", shell) == (0, script_for(shell, "lmkeras"), "")
    if shutil.which(shell):
        (tmp_path / "script").write_text(script_for(shell, "lmkeras"), encoding="utf-8")
        subprocess.run([shell, "-n", tmp_path / "script"], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_a_verb_and_an_option(tmp_path):
    program = tmp_path / "lmkeras"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lmkeras "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    ask = 'COMP_WORDS=(lmkeras {0}); COMP_CWORD={1}; COMPREPLY=(); _lmkeras; echo "${{COMPREPLY[*]}}"'
    asked = [("tra", 1), ("train ''", 2), ("train classifier --enc", 3), ("train lm --schedule ''", 4)]
    script = "\n".join(["source <(lmkeras completion bash)", *(ask.format(*one) for one in asked)])
    done = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "train",
        " ".join(COMMANDS),
        "--encoding",
        "linear cosine inverse_sqrt constant",
    ]
