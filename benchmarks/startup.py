"""Seconds of `lmkeras --help` and `import lmkeras`, whole processes, beside `import tensorflow`.

Fails where one of the first two imports TensorFlow.

    python benchmarks/startup.py [--rounds 5]
"""

import argparse
import statistics
import subprocess
import sys
import time

from measuring import Side, report

PYTHON = {
    "lmkeras --help": ["-m", "lmkeras", "--help"],
    "import lmkeras": ["-c", "import lmkeras"],
    "import tensorflow": ["-c", "import tensorflow"],
}


def run(name: str, *options: str) -> tuple[float, str]:
    """Seconds of a process and what it wrote to standard error."""
    start = time.perf_counter()
    command = [sys.executable, *options, *PYTHON[name]]
    done = subprocess.run(command, env=Side(name).environment(), capture_output=True, text=True, check=True)
    return time.perf_counter() - start, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = range(parser.parse_args().rounds)
    ours = ("lmkeras --help", "import lmkeras")
    for name in ours:
        if any(row.endswith(" tensorflow") for row in run(name, "-X", "importtime")[1].splitlines()):
            sys.exit(f"{name} imports TensorFlow")
    times = {name: [] for name in PYTHON}
    for _ in rounds:
        for name, taken in times.items():
            taken.append(run(name)[0])
    seconds = {name: statistics.median(taken) for name, taken in times.items()}
    row = {"unit": "s", "peer": "import tensorflow", "theirs": seconds["import tensorflow"], "goal": "0.3 s"}
    report("startup", [row | {"what": name, "ours": seconds[name]} for name in ours])


if __name__ == "__main__":
    main()
