"""What `lmkeras train lm` reaches where its user says nothing: nats and bits a character, beside xz, and the seconds.

Each text is trained on by the plain command in a process of its own, whose seconds are those shown. The last tenth of
the text is judged, or what --validation names. The best update should be near the last one: else the training overfits.

    python benchmarks/language_defaults.py FILES... [--validation FILE] [--options --seed 1]
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ROOT, Side

LINE = "{:<30} {:>10} {:>8} {:>10} {:>10} {:>8} {:>8} {:>12}"
HEADING = ("text", "nats/char", "bits", "xz alone", "xz given", "seconds", "updates", "best update")
BITS = re.compile(r"^bits_per_character +([\d.]+)", re.MULTILINE)
XZ = re.compile(r"^xz -9e, same text +([\d.]+) bits per character alone, ([\d.]+) after", re.MULTILINE)


def row(text: str, validation: str | None, options: list[str]) -> tuple:
    """What the command reaches for a text, in the order of HEADING.

    Args:
        text: what --text names.
        validation: what --validation names; None for the last tenth of the text.
        options: further options of the command.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "lmkeras", "train", "lm", "--text", text, "--output", str(run), *options]
        command += ["--validation", validation] if validation else []
        environment = Side("lmkeras").environment()
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *environment["PYTHONPATH"].split(os.pathsep)])
        start = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        seconds = time.monotonic() - start
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
        evaluations = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    bits = float(BITS.search(done.stdout)[1])
    xz = XZ.search(done.stdout)  # not for tokenized text, nor for very much text
    best = min(evaluations, key=lambda line: line["val_loss"])["step"]
    shown = xz.groups() if xz else ("", "")
    name = "/".join(Path(text).parts[-2:])
    return name, f"{bits * math.log(2):.4f}", f"{bits:.4f}", *shown, f"{seconds:.0f}", evaluations[-1]["step"], best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", help="files, or other names that --text takes, such as builtin:python-docs")
    parser.add_argument("--validation", help="what to judge by in place of the last tenth of each text")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="further options of lmkeras train lm")
    asked = parser.parse_args()
    print(LINE.format(*HEADING))
    for text in asked.texts:
        print(LINE.format(*row(text, asked.validation, asked.options)), flush=True)


if __name__ == "__main__":
    main()
