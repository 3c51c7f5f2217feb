"""Question answering from examples to a SavedModel.

The model of most tests is a small BERT that has learnt a few questions by heart, in English and in Chinese.
"""

import dataclasses
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.cli import main
from lmkeras.datasets import EncodedQuestions, WindowLayout
from lmkeras.errors import InputError
from lmkeras.tasks.answers import answers, found_spans
from lmkeras.tokenizers import new_tokenizer

ENGLISH = "Then  Ann CAME with José to the café, in 1999."
CHINESE = "昨天，王小明来了北京（Ｂｅｉｊｉｎｇ）。"
LONG = f"It rained. {'So it went on and on. ' * 3}Bob slept. {'And on. ' * 5}"
ROWS = [
    ("Who came?", ENGLISH, "Ann"),
    ("With whom?", ENGLISH, "José"),
    ("To where?", ENGLISH, "the café"),
    ("谁来了？", CHINESE, "王小明"),
    ("何处？", CHINESE, "Ｂｅｉｊｉｎｇ"),
    ("Which man slept?", LONG, "Bob"),
    ("Why?", ENGLISH, ""),
    ("为何？", CHINESE, None),
]
SIZES = {"d_model": 32, "num_layers": 1, "num_heads": 2, "dff": 48, "dropout": 0.0}


@pytest.fixture(scope="module")
def model():
    model = lmkeras.QuestionAnswerer("bert", max_length=26, doc_stride=8, max_answer_tokens=9, **SIZES)
    training = {"steps": 150, "evaluate_every": 150, "batch_size": 12, "learning_rate": 0.004}
    model.fit(ROWS, ROWS, **training, verbose=0)
    return model


def test_it_learns_answers_their_places_and_that_there_is_none(model):
    values = model.evaluate(ROWS)
    assert (values["exact_match"], values["f1"], values["no_answer_f1"], values["questions"]) == (1, 1, 1, 8)
    assert values["loss_nats"] < 0.5
    questions, contexts, right = zip(*ROWS, strict=True)
    given = model.predict(questions, contexts)
    for answer, context, wanted in zip(given, contexts, right, strict=True):
        assert answer.text == context[answer.start : answer.end] == (wanted or "")
        assert 0 < answer.probability <= 1


def test_several_answers_do_not_overlap_and_share_one_probability(model):
    top = model.predict("Who came?", ENGLISH, top_k=20)
    assert top[0] == model.predict("Who came?", ENGLISH)
    assert sum(one.probability for one in top) <= 1 + 1e-6
    assert all(a.probability >= b.probability for a, b in itertools.pairwise(top[1:]))
    spans = [one for one in top if one.text]
    assert all(a.end <= b.start or b.end <= a.start for a, b in itertools.combinations(spans, 2))
    assert len(top) - len(spans) == 1  # no answer is one of them


def test_probabilities_are_those_of_enumeration():
    rng = np.random.default_rng(0)
    context = "a b c d e f g h i"
    tokenizer = new_tokenizer("word_piece", None).fit([context])
    lengths = {"max_length": 10, "doc_stride": 2, "max_answer_tokens": 3}
    layout = WindowLayout.of(tokenizer.special, tokenizer.vocabulary_size, **lengths)
    encoded = EncodedQuestions.encode([("a", context), ("b c", "d")], tokenizer, layout, token_types=False)
    logits = [rng.normal(size=(12, 2)) for _ in encoded.question_of]
    for unanswerable in (False, True):
        for question, found in enumerate(found_spans(encoded, logits, 3, unanswerable)):
            scores, nothing = {}, []
            for window in np.flatnonzero(encoded.question_of == question):
                length = encoded.windows.lengths[window]
                p = np.exp(logits[window][:length]) / np.exp(logits[window][:length]).sum(axis=0)
                begin, end, low, high = encoded.pieces[window]
                nothing.append(p[0, 0] * p[0, 1])
                for i in range(begin, end):
                    for j in range(i, min(i + 3, end)):
                        if low <= i + j < high:
                            at = encoded.heads[window] - begin
                            assert (i, j) not in scores
                            scores[i, j] = p[at + i, 0] * p[at + j, 1]
            total = sum(scores.values()) + min(nothing) * unanswerable
            best = max(scores, key=scores.get)
            assert tuple(found.tokens[0]) == best
            assert np.exp(found.log_probabilities[0]) == pytest.approx(scores[best] / total)
            assert np.exp(found.no_answer) == pytest.approx(min(nothing) * unanswerable / total)
            for (first, last), log_p in zip(found.tokens, found.log_probabilities, strict=True):
                assert np.exp(log_p) == pytest.approx(scores[first, last] / total)


def test_the_threshold_decides_whether_there_is_an_answer():
    encoded = EncodedQuestions.encode(
        [("a", "b c")],
        tokenizer := new_tokenizer("word_piece", None).fit(["a b c"]),
        WindowLayout.of(tokenizer.special, 9, max_length=9, doc_stride=9, max_answer_tokens=2),
        token_types=False,
    )
    logits = np.zeros((6, 2))
    logits[0] = 1  # no answer is e² times as likely as each span
    (found,) = found_spans(encoded, [logits], 2, unanswerable=True)
    assert found.no_answer_odds == pytest.approx(2)
    texts = [answers(found, *encoded.offsets[0], "b c", threshold)[0].text for threshold in (1.9, 2.1)]
    assert texts[0] == "" != texts[1]


@pytest.fixture(scope="module")
def files(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("qa")
    rows = [{"id": i, "question": q, "context": c, "answer": a} for i, (q, c, a) in enumerate(ROWS)]
    (folder / "q.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    model.save(folder / "run")
    return folder


def test_a_saved_model_is_loaded_as_it_was(files, model):
    loaded = lmkeras.load(files / "run")
    assert type(loaded) is lmkeras.QuestionAnswerer
    assert loaded.task == model.task
    assert loaded.predict("谁来了？", CHINESE, top_k=3) == model.predict("谁来了？", CHINESE, top_k=3)


LOADED = """
import json, sys
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
pairs = json.loads(sys.argv[2])
question, context = (tf.constant([pair[i] for pair in pairs]) for i in (0, 1))
found = loaded.signatures["answer"](question=question, context=context)
assert not [name for name in sys.modules if name.startswith(("lmkeras", "transformers"))]
nothing = loaded.answer(question[:0], context[:0])
assert sorted(nothing) == sorted(found) and all(len(one) == 0 for one in nothing.values())
try:
    loaded.answer(tf.constant(["who " * 99]), context[:1])
    sys.exit("too long a question was answered")
except tf.errors.InvalidArgumentError as error:
    assert "a question is too long for windows of 26 tokens" in str(error)
names = ("answer", "start", "end", "probability")
rows = zip(*(found[name].numpy().tolist() for name in names))
print(json.dumps([[text.decode(), *numbers] for text, *numbers in rows]))
"""


ASKED = [row[:2] for row in ROWS]
ASKED += [
    ("Who?", ""),
    ("Who?", " "),
    ("Who?", "e\u0301\u0301  Ａｎｎ ß"),
    ("Bob?", LONG * 3),
    ("Ann?", CHINESE + LONG),
]


def assert_same(theirs, ours):
    assert [tuple(one[:3]) for one in theirs] == [tuple(one[:3]) for one in ours]
    np.testing.assert_allclose([one[3] for one in theirs], [one[3] for one in ours], atol=1e-5)


def test_the_graph_gives_the_same_answers(model):
    module, _ = model.task.exported(model.network, model.tokenizer, "float32")
    found = module.answer(*(tf.constant(texts) for texts in zip(*ASKED, strict=True)))
    columns = [found[name].numpy().tolist() for name in ("answer", "start", "end", "probability")]
    theirs = [(text.decode(), *numbers) for text, *numbers in zip(*columns, strict=True)]
    assert_same(theirs, [model.predict(*pair) for pair in ASKED])


def test_the_exported_model_gives_the_same_answers_in_tensorflow_alone(files, model):
    model.export(files / "exported", overwrite=True)
    command = [sys.executable, "-c", LOADED, str(files / "exported"), json.dumps(ASKED)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=files)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same(json.loads(done.stdout), [model.predict(*pair) for pair in ASKED])


def test_the_command_line_evaluates_and_predicts(files, capsys):
    run, file = str(files / "run"), str(files / "q.jsonl")
    assert main(["evaluate", run, "--text", file]) == 0
    assert "exact_match          1.0000" in capsys.readouterr().out
    assert main(["predict", run, "--text", file, "--json", "--top-k", "2"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["answer"] for row in rows] == [row[2] or None for row in ROWS]
    assert [len(row["top"]) for row in rows] == [2] * len(ROWS)
    assert main(["predict", run, "--text", file, "--output", str(files / "out.csv")]) == 0
    header, first, *_ = (files / "out.csv").read_text(encoding="utf-8").splitlines()
    assert header == '"id","question","context","answer","start","end","probability","unknown_text"'
    assert first.startswith(f'"0","Who came?","{ENGLISH}","Ann",6,9,0.')


def test_answers_from_a_knowledge_base(files, model, capsys):
    pytest.importorskip("bm25s")
    (files / "known.txt").write_text(f"{CHINESE}\n\nNothing.\n\n{ENGLISH}\n", encoding="utf-8")
    knowledge = lmkeras.Knowledge(files / "known.txt")
    found = model.ask("Who came?", knowledge)
    assert (found.text, found.passage.text[found.start : found.end], found.passage.line) == ("Ann", "Ann", 5)
    assert model.ask("谁来了？", knowledge).text == "王小明"
    assert model.ask("Zebra", knowledge) is None
    assert model.ask("Zebra", knowledge, top_k=2) == []
    several = model.ask("Who came?", knowledge, top_k=3)
    assert several[0] == found
    assert 1 >= sum(one.probability for one in several) >= several[0].probability > several[1].probability
    command = [
        "answer",
        str(files / "run"),
        "--knowledge",
        str(files / "known.txt"),
        "--question",
        "Who came?",
        "Zebra",
    ]
    assert main(command) == 0
    asked, line, *rest = capsys.readouterr().out.splitlines()
    answer, probability, source = line.split("\t")
    assert (asked, answer, source) == ("Who came?", "Ann", f"{files / 'known.txt'}:5")
    assert float(probability) == pytest.approx(found.probability, abs=1e-4)
    assert rest == ["Zebra", "(no answer)"]
    assert main([*command, "--json", "--passages", "1"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["answers"][0]["passage"]["line"] == 5


def test_bad_input(model):
    with pytest.raises(
        InputError, match=r"the question '(\? ){30}' has 30 tokens, and a window of max_length 26 holds 20"
    ):
        model.predict("? " * 30, ENGLISH)
    with pytest.raises(InputError, match="a context for each question, got 2 and 1"):
        model.predict(["Who?", "Why?"], [ENGLISH])
    with pytest.raises(InputError, match="top_k must be at least 1"):
        model.predict("Who?", ENGLISH, top_k=0)
    with pytest.raises(InputError, match="item 1 of the list: the answer 'Eve' is not in its context"):
        model.evaluate([("Who came?", ENGLISH, "Eve")])
    with pytest.raises(InputError, match="doc_stride must be at least 1"):
        lmkeras.QuestionAnswerer("bert", doc_stride=0)
    with pytest.raises(InputError, match="max_length 900 is more than the network's limit of 26"):
        dataclasses.replace(model.task, max_length=900).check(model.network, model.tokenizer)


@pytest.mark.parametrize(("network", "tokenizer"), [("lstm", "characters"), ("transformer", "words")])
def test_other_networks_and_tokenizers(network, tokenizer):
    sizes = {"units": 16, "embedding_dim": 16} if network == "lstm" else {"d_model": 16, "num_layers": 1}
    model = lmkeras.QuestionAnswerer(network, tokenizer, max_length=64, dropout=0.0, **sizes)
    rows = [ROWS[0], ("Who slept?", "Where Bob slept, it rained.", "Bob")]
    model.fit(rows, validation_fraction=0, steps=60, learning_rate=0.02, verbose=0)
    assert model.evaluate(rows)["exact_match"] == 1
