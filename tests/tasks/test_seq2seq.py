"""Sequence to sequence from pairs to a SavedModel.

The model of most tests is small and has learnt a few pairs by heart: words to other words, in English and in Chinese.
"""

import json
import random
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.decoding.rewriting import Lengths
from lmkeras.decoding.sampling import Beams
from lmkeras.errors import InputError
from lmkeras.tasks.pair_facts import script_of
from lmkeras.tasks.seq2seq import Seq2Seq

WORDS = {"cat": "猫", "dog": "狗", "sees": "看见", "eats": "吃", "fish": "鱼", "a big": "一只大的"}
SIZES = {"d_model": 48, "num_heads": 2, "num_layers": 1, "dropout": 0.0}


def pairs(count=120, seed=0):
    """Sentences of three words, and their translations word by word."""
    rng = random.Random(seed)
    subjects, verbs, objects = ("a big cat", "cat", "dog"), ("sees", "eats"), ("fish", "a big fish", "dog")
    made = []
    for _ in range(count):
        source = " ".join(rng.choice(some) for some in (subjects, verbs, objects))
        target = source
        for word, by in WORDS.items():
            target = target.replace(word, by)
        made.append((f"{source}.", f"{target.replace(' ', '')}。"))
    return made


def fitted(network, steps, **options):
    model = lmkeras.Seq2SeqModel(network, "characters", label_smoothing=0.0, **options)
    training = {"steps": steps, "batch_size": 16, "validation_fraction": 0, "precision": "float32", "verbose": 0}
    model.fit(pairs(), **training)
    return model


@pytest.fixture(scope="module")
def model():
    return fitted("transformer", 200, **SIZES)


@pytest.fixture(scope="module")
def recurrent():
    return fitted("lstm", 600, embedding_dim=32, units=48, num_layers=1, dropout=0.0)


@pytest.fixture(scope="module", params=["transformer", "lstm"])
def each(request, model):
    return model if request.param == "transformer" else request.getfixturevalue("recurrent")


def test_it_learns_pairs_and_says_how_well(each):
    sources, targets = zip(*dict.fromkeys(pairs()), strict=True)
    assert each.rewrite(list(sources)) == list(targets)
    values, report = each.judge(pairs())
    assert values["bleu"] == pytest.approx(100)
    assert values["rouge_l"] == pytest.approx(1)
    assert values["loss_nats"] < 0.2
    assert values["length_ratio"] == 1
    assert (values["copies"], values["empty"], values["pairs"]) == (0, 0, 120)
    assert "tok:zh" in report.text()


def log_probabilities(model, source, target):
    """log P of each id of a target, given those before it and the source."""
    inputs = {"input_ids": [source], "attention_mask": [[1] * len(source)], "target_ids": [[0, *target[:-1]]]}
    logits = model.network({name: np.array(ids, np.int32) for name, ids in inputs.items()})[0]
    return tf.nn.log_softmax(logits).numpy()[np.arange(len(target)), target]


def test_the_loss_is_that_of_every_token_and_the_end(model):
    some = pairs(7)
    logs = []
    for source, target in some:
        ids, wanted = ([*model.tokenizer.encode(text), 0] for text in (source, target))
        logs += log_probabilities(model, ids, wanted).tolist()
    assert model.evaluate(some)["loss_nats"] == pytest.approx(-np.mean(logs), abs=1e-5)


def test_a_batch_gives_what_each_text_gives_alone(each):
    texts = ["dog", "a big cat eats a big fish.", "", "cat sees", "xyz 鱼"]
    found = each.rewrite(texts, num_best=3)
    for text, of_text in zip(texts, found, strict=True):
        alone = each.rewrite(text, num_best=3)
        assert [one.text for one in of_text] == [one.text for one in alone]
        np.testing.assert_allclose([one.score for one in of_text], [one.score for one in alone], atol=1e-4)
        assert [one.score for one in alone] == sorted((one.score for one in alone), reverse=True)


def test_scores_are_log_probabilities_over_the_penalty_of_the_length(model):
    for best in model.rewrite("dog sees", num_best=4, length_penalty=0.7):
        new = [*model.tokenizer.encode(best.text), 0]
        source = [*model.tokenizer.encode("dog sees"), 0]
        logs = log_probabilities(model, source, new)
        assert best.score == pytest.approx(logs.sum() / ((5 + len(new)) / 6) ** 0.7, abs=2e-4)


def test_streams_and_samples(each):
    text = "a big cat eats fish."
    assert "".join(each.stream(text)) == each.rewrite(text, num_beams=1)
    drawn = each.sample(text, num_samples=3, temperature=0.0)
    assert drawn == [each.rewrite(text, num_beams=1)] * 3
    assert each.sample([text, "dog"], temperature=2.0, seed=1) == each.sample([text, "dog"], temperature=2.0, seed=1)
    assert len(each.sample(text, temperature=5.0, max_new_tokens=3)) <= 3


def test_long_sources_are_split_into_sentences_if_they_are_translated(model):
    sources, targets = zip(*pairs(30, seed=1), strict=True)
    assert model.task.splits
    assert not model.task.spaces
    assert model.rewrite(" ".join(sources)) == "".join(targets)
    assert lmkeras.Seq2SeqModel(long_sources="cut").task.splits is False


def test_summaries_are_known_by_their_length_and_read_the_start_of_long_texts():
    rows = [(f"{'word ' * 12}{n}", f"w{n % 3}") for n in range(40)]
    task = Seq2Seq().learned(Seq2Seq().corpus(rows), None, None, trained=False)
    assert not task.splits
    assert task.spaces
    assert task.scripts == ("LATIN", "LATIN")
    model = lmkeras.Seq2SeqModel("transformer", "characters", max_length=16, **SIZES)
    model.fit(rows, steps=2, verbose=0, validation_fraction=0)
    with pytest.warns(UserWarning, match="1 of 2 texts have more than the 16 tokens"):
        long, short = model.rewrite([f"{'word ' * 400}", "word word word "[:15]])
    assert long == short


def test_a_saved_model_writes_the_same(each, tmp_path):
    each.save(tmp_path / "model")
    again = lmkeras.load(tmp_path / "model")
    assert isinstance(again, lmkeras.Seq2SeqModel)
    assert again.task == each.task
    assert again.rewrite("dog sees a big fish.", num_best=2) == each.rewrite("dog sees a big fish.", num_best=2)


SERVE = """
import json, sys
import tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
assert not any(name.startswith("lmkeras") for name in sys.modules)
texts = tf.constant(json.loads(sys.argv[2]))
found = []
for beams, most in ((1, 0), (4, 0), (3, 2)):
    got = signatures["rewrite"](text=texts, num_beams=tf.constant(beams), max_new_tokens=tf.constant(most))
    found.append([[one.decode() for one in got["text"].numpy()], got["score"].numpy().tolist()])
default = signatures["serving_default"](text=texts)["text"].numpy()
assert [one.decode() for one in default] == found[1][0]
assert signatures["serving_default"](text=tf.constant([], tf.string))["text"].shape == (0,)
print(json.dumps(found))
"""


def test_a_saved_model_of_tensorflow_alone_writes_what_python_writes(each, tmp_path):
    assert each.export(tmp_path / "exported") == ["rewrite", "serving_default"]
    long = " ".join(source for source, _ in pairs(9, seed=2))
    texts = ["dog sees fish.", "", "a big cat", long, "狗\nxyz"]
    command = [sys.executable, "-I", "-c", SERVE, str(tmp_path / "exported"), json.dumps(texts)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    for (beams, most), (given, scores) in zip(((1, None), (4, None), (3, 2)), json.loads(run.stdout), strict=True):
        found = each.rewrite(texts, num_beams=beams, max_new_tokens=most, num_best=1)
        assert given == [one[0].text for one in found]
        np.testing.assert_allclose(scores, [one[0].score for one in found], rtol=1e-4, atol=1e-4)


def test_the_other_direction_is_learnt_by_name(tmp_path):
    task = Seq2Seq(reverse=True)
    assert list(task.corpus([("cat", "猫")])) == [("猫", "cat")]
    file = tmp_path / "texts.csv"
    file.write_text("source,target\ncat,猫\n", encoding="utf-8")
    columns = lmkeras.Seq2SeqModel().task.Columns()
    assert list(task.corpus(str(file), columns)) == [("猫", "cat")]


def test_nothing_is_made_of_nothing(each):
    assert each.rewrite("") == "".join(each.stream("")) == ""
    assert [one.text for one in each.rewrite(["", "dog"], num_best=2)[0]] == ["", ""]


def test_swapped_columns_are_told_of(model, caplog):
    swapped = [(target, source) for source, target in pairs(40)]
    model.task.learned(model.task.corpus(swapped), None, None, trained=True)
    assert "swapped" in caplog.text
    caplog.clear()
    model.task.learned(model.task.corpus(pairs(40)), None, None, trained=True)
    assert not caplog.text
    lmkeras.Seq2SeqModel().task.learned(model.task.corpus(pairs(40)), model.task.corpus(swapped), None, trained=False)
    assert "swapped" in caplog.text


def test_scripts_are_those_of_most_letters():
    assert script_of(["Straße 12", "猫"]) == "LATIN"
    assert script_of(["これは猫です"]) == "HIRAGANA"
    assert script_of(["Привет"]) == "CYRILLIC"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_beams": 0}, "num_beams"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"num_best": 5}, "larger num_beams finds more"),
        ({"num_best": 0}, "4 beams find 1 to 4 texts"),
        ({"no_repeat_ngram": -2}, "no_repeat_ngram"),
        ({"num_beams": True}, "num_beams"),
        ({"length_penalty": -1000}, "length_penalty"),
        ({"length_penalty": None}, "length_penalty"),
    ],
    ids=str,
)
def test_impossible_numbers_are_named(model, wrong, message):
    with pytest.raises(InputError, match=message):
        model.rewrite("dog", **wrong)


def test_numbers_of_numpy_are_numbers(model):
    numbers = {"num_beams": np.int64(3), "num_best": np.int64(2), "no_repeat_ngram": np.int64(2)}
    given = {name: int(number) for name, number in numbers.items()}
    assert model.rewrite("dog", max_new_tokens=np.int64(4), **numbers) == model.rewrite(
        "dog", max_new_tokens=4, **given
    )


def test_what_is_no_text_is_named(model):
    with pytest.raises(InputError, match="text"):
        model.rewrite([("a", "b")])
    with pytest.raises(InputError, match="one text"):
        model.stream(["a"])


def test_a_network_of_another_kind_is_refused(model):
    from lmkeras.networks.bodies.transformer import transformer_language_model

    network = transformer_language_model(model.tokenizer.vocabulary_size, d_model=16, num_layers=1)
    with pytest.raises(InputError, match="encoder-decoder"):
        lmkeras.Seq2SeqModel(network, model.tokenizer)


def test_the_weights_that_write_the_best_texts_are_kept():
    model = lmkeras.Seq2SeqModel("transformer", "characters", label_smoothing=0.0, **SIZES)
    training = {"steps": 60, "evaluate_every": 20, "batch_size": 16, "precision": "float32", "verbose": 0}
    history = model.fit(pairs(), pairs(20, seed=3), monitor="val_bleu", **training)
    assert [set(line) for line in history] == [{"loss", "val_loss", "val_bleu", "val_rouge_l"}] * 3
    assert history.outcome.value == max(line["val_bleu"] for line in history)
    values = model.evaluate(pairs(20, seed=3), num_beams=1)
    assert values["bleu"] == pytest.approx(history.outcome.value, abs=1e-6)


@pytest.mark.parametrize("others", [{"distribute": "mirrored"}, {"average_checkpoints": 2}], ids=str)
def test_what_does_not_go_with_written_texts_is_named(others):
    with pytest.raises(InputError, match=next(iter(others))):
        lmkeras.Seq2SeqModel().fit(pairs(), monitor="val_bleu", verbose=0, **others)


def test_no_ngram_comes_twice_if_it_may_not(model):
    text = model._runner.rewrite(["fish fish fish fish"], Beams(2, no_repeat_ngram=1), max_new_tokens=20)[0][0].text
    ids = model.tokenizer.encode(text)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("letters", "cut"), [(14, False), (15, False), (16, True), (40, True)])
def test_a_source_is_cut_where_it_and_its_end_are_too_long(letters, cut):
    lengths = Lengths(16, None, end=0)
    assert lengths.source([5] * letters) == [*[5] * min(letters, 15), 0]
    assert lengths.are_cut([5] * letters) == cut
