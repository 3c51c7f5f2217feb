"""train classifier, and what evaluate, export and info do with a classifier."""

import csv
import json
import os
import re
import signal

import pytest
import tensorflow as tf

import lmkeras
from lmkeras.cli import main
from lmkeras.training.callbacks import Evaluations
from tests.cli.command import filled_in, require_one_line, run
from tests.models.reviews import matches, reviews

SMALL = (
    "--network dense --embedding-dim 16 --units 16 --dropout 0 --steps 60 --batch-size 16 --learning-rate 0.02".split()
)


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("text") / "reviews.csv", [("text", "label"), *reviews(100)])


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "classifier", "--text", str(table), "--output", str(folder), *SMALL]) == 0
    return folder


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=4, units=4)
    model.fit(["some text to learn. "] * 5, steps=1, verbose=0)
    model.save(folder)
    return folder


def test_train_leaves_a_whole_run_and_says_how_well_it_went(table, tmp_path, capsys):
    code, out, err = run(capsys, "train", "classifier", "--text", table, "--output", tmp_path / "run", *SMALL)
    assert (code, err) == (0, "")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "settings.json",
        "metrics.jsonl",
        "curves.png",
        "logs",
        "checkpoints",
    }
    corpus = lmkeras.open_labelled_corpus(table)
    values, report = lmkeras.load(tmp_path / "run").judge(lmkeras.split_labelled(corpus)[1])
    assert f"accuracy             {values['accuracy']:.4f}" in out
    assert report.table() in out
    assert report.confusion_table() in out


def test_evaluate(trained, table, tmp_path, capsys):
    picture = tmp_path / "confusion.png"
    code, out, _ = run(capsys, "evaluate", trained, "--text", table, "--picture", picture)
    expected = lmkeras.load(trained).evaluate(table)
    shown = dict(line.split() for line in out.splitlines()[:4])
    assert code == 0
    assert {name: float(value) for name, value in shown.items()} == pytest.approx(expected, abs=1e-4)
    assert {"accuracy", "macro_f1", "loss_nats", "examples"} == set(shown)
    as_json = json.loads(run(capsys, "evaluate", trained, "--text", table, "--json")[1])
    report = lmkeras.load(trained).report(table)
    assert as_json.pop("report") == report.data()
    assert as_json == pytest.approx(expected)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_ctrl_c_saves_and_says_where(table, tmp_path, capsys, monkeypatch):
    noted = Evaluations.on_epoch_end

    def interrupted(self, epoch, logs=None):
        os.kill(os.getpid(), signal.SIGINT)
        noted(self, epoch, logs)

    monkeypatch.setattr(Evaluations, "on_epoch_end", interrupted)
    code, out, err = run(capsys, "train", "classifier", "--text", table, "--output", tmp_path / "run", *SMALL)
    assert code == 130
    assert re.match(r"lmkeras: stopped at update \d+; the checkpoint is .*safetensors$", err.splitlines()[-1])
    assert out.splitlines()[-1].endswith(f"saved in {tmp_path / 'run'}")
    assert lmkeras.load(tmp_path / "run").predict("so fizzy").label in ("nö", "yes")


def test_export_and_info(trained, tmp_path, capsys):
    assert run(capsys, "export", trained, tmp_path / "exported")[1].endswith("signature classify\n")
    exported = tf.saved_model.load(tmp_path / "exported").signatures["classify"](text=tf.constant(["so fizzy"]))
    assert exported["label"].numpy()[0].decode() == lmkeras.load(trained).predict("so fizzy").label
    assert "in its own precision" in run(capsys, "export", trained, tmp_path / "other", "--dtype", "bfloat16")[2]
    described = json.loads(run(capsys, "info", trained)[1])
    assert (described["kind"], described["labels"]) == ("text_classifier", ["nö", "yes"])


def test_pairs_come_from_a_column_of_their_own(tmp_path, capsys):
    rows = [(first, second, label) for (first, second), label in matches(100)]
    table = write_csv(tmp_path / "pairs.csv", [("premise", "hypothesis", "verdict"), *rows])
    columns = ["--text", table, "--text-column", "premise", "--pair-column", "hypothesis"]
    command = ["train", "classifier", *columns, "--label-column", "verdict", "--output", tmp_path / "run"]
    assert run(capsys, *command, *SMALL)[0] == 0
    output = tmp_path / "labelled.jsonl"
    assert run(capsys, "predict", tmp_path / "run", *columns, "--output", output)[0] == 0
    pairs = [pair for pair, _ in matches(100)]
    found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [(row["premise"], row["hypothesis"]) for row in found] == pairs
    predictions = lmkeras.load(tmp_path / "run").predict(pairs)
    assert [row["label"] for row in found] == [prediction.label for prediction in predictions]
    out = run(capsys, "evaluate", tmp_path / "run", *columns, "--label-column", "verdict")[1]
    right = sum(prediction.label == label for prediction, (_, label) in zip(predictions, matches(100), strict=True))
    assert f"accuracy             {right / 100:.4f}" in out
    require_one_line(
        *run(capsys, "evaluate", tmp_path / "run", *columns[:4], "--label-column", "verdict"), "a single one"
    )


@pytest.mark.parametrize("weights", [["balanced"], ["nö", "0.0", "yes", "1.0"]])
def test_class_weights(weights, table, tmp_path, capsys):
    command = [
        "train",
        "classifier",
        "--text",
        table,
        "--output",
        tmp_path / "run",
        *SMALL,
        "--class-weights",
        *weights,
    ]
    assert run(capsys, *command)[0] == 0
    labels = {prediction.label for prediction in lmkeras.load(tmp_path / "run").predict([t for t, _ in reviews(20)])}
    assert labels == ({"nö", "yes"} if weights == ["balanced"] else {"yes"}), "what weighs nothing is never learnt"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "classifier", "--text", "TABLE", "--output", "OUT", "--network", "cmn"], "cnn"),
        (
            ["train", "classifier", "--text", "TABLE", "--output", "OUT", "--filters", "3", "--network", "dense"],
            "filters",
        ),
        (["train", "classifier", "--text", "TABLE", "--output", "OUT", "--label-column", "stars"], "column 'stars'"),
        (["train", "classifier", "--text", "CONSTANT", "--output", "OUT"], "at least two labels"),
        (["train", "classifier", "--text", "MISSING", "--output", "OUT"], "1 of 3 examples have no label"),
        (["train", "classifier", "--text", "TABLE", "--output", "OUT", "--validation", "OTHER"], "not learnt"),
        (["train", "classifier", "--text", "TABLE", "--output", "OUT", "--max-length", "1"], "--max-length"),
        (["train", "classifier", "--text", "TABLE", "--output", "OUT", "--weights", "x"], "there is no folder 'x'"),
        (
            ["train", "classifier", "--text", "TABLE", "--output", "OUT", "--network", "bert", "--weights", "no/x"],
            "no/x",
        ),
        (["train", "classifier", "--text", "TABLE", "--output", "OUT", "--class-weights", "maybe", "2"], "'maybe'"),
        (["train", "classifier", "--text", "TABLE", "--output", "OUT", "--frozen-groups", "9"], "cannot freeze 9"),
        (["train", "classifier", "--text", "TABLE", "--output", "OUT", "--layer-decay", "2"], "--layer-decay"),
        (
            ["train", "classifier", "--text", "TABLE", "--output", "OUT", "--monitor", "val_f1"],
            "unknown monitor 'val_f1'",
        ),
        (["train", "classifier", "--text", "TABLE", "--output", "RUN"], "--overwrite"),
        (["evaluate", "RUN", "--text", "OTHER"], "not learnt: 'maybe' (1)"),
        (["evaluate", "RUN", "--text", "TABLE", "--stride", "3"], "--stride is for a language model, and "),
        (["evaluate", "RUN", "--text", "TABLE", "--picture", "OUT/x.png"], "is no folder"),
        (["evaluate", "LM", "--text", "TABLE", "--picture", "x.png"], "is a language model"),
        (["predict", "LM", "text"], "is a language model"),
        (["score", "RUN", "text"], "is a text classifier"),
        (["generate", "RUN", "--prompt", "text"], "is a text classifier"),
        (["predict", "OUT", "text"], "no saved model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line_and_exit_2(arguments, says, table, trained, language_model, tmp_path, capsys):
    places = {"TABLE": table, "RUN": trained, "LM": language_model, "OUT": tmp_path / "out"}
    places["CONSTANT"] = write_csv(tmp_path / "constant.csv", [("text", "label"), ("a", "x"), ("b", "x")])
    places["MISSING"] = write_csv(tmp_path / "missing.csv", [("text", "label"), ("a", "x"), ("b", ""), ("c", "y")])
    places["OTHER"] = write_csv(tmp_path / "other.csv", [("text", "label"), ("a", "maybe"), ("b", "yes")])
    require_one_line(*run(capsys, *filled_in(arguments, places)), says)
    assert not (tmp_path / "out").exists(), "nothing is left behind"
