"""The Keras models that are called like transformers' own; `make parity` compares them with PyTorch's."""

import json

import keras
import numpy as np
import pytest

import lmkeras
from lmkeras.errors import InputError
from tests.layers.formulas import fill
from tests.networks.bodies.bert.published import CONFIG, forward, tensors_of, write

TENSORS = tensors_of(CONFIG)
IDS = np.random.default_rng(1).integers(1, CONFIG["vocab_size"], (3, 6)).astype("int32")
MASK = (np.arange(6) < np.array([6, 4, 2])[:, None]).astype("int32")
STATES = forward(TENSORS, CONFIG, IDS, MASK)[0][-1]
SIZES = {"vocab_size": 23, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 9}


@pytest.fixture
def folder(tmp_path):
    """Of a token classifier with three labels."""
    rng, width = np.random.default_rng(2), CONFIG["hidden_size"]
    head = {"classifier.weight": rng.normal(size=(3, width)), "classifier.bias": rng.normal(size=3)}
    tensors = {**{f"bert.{name}": tensor for name, tensor in TENSORS.items()}, **head}
    labels = {"0": "O", "1": "B-PER", "2": "I-PER"}
    config = {**CONFIG, "architectures": ["BertForTokenClassification"], "id2label": labels}
    return write(tmp_path / "theirs", config, {name: tensor.astype("float32") for name, tensor in tensors.items()})


def test_outputs_by_position_attribute_and_name_whatever_form_the_inputs_have(folder):
    model = lmkeras.TFBertForTokenClassification.from_pretrained(folder)
    assert model.config.id2label == {0: "O", 1: "B-PER", 2: "I-PER"}
    kernel, bias = model.head.dense.get_weights()
    wanted = STATES @ kernel + bias
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    outputs = model(inputs, output_hidden_states=True)
    np.testing.assert_allclose(outputs.logits, wanted, atol=1e-4)
    assert len(outputs.hidden_states) == 1 + CONFIG["num_hidden_layers"]
    for same in (model(IDS, MASK)[0], model([IDS, MASK])["logits"], model(**inputs).logits, model(inputs).logits):
        np.testing.assert_array_equal(same, outputs.logits)


def test_labels_give_the_mean_loss_and_those_of_minus_100_count_not(folder):
    model = lmkeras.TFBertForTokenClassification.from_pretrained(folder)
    labels = np.where(MASK == 1, np.random.default_rng(3).integers(0, 3, IDS.shape), -100)
    outputs = model(IDS, MASK, labels=labels)
    logits = np.asarray(outputs.logits, "float64")
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    losses = -np.take_along_axis(log_p, np.maximum(labels, 0)[..., None], axis=-1)[..., 0]
    assert outputs._fields == ("loss", "logits")
    assert float(outputs[0]) == pytest.approx(losses[labels != -100].mean(), rel=1e-5)
    assert float(model(IDS, labels=np.full(IDS.shape, -100)).loss) == 0
    assert float(model({"input_ids": IDS, "attention_mask": MASK, "labels": labels}).loss) == float(outputs.loss)


def test_a_head_that_the_checkpoint_lacks_is_fresh_and_said(folder):
    with pytest.warns(UserWarning, match=r"has no qa_outputs\.weight, qa_outputs\.bias: these weights are fresh"):
        model = lmkeras.TFBertForQuestionAnswering.from_pretrained(folder)
    assert model(IDS)._fields == ("start_logits", "end_logits")
    with pytest.raises(InputError, match=r"classifier\.weight \[3, 12\] instead of \[5, 12\]"):
        lmkeras.TFBertForTokenClassification.from_pretrained(folder, num_labels=5)


@pytest.mark.parametrize("within", [True, False])
def test_fit_by_the_models_own_loss(within):
    """With labels among the inputs, or as y of a model that is compiled without a loss."""
    model = lmkeras.TFBertForSequenceClassification(labels=2, **SIZES)
    labels = np.array([0, 1, 1])
    before = float(model(IDS, labels=labels).loss)
    model.compile(keras.optimizers.Adam(0.01))
    given = ({"input_ids": IDS, "labels": labels},) if within else ({"input_ids": IDS}, labels)
    losses = model.fit(*given, epochs=8, batch_size=3, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(before, rel=0.5)
    assert losses[-1] < 0.8 * losses[0]


def test_fit_by_a_loss_and_metrics_of_keras():
    model = lmkeras.TFBertForSequenceClassification(labels=2, **SIZES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    history = model.fit({"input_ids": IDS, "attention_mask": MASK}, np.array([0, 1, 1]), epochs=10, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", "accuracy"}
    assert model.predict(IDS, verbose=0).logits.shape == (3, 2)


@pytest.mark.parametrize(
    ("labels", "given", "loss"),
    [
        (1, np.array([0.5, 1.0, -2.0], "float32"), lambda z, y: np.mean((z[:, 0] - y) ** 2)),
        (2, np.array([[0, 1], [1, 1], [0, 0]], "float32"), lambda z, y: np.mean(np.logaddexp(0, z) - z * y)),
        (2, np.array([0, 1, 1]), lambda z, y: np.mean(np.logaddexp.reduce(z, axis=1) - z[np.arange(3), y])),
    ],
)
def test_the_labels_say_what_kind_of_answers_they_are(labels, given, loss):
    model = fill(lmkeras.TFBertForSequenceClassification(labels=labels, **SIZES))
    outputs = model(IDS, labels=given)
    assert float(outputs.loss) == pytest.approx(loss(np.asarray(outputs.logits, "float64"), given), rel=1e-5)


def test_pretraining_has_both_heads_and_needs_both_labels(tmp_path):
    model = fill(lmkeras.TFBertForPreTraining(**SIZES))
    words = np.where(MASK == 1, IDS, -100)
    outputs = model(IDS, labels=words, next_sentence_label=np.array([0, 1, 0]))
    assert outputs._fields == ("loss", "prediction_logits", "seq_relationship_logits")
    assert (outputs[1].shape, outputs[2].shape) == ((3, 6, 23), (3, 2))
    with pytest.raises(InputError, match="expected labels and next_sentence_label together, got labels"):
        model(IDS, labels=words)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["BertForPreTraining"]
    masked = lmkeras.TFBertForMaskedLM.from_pretrained(tmp_path)
    np.testing.assert_allclose(masked(IDS).logits, outputs.prediction_logits, atol=1e-6)


def test_a_matrix_that_is_not_tied_is_refused(tmp_path):
    lmkeras.TFBertForMaskedLM(**SIZES).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    with pytest.raises(InputError, match="has an output matrix of its own: expected tie_word_embeddings true"):
        lmkeras.TFBertForMaskedLM.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", [name for name in lmkeras.__all__ if name.startswith("TFBertFor")])
def test_keras_saves_and_loads_them(tmp_path, name):
    model = fill(getattr(lmkeras, name)(**SIZES))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for ours, loaded in zip(model(IDS), again(IDS), strict=True):
        np.testing.assert_array_equal(ours, loaded)


def test_a_distilbert_has_no_token_types(tmp_path):
    model = fill(lmkeras.TFBertForSequenceClassification(labels=3, model_type="distilbert", **SIZES))
    assert not model.bert.takes_token_types
    with pytest.raises(InputError, match="a DistilBERT has no token types"):
        model(IDS, token_type_ids=np.zeros_like(IDS))
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architectures"], config["dim"]) == (["DistilBertForSequenceClassification"], 8)
    again = lmkeras.TFBertForSequenceClassification.from_pretrained(tmp_path)
    np.testing.assert_array_equal(again(IDS).logits, model(IDS).logits)
    with pytest.raises(InputError, match="transformers has no DistilBertForPreTraining"):
        lmkeras.TFBertForPreTraining(model_type="distilbert", **SIZES).save_pretrained(tmp_path)
