"""The READMEs' commands and programs do what they say, in a folder of their own (`make readme`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh.md"]


def blocks(readme, kind):
    text = (ROOT / readme).read_text(encoding="utf-8")
    return [block for found, block in re.findall(r"```(sh|python)\n(.*?)```", text, flags=re.DOTALL) if found == kind]


def commands(block):
    """The commands of a block, without the installation and without what a comment says beside them."""
    lines = [re.sub(r"\s+#.*$", "", line) for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(("pip install", "#"))]


def quick(text):
    """A few updates in place of many: the test is of the commands, not of what the model learns."""
    return re.sub(r"steps([= ])100\b", r"steps\g<1>3", text)


def run(command, folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("readme", READMES)
def test_the_first_screen_names_targets_of_the_makefile(readme):
    targets = re.findall(r"^make ([\w-]+)", blocks(readme, "sh")[0], flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "parity"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_the_chinese_commands_are_the_english_ones():
    english, chinese = ([commands(block) for block in blocks(readme, "sh")] for readme in READMES)
    assert chinese == english


@pytest.mark.readme
def test_the_commands(tmp_path):
    script = "\n".join(line for block in blocks("README.md", "sh")[1:] for line in commands(block))
    out = run(["bash", "-euo", "pipefail", "-c", quick(script)], tmp_path)
    language = ["bits_per_character", "xz -9e", "The ", "perplexity", "signatures generate", '"kind": "language_model"']
    classes = ["macro F1", "confusion.png", "2 texts answered", "signature classify", '"kind": "text_classifier"']
    for sign in language + classes:
        assert sign in out
    for folder in ("exported", "exported-classifier"):
        assert (tmp_path / folder / "saved_model.pb").is_file()


@pytest.mark.readme
@pytest.mark.parametrize("readme", READMES)
def test_the_programs(readme, tmp_path):
    for program in blocks(readme, "python"):
        if "import lmkeras" not in program:
            program += "import sys\nassert 'lmkeras' not in sys.modules"
        run([sys.executable, "-c", quick(program)], tmp_path)
