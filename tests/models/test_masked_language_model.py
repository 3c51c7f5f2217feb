"""A masked language model: what it learns, fills in and is judged by, and what begins from it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.datasets.masking import FIXED
from lmkeras.errors import InputError
from lmkeras.models.beginning import network_from, tokenizer_of
from lmkeras.networks.registry import family
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.masked import MaskedLanguage

COLOURS = {"sky": "blue", "grass": "green", "blood": "red", "snow": "white"}
TEXTS = [f"the {thing} is {colour}.\n{thing} is {colour}." for thing, colour in COLOURS.items()] * 10
SIZES = {"d_model": 32, "num_heads": 2, "num_layers": 1, "max_length": 24, "dropout": 0.0}
TRAINING = {"steps": 12, "batch_size": 16, "learning_rate": 0.01, "evaluate_every": 6, "verbose": 0}


@pytest.fixture(scope="module")
def model():
    model = lmkeras.MaskedLanguageModel("bert", masked_share=0.3, **SIZES)
    model.history = model.fit(TEXTS, **TRAINING)
    return model


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """The folder of a saved model, and that of a published checkpoint."""
    folder = tmp_path_factory.mktemp("saved")
    model.save(folder / "run")
    model.save_pretrained(folder / "published")
    return folder


def test_it_learns_what_stands_in_the_place_of_a_mask():
    model = lmkeras.MaskedLanguageModel("bert", next_sentence=False, masked_share=0.3, **SIZES)
    settings = {"steps": 1000, "batch_size": 16, "learning_rate": 0.003, "warmup_steps": 50, "evaluate_every": 500}
    model.fit(TEXTS, verbose=0, **settings)
    found = model.predict([f"the {thing} is [MASK]." for thing in COLOURS])
    assert [one.tokens for one in found] == [[colour] for colour in COLOURS.values()]
    assert model.evaluate(TEXTS)["perplexity"] < 1.5 < len(COLOURS)


def test_probabilities_are_those_of_the_network(model):
    tokenizer = model.tokenizer
    ids = np.array([[tokenizer.cls_id, *tokenizer.encode("the sky is [MASK]."), tokenizer.sep_id]], "int32")
    logits = np.asarray(model.network(ids)["masked_words"], "float64")[0, list(ids[0]).index(tokenizer.mask_id)]
    p = np.exp(logits - logits.max())
    p /= p.sum()
    expected = sorted(zip(tokenizer.vocabulary, p, strict=True), key=lambda one: -one[1])[:3]
    (mask,) = model.predict("the sky is [MASK].", top_k=3).masks
    assert [token for token, _ in mask] == [token for token, _ in expected]
    np.testing.assert_allclose([p for _, p in mask], [p for _, p in expected], rtol=1e-4)


def test_what_it_is_judged_by(model):
    """Computed anew from the logits of all tokens."""
    values = model.evaluate(TEXTS[:4])
    made = model.task.examples(model.task.corpus(TEXTS[:4]), model.tokenizer, model.network)
    losses, hits, follows = [], [], []
    for number in range(len(made)):
        one = made.example(number, *FIXED)
        inputs = {"input_ids": one.ids[None], "token_type_ids": (np.arange(len(one.ids)) >= one.first_length)[None]}
        outputs = model.network({name: array.astype("int32") for name, array in inputs.items()})
        logits = np.asarray(outputs["masked_words"], "float64")[0, one.places]
        losses += (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(one.places)), one.originals]).tolist()
        hits += (logits.argmax(axis=1) == one.originals).tolist()
        follows.append(int(np.argmax(outputs["next_sentence"])) == one.other)
    assert values["loss_nats"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert values["perplexity"] == pytest.approx(np.exp(np.mean(losses)), rel=1e-4)
    assert (values["accuracy"], values["next_sentence_accuracy"]) == (np.mean(hits), np.mean(follows))
    assert (values["masked_words"], values["examples"]) == (len(losses), len(made))


def test_a_run_that_is_cut_short_and_resumed_ends_with_the_same_weights(model, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 8:
                raise KeyboardInterrupt

    settings = {**TRAINING, "checkpoint_every": 5}
    with pytest.raises(KeyboardInterrupt):
        lmkeras.MaskedLanguageModel("bert", masked_share=0.3, **SIZES).fit(
            TEXTS, run_folder=tmp_path, callbacks=[Stop()], **settings
        )
    resumed = lmkeras.MaskedLanguageModel("bert", masked_share=0.3, **SIZES)
    assert resumed.fit(TEXTS, run_folder=tmp_path, resume=True, **settings) == model.history
    for ours, theirs in zip(resumed.network.get_weights(), model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["run", "published"])
def test_training_goes_on_from_it_with_its_head(model, saved, kind):
    network = network_from(saved / kind, family("bert", "readers"), model.task)
    for ours, theirs in zip(network.get_weights(), model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert tokenizer_of(saved / kind, family("bert", "readers")).vocabulary == model.tokenizer.vocabulary


@pytest.mark.parametrize("kind", ["run", "published"])
def test_a_classifier_begins_from_its_body(model, saved, kind):
    network = network_from(saved / kind, family("bert", "readers"), Classification(labels=("up", "down")), 0.25)
    for ours, theirs in zip(network.body.get_weights(), model.network.body.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (network.head.num_classes, network.head.dropout) == (2, 0.25)


def test_a_head_that_the_checkpoint_lacks_is_fresh_and_said(model, saved, tmp_path):
    masked = lmkeras.TFBertForMaskedLM.from_pretrained(saved / "published")
    masked.save_pretrained(tmp_path)
    lacks = r"has no cls\.seq_relationship\.weight, cls\.seq_relationship\.bias: these weights are fresh"
    with pytest.warns(UserWarning, match=lacks), pytest.warns(UserWarning, match="has no pooler"):
        network = network_from(tmp_path, family("bert", "readers"), model.task)
    np.testing.assert_array_equal(network.head.bias, model.network.head.bias)


def test_weights_are_those_of_a_bert(tmp_path):
    other = lmkeras.TextClassifier("dense", embedding_dim=4)
    other.fit([("a", "x"), ("b", "y")] * 5, steps=1, verbose=0)
    other.save(tmp_path)
    with pytest.raises(InputError, match=r"holds a network with a .*: weights are those of a BERT"):
        network_from(tmp_path, family("bert", "readers"), MaskedLanguage())


def test_exported_it_fills_in(model, tmp_path):
    model.export(tmp_path / "exported")
    fill = tf.saved_model.load(tmp_path / "exported").signatures["fill"]
    texts = ["the sky is [MASK].", "nothing", "the [MASK] is [MASK].", ""]
    found = {name: tensor.numpy() for name, tensor in fill(text=tf.constant(texts)).items()}
    assert found["masks"].tolist() == [1, 0, 2, 0]
    for row in (0, 2):
        for number, mask in enumerate(model.predict(texts[row]).masks):
            assert [token.decode() for token in found["tokens"][row, number]] == [token for token, _ in mask]
            np.testing.assert_allclose(found["probabilities"][row, number], [p for _, p in mask], atol=1e-5)
    assert not found["probabilities"][1].any()
    assert fill(text=tf.constant([], tf.string))["masks"].shape == (0,)


def test_of_a_long_text_what_is_around_the_mask_is_read(model):
    inside = model.predict("red " * 50 + "the sky is [MASK]. " + "red " * 50)
    assert len(inside) == 1
    with pytest.raises(InputError, match="lie further apart than the 22 tokens that the network sees"):
        model.predict("[MASK] " + "red " * 50 + "[MASK]")


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda model: model.predict("no mask"), r"there is no \[MASK\] in the text 'no mask': write \[MASK\] where"),
        (lambda model: model.predict(("a", "b")), "expected a text with a mask, got tuple"),
        (lambda model: model.predict("[MASK]", top_k=0), "top_k must be from 1 to 100, got 0"),
        (lambda model: model.evaluate(["one document alone"]), "say --no-next-sentence"),
        (lambda _: lmkeras.MaskedLanguageModel(max_length=4).fit(TEXTS, verbose=0), "max_length must be at least 8"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(model, do, message):
    with pytest.raises(InputError, match=message) as error:
        do(model)
    assert "\n" not in str(error.value)
