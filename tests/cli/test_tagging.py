"""train tagger, and what evaluate, predict and export do with a tagger."""

import json

import pytest
import tensorflow as tf

import lmkeras
from lmkeras.cli import main
from lmkeras.corpora.tagged import open_tagged_corpus
from lmkeras.reports import SpanReport
from tests.cli.command import require_one_line, run

SMALL = "--units 8 --embedding-dim 8 --buckets 4096 --dropout 0 --steps 60 --batch-size 8".split()
NAMES, PLACES = ["Ada", "Bob", "Cy Young"], ["Rome", "New York", "Oslo"]


def conll(path, rows):
    """A file of texts in which a person lives in a place: a word and its tag a line."""
    lines = []
    for number in range(rows):
        name, place = NAMES[number % 3], PLACES[number // 3 % 3]
        for part, kind in ((name, "PER"), ("lives in", None), (place, "LOC")):
            for at, word in enumerate(part.split()):
                lines.append(f"{word}\t{'O' if kind is None else ('I-' if at else 'B-') + kind}")
        lines.append("")
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return conll(tmp_path_factory.mktemp("text") / "train.conll", 40)


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "tagger", "--text", str(text), "--output", str(folder), *SMALL]) == 0
    return folder


def test_evaluate_prints_a_line_for_each_value_and_a_table(trained, text, tmp_path, capsys):
    picture = tmp_path / "types.png"
    code, out, err = run(capsys, "evaluate", trained, "--text", text, "--picture", picture)
    assert (code, err) == (0, "")
    values, report = lmkeras.load(trained).judge(text)
    shown = dict(line.split() for line in out.splitlines()[: len(values)])
    assert {name: float(value) for name, value in shown.items()} == pytest.approx(values, abs=1e-4)
    assert {"precision", "recall", "f1", "macro_f1"} <= set(shown)
    assert report.table() in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_predict_prints_entities_with_their_types(trained, capsys):
    entities = lmkeras.load(trained).predict("Cy Young lives in Rome").entities
    code, out, _ = run(capsys, "predict", trained, "Cy Young lives in Rome")
    assert code == 0
    assert out.startswith("\t".join(f"{one.text} {one.type}" for one in entities) or "none")
    found = json.loads(run(capsys, "predict", trained, "Cy Young lives in Rome", "--json")[1])["entities"]
    assert [(one["text"], one["type"], one["start"], one["end"]) for one in found] == [one[:4] for one in entities]


def test_predict_writes_columns_that_are_a_corpus_again(trained, tmp_path, capsys):
    """What was predicted is judged as the model itself is, if it is read again."""
    texts, output = tmp_path / "texts.jsonl", tmp_path / "x.conll"
    asked = conll(tmp_path / "asked.conll", 9)
    words = [" ".join(example.words) for example in open_tagged_corpus(asked)]
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in words))
    code, _, err = run(capsys, "predict", trained, "--text", texts, "--output", output)
    assert (code, "Traceback" in err) == (0, False)
    read = list(open_tagged_corpus(output))
    assert [" ".join(example.words) for example in read] == words
    report = SpanReport.from_spans([spans for _, spans in open_tagged_corpus(asked)], [spans for _, spans in read])
    assert report.scores()["f1"] == pytest.approx(lmkeras.load(trained).evaluate(asked)["f1"])
    assert report.scores()["f1"] > 0.9, "the tiny training has learnt something"


def test_export_has_the_signature_tag(trained, tmp_path, capsys):
    code, out, _ = run(capsys, "export", trained, tmp_path / "exported")
    assert (code, out.endswith("signature tag\n")) == (0, True)
    found = tf.saved_model.load(tmp_path / "exported").signatures["tag"](text=tf.constant(["Ada lives in Oslo"]))
    entities = lmkeras.load(trained).predict("Ada lives in Oslo").entities
    assert [text.decode() for text in found["texts"].numpy()] == [one.text for one in entities]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("Ada B-PER\nlives\n", "columns"),
        ("Ada O\nlives O\n\n" * 20, "no word of the corpus is tagged"),
        ("Ada B-PER\nRome I-LOC\n", "I-LOC"),
    ],
)
def test_a_corpus_that_cannot_be_learnt_is_refused_in_one_line(content, says, tmp_path, capsys):
    path = tmp_path / "bad.conll"
    path.write_text(content)
    require_one_line(*run(capsys, "train", "tagger", "--text", path, "--output", tmp_path / "run", *SMALL), says)
    assert not (tmp_path / "run").exists()


def test_types_that_were_not_learnt_are_named(trained, tmp_path, capsys):
    other = tmp_path / "other.conll"
    other.write_text("Ada B-HERO\nleft O\n")
    require_one_line(*run(capsys, "evaluate", trained, "--text", other), "does not know the type HERO")
