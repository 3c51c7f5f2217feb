"""The default `lmkeras train seq2seq` on pairs of texts: seconds of the whole process, BLEU, chrF and ROUGE of tests.

Every command is one that a user types, timed from the interpreter's start to its end. With --lead, the first sentence
of each source stands beside it, which is hard to beat for summaries.

    python benchmarks/rewriting.py FOLDER [--tests test ...] [--reverse] [--lead] [--seeds 1] [--options ...]

FOLDER has train.csv, dev.csv and the tests (.gz too), with the columns source and target. What stands after --options
goes to `train` as it is.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ROOT, Side
from table import machine

SHOWN = ("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "perplexity", "length_ratio")


def part(folder: Path, name: str) -> Path:
    """The file of a part."""
    found = next(iter(sorted(folder.glob(f"{name}.csv*"))), None)
    if found is None:
        sys.exit(f"{folder} has no {name}.csv: name the tests that it has as --tests")
    return found


def command(*arguments) -> tuple[str, float]:
    """What an lmkeras command prints, and its seconds."""
    start = time.perf_counter()
    words = [sys.executable, "-m", "lmkeras", *map(str, arguments)]
    done = subprocess.run(words, env=Side("lmkeras").environment(), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout, time.perf_counter() - start


def judged(run: Path, test: Path) -> dict[str, float]:
    """The values of a test, and the seconds of the command."""
    printed, seconds = command("evaluate", run, "--text", test, "--json")
    values = json.loads(printed.splitlines()[-1])
    return {**{name: values[name] for name in SHOWN}, "seconds": seconds}


def lead(test: Path) -> dict[str, float]:
    """The values of the first sentence of each source."""
    from lmkeras.corpora.pair_files import open_pairs
    from lmkeras.reports.rewriting import RewritingReport
    from lmkeras.tasks.sentences import sentences

    sources, targets = zip(*open_pairs(str(test)), strict=True)
    report = RewritingReport.of(sources, [sentences(source)[0] for source in sources], targets)
    return {**report.scores(), "length_ratio": report.length_ratio}


def shown(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,.4g}" for name, value in values.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of train.csv, dev.csv and the tests")
    parser.add_argument("--tests", nargs="+", default=["test"], help="their names, without .csv")
    parser.add_argument("--reverse", action="store_true", help="the other direction")
    parser.add_argument("--lead", action="store_true", help="the first sentence of each source too")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="further options of train")
    options = parser.parse_args()
    print(machine())
    tests = {name: part(options.folder, name) for name in options.tests}
    if options.lead:
        for name, test in tests.items():
            print(f"first sentence, {name}: {shown(lead(test))}", flush=True)
    direction = ["--reverse"] * options.reverse
    train = ["--text", part(options.folder, "train"), "--validation", part(options.folder, "dev"), *direction]
    found = {name: [] for name in tests}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            how = ["--output", run, "--seed", seed, *options.options]
            printed, seconds = command("train", "seq2seq", *train, *how)
            told = [line for line in printed.splitlines() if line.startswith(("network", "kept", "course"))]
            print(f"seed {seed}: trained in {seconds:.0f} s", *told, sep="\n  ", flush=True)
            for name, test in tests.items():
                found[name].append(judged(run, test))
                print(f"  {name}: {shown(found[name][-1])}", flush=True)
    for name, rows in found.items():
        print(
            f"mean of {len(rows)}, {name}: {shown({key: statistics.mean(row[key] for row in rows) for key in rows[0]})}"
        )


if __name__ == "__main__":
    main()
