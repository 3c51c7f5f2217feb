"""What every head owes: a new one joins by a row of HEADS.

Shape letters: B batch, T tokens.
"""

import importlib
import inspect
import json
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.layers.precision import in_step
from lmkeras.networks import heads, registry
from lmkeras.networks.contract import Head
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.heads.labels import LabelsHead
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.heads.masked import MaskedHead
from lmkeras.networks.heads.spans import SpanHead
from lmkeras.networks.heads.summary import SummaryHead
from lmkeras.networks.heads.tags import TagsHead
from lmkeras.networks.network import Network
from lmkeras.training.devices import precision
from tests.layers.formulas import fill

VOCABULARY = 11
RNG = np.random.default_rng(0)
IDS = RNG.integers(1, VOCABULARY, (4, 5)).astype("int32")
HEADS = {
    "classes": lambda: ClassesHead(3, dropout=0.25),
    "classes, normal": lambda: ClassesHead(3, 0.0, 0.02),
    "labels": lambda: LabelsHead(3, dropout=0.25),
    "labels, normal": lambda: LabelsHead(1, 0.0, 0.02),
    "spans": lambda: SpanHead(dropout=0.25),
    "spans, normal": lambda: SpanHead(0.0, 0.02),
    "tags": lambda: TagsHead(1, 2, crf=False, dropout=0.25),
    "tags of labels": lambda: TagsHead(0, 1, crf=False, initializer_range=0.02, labels=["O", "B-PER", "I-PER"]),
    "masked": lambda: MaskedHead(VOCABULARY),
    "masked, normal": lambda: MaskedHead(VOCABULARY, activation="relu", epsilon=1e-3, initializer_range=0.02),
    "language": lambda: LanguageHead(VOCABULARY),
    "language, tied": lambda: LanguageHead(VOCABULARY, tied=True),
    "language, smoothed": lambda: LanguageHead(VOCABULARY, label_smoothing=0.1),
    "language, last alone": lambda: LanguageHead(VOCABULARY, every_position=False),
    "language, tied, last alone": lambda: LanguageHead(VOCABULARY, tied=True, every_position=False),
}


def new(row):
    head = HEADS[row]()
    if isinstance(head, SpanHead):  # which needs a mask, and so a reader
        return fill(Network(registry.new_body("lstm", "readers", vocabulary_size=VOCABULARY, embedding_dim=6), head))
    sizes = {"embedding_dim": 6, "units": 5, "tie_embeddings": getattr(head, "tied", False)}
    return fill(Network(registry.new_body("lstm", "writers", vocabulary_size=VOCABULARY, **sizes), head))


@pytest.fixture(scope="module", params=HEADS)
def network(request):
    """Shared by the tests of this file: none of them changes it."""
    return new(request.param)


def targets_and_shares(network):
    """Targets of the outputs' places, and shares that are not equal, some 0, which sum to 1."""
    *places, outputs = network(IDS).shape
    if several := isinstance(network.head, LabelsHead):
        places, outputs = [*places, outputs], 2  # each label is a target: 0 or 1
    if isinstance(network.head, SpanHead):  # a start and an end of each text, among its tokens
        places, outputs = [len(IDS), 2], IDS.shape[1]
    rng = np.random.default_rng(1)
    shares = rng.random(places) * (rng.random(places) > 0.3)
    targets = rng.integers(0, outputs, places).astype("int8" if several else "int32")
    return targets, (shares / shares.sum()).astype("float32")


def value_and_gradients(network, loss):
    with tf.GradientTape() as tape:
        value = loss()
    return [value, *map(tf.convert_to_tensor, tape.gradient(value, network.trainable_weights))]


def by_outputs(network):
    targets, shares = targets_and_shares(network)
    return value_and_gradients(network, lambda: network.head.loss(network(IDS), targets, shares))


def by_outputs_in_training(network):
    targets, shares = targets_and_shares(network)
    return value_and_gradients(network, lambda: network.head.training_loss(network(IDS), targets, shares))


def test_every_head_is_tried():
    found = set()
    for module in pkgutil.iter_modules(heads.__path__, f"{heads.__name__}."):
        members = vars(importlib.import_module(module.name)).values()
        found |= {kind for kind in members if inspect.isclass(kind) and issubclass(kind, Head)}
    found -= {Head, SummaryHead}  # others derive from them
    assert {type(make()) for make in HEADS.values()} == found


def test_config_holds_every_argument_and_makes_the_same_head(network):
    config = network.head.get_config()
    assert set(config) == set(inspect.signature(type(network.head).__init__).parameters) - {"self", "kwargs"}
    again = type(network.head).from_config(json.loads(json.dumps(config)))
    assert (again.get_config(), again.reads) == (config, network.head.reads)
    other = Network(network.body, again)
    again.set_weights(network.head.get_weights())
    np.testing.assert_array_equal(other(IDS), network(IDS))


def test_what_the_head_gets_is_the_bodys(network):
    states = network.body(IDS)
    if network.head.reads == "masked_states":
        masked, mask = network.features(IDS)
        assert (masked.shape, mask.shape) == (states.shape, IDS.shape)
    else:
        assert network.features(IDS).shape == (states if "states" in network.head.reads else states[:, -1]).shape
    np.testing.assert_array_equal(network(IDS), network.head(network.features(IDS)))


def cross_entropy(network, logits, targets):
    """In NumPy and in TensorFlow, of a softmax over all logits or of a sigmoid for each."""
    if isinstance(network.head, LabelsHead):
        plain = -np.log(1 / (1 + np.exp(np.where(targets, -1, 1) * logits)))
        return plain, lambda outputs: tf.keras.backend.binary_crossentropy(
            targets.astype("float32"), outputs, from_logits=True
        )
    if isinstance(network.head, SpanHead):
        logits = logits.swapaxes(1, 2)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    plain = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    last = (lambda x: tf.transpose(x, [0, 2, 1])) if isinstance(network.head, SpanHead) else tf.identity
    return plain, lambda outputs: tf.nn.sparse_softmax_cross_entropy_with_logits(targets, last(outputs))


def test_the_loss_is_the_sum_of_the_targets_by_their_shares(network):
    (targets, shares), logits = targets_and_shares(network), np.asarray(network(IDS), "float64")
    losses, losses_of = cross_entropy(network, logits, targets)
    expected = np.sum(losses * shares)
    value, *gradients = by_outputs(network)
    assert value.shape == ()
    assert float(value) == pytest.approx(expected, rel=1e-5)
    like = value_and_gradients(network, lambda: tf.reduce_sum(shares * losses_of(network(IDS))))
    for ours, plain in zip(gradients, like[1:], strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-6)


def direct(network, ids=IDS):
    targets, shares = targets_and_shares(network)
    return network.head.direct_loss(network.features(ids), targets, shares, training=True)


def test_a_loss_without_outputs_is_the_same_with_the_same_gradients(network):
    if direct(network) is None:
        assert type(network.head) in (ClassesHead, LabelsHead, SpanHead, TagsHead), "whose few logits are no burden"
        return
    ours_and_plain = value_and_gradients(network, lambda: direct(network)), by_outputs_in_training(network)
    for ours, plain in zip(*ours_and_plain, strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-6)
    evaluated = network.head.direct_loss(network.features(IDS), *targets_and_shares(network), training=False)
    assert float(evaluated) == pytest.approx(float(by_outputs(network)[0]), rel=1e-6)


def test_graphs_need_not_know_how_many_there_are(network):
    unknown = tf.function(lambda ids: direct(network, ids), input_signature=[tf.TensorSpec([None, None], "int32")])
    value = unknown(tf.constant(IDS))
    if value is not None:
        assert float(value) == pytest.approx(float(by_outputs_in_training(network)[0]), rel=1e-6)


@pytest.mark.parametrize("row", HEADS)
@pytest.mark.parametrize("part", ["body", "head"])
def test_what_is_frozen_changes_no_other_gradient(row, part):
    network = new(row)
    gradients = by_outputs_in_training(network)[1:]
    before = {id(weight): value for weight, value in zip(network.weights, gradients, strict=True)}
    getattr(network, part).trainable = False
    if not network.trainable_weights or direct(network) is None:
        return  # a tied head has no weights of its own
    assert len(network.trainable_weights) <= len(before)
    gradients = value_and_gradients(network, lambda: direct(network))[1:]
    for weight, gradient in zip(network.trainable_weights, gradients, strict=True):
        np.testing.assert_allclose(gradient, before[id(weight)], atol=1e-6)


def test_the_loss_of_keras_that_equals_it(network):
    targets, _ = targets_and_shares(network)
    if (keras_loss := network.head.keras_loss) is not None:
        value = network.head.loss(network(IDS), targets, np.full(targets.shape, 1 / targets.size, "float32"))
        assert float(value) == pytest.approx(float(keras_loss(targets, network(IDS))), rel=1e-6)


def test_outputs_and_losses_are_float32_and_near_in_every_precision(network):
    exact, expected = network(IDS), float(by_outputs_in_training(network)[0])
    for policy in ("mixed_bfloat16", "mixed_float16"):
        with precision(network, policy), in_step():
            outputs, loss = network(IDS), by_outputs_in_training(network)[0]
            rough = direct(network)
        assert (outputs.dtype, loss.dtype) == ("float32", "float32")
        assert 0 < np.linalg.norm(outputs - exact) < 0.05 * np.linalg.norm(exact)  # bfloat16's 0.4 %, a few layers on
        assert float(loss) == pytest.approx(expected, rel=0.02)
        if policy == "mixed_float16":
            assert rough is None, "gradients of single logits are too small for it"
        elif rough is not None:
            assert float(rough) == pytest.approx(expected, rel=0.02)


def test_a_saved_network_gives_equal_outputs(network, tmp_path):
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert type(loaded.head) is type(network.head)
    assert loaded.get_config() == network.get_config()
    np.testing.assert_array_equal(loaded(IDS), network(IDS))


def test_what_every_head_has_to_say():
    with pytest.raises(NotImplementedError):
        Head().loss(None, None, None)
    assert Head().direct_loss(None, None, None, training=True) is None
