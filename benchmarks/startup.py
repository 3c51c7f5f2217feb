"""Seconds of `lmkeras --help`, `import lmkeras` and the first answers of models, beside `import tensorflow`.

Whole processes, with files in memory; the sides take turns. Fails where one of the first two imports TensorFlow.

    python benchmarks/startup.py [--rounds 5]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import Side, report

TENSORFLOW = "import tensorflow"
PYTHON = {
    "lmkeras --help": ["-m", "lmkeras", "--help"],
    "import lmkeras": ["-c", "import lmkeras"],
    TENSORFLOW: ["-c", "import tensorflow"],
    "lmkeras predict, one text": ["-m", "lmkeras", "predict", "classifier", "a text"],
    "lmkeras generate, 20 tokens": ["-m", "lmkeras", "generate", "writer", "--prompt", "x", "--max-new-tokens", "20"],
}
WITHOUT_TENSORFLOW = ("lmkeras --help", "import lmkeras")
#: how many times the seconds of `import tensorflow` an answer may take
GOALS = {"lmkeras predict, one text": 1.5, "lmkeras generate, 20 tokens": 2.5}
MODELS = """
import lmkeras
examples = list(lmkeras.open_labelled_corpus("builtin:python-docstrings"))
classifier, writer = lmkeras.TextClassifier("cnn"), lmkeras.LanguageModel("transformer")
classifier.fit(examples, steps=2, verbose=0)
classifier.save("classifier")
writer.fit([text for text, _ in examples], steps=2, verbose=0)
writer.save("writer")
"""


def python(*arguments: str, folder: str) -> str:
    """What a Python process wrote to standard error."""
    environment = Side("startup").environment() | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True).stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        for name in WITHOUT_TENSORFLOW:
            rows = python("-X", "importtime", *PYTHON[name], folder=folder).splitlines()
            if any(row.endswith(" tensorflow") for row in rows):
                sys.exit(f"{name} imports TensorFlow")
        python("-c", MODELS, folder=folder)
        times = {name: [] for name in PYTHON}
        for _ in range(rounds):
            for name, taken in times.items():
                start = time.perf_counter()
                python(*PYTHON[name], folder=folder)
                taken.append(time.perf_counter() - start)
    seconds = {name: statistics.median(taken) for name, taken in times.items()}
    peer = seconds.pop(TENSORFLOW)
    row = {"unit": "s", "peer": TENSORFLOW, "theirs": peer}
    goals = {name: f"{GOALS[name] * peer:.3g} s" if name in GOALS else "0.3 s" for name in seconds}
    report("startup", [row | {"what": name, "ours": seconds[name], "goal": goals[name]} for name in seconds])
    for name in GOALS:
        print(f"{name}: {seconds[name] / peer:.2f} times {TENSORFLOW}, the goal is {GOALS[name]}")


if __name__ == "__main__":
    main()
