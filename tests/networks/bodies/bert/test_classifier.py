import json

import keras
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.networks.bodies.bert import Bert, bert_classifier, fresh_bert
from lmkeras.networks.network import Network
from tests.layers.formulas import dense, fill
from tests.networks.bodies.bert.published import CONFIG, forward, tensors_of, write

TENSORS = tensors_of(CONFIG)
IDS = np.random.default_rng(1).integers(1, CONFIG["vocab_size"], (3, 6)).astype("int32")
LENGTHS = np.array([6, 4, 1])
MASK = (np.arange(6) < LENGTHS[:, None]).astype("int32")
TYPES = np.array([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0], [0] * 6], "int32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("bert"), CONFIG, TENSORS)


@pytest.fixture(scope="module")
def network(folder):
    network = bert_classifier(folder, num_classes=4)
    fill(network.head)
    return network


def assert_close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(np.asarray(actual, "float64"), np.asarray(expected, "float64"), rtol=0, atol=tolerance)


def expected(network, ids, mask, types=None):
    return dense(forward(TENSORS, CONFIG, ids, mask, types)[1], network.head)


def test_logits_are_a_linear_function_of_the_pooled_output(network):
    logits = network(IDS)
    assert logits.dtype == "float32"
    assert_close(logits, expected(network, IDS, None))


def test_padding_is_not_looked_at_and_types_count(network):
    padded = IDS * MASK
    for types in (None, TYPES):
        wanted = expected(network, padded, MASK, types)
        given = {} if types is None else {"token_type_ids": types}
        assert_close(network({"input_ids": padded, **given}), wanted)
        assert_close(network({"input_ids": IDS, "attention_mask": MASK, **given}), wanted)
    assert not np.allclose(network(padded), network({"input_ids": padded, "token_type_ids": TYPES}), atol=1e-2)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, CONFIG["vocab_size"] - 1), max_size=5), st.sets(st.integers(0, 7), max_size=3))
def test_padding_changes_nothing_wherever_it_stands(network, ids, places):
    padded = list(ids)
    for place in sorted(places):
        padded.insert(place, 0)
    logits = network(np.array([[*padded, 0]]))
    assert_close(logits, network(np.array([[*ids, 0]])))
    assert np.isfinite(logits).all()


def test_config_builds_the_whole_without_files(network, tmp_path):
    again = Network.from_config(json.loads(json.dumps(network.get_config())))
    again.set_weights(network.get_weights())
    assert again.get_config() == network.get_config()
    assert_close(again(IDS), network(IDS), 0)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert type(loaded) is Network
    assert_close(loaded(IDS), network(IDS), 0)


def test_dropout_stands_before_the_last_layer(folder):
    bert = Bert.from_pretrained(folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    nothing, all_of_it = (bert_classifier(bert, 2, dropout) for dropout in (None, 1 - 1e-7))
    assert_close(nothing(IDS, training=True), nothing(IDS), 0)
    fill(all_of_it.head)
    assert_close(all_of_it(IDS, training=True), np.broadcast_to(all_of_it.head.dense.bias, (3, 2)), 1e-6)
    assert bert_classifier(folder, 2).head.dropout == CONFIG["hidden_dropout_prob"]


def test_groups_hold_every_weight_once_from_the_bottom_up(network):
    groups = network.layer_groups()
    assert len(groups) == 1 + CONFIG["num_hidden_layers"] + 1
    assert groups[-1] == [network.body.pooler, network.head.dense]
    weights = [weight.path for group in groups for layer in group for weight in layer.weights]
    assert sorted(weights) == sorted(weight.path for weight in network.weights)


def test_fresh_last_layers_begin_as_bert_says(folder):
    keras.utils.set_random_seed(0)
    head = bert_classifier(Bert(50, 64, 1, 2, 16, initializer_range=0.1), num_classes=40).head.dense
    assert head.kernel.numpy().std() == pytest.approx(0.1 * 0.8796, rel=5 * (0.5 / (64 * 40)) ** 0.5)
    assert_close(head.bias, np.zeros(40), 0)


def test_what_is_published_has_berts_and_the_classifiers_tensors(network, tmp_path):
    network.save_pretrained(tmp_path, labels=["a", "b", "c", "d"])
    tensors = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    kernel, bias = tensors.pop("classifier.weight"), tensors.pop("classifier.bias")
    assert_close(kernel.T, network.head.dense.kernel, 0)
    assert_close(bias, network.head.dense.bias, 0)
    assert set(tensors) == {f"bert.{name}" for name in TENSORS}
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(tensors[f"bert.{name}"], tensor)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "a", "1": "b", "2": "c", "3": "d"}
    assert config["label2id"] == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert_close(Bert.from_pretrained(tmp_path)(IDS)[1], network.body(IDS)[1], 0)


def test_labels_are_as_many_as_classes(network, tmp_path):
    with pytest.raises(InputError, match="expected 4 labels, one for each class, got 3"):
        network.save_pretrained(tmp_path, labels=["a", "b", "c"])


def test_a_bert_without_a_checkpoint():
    sizes = {"d_model": 8, "num_heads": 4, "num_layers": 3, "max_length": 11, "dropout": 0.3}
    network = bert_classifier(fresh_bert(vocabulary_size=30, **sizes), num_classes=5)
    bert = network.body
    assert (bert.vocab_size, bert.hidden_size, bert.num_attention_heads, bert.num_hidden_layers) == (30, 8, 4, 3)
    assert (bert.intermediate_size, bert.max_position_embeddings) == (32, 11)
    assert (bert.vocabulary_size, bert.max_length, network.head.num_classes) == (30, 11, 5)
    assert {bert.hidden_dropout_prob, bert.attention_probs_dropout_prob, network.head.dropout} == {0.3}
    tensors = bert.published_weights()
    config = {**CONFIG, **bert.sizes()}
    assert_close(network(IDS), dense(forward(tensors, config, IDS)[1], network.head))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"num_classes": 1}, "num_classes must be at least 2, got 1"), ({"dropout": 1.5}, "dropout must be from 0")],
)
def test_sizes_that_cannot_be(arguments, message):
    with pytest.raises(InputError, match=message):
        bert_classifier(Bert(50, 8, 1, 2, 16), **{"num_classes": 2, **arguments})


def test_the_rate_for_fresh_weights_is_kept(tmp_path):
    fresh = bert_classifier(fresh_bert(vocabulary_size=9, d_model=8, num_layers=1), num_classes=2)
    fresh.save(tmp_path / "network.keras")
    assert keras.saving.load_model(tmp_path / "network.keras").default_learning_rate == fresh.default_learning_rate
    assert fresh.default_learning_rate > bert_classifier(Bert(9, 8, 1, 2, 16), 2).default_learning_rate
