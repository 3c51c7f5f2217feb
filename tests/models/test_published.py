"""Published checkpoints with the head of a task are models like our own.

`make parity` compares the classes that write them here with PyTorch's.
"""

import json

import numpy as np
import pytest

import lmkeras
from lmkeras.errors import InputError
from lmkeras.tokenizers.word_piece import WordPieceTokenizer
from tests.cli.command import require_one_line, run
from tests.layers.formulas import fill
from tests.tokenizers import roberta

PIECES = WordPieceTokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] good bad film where is it ##s".split())
TOKENIZERS = {"bert": PIECES, "distilbert": PIECES, "roberta": roberta.tokenizer()}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
OTHERS = {"bert": {}, "distilbert": {}, "roberta": {"type_vocab_size": 1}}
TEXT = "good films [MASK] bad"
TEXTS = {**dict.fromkeys(TOKENIZERS, TEXT), "roberta": "good films <mask> bad"}


def write(folder, name, family="bert", **options):
    """A folder as the hub has it, and the Keras model of the same name."""
    kind = getattr(lmkeras, f"TFBert{name}")
    tokenizer, sizes = TOKENIZERS[family], {**SIZES, **OTHERS[family], "max_position_embeddings": 40}
    model = fill(kind(model_type=family, vocab_size=tokenizer.vocabulary_size, **options, **sizes))
    model.save_pretrained(folder)
    tokenizer.save_vocabulary(folder)
    return model


def logits(model, *texts):
    inputs = TOKENIZERS[model.bert.model_type](*texts, return_tensors="np")
    names = ["input_ids", "attention_mask", *["token_type_ids"] * model.bert.takes_token_types]
    outputs = model({name: inputs[name].astype("int32") for name in names})
    return [np.asarray(one, "float64")[0] for one in outputs]


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


@pytest.mark.parametrize("family", TOKENIZERS)
def test_a_classifier_has_the_published_labels(tmp_path, family):
    theirs = write(tmp_path, "ForSequenceClassification", family, labels=("neg", "pos", "so-so"))
    model = lmkeras.from_pretrained(tmp_path)
    assert type(model) is lmkeras.TextClassifier
    assert model.labels == ("neg", "pos", "so-so")
    (expected,) = logits(theirs, [TEXT])
    np.testing.assert_allclose(list(model.predict(TEXT).probabilities.values()), softmax(expected), atol=1e-5)
    model.save(tmp_path / "own")
    assert lmkeras.load(tmp_path / "own").predict(TEXT).probabilities == pytest.approx(
        model.predict(TEXT).probabilities
    )


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_pairs_are_told_apart_where_the_user_says_so(tmp_path, family):
    theirs = write(tmp_path, "ForSequenceClassification", family, labels=2)
    model = lmkeras.from_pretrained(tmp_path, pairs=True)
    (expected,) = logits(theirs, ["where is it"], ["it is good"])
    found = model.predict(("where is it", "it is good")).probabilities
    assert list(found) == ["LABEL_0", "LABEL_1"]
    np.testing.assert_allclose(list(found.values()), softmax(expected), atol=1e-5)
    with pytest.raises(InputError, match="pair"):
        lmkeras.from_pretrained(tmp_path, pears=True)


def test_several_labels_are_decided_each_for_itself(tmp_path):
    theirs = write(tmp_path, "ForSequenceClassification", labels=("a", "b"), problem_type="multi_label_classification")
    (expected,) = logits(theirs, [TEXT])
    found = lmkeras.from_pretrained(tmp_path).predict(TEXT).probabilities
    np.testing.assert_allclose(list(found.values()), 1 / (1 + np.exp(-expected)), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "family"), [*(("ForMaskedLM", family) for family in TOKENIZERS), ("ForPreTraining", "bert")]
)
def test_masks_are_filled_in(tmp_path, name, family):
    theirs = write(tmp_path, name, family)
    model = lmkeras.from_pretrained(tmp_path)
    tokenizer, text = TOKENIZERS[family], TEXTS[family]
    p = softmax(logits(theirs, [text])[0][tokenizer(text)["input_ids"].index(tokenizer.special.mask)])
    expected = sorted(((tokenizer.token(id), one) for id, one in enumerate(p)), key=lambda one: -one[1])[:12]
    (mask,) = model.predict(text, top_k=12).masks
    assert [token for token, _ in mask] == [token for token, _ in expected]
    np.testing.assert_allclose([p for _, p in mask], [p for _, p in expected], atol=1e-5)


@pytest.mark.parametrize("family", TOKENIZERS)
def test_questions_are_answered(tmp_path, family):
    theirs = write(tmp_path, "ForQuestionAnswering", family)
    model, context = lmkeras.from_pretrained(tmp_path), "it is bad film good"
    start, end = logits(theirs, ["where is it"], [context])
    tokenizer, question = TOKENIZERS[family], "where is it"
    places, head = tokenizer.offsets(context), 1 + len(tokenizer.encode(question)) + tokenizer.special.separators
    size = len(places)  # [CLS] where is it [SEP] it is bad film good [SEP]
    scores = start[head : head + size, None] + end[None, head : head + size]
    first, last = np.unravel_index(np.where(np.tri(size, k=-1), -np.inf, scores).argmax(), scores.shape)
    answer = model.predict(question, context)
    assert (answer.start, answer.end) == (places[first][0], places[last][1])
    assert answer.text == context[answer.start : answer.end] == answer.text.strip()
    model = lmkeras.from_pretrained(tmp_path, unanswerable=True)
    assert (model.predict("where is it", context).text == "") == bool(start[0] + end[0] > scores[first, last])
    p = np.exp([start[0] + end[0], *scores[np.triu_indices(size)]])
    shares = {one.text: one.probability for one in model.predict("where is it", context, top_k=16)}
    assert shares[""] == pytest.approx(p[0] / p.sum(), rel=1e-4)


def test_the_command_line_takes_such_folders(tmp_path, capsys):
    write(tmp_path, "ForSequenceClassification", labels=("neg", "pos"))
    code, out, err = run(capsys, "predict", tmp_path, TEXT)
    label, probability, text = out.rstrip("\n").split("\t")
    found = lmkeras.load(tmp_path).predict(TEXT)
    assert (code, err, label, text) == (0, "", found.label, TEXT)
    assert float(probability) == pytest.approx(found.probability, abs=1e-4)
    (tmp_path / "texts.csv").write_text("text,label\ngood film,pos\nbad film,neg\n")
    code, out, _ = run(capsys, "evaluate", tmp_path, "--text", tmp_path / "texts.csv")
    assert (code, out.splitlines()[-1].split()[0] != "") == (0, True)
    require_one_line(
        *run(capsys, "generate", tmp_path, "--prompt", "x"), "is a text classifier, and this is for a language"
    )


def test_another_family_is_refused_before_its_weights_are_looked_for(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "camembert"}))
    with pytest.raises(InputError, match="its Unigram"):
        lmkeras.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"model_type": "camembert"},
            r"of type 'camembert': its Unigram \(SentencePiece\) tokenizer is not here yet; expected bert or",
        ),
        ({"model_type": "xlm-roberta"}, "holds a model of type 'xlm-roberta': its Unigram"),
        ({"architectures": ["BertModel"]}, "holds 'BertModel', which has the head of no task"),
        ({"architectures": ["BertForMultipleChoice"]}, "holds 'BertForMultipleChoice', which has the head of no task"),
        ({"architectures": 7}, "holds '', which has the head of no task"),
        ({"problem_type": "regression"}, "gives each text a number"),
        ({"id2label": {"0": "a", "2": "b"}}, "has no names for 0, 1, 2 … in id2label"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, r"classifier\.weight \[2, 16\] instead of \[3, 16\]"),
    ],
)
def test_what_is_no_model_of_ours_is_said_in_a_line(tmp_path, capsys, entries, message):
    write(tmp_path, "ForSequenceClassification", labels=("neg", "pos"))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **entries}))
    with pytest.raises(InputError, match=message):
        lmkeras.from_pretrained(tmp_path)
    code, _, err = run(capsys, "predict", tmp_path, "x")
    assert (code, err.count("\n")) == (2, 1)
