"""train masked-lm, what begins from it, and what evaluate, predict and export do with it."""

import json

import pytest

import lmkeras
from lmkeras.cli import main
from tests.cli.command import require_one_line, run

SIZES = "--d-model 16 --num-heads 2 --num-layers 1 --max-length 24 --steps 2 --batch-size 8".split()
TEXT = "\n\n".join(f"The {thing} is {thing}.\nSo is the {thing}!" for thing in "cat dog sun moon sea sky".split() * 5)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "masked-lm", "--text", str(text), "--output", str(folder), *SIZES]) == 0
    return folder


def test_evaluate_prints_a_line_for_each_value(trained, text, capsys):
    code, out, err = run(capsys, "evaluate", trained, "--text", text)
    assert (code, err) == (0, "")
    names = ["loss_nats", "perplexity", "accuracy", "next_sentence_accuracy", "masked_words", "examples"]
    assert [line.split()[0] for line in out.splitlines()] == names


def test_predict_prints_tokens_and_writes_them(trained, tmp_path, capsys):
    code, out, err = run(capsys, "predict", trained, "The [MASK] is [MASK].", "--top-k", 2)
    assert (code, err) == (0, "")
    first, bar, second = out.split("\t|\t")[0], out.count("|"), out.split("\t|\t")[1].split("\t")
    assert (bar, len(first.split("\t")), second[-1]) == (1, 4, "The [MASK] is [MASK].\n")
    code, out, _ = run(capsys, "predict", trained, "a [MASK]", "--json")
    (mask,) = json.loads(out)["masks"]
    model = lmkeras.load(trained)
    assert [(one["token"], one["probability"]) for one in mask] == [
        (token, pytest.approx(p, rel=1e-5)) for token, p in model.predict("a [MASK]")[0]
    ]
    require_one_line(*run(capsys, "predict", trained, "no mask"), "there is no [MASK] in the text 'no mask'")


def test_a_classifier_and_further_training_begin_from_the_run(trained, text, tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text("text,label\n" + "a cat,x\na dog,y\n" * 10)
    begin = ("--weights", trained, "--steps", 1)
    code, out, _ = run(
        capsys, "train", "classifier", "--text", table, "--output", tmp_path / "a", "--network", "bert", *begin
    )
    assert code == 0
    assert f"pretrained, from {trained}" in out
    assert run(capsys, "train", "masked-lm", "--text", text, "--output", tmp_path / "b", *begin)[0] == 0


def test_tokenized_text_has_words_but_no_sentences(text, tmp_path, capsys):
    tokens = tmp_path / "tokens"
    (tmp_path / "text.jsonl").write_text("".join(json.dumps(line) + "\n" for line in TEXT.split("\n\n")))
    tokenize = ("tokenize", "--text", tmp_path / "text.jsonl", "--output", tokens, "--tokenizer", "word_piece")
    assert run(capsys, *tokenize, "--workers", 1)[0] == 0
    train = ("train", "masked-lm", "--text", tokens, "--output", tmp_path / "run", *SIZES)
    require_one_line(
        *run(capsys, *train), "tokenized text has no sentences, of which pairs could be made: say --no-next"
    )
    code, out, _ = run(capsys, *train, "--no-next-sentence", "--whole-words")
    assert code == 0
    assert "the tokenizer with which the text was tokenized" in out
    code, out, _ = run(capsys, "evaluate", tmp_path / "run", "--text", tokens)
    assert code == 0
    assert "next_sentence_accuracy" not in out


def test_one_document_alone_is_named(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("one sentence. another one. " * 20)
    code, out, err = run(
        capsys, "train", "masked-lm", "--text", tmp_path / "text.txt", "--output", tmp_path / "a", *SIZES
    )
    require_one_line(code, out, err, "part documents by blank lines, give a file for each, or say --no-next-sentence")
