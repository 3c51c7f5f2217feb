"""The README's commands and programs do what it says, in a folder of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


def run(command, folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_first_screen_names_targets_of_the_makefile():
    targets = re.findall(r"^make (\w+)", BLOCKS[0][1], flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_the_commands(folder):
    lines = [line for line in BLOCKS[1][1].splitlines() if not line.startswith("pip install")]
    # a few updates instead of a hundred: the test is of the commands, not of what the model learns
    script = "\n".join(lines).replace("--steps 100", "--steps 3")
    out = run(["bash", "-euo", "pipefail", "-c", script], folder)
    for sign in (
        "bits_per_character",
        "xz -9e",
        "The ",
        "perplexity",
        "exported to exported",
        '"kind": "language_model"',
    ):
        assert sign in out
    assert (folder / "exported" / "saved_model.pb").is_file()


def test_the_programs(folder):
    first, second = (block for kind, block in BLOCKS if kind == "python")
    assert "perplexity" in run([sys.executable, "-c", first.replace("epochs=1", "steps=3")], folder)
    out = run([sys.executable, "-c", second + "import sys\nassert 'lmkeras' not in sys.modules"], folder)
    assert "log_probability" in out
