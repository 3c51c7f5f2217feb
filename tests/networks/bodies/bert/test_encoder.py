import collections
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.layers.precision import in_step
from lmkeras.networks.bodies.bert import Bert, TFBertModel
from lmkeras.training.devices import precision
from tests.layers.formulas import layer_norm
from tests.networks.bodies.bert.published import CONFIG, forward, tensors_of, write

RNG = np.random.default_rng(5)
IDS = RNG.integers(1, CONFIG["vocab_size"], (4, 7)).astype("int32")
MASK = np.array([[1] * 7, [1, 1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 0, 1, 1], [1, 0, 0, 0, 0, 0, 0]], "int32")
PAIRS = np.maximum(RNG.integers(0, 2, (4, 7, 7)), np.eye(7, dtype=int)).astype("int32")  # each looks at itself at least
TYPES = RNG.integers(0, 2, (4, 7)).astype("int32")
TENSORS = tensors_of(CONFIG)
SMALL = {name: CONFIG[name] for name in ("vocab_size", "hidden_size", "num_attention_heads", "intermediate_size")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("bert"), CONFIG, TENSORS)


@pytest.fixture(scope="module")
def bert(folder):
    return Bert.from_pretrained(folder)


def assert_close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(np.asarray(actual, "float64"), np.asarray(expected, "float64"), rtol=0, atol=tolerance)


@pytest.mark.parametrize("mask", [None, MASK, PAIRS], ids=["no mask", "of tokens", "of pairs"])
@pytest.mark.parametrize("types", [None, TYPES], ids=["one type", "two types"])
def test_it_is_its_formula(bert, mask, types):
    outputs = bert(IDS, mask, types, output_hidden_states=True, output_attentions=True)
    states, pooled, attentions = forward(TENSORS, CONFIG, IDS, mask, types)
    assert_close(outputs.last_hidden_state, states[-1])
    assert_close(outputs.pooler_output, pooled)
    for actual, expected in itertools.chain(
        zip(outputs.hidden_states, states, strict=True), zip(outputs.attentions, attentions, strict=True)
    ):
        assert_close(actual, expected)


@pytest.mark.parametrize("name", ["gelu_new", "relu", "silu"])
def test_other_activations_and_sizes(tmp_path, name):
    sizes = {"hidden_size": 8, "num_attention_heads": 4, "num_hidden_layers": 2, "layer_norm_eps": 1e-3}
    config = {**CONFIG, **sizes, "hidden_act": name, "type_vocab_size": 3}
    tensors = tensors_of(config, seed=1)
    outputs = Bert.from_pretrained(write(tmp_path, config, tensors))(IDS, MASK, TYPES + 1)
    states, pooled, _ = forward(tensors, config, IDS, MASK, TYPES + 1)
    assert_close(outputs[0], states[-1])
    assert_close(outputs[1], pooled)


SPELLINGS = {
    "keywords": lambda bert: bert(input_ids=IDS, attention_mask=MASK, token_type_ids=TYPES),
    "keywords in a dictionary": lambda bert: bert(token_type_ids=TYPES, input_ids=IDS, attention_mask=MASK),
    "in order": lambda bert: bert(IDS, MASK, TYPES),
    "ids and keywords": lambda bert: bert(IDS, token_type_ids=TYPES, attention_mask=MASK, training=False),
    "list": lambda bert: bert([IDS, MASK, TYPES]),
    "tuple": lambda bert: bert((IDS, MASK, TYPES)),
    "list and keyword": lambda bert: bert([IDS, MASK], token_type_ids=TYPES),
    "dictionary": lambda bert: bert({"input_ids": IDS, "token_type_ids": TYPES, "attention_mask": MASK}),
    "a tokenizer's dictionary": lambda bert: bert(
        collections.UserDict(input_ids=IDS, token_type_ids=TYPES, attention_mask=MASK)
    ),
    "tensors": lambda bert: bert([tf.constant(IDS, "int64"), tf.constant(MASK, "int64"), tf.constant(TYPES, "int64")]),
    "float mask": lambda bert: bert(IDS, attention_mask=MASK.astype("float32"), token_type_ids=TYPES),
    "as a tuple": lambda bert: bert([IDS, MASK, TYPES], return_dict=False),
    "in a graph": lambda bert: tf.function(bert)(IDS, MASK, TYPES),
    "in XLA": lambda bert: tf.function(lambda **inputs: bert(inputs), jit_compile=True)(
        input_ids=IDS, attention_mask=MASK, token_type_ids=TYPES
    ),
    "with unknown sizes": lambda bert: tf.function(bert, input_signature=[tf.TensorSpec([None, None], "int32")] * 3)(
        IDS, MASK, TYPES
    ),
    "functional": lambda bert: functional(bert)([IDS, MASK, TYPES]),
}


def functional(bert):
    inputs = [keras.Input((None,), dtype="int32") for _ in range(3)]
    return keras.Model(inputs, bert(*inputs))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_the_call_is_the_same(bert, spelling):
    states, pooled, _ = forward(TENSORS, CONFIG, IDS, MASK, TYPES)
    outputs = SPELLINGS[spelling](bert)
    sequence, first = outputs
    for actual in (outputs[0], outputs.last_hidden_state, outputs["last_hidden_state"], sequence):
        assert_close(actual, states[-1])
    for actual in (outputs[1], outputs.pooler_output, outputs["pooler_output"], first):
        assert_close(actual, pooled)


@pytest.mark.parametrize(
    "call", [lambda bert: bert([IDS, MASK]), lambda bert: bert({"input_ids": IDS, "attention_mask": MASK})]
)
def test_types_may_be_left_out(bert, call):
    assert_close(call(bert)[0], forward(TENSORS, CONFIG, IDS, MASK)[0][-1])


def test_padding_ids_are_looked_at_unless_a_mask_says_otherwise(bert):
    ids = IDS * MASK
    assert_close(bert(ids)[1], forward(TENSORS, CONFIG, ids)[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda bert: bert(), "takes input_ids and, if need be, attention_mask and token_type_ids; got nothing"),
        (lambda bert: bert({"ids": IDS}), "got ids"),
        (lambda bert: bert([IDS, MASK, TYPES, IDS]), "got input_ids, attention_mask, token_type_ids, None"),
        (lambda bert: bert(IDS[0]), r"expected input_ids as an array \[texts, tokens\], got \[7\]"),
        (lambda bert: bert([[7, 3], [2, 1]]), r"expected input_ids as an array \[texts, tokens\], got list"),
        (lambda bert: bert(IDS, MASK[0]), r"attention_mask .*, got \[7\]"),
        (lambda bert: bert(np.ones((2, 10), "int32")), "got 10 tokens: this BERT looks at 9 at most; truncate"),
        (lambda bert: bert(keras.Input((10,), dtype="int32")), "got 10 tokens: this BERT looks at 9 at most"),
    ],
)
def test_inputs_that_cannot_be(bert, call, message):
    with pytest.raises(InputError, match=message):
        call(bert)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"hidden_act": "glu"}, "unknown hidden_act 'glu': expected one of gelu, .*did you mean 'gelu'"),
        ({"num_attention_heads": 5}, "width 12 must be a multiple of num_heads=5"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be at least 1, got 0"),
        ({"hidden_dropout_prob": 1.0}, "dropout must be from 0 to below 1, got 1.0"),
        ({"attention_probs_dropout_prob": -0.1}, "dropout must be from 0 to below 1, got -0.1"),
    ],
)
def test_sizes_that_cannot_be(sizes, message):
    with pytest.raises(InputError, match=message):
        Bert(**{**SMALL, "num_hidden_layers": 1, **sizes})


def document_model(bert, max_len=7):
    """Document 001's: token ids and mask to class probabilities."""
    ids = keras.Input((max_len,), dtype="int32", name="input_ids")
    mask = keras.Input((max_len,), dtype="int32", name="attention_mask")
    pooled = bert(ids, attention_mask=mask)[1]
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Dropout(0.1)(pooled))
    model = keras.Model(inputs=[ids, mask], outputs=outputs)
    model.compile(keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def labelled(count):
    """Texts of tokens 7 to 11 whose label says whether the second token is 5 or 6."""
    rng = np.random.default_rng(count)
    ids = rng.integers(7, 12, (count, 7)).astype("int32")
    labels = np.arange(count) % 2
    ids[:, 1] = 5 + labels
    return [ids, (np.arange(7) < rng.integers(4, 8, (count, 1))).astype("int32")], labels


def test_the_documents_classifier_learns_and_is_saved_and_read(folder, tmp_path):
    keras.utils.set_random_seed(0)
    model = document_model(TFBertModel.from_pretrained(folder, hidden_dropout_prob=0.0))
    history = model.fit(*labelled(320), batch_size=16, epochs=3, verbose=0).history
    texts, labels = labelled(200)
    loss, accuracy = model.evaluate(texts, labels, verbose=0)
    assert history["loss"][0] > 0.3
    assert loss < 0.1
    assert accuracy > 0.98
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    named = dict(zip(("input_ids", "attention_mask"), texts, strict=True))
    assert_close(loaded.predict(named, verbose=0), model.predict(texts, verbose=0), 0)
    assert (loaded(texts).numpy().argmax(axis=1) == labels).mean() == pytest.approx(accuracy)


def test_a_frozen_bert_stays_bit_by_bit_also_after_reading_it_back(tmp_path):
    bert = Bert(**SMALL, num_hidden_layers=1)
    bert.trainable = False
    model = document_model(bert)
    model.save(tmp_path / "model.keras")
    for one in (model, keras.saving.load_model(tmp_path / "model.keras")):
        frozen = next(layer for layer in one.layers if isinstance(layer, Bert))
        before, head = frozen.get_weights(), one.layers[-1].kernel.numpy()
        one.train_on_batch(*labelled(32))
        for old, new in zip(before, frozen.get_weights(), strict=True):
            np.testing.assert_array_equal(new, old)
        assert (one.layers[-1].kernel.numpy() != head).all()


def test_no_later_layer_takes_the_attention_mask_for_its_own(bert):
    inputs = [keras.Input((7,), dtype="int32") for _ in range(2)]
    mean = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(bert(inputs)[0]))
    assert_close(mean([IDS, MASK]), forward(TENSORS, CONFIG, IDS, MASK)[0][-1].mean(axis=1))


def test_every_weight_learns(folder):
    bert = Bert.from_pretrained(folder)
    with tf.GradientTape() as tape:
        outputs = bert(IDS, MASK, TYPES)
        loss = tf.reduce_sum(outputs[0] ** 3) + tf.reduce_sum(outputs[1])
    for gradient in tape.gradient(loss, bert.trainable_weights):
        gradient = tf.convert_to_tensor(gradient)
        assert np.isfinite(gradient).all()
        assert np.mean(np.asarray(gradient) != 0) > 0.3


def test_mixed_bfloat16_is_near_float32(folder, bert):
    states, pooled, _ = forward(TENSORS, CONFIG, IDS, MASK)
    rough = Bert.from_pretrained(folder, dtype="mixed_bfloat16")
    assert {weight.dtype for weight in rough.weights} == {"float32"}
    with precision(bert, "mixed_bfloat16"), in_step():
        switched = bert(IDS, MASK)
    for outputs in (rough(IDS, MASK), switched):
        assert (outputs[0].dtype, outputs[1].dtype) == ("float32", "bfloat16")  # blocks keep sums in float32
        for actual, expected in ((outputs[0], states[-1]), (outputs[1], pooled)):
            error = np.linalg.norm(np.asarray(actual, "float64") - expected)
            assert 0 < error < 0.03 * np.linalg.norm(expected)  # bfloat16's 0.4 %, a few layers on


NEARLY_ALL = 1 - 1e-7  # a rate below 1 at which dropout drops everything


def test_dropping_everything_leaves_zeros_for_the_norms(folder):
    bert = Bert.from_pretrained(folder, hidden_dropout_prob=NEARLY_ALL)
    states = bert(IDS, MASK, training=True, output_hidden_states=True).hidden_states
    x = np.zeros_like(states[0])
    assert_close(states[0], x, 0)
    for block, state in zip(bert.blocks, states[1:], strict=True):
        x = layer_norm(layer_norm(x, block._attention_norm, 1e-12), block._feed_forward_norm, 1e-12)
        assert_close(state, x)


def test_dropping_all_attention_leaves_each_token_by_itself(folder):
    bert = Bert.from_pretrained(folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=NEARLY_ALL)
    expected = forward(TENSORS, CONFIG, IDS, MASK, drop_attention=True)[0][-1]
    assert_close(bert(IDS, MASK, training=True)[0], expected)


def test_fresh_weights():
    keras.utils.set_random_seed(3)
    bert = Bert(400, 64, 2, 4, 96, initializer_range=0.1)
    matrices = [weight.numpy() for weight in bert.weights if len(weight.shape) == 2]
    assert len(matrices) == 3 + 2 * 4 + 1
    for matrix in matrices:
        # cut off at two standard deviations, of which 0.8796 are left; the estimate spreads by less than sqrt(1/2n)
        assert matrix.std() == pytest.approx(0.1 * 0.8796, rel=5 * (0.5 / matrix.size) ** 0.5)
        assert np.abs(matrix).max() <= 0.2
    assert len(np.unique(np.concatenate([m.ravel() for m in matrices]))) > 0.98 * sum(m.size for m in matrices)
    for weight in bert.weights:
        if len(weight.shape) == 1:
            assert_close(weight, np.ones(weight.shape) if weight.name == "gamma" else np.zeros(weight.shape), 0)


def test_groups_hold_every_weight_once_from_the_bottom_up(bert):
    groups = bert.layer_groups()
    assert len(groups) == 1 + CONFIG["num_hidden_layers"] + 1
    weights = [weight.path for group in groups for layer in group for weight in layer.weights]
    assert sorted(weights) == sorted(weight.path for weight in bert.weights)
    assert [{path.split("/")[-2] for path in weights[-2:]}, weights[0].split("/")[-2]] == [
        {"pooler"},
        "word_embeddings",
    ]


def test_a_saved_network_is_the_same(bert, tmp_path):
    bert.save(tmp_path / "bert.keras")
    loaded = keras.saving.load_model(tmp_path / "bert.keras")
    assert loaded.get_config() == bert.get_config()
    assert_close(loaded(IDS, MASK)[0], bert(IDS, MASK)[0], 0)


def test_config_tells_precision_and_what_is_frozen():
    bert = Bert(**SMALL, num_hidden_layers=1, dtype="mixed_bfloat16", trainable=False, name="mine")
    again = Bert.from_config(bert.get_config())
    assert (again.compute_dtype, again.trainable, again.name) == ("bfloat16", False, "mine")


def test_what_json_writes_as_whole_numbers():
    sizes = {"vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}
    none = Bert(**sizes, intermediate_size=4, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    ids = np.array([[3, 5, 8]])
    np.testing.assert_array_equal(none(ids, training=True)[0], none(ids)[0])
    assert none.config.hidden_size == 4


def test_from_pretrained_says_what_it_does_not_take(folder):
    with pytest.raises(InputError, match=r"takes no output_hidden_states: .* when the network is called"):
        Bert.from_pretrained(folder, output_hidden_states=True)
