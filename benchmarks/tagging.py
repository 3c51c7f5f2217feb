"""What `lmkeras train tagger` reaches where its user says nothing: entities of a test part, three seeds.

Each seed is a training by the plain command in a process of its own, whose seconds are those shown; the part dev
chooses the weights, and `lmkeras evaluate` judges the test part. With --crf-suite, a linear conditional random field
over features made by hand (words, shapes, first and last letters, two words around) is trained beside it.

    python benchmarks/tagging.py FOLDER [--seeds 3] [--crf-suite] [--options --network transformer]

FOLDER has train.conll, dev.conll and test.conll. --crf-suite needs the package sklearn-crfsuite.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ROOT, Side

LINE = "{:<26} {:>10} {:>8} {:>8} {:>8}"
SCORE = re.compile(r"^(precision|recall|f1) +([\d.]+)", re.MULTILINE)


def lmkeras(*arguments: str) -> str:
    """What a command prints, in a process of its own."""
    environment = Side("lmkeras").environment()
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *environment["PYTHONPATH"].split(os.pathsep)])
    command = [sys.executable, "-m", "lmkeras", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def trained(folder: Path, seed: int, options: list[str]) -> dict[str, float]:
    """Scores on the test part, and the seconds of the training's process."""
    with tempfile.TemporaryDirectory() as aside:
        run = str(Path(aside) / "run")
        parts = ["--text", str(folder / "train.conll"), "--validation", str(folder / "dev.conll")]
        start = time.monotonic()
        lmkeras("train", "tagger", *parts, "--output", run, "--seed", str(seed), *options)
        seconds = time.monotonic() - start
        out = lmkeras("evaluate", run, "--text", str(folder / "test.conll"))
    return {**{name: 100 * float(value) for name, value in SCORE.findall(out)}, "seconds": seconds}


def by_hand(words: tuple[str, ...], at: int) -> dict[str, object]:
    """The features of a word and of the two words before and behind it."""
    found = {}
    for place in range(-2, 3):
        if not 0 <= at + place < len(words):
            found[f"{place}"] = "outside"
            continue
        word = words[at + place]
        shape = "".join("A" if c.isupper() else "a" if c.islower() else "0" if c.isdigit() else c for c in word)
        found |= {f"{place} word": word.lower(), f"{place} shape": re.sub(r"(.)\1+", r"\1", shape)}
        for length in range(1, 5):
            found |= {f"{place} first {length}": word[:length], f"{place} last {length}": word[-length:]}
    return found


def crf_suite(folder: Path) -> dict[str, float]:
    """The same of a linear conditional random field over features made by hand."""
    import sklearn_crfsuite

    from lmkeras.corpora.tag_schemes import entities_of, tags_of
    from lmkeras.corpora.tagged import open_tagged_corpus
    from lmkeras.reports.spans import SpanReport

    start = time.monotonic()
    train = list(open_tagged_corpus(folder / "train.conll"))
    model = sklearn_crfsuite.CRF(algorithm="lbfgs", c1=0.1, c2=0.1, max_iterations=100)
    model.fit(
        [[by_hand(words, at) for at in range(len(words))] for words, _ in train],
        [tags_of(spans, len(words)) for words, spans in train],
    )
    seconds = time.monotonic() - start
    test = list(open_tagged_corpus(folder / "test.conll"))
    found = model.predict([[by_hand(words, at) for at in range(len(words))] for words, _ in test])
    scores = SpanReport.from_spans([spans for _, spans in test], [entities_of(tags) for tags in found]).scores()
    return {**{name: 100 * scores[name] for name in ("precision", "recall", "f1")}, "seconds": seconds}


def show(side: str, found: dict[str, float]) -> None:
    """One line."""
    print(
        LINE.format(side, *(f"{found[name]:.2f}" for name in ("precision", "recall", "f1")), f"{found['seconds']:.0f}")
    )
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="has train.conll, dev.conll and test.conll")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--crf-suite", action="store_true")
    parser.add_argument(
        "--options", nargs=argparse.REMAINDER, default=[], help="further options of lmkeras train tagger"
    )
    asked = parser.parse_args()
    print(LINE.format("side", "precision", "recall", "f1", "seconds"))
    if asked.crf_suite:
        show("features made by hand", crf_suite(asked.folder))
    rows = []
    for seed in range(asked.seeds):
        rows.append(trained(asked.folder, seed, asked.options))
        show(f"lmkeras, seed {seed}", rows[-1])
    show("lmkeras, mean", {name: statistics.mean(row[name] for row in rows) for name in rows[0]})


if __name__ == "__main__":
    main()
