"""The default `lmkeras train classifier` beside what a user would try first: TF-IDF with logistic regression, fastText.

Every side is timed from the interpreter's start until the test part is judged, for lmkeras by a second process.
TF-IDF: words and pairs of words, or characters and pairs of characters for scripts without spaces, sublinear, logistic
regression with C = 10.
fastText, if it is installed: its own defaults with pairs of words. Sets without a test part have a tenth held out,
another one for each seed. The part dev, where there is one, chooses the weights.

    python benchmarks/defaults.py FOLDER [--sets mr subj trec sst2 imdb chnsenticorp docstrings] [--seeds 3]

FOLDER has a folder for each set with all.csv, or train.csv, test.csv and perhaps dev.csv (.gz too).
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ROOT, Side

SETS = ("mr", "subj", "trec", "sst2", "imdb", "chnsenticorp", "docstrings")
WITHOUT_SPACES = ("chnsenticorp",)
LINE = "{:<14} {:<9} {:>9} {:>9} {:>9} {:>8}"


def write_parts(folder: Path | None, name: str, seed: int, output: Path) -> None:
    """Writes train.csv, perhaps dev.csv, and test.csv of a set."""
    import lmkeras

    def rows(corpus):
        return [(text, label) for text, label in corpus]

    found = {part: next((folder / name).glob(f"{part}.csv*"), None) for part in ("all", "train", "dev", "test")}
    if name == "docstrings" or found["all"] is not None:
        corpus = lmkeras.open_labelled_corpus("builtin:python-docstrings" if name == "docstrings" else found["all"])
        train, test = lmkeras.split_labelled(corpus, 0.1, seed)
        parts = {"train": train, "test": test}
    else:
        parts = {part: lmkeras.open_labelled_corpus(found[part]) for part in ("train", "dev", "test") if found[part]}
    for part, corpus in parts.items():
        lines = (json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows(corpus))
        (output / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def tfidf(folder: Path, name: str) -> None:
    """Prints accuracy and macro F1 of TF-IDF with logistic regression; run in a process of its own."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score

    (texts, labels), (test_texts, test_labels) = read(folder / "train.jsonl"), read(folder / "test.jsonl")
    analyzer = "char" if name in WITHOUT_SPACES else "word"
    vectorizer = TfidfVectorizer(analyzer=analyzer, ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000).fit(vectorizer.fit_transform(texts), labels)
    found = model.predict(vectorizer.transform(test_texts))
    print(json.dumps([accuracy_score(test_labels, found), f1_score(test_labels, found, average="macro")]))


def fasttext(folder: Path, name: str) -> None:
    """Prints accuracy and macro F1 of fastText; run in a process of its own."""
    import fasttext as library
    from sklearn.metrics import accuracy_score, f1_score

    (texts, labels), (test_texts, test_labels) = read(folder / "train.jsonl"), read(folder / "test.jsonl")
    words = "".join if name in WITHOUT_SPACES else " ".join
    clean = [words(text.split()) for text in (*texts, *test_texts)]
    clean = [" ".join(text) for text in clean] if name in WITHOUT_SPACES else clean
    names = sorted(set(labels))
    lines = (f"__label__{names.index(label)} {text}" for label, text in zip(labels, clean, strict=False))
    (folder / "fasttext.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    model = library.train_supervised(str(folder / "fasttext.txt"), wordNgrams=2, thread=2, verbose=0)
    answers = model.f.multilinePredict([f"{text}\n" for text in clean[len(texts) :]], 1, 0.0, "strict")[0]
    found = [names[int(answer[0].removeprefix("__label__"))] for answer in answers]
    print(json.dumps([accuracy_score(test_labels, found), f1_score(test_labels, found, average="macro")]))


def read(path: Path) -> tuple[list[str], list[str]]:
    """Texts and labels."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def lmkeras_side(folder: Path, seed: int) -> tuple[float, float, float]:
    """Accuracy, macro F1 and seconds of the default command and of the one that judges, processes of their own."""
    run = folder / f"run-{seed}"
    command = ["train", "classifier", "--text", str(folder / "train.jsonl"), "--output", str(run), "--seed", str(seed)]
    if (folder / "dev.jsonl").exists():
        command += ["--validation", str(folder / "dev.jsonl")]
    start = time.monotonic()
    called([sys.executable, "-m", "lmkeras", *command])
    judge = ["evaluate", str(run), "--text", str(folder / "test.jsonl"), "--json"]
    values = json.loads(called([sys.executable, "-m", "lmkeras", *judge]))
    seconds = time.monotonic() - start
    values = values.get("values", values)
    return values["accuracy"], values["macro_f1"], seconds


def peer_side(which: str, folder: Path, name: str) -> tuple[float, float, float]:
    """Accuracy, macro F1 and seconds of a peer."""
    start = time.monotonic()
    accuracy, macro_f1 = json.loads(called([sys.executable, __file__, str(folder), "--peer", which, "--sets", name]))
    return accuracy, macro_f1, time.monotonic() - start


def called(command: list[str]) -> str:
    """What a process prints; ends this one if it fails."""
    environment = Side("lmkeras").environment()
    own = os.environ.get("PYTHONPATH", "")  # where fastText may be
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment["PYTHONPATH"], own])
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def has_fasttext() -> bool:
    """Whether fastText is installed."""
    import importlib.util

    return importlib.util.find_spec("fasttext") is not None


def measure(options, name: str) -> dict[str, list[tuple[float, float, float]]]:
    """For each side the results of all seeds."""
    results = {side: [] for side in ("lmkeras", "tfidf", *(["fasttext"] if has_fasttext() else []))}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as output:
            write_parts(options.folder, name, seed, Path(output))
            for side, found in results.items():
                other = () if side == "lmkeras" else (side,)
                found.append(peer_side(*other, Path(output), name) if other else lmkeras_side(Path(output), seed))
            tests = len(read(Path(output) / "test.jsonl")[0])
    for side, found in results.items():
        accuracy, macro_f1, seconds = map(statistics.mean, zip(*found, strict=True))
        error = math.sqrt(accuracy * (1 - accuracy) / tests)
        print(
            LINE.format(name, side, f"{accuracy:.4f}", f"{error:.4f}", f"{macro_f1:.4f}", f"{seconds:.1f}"), flush=True
        )
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings: seeds 0, 1, …")
    parser.add_argument("--peer", choices=["tfidf", "fasttext"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        (tfidf if options.peer == "tfidf" else fasttext)(options.folder, options.sets[0])
        return
    print(LINE.format("set", "side", "accuracy", "± error", "macro F1", "seconds"))
    gains = []
    for name in options.sets:
        results = measure(options, name)
        best = max(statistics.mean(row[0] for row in found) for side, found in results.items() if side != "lmkeras")
        gains.append(statistics.mean(row[0] for row in results["lmkeras"]) - best)
    print(f"ahead of the better peer by {100 * statistics.mean(gains):+.2f} points in the mean")


if __name__ == "__main__":
    main()
