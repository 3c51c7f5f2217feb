"""find-rate and cross-validate: verbs that train and keep no model."""

import json

import pytest

import lmkeras
from tests.cli.command import require_one_line, run

WORDS = {"好": ["好看", "精彩"], "坏": ["难看", "无聊"]}
ROWS = [(f"很 {word} {number}", label) for label, words in WORDS.items() for word in words for number in range(10)]
SMALL = ["--network", "dense", "--embedding-dim", 4, "--units", 4, "--tokenizer", "words"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "影评.csv"
    lines = [f"{label},{text}\n" for text, label in ROWS]
    path.write_text("stars,text\n" + "".join(lines), encoding="utf-8")
    return path


def classifier():
    return lmkeras.TextClassifier("dense", "words", embedding_dim=4, units=4)


def test_find_rate_prints_what_python_suggests(table, tmp_path, capsys):
    command = ["find-rate", "classifier", "--text", table, "--label-column", "stars", *SMALL, "--num-rates", 40]
    code, out, _ = run(capsys, *command, "--picture", tmp_path / "rates.png", "--batch-size", 8)
    finding = classifier().find_learning_rate(ROWS, steps=40, batch_size=8)
    assert code == 0
    assert out.splitlines()[0].split() == ["learning_rate", f"{finding.suggestion:.2g}"]
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(run(capsys, *command, "--batch-size", 8, "--json")[1])
    assert found["learning_rate"] == finding.suggestion
    assert found["losses"] == list(finding.losses)
    assert {path.name for path in tmp_path.iterdir()} == {"影评.csv", "rates.png"}


def test_cross_validate_prints_what_python_finds(table, tmp_path, capsys):
    command = ["cross-validate", "classifier", "--text", table, "--label-column", "stars", *SMALL, "--num-folds", 3]
    command += ["--epochs", 2, "--learning-rate", 0.05, "--validation-fraction", 0.2]
    code, out, _ = run(capsys, *command, "--picture", tmp_path / "confusion.png")
    how = {"num_folds": 3, "epochs": 2, "learning_rate": 0.05, "validation_fraction": 0.2}
    expected = lmkeras.cross_validate(classifier(), ROWS, **how)
    shown = dict(line.split() for line in out.splitlines()[: len(expected.values())])
    assert code == 0
    assert {name: float(value) for name, value in shown.items()} == pytest.approx(expected.values(), abs=1e-4)
    assert {"accuracy", "accuracy_deviation", "macro_f1", "loss_nats_deviation", "examples", "folds"} < set(shown)
    assert expected.report.text() in out
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"影评.csv", "confusion.png"}


def test_they_have_the_options_of_train_and_their_help(capsys):
    code, out, _ = run(capsys, "cross-validate", "classifier", "--help")
    assert code == 0
    assert all(option in out for option in ("--num-folds", "--learning-rate", "--label-column", "--max-length"))
    assert "--resume" not in out
    assert "Share of a fold's training examples" in " ".join(out.split())
    out = run(capsys, "find-rate", "lm", "--help")[1]
    assert all(option in out for option in ("--num-rates", "--optimizer", "--context-length", "--picture"))


def test_a_task_must_be_named(tmp_path, capsys):
    missing = tmp_path / "no.csv"
    says = "cross-validate needs a task: say one of cross-validate classifier, cross-validate multi-label"
    require_one_line(*run(capsys, "cross-validate", "--text", missing), says)
    require_one_line(*run(capsys, "find-rate", "--text", missing), "find-rate needs a task: say one of find-rate lm")
    require_one_line(*run(capsys, "cross-validate", "lm", "--text", missing), "unknown task 'lm'")
