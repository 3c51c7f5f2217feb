"""The READMEs' commands and programs do what they say, in a folder of their own (`make readme`)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh.md"]
GUIDES = ["docs/guide.md", "docs/guide.zh.md"]


def blocks(readme, kind):
    text = (ROOT / readme).read_text(encoding="utf-8")
    return [block for found, block in re.findall(r"```(sh|python)\n(.*?)```", text, flags=re.DOTALL) if found == kind]


def commands(block):
    """The commands of a block, without the installation and without what a comment says beside them."""
    lines = [re.sub(r"\s+#.*$", "", line) for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(("pip install", "#"))]


def quick(text):
    """A few updates in place of many: the test is of the commands, not of what the model learns."""
    text = re.sub(r"steps([= ])100\b|minutes([= ])[12]\b", r"steps\1\g<2>3", text)
    return text.replace("train classifier --text", "train classifier --steps 3 --text")


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
    assert {"demo", "chat", "test"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


@pytest.mark.parametrize(("english", "chinese"), [READMES, GUIDES])
def test_the_chinese_commands_are_the_english_ones(english, chinese):
    english, chinese = ([commands(block) for block in blocks(page, "sh")] for page in (english, chinese))
    assert chinese == english


@pytest.mark.parametrize("page", [*READMES, *GUIDES, "docs/architecture.md", "docs/measured.md", "CHANGELOG.md"])
def test_what_pages_point_to_is_there(page):
    path = ROOT / page
    prose = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
        assert (path.parent / target).exists(), f"{page} points to {target}"


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_is_short(readme):
    assert len((ROOT / readme).read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.readme
def test_the_commands(tmp_path):
    script = "\n".join(line for block in blocks("README.md", "sh")[1:] for line in commands(block))
    out = run(["bash", "-euo", "pipefail", "-c", quick(script)], tmp_path)
    language = ["bits_per_character", "xz -9e", "The ", "perplexity", "signatures generate"]
    classes = ["macro F1", "confusion.png", "2 texts answered", "signature classify"]
    for sign in language + classes:
        assert sign in out
    for folder in ("exported", "exported-classifier"):
        assert (tmp_path / folder / "saved_model.pb").is_file()


@pytest.mark.readme
def test_the_first_answer_of_the_packaged_model():
    command = ["make", "--no-print-directory", "chat"]
    question = "What is the capital of France?\n"
    done = subprocess.run(command, cwd=ROOT, input=question, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Paris" in done.stdout


@pytest.mark.readme
def test_the_commands_of_the_guide(tmp_path):
    script = "\n".join(line for block in blocks("docs/guide.md", "sh") for line in commands(block))
    run(["bash", "-euo", "pipefail", "-c", quick(script)], tmp_path)


@pytest.mark.readme
@pytest.mark.parametrize("page", [*READMES, *GUIDES])
def test_the_programs(page, tmp_path):
    for program in blocks(page, "python"):
        if "import lmkeras" not in program:
            program += "import sys\nassert 'lmkeras' not in sys.modules"
        run([sys.executable, "-c", quick(program)], tmp_path)
