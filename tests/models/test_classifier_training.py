"""What TextClassifier.fit promises of its settings, and of what it leaves behind when it fails."""

import json

import keras
import numpy as np
import pytest

import lmkeras
from lmkeras import InputError
from lmkeras.corpora import LabelledCorpus
from tests.models.reviews import classifier, learnt, matches, reviews

QUICK = {"batch_size": 8, "xla": "off", "verbose": 0}


def log_probabilities(model, examples):
    """Of the true label of each example."""
    predictions = model.predict([text for text, _ in examples])
    return np.log([p.probabilities[label] for p, (_, label) in zip(predictions, examples, strict=True)])


def weights_by_group(model):
    groups = model.network.layer_groups()
    return [[weight.numpy() for layer in group for weight in layer.weights] for group in groups]


@pytest.fixture
def known(tmp_path):
    """A model of one's own that has learnt the reviews."""
    learnt().save(tmp_path / "known")
    return lmkeras.load(tmp_path / "known")


def test_the_seed_fixes_everything():
    """Initial weights, validation, order and dropout: the same weights to the last bit."""
    runs = []
    for seed in (3, 3, 4):
        model = classifier("dense", "words", dropout=0.5)
        history = model.fit(reviews(40), epochs=2, seed=seed, **QUICK)
        runs.append((history, model.network.get_weights(), model.predict("fizzy, vague and so")))
    assert runs[0][0] == runs[1][0] != runs[2][0]
    for first, second in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert runs[0][2] == runs[1][2] != runs[2][2]


@pytest.mark.parametrize(
    ("class_weights", "factors"),
    [
        ("none", {"nö": 1, "yes": 1}),
        ("balanced", {"nö": 2, "yes": 2 / 3}),
        ({"nö": 5}, {"nö": 5, "yes": 1}),
        ({"nö": 1, "yes": 0}, {"nö": 1, "yes": 0}),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [12, 5])
def test_class_weights_are_shares_of_the_loss(known, class_weights, factors, batch_size):
    """An epoch that changes nothing reports sum(weight times -log p) / sum(weight) over all examples.

    However they are cut into batches; the loss on what validates has no weights, and no metric has.
    """
    texts = [text for text, _ in reviews(12)]
    examples = [(text, "nö" if number < 3 else "yes") for number, text in enumerate(texts)]
    weights, nats = np.array([factors[label] for _, label in examples]), -log_probabilities(known, examples)
    right = np.array([known.predict(text).label == label for text, label in examples])
    how = {"epochs": 1, "learning_rate": 1e-12, **QUICK, "batch_size": batch_size, "evaluate_every": 3}
    history = known.fit(examples, examples, class_weights=class_weights, **how)
    assert history[0]["loss"] == pytest.approx(np.average(nats, weights=weights), rel=1e-4)
    assert history[0]["val_loss"] == pytest.approx(np.mean(nats), rel=1e-4)
    assert history[0]["accuracy"] == pytest.approx(np.mean(right[weights > 0]))
    assert history[0]["val_accuracy"] == pytest.approx(np.mean(right))
    assert 0 < np.mean(right[weights > 0]) < 1, "else this shows little"


@pytest.mark.parametrize(
    ("class_weights", "share"), [("none", 0.75), ("balanced", 0.5), ({"rare": 9.0}, 0.25)], ids=str
)
def test_where_texts_say_nothing_probabilities_become_the_weighted_shares(class_weights, share):
    """The loss is lowest where p is the share of a label in the weights of all examples."""
    examples = [("the same text", label) for label in ["common", "common", "common", "rare"]]
    model = classifier()
    how = {"steps": 150, "learning_rate": 0.02, "schedule": "constant", **QUICK}
    model.fit(examples, validation_fraction=0, class_weights=class_weights, **how)
    assert model.predict("the same text").probabilities["common"] == pytest.approx(share, abs=0.01)


def test_frozen_groups_keep_their_weights_to_the_last_bit(known):
    before = weights_by_group(known)
    known.fit(reviews(16, seed=5), validation_fraction=0, epochs=1, frozen_groups=2, learning_rate=0.01, **QUICK)
    same = [
        all(np.array_equal(old, new) for old, new in zip(*pair, strict=True))
        for pair in zip(before, weights_by_group(known), strict=True)
    ]
    assert same == [True, True, False]
    assert all(layer.trainable for group in known.network.layer_groups() for layer in group)


def test_layer_decay_slows_each_group(known):
    """Adam's first update is the learning rate in every weight that has a gradient, here times 1/2 a group."""
    before = weights_by_group(known)
    how = {"steps": 1, "optimizer": "adam", "learning_rate": 0.01, "schedule": "constant", "warmup_steps": 0, **QUICK}
    confusing = [(text, "yes") for text, _ in reviews(8)] + [("fizzy", "nö")]  # so that gradients are large
    known.fit(confusing, validation_fraction=0, layer_decay=0.5, **how)
    steps = [
        max(np.abs(new - old).max() for old, new in zip(*pair, strict=True))
        for pair in zip(before, weights_by_group(known), strict=True)
    ]
    assert steps == pytest.approx([0.0025, 0.005, 0.01], rel=0.01)


@pytest.fixture(scope="module")
def misled():
    """Trained until it is sure of itself and validated, by either measure, where a third of the labels are wrong.

    The rare case is learnt late: the accuracy still rises by it when the loss, of what is wrong, has long been rising.
    """
    rare = [("zesty but vague", "yes")]
    validation = [
        (text, "yes" if number % 3 == 0 else label) for number, (text, label) in enumerate(reviews(60, seed=6))
    ] + rare * 3
    runs = {}
    for monitor in ("val_loss", "val_accuracy"):
        model = classifier()
        how = {"epochs": 8, "learning_rate": 0.02, "schedule": "constant", **QUICK}
        runs[monitor] = model, model.fit(reviews(60) + rare, validation, monitor=monitor, **how)
    return validation, runs


def test_the_best_weights_by_the_monitor_are_kept(misled):
    validation, runs = misled
    assert runs["val_loss"][1] == runs["val_accuracy"][1]
    history = runs["val_loss"][1]
    losses, accuracies = ([line[name] for line in history] for name in ("val_loss", "val_accuracy"))
    by_loss, by_accuracy = int(np.argmin(losses)), int(np.argmax(accuracies))
    assert by_loss not in (by_accuracy, len(history) - 1), "else this shows nothing"
    for monitor, best in (("val_loss", by_loss), ("val_accuracy", by_accuracy)):
        values = runs[monitor][0].evaluate(validation)
        assert values["loss_nats"] == pytest.approx(losses[best], abs=1e-6)
        assert values["accuracy"] == pytest.approx(accuracies[best])


def test_patience_ends_training(known):
    history = known.fit(reviews(16), reviews(16), epochs=9, patience=2, learning_rate=1e-12, **QUICK)
    assert len(history) == 3


def test_validation_comes_from_every_label_or_from_a_corpus_of_its_own(known):
    examples = reviews(20)
    how = {"steps": 1, "learning_rate": 1e-12, **QUICK}
    nats = -log_probabilities(known, reviews(10, seed=7)).mean()
    assert known.fit(examples, reviews(10, seed=7), **how)[0]["val_loss"] == pytest.approx(nats, abs=1e-6)
    held_out = lmkeras.split_labelled(LabelledCorpus.from_examples(*zip(*examples, strict=True)), 0.3, seed=2)[1]
    nats = -log_probabilities(known, list(held_out)).mean()
    history = known.fit(examples, validation_fraction=0.3, seed=2, **how)
    assert held_out.label_counts() == {"nö": 3, "yes": 3}
    assert history[0]["val_loss"] == pytest.approx(nats, abs=1e-6)
    assert "val_loss" not in known.fit(examples, validation_fraction=0, **how)[0]


def test_it_goes_on_from_where_it_stands(known, tmp_path):
    before = known.evaluate(reviews(20, seed=8))
    how = {"steps": 1, "learning_rate": 1e-12, "run_folder": tmp_path / "run", **QUICK}
    history = known.fit([("vague", "nö"), ("vague film", "nö"), ("so fizzy", "yes")], reviews(20, seed=8), **how)
    assert history[0]["val_loss"] == pytest.approx(before["loss_nats"], abs=1e-6)
    assert known.labels == ("nö", "yes")
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text())
    assert line["val_accuracy"] == history[0]["val_accuracy"] == before["accuracy"] == 1


FINE = [*reviews(8), ("well", "fine"), ("so so", "fine")]
BAD_FITS = {
    "one label": ({"corpus": [("fizzy", "yes"), ("so fizzy", "yes")]}, r"2 examples that are all 'yes' \(2\)"),
    "weight of no label": ({"class_weights": {"nope": 2.0}}, "unknown label in class_weights 'nope': expected .* nö"),
    "labels of validation": ({"validation": FINE}, r"2 of 10 examples have labels .* 'fine' \(2\).*Expected .*'yes'"),
    "pairs in validation": ({"validation": [(("a", "b"), "yes")]}, "single texts, and got a pair"),
    "too many frozen": ({"frozen_groups": 3}, "cannot freeze 3 of 3 groups"),
    "device": ({"device": "tpu"}, "unknown device"),
    "decay": ({"layer_decay": 0.0}, "layer_decay must be above 0"),
    "fraction": ({"validation_fraction": 1.5}, "validation_fraction: expected a number between 0 and 1"),
    "corpus": ({"corpus": "no-such-file.csv"}, "no such file"),
}


@pytest.mark.parametrize(("arguments", "says"), BAD_FITS.values(), ids=BAD_FITS)
def test_a_fit_that_cannot_be_leaves_nothing_behind(arguments, says, tmp_path):
    model = classifier()
    arguments = {"corpus": reviews(8), "run_folder": tmp_path / "run", **arguments}
    with pytest.raises(InputError, match=says):
        model.fit(**arguments)
    assert model.tokenizer is model.network is model.labels is None
    assert not model.pairs
    assert not list(tmp_path.iterdir())


def test_after_fits_that_cannot_be_a_model_is_what_it_was(known):
    before, words = known.network.get_weights(), known.predict(["so fizzy", "it was vague"])
    for arguments, says in BAD_FITS.values():
        with pytest.raises(InputError, match=says):
            known.fit(**{"corpus": reviews(8), **arguments})
    with pytest.raises(InputError, match=r"2 of 10 examples have labels that were not learnt: 'fine' \(2\)"):
        known.fit(FINE, validation_fraction=0)
    with pytest.raises(InputError, match="takes single texts, and got a pair"):
        known.fit([(("a", "b"), "yes"), (("c", "d"), "nö")], validation_fraction=0)
    for old, new in zip(before, known.network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert known.predict(["so fizzy", "it was vague"]) == words


def test_a_model_that_could_not_be_trained_can_be():
    model = classifier(max_length=2)
    with pytest.raises(InputError, match="max_length must be at least 3"):
        model.fit(matches(8), validation_fraction=0)
    with pytest.raises(InputError, match="fit has no argument 'epoch'; did you mean 'epochs'"):
        model.fit(FINE, epoch=3)
    model.fit(FINE, validation_fraction=0, steps=1, **QUICK)
    assert model.labels == ("fine", "nö", "yes")


def test_training_that_diverges_says_so_and_keeps_the_model(known):
    class Poison(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kernel = self.model.head.dense.kernel
            kernel.assign(kernel * np.nan)

    with pytest.raises(InputError, match="val_loss became nan at update 1"):
        known.fit(reviews(40), reviews(10), callbacks=[Poison()], evaluate_every=1, **QUICK)
    assert known.labels == ("nö", "yes")
