"""train classifier where labels are lists, train multi-label, and what the other verbs do with such a model."""

import csv
import json

import matplotlib.image
import pytest

import lmkeras
from tests.cli.command import run
from tests.models.test_multi_label import WORDS, some

SMALL = "--network dense --embedding-dim 16 --units 16 --dropout 0 --steps 120 --learning-rate 0.02 --quiet".split()


def table(path, columns):
    texts, labels = some(200)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", *(WORDS if columns else ["label"])])
        for text, of_one in zip(texts, labels, strict=True):
            writer.writerow([text, *([int(label in of_one) for label in WORDS] if columns else ["|".join(of_one)])])
    return path


@pytest.mark.parametrize("command", ["classifier", "multi-label"])
def test_from_a_table_to_a_table(tmp_path, capsys, command):
    if command == "classifier":
        said = [table(tmp_path / "a.csv", columns=False), "--label-separator", "|"]
    else:
        said = [table(tmp_path / "a.csv", columns=True), "--label-columns", *WORDS]
    folder = tmp_path / "run"
    code, _, err = run(capsys, "train", command, "--text", *said, "--output", folder, *SMALL)
    assert code == 0, err
    assert lmkeras.load(folder).labels == tuple(WORDS)
    code, out, err = run(capsys, "evaluate", folder, "--text", *said, "--picture", tmp_path / "a.png")
    assert code == 0, err
    values = dict(line.split(maxsplit=1) for line in out.splitlines()[:5])
    assert float(values["micro_f1"]) == float(values["macro_f1"]) == float(values["subset_accuracy"]) == 1
    assert "threshold" in out
    assert matplotlib.image.imread(tmp_path / "a.png").size
    code, out, err = run(capsys, "predict", folder, "bargain 笨蛋", "the film")
    first, second = out.splitlines()
    assert {part.rsplit(" ", 1)[0] for part in first.split("\t")[0].split(", ")} == {"cheap", "脏话"}
    assert second.startswith("none\t")
    answers = tmp_path / "answers.jsonl"
    assert run(capsys, "predict", folder, "bargain 笨蛋", "the film", "--output", answers)[0] == 0
    rows = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    assert [sorted(row["labels"]) for row in rows] == [["cheap", "脏话"], []]
    assert set(rows[0]["probabilities"]) == set(WORDS)
    answers = tmp_path / "answers.csv"
    assert run(capsys, "predict", folder, "bargain 笨蛋", "the film", "--output", answers)[0] == 0
    with answers.open(encoding="utf-8", newline="") as file:
        assert [sorted(json.loads(row["labels"])) for row in csv.DictReader(file)] == [["cheap", "脏话"], []]
