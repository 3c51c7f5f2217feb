"""predict: what it prints, and the tables that it writes."""

import csv
import io
import json
import sys

import pytest

import lmkeras
from lmkeras.cli import main
from tests.cli.command import filled_in, require_one_line, run

LABELS = ("not spam", "spam", "问题")
WORDS = {"not spam": "dear friend", "spam": "win money now", "问题": "怎么 办"}
EXAMPLES = [(f"{words} {number}", label) for label, words in WORDS.items() for number in range(8)]
TEXTS = ["win money", "dear 怎么", "怎么 办", "dear win 办"]
STRANGE = "zzz 完全 qqq"


@pytest.fixture(scope="module")
def model():
    model = lmkeras.TextClassifier("dense", "words", embedding_dim=8, units=8, dropout=0)
    model.fit(EXAMPLES, validation_fraction=0, epochs=8, learning_rate=0.05, verbose=0)
    return model


@pytest.fixture(scope="module")
def trained(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    model.save(folder)
    return folder


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("source", ["arguments", "stdin", "txt", "csv"])
def test_a_line_a_text(source, trained, model, tmp_path, capsys, monkeypatch):
    files = {"txt": tmp_path / "texts.txt", "csv": write_csv(tmp_path / "texts.csv", [["text"], *([t] for t in TEXTS)])}
    files["txt"].write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{text}\r\n" for text in TEXTS)))
    given = {"arguments": TEXTS, "stdin": []}.get(source, ["--text", files.get(source)])
    code, out, err = run(capsys, "predict", trained, *given)
    assert (code, err) == (0, "")
    expected = [f"{p.label}\t{p.probability:.4f}\t{text}" for text, p in zip(TEXTS, model.predict(TEXTS), strict=True)]
    assert out.splitlines() == expected


def test_a_pipe_is_answered_line_by_line(trained, capsys, monkeypatch):
    answered = []

    def lines():
        for text in TEXTS:
            answered.append(capsys.readouterr().out.count("\n"))
            yield text + "\n"

    monkeypatch.setattr("sys.stdin", lines())
    assert main(["predict", str(trained)]) == 0
    assert answered == [0, 1, 1, 1]


def table_of(path, suffix):
    """A file with an index without a name, a date, the true label and the text."""
    rows = [(str(number), "2026", "spam", text) for number, text in enumerate(TEXTS)]
    if suffix == "jsonl":
        keys = ("", "date", "label", "text")
        path.write_text("".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows), encoding="utf-8")
    else:
        write_csv(path, [("", "date", "label", "text"), *rows])
    return path


@pytest.mark.parametrize("given", ["csv", "jsonl"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_a_table_keeps_the_columns_of_the_input(given, suffix, trained, model, tmp_path, capsys):
    output, table = tmp_path / f"labelled.{suffix}", table_of(tmp_path / f"given.{given}", given)
    code, out, err = run(capsys, "predict", trained, "--text", table, "--output", output)
    assert (code, out, err) == (0, f"4 texts answered in {output}\n", "")
    if suffix == "jsonl":
        rows = list(map(json.loads, output.read_text(encoding="utf-8").splitlines()))
        names = [*rows[0]]
        assert names == ["", "date", "label", "text", "predicted_label", "probabilities", "unknown_text"]
        found = [row["probabilities"]["not spam"] for row in rows]
        assert [row["unknown_text"] for row in rows] == [False] * 4
    else:
        lines = output.read_text(encoding="utf-8").splitlines()
        rows = list(csv.DictReader(lines, delimiter="\t")) if suffix == "tsv" else read_csv(output)
        names = ["probability_not_spam", "probability_spam", "probability_问题", "unknown_text"]
        assert list(rows[0]) == ["", "date", "label", "text", "predicted_label", *names]
        found = [float(row["probability_not_spam"]) for row in rows]
        assert [row["unknown_text"] for row in rows] == ["False"] * 4
    predictions = model.predict(TEXTS)
    assert [(row[""], row["date"], row["label"], row["text"]) for row in rows] == [
        (str(number), "2026", "spam", text) for number, text in enumerate(TEXTS)
    ]
    assert [row["predicted_label"] for row in rows] == [prediction.label for prediction in predictions]
    assert found == pytest.approx([prediction.probabilities["not spam"] for prediction in predictions], abs=1e-5)
    before = output.read_bytes()
    require_one_line(*run(capsys, "predict", trained, "fizzy", "--output", output), "--overwrite")
    assert output.read_bytes() == before


def test_json_is_the_lines_of_a_jsonl_file(trained, tmp_path, capsys):
    table, output = table_of(tmp_path / "given.csv", "csv"), tmp_path / "labelled.jsonl"
    assert run(capsys, "predict", trained, "--text", table, "--output", output)[0] == 0
    printed = run(capsys, "predict", trained, "--text", table, "--json")[1]
    assert printed == output.read_text(encoding="utf-8")
    typed = json.loads(run(capsys, "predict", trained, TEXTS[0], "--json")[1])
    assert list(typed) == ["text", "label", "probabilities", "unknown_text"]


def test_the_likeliest_labels(trained, model, tmp_path, capsys):
    prediction = model.predict(TEXTS[1])
    best = sorted(prediction.probabilities, key=prediction.probabilities.get, reverse=True)
    assert prediction.top(2) == [(label, prediction.probabilities[label]) for label in best[:2]]
    assert prediction.top(99) == [(label, prediction.probabilities[label]) for label in best]
    out = run(capsys, "predict", trained, TEXTS[1], "--top-k", 2)[1]
    shown = [cell for label, p in prediction.top(2) for cell in (label, f"{p:.4f}")]
    assert out.rstrip("\n").split("\t") == [*shown, TEXTS[1]]
    row = json.loads(run(capsys, "predict", trained, TEXTS[1], "--top-k", 2, "--json")[1])
    assert row["label"] == best[0]
    assert [one["label"] for one in row["top"]] == best[:2]
    assert [one["probability"] for one in row["top"]] == pytest.approx([p for _, p in prediction.top(2)])
    assert run(capsys, "predict", trained, TEXTS[1], "--top-k", 5, "--output", tmp_path / "x.csv")[0] == 0
    (cells,) = read_csv(tmp_path / "x.csv")
    numbered = [f"{name}_{number}" for number in (1, 2, 3) for name in ("label", "probability")]
    assert list(cells) == ["text", "label", *numbered, "unknown_text"]
    assert [cells[f"label_{number}"] for number in (1, 2, 3)] == best


def test_below_the_threshold_a_text_has_no_label(trained, model, tmp_path, capsys):
    probabilities = sorted(prediction.probability for prediction in model.predict(TEXTS))
    threshold = (probabilities[1] + probabilities[2]) / 2
    command = ["predict", trained, *TEXTS, "--threshold", threshold]
    sure = [prediction.label if prediction.probability >= threshold else None for prediction in model.predict(TEXTS)]
    assert sure.count(None) == 2
    assert [line.split("\t")[0] for line in run(capsys, *command)[1].splitlines()] == [one or "unsure" for one in sure]
    with_top = run(capsys, *command, "--top-k", 1)[1].splitlines()
    assert [line.split("\t")[:2] for line in with_top] == [
        [one or "unsure", prediction.label] for one, prediction in zip(sure, model.predict(TEXTS), strict=True)
    ]
    assert [json.loads(line)["label"] for line in run(capsys, *command, "--json")[1].splitlines()] == sure
    assert run(capsys, *command, "--output", tmp_path / "x.csv")[0] == 0
    assert [row["label"] for row in read_csv(tmp_path / "x.csv")] == [one or "" for one in sure]


def test_texts_without_a_known_token_are_marked(trained, capsys):
    code, out, err = run(capsys, "predict", trained, STRANGE, TEXTS[0], "", f"{STRANGE} money")
    marked = [line.endswith("\t(no known token)") for line in out.splitlines()]
    assert (code, marked) == (0, [True, False, True, False])
    assert err.startswith("lmkeras: the model knows no token of 2 of 4 texts: ")
    assert err.count("\n") == 1
    code, out, err = run(capsys, "predict", trained, STRANGE, TEXTS[0], "--json")
    assert [json.loads(line)["unknown_text"] for line in out.splitlines()] == [True, False]
    assert err.startswith("lmkeras: the model knows no token of 1 of 2 texts: ")


def test_a_file_is_read_as_it_is_answered(trained, tmp_path, capsys, monkeypatch):
    """Not more than the texts that are answered together is in memory."""
    table = write_csv(tmp_path / "many.csv", [["text", "n"], *([TEXTS[n % 4], n] for n in range(2500))])
    waiting = []
    predict_each = lmkeras.TextClassifier.predict_each

    def watched(self, texts, at_a_time):
        read = 0

        def counted():
            nonlocal read
            for text in texts:
                read += 1
                yield text

        for given, answer in enumerate(predict_each(self, counted(), at_a_time)):
            waiting.append(read - given)
            yield answer

    monkeypatch.setattr(lmkeras.TextClassifier, "predict_each", watched)
    assert run(capsys, "predict", trained, "--text", table, "--output", tmp_path / "x.csv")[0] == 0
    assert max(waiting) == 1024
    assert [int(row["n"]) for row in read_csv(tmp_path / "x.csv")] == list(range(2500))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["text", "--text", "TABLE"], "not both"),
        (["text", "--pair-column", "pair"], "--pair-column is for files of pairs"),
        (["text", "--output", "x.txt"], ".csv, .tsv or .jsonl"),
        (["text", "--output", "x.csv", "--json"], "--json prints, and --output writes a file"),
        (["text", "--output", "OUT/x.csv"], "is no folder"),
        (["--text", "TABLE", "--text-column", "words"], "column 'words'"),
        (["--text", "TABLE", "--pair-column", "label"], "got a pair"),
        (["text", "--top-k", "0"], "--top-k must be at least 1, got 0"),
        (["text", "--threshold", "2"], "threshold must be a probability, from 0 to 1, got 2.0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line_and_exit_2(arguments, says, trained, tmp_path, capsys):
    places = {"TABLE": table_of(tmp_path / "given.csv", "csv"), "OUT": tmp_path / "out"}
    require_one_line(*run(capsys, "predict", trained, *filled_in(arguments, places)), says)
    assert not (tmp_path / "out").exists(), "nothing is left behind"


def test_input_that_is_not_utf_8(trained, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\n"), encoding="utf-8"))
    require_one_line(*run(capsys, "predict", trained), "standard input is not utf-8")
