"""Draws docs/terminal.svg: what a terminal shows when a classifier is trained and asked. Run: python docs/terminal.py.

The commands are run, and what is drawn is what they print; where lines are left out stands "…".
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

_WIDTH = 118
_FIRST = 14  # so many lines of what a command prints are shown, and of the others those that begin with these words:
_LATER = re.compile(r"update 1,350|kept|course|try next|saved|accuracy  +\d\.\d{4}$")
_COMMANDS = [
    "lmkeras train classifier --text builtin:python-docstrings --output classifier",
    'lmkeras predict classifier "Compute the greatest common divisor of the integers." "Connect to the server."',
    "lmkeras export classifier exported",
]


def printed(command: str, folder: str) -> list[str]:
    """The lines that a command prints, run in a folder by this very Python."""
    words = f"{sys.executable} -m {command}"
    done = subprocess.run(words, shell=True, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def main() -> None:
    """Runs the commands and draws them."""
    console = Console(record=True, width=_WIDTH, file=open("/dev/null", "w"))  # noqa: SIM115
    with tempfile.TemporaryDirectory() as folder:
        for command in _COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            lines = printed(command, folder)
            later = [line for line in lines[_FIRST:] if _LATER.match(line)]
            for line in [*lines[:_FIRST], *(["…"] if later else []), *later]:
                console.print(Text(line.expandtabs()[:_WIDTH]))
    svg = console.export_svg(title="lmkeras", clear=False)
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # nothing is fetched to look at the picture
    Path(__file__).with_suffix(".svg").write_text("\n".join(map(str.rstrip, svg.splitlines())) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
