import json
import subprocess
import sys
import warnings

import h5py
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.networks.bodies.bert import Bert
from lmkeras.pretrained import bert as table
from lmkeras.pretrained.bert_tables import BERT
from tests.networks.bodies.bert.published import CONFIG, forward, tensors_of, write

TENSORS = tensors_of(CONFIG)
IDS = np.random.default_rng(2).integers(1, CONFIG["vocab_size"], (3, 6)).astype("int32")


def assert_reads(folder, tensors=TENSORS):
    """Whatever the form, every weight is where the formula has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bert = Bert.from_pretrained(folder)
    outputs, (states, pooled, _) = bert(IDS), forward(tensors, CONFIG, IDS)
    np.testing.assert_allclose(outputs[0], states[-1], atol=1e-5)
    np.testing.assert_allclose(outputs[1], pooled, atol=1e-5)
    return bert


def prefixed(prefix):
    return {f"{prefix}{name}": tensor for name, tensor in TENSORS.items()}


def legacy(tensors):
    """TensorFlow 1's names of norms, which early PyTorch files have too."""
    renamed = {}
    for name, tensor in tensors.items():
        if "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        renamed[name] = tensor
    return renamed


OTHERS = {
    "bert.embeddings.position_ids": np.arange(CONFIG["max_position_embeddings"])[None],
    "cls.predictions.bias": np.zeros(CONFIG["vocab_size"], "float32"),
    "cls.predictions.transform.LayerNorm.gamma": np.full(CONFIG["hidden_size"], 7, "float32"),
    "cls.predictions.transform.dense.weight": np.ones((CONFIG["hidden_size"],) * 2, "float32"),
    "cls.seq_relationship.weight": np.ones((2, CONFIG["hidden_size"]), "float32"),
    "classifier.weight": np.ones((5, CONFIG["hidden_size"]), "float32"),
}
FORMS = {
    "of BertModel": TENSORS,
    "within a larger model": prefixed("bert."),
    "within a model within a model": prefixed("model.bert."),
    **{f"of a sentence encoder, {prefix}": prefixed(prefix) for prefix in ("0.auto_model.", "encoder.", "model.")},
    **{f"of other libraries, {prefix}": prefixed(prefix) for prefix in ("bert_model.", "module.bert.")},
    "with names of norms from TensorFlow 1": legacy(TENSORS),
    "of BertForPreTraining, as it was first published": {**legacy(prefixed("bert.")), **OTHERS},
    "with positions": {**TENSORS, "embeddings.position_ids": np.arange(CONFIG["max_position_embeddings"])[None]},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_names(tmp_path, form):
    assert_reads(write(tmp_path, CONFIG, FORMS[form]))


def test_one_of_several_berts_is_chosen_by_its_prefix(tmp_path):
    other = {name: tensor + 1 for name, tensor in TENSORS.items()}
    both = {**{f"query.{name}": tensor for name, tensor in other.items()}, **prefixed("passage.")}
    folder = write(tmp_path, CONFIG, both)
    with pytest.raises(InputError, match=r"holds several BERTs, with the prefixes 'passage\.', 'query\.': read one by"):
        Bert.from_pretrained(folder)
    chosen = Bert.from_pretrained(folder, prefix="passage.")
    np.testing.assert_allclose(chosen(IDS)[0], forward(TENSORS, CONFIG, IDS)[0][-1], atol=1e-5)
    chosen = Bert.from_pretrained(folder, prefix="query.")
    np.testing.assert_array_equal(chosen.pooler.bias, other["pooler.dense.bias"])
    with pytest.raises(InputError, match="no embeddings"):
        Bert.from_pretrained(folder, prefix="answer.")


BEFORE_TENSORFLOW = """
import sys
from lmkeras.pretrained.checkpoint import read_checkpoint
tensors = read_checkpoint(sys.argv[1]).tensors
assert "tensorflow" not in sys.modules
assert {tensor.dtype.name for tensor in tensors.values()} == {"float32"}
print(float(tensors["pooler.dense.bias"][0]))
"""


def test_bfloat16_is_read_before_tensorflow_is_imported(tmp_path):
    halves = {name: tensor.astype(ml_dtypes.bfloat16) for name, tensor in TENSORS.items()}
    folder = write(tmp_path, CONFIG, halves)
    program = [sys.executable, "-c", BEFORE_TENSORFLOW, str(folder)]
    found = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    assert float(found) == float(halves["pooler.dense.bias"][0])


def test_half_precision_is_read_as_it_is(tmp_path):
    halves = {name: tensor.astype("float16") for name, tensor in TENSORS.items()}
    bert = assert_reads(write(tmp_path, CONFIG, halves), halves)
    assert {weight.dtype for weight in bert.weights} == {"float32"}


def tensorflow_name(name):
    """What TFBertModel calls a tensor of BertModel."""
    *parts, last = name.split(".")
    if parts[-1] == "LayerNorm":
        last = {"weight": "gamma", "bias": "beta"}[last]
    elif parts[-1] in ("position_embeddings", "token_type_embeddings"):
        last = "embeddings"
    elif last == "weight" and parts[-1] != "word_embeddings":
        last = "kernel"
    return "/".join([*parts, last]).replace("layer/", "layer_._") + ":0"


PATHS = [
    "bert/tf_bert_model/bert/",
    "bert/tf_bert_for_pre_training_1/bert/",
    "bert/",  # in files of a model that is cut into several
]


@pytest.mark.parametrize("path", PATHS)
def test_tensorflows_files(tmp_path, path):
    write(tmp_path, CONFIG, None)
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        for name, tensor in TENSORS.items():
            theirs = tensorflow_name(name)
            file[path + theirs] = tensor.T if theirs.endswith("kernel:0") else tensor
        file["mlm___cls/tf_bert_for_pre_training_1/cls/predictions/bias:0"] = np.zeros(CONFIG["vocab_size"])
        file["dropout_37/nothing"] = np.zeros(0)
    assert "encoder/layer_._2/attention/self/query/kernel:0" in map(tensorflow_name, TENSORS)
    assert_reads(tmp_path)


def test_safetensors_of_tensorflow(tmp_path):
    tensors = {"cls/predictions/transform/dense/kernel:0": np.zeros((2, 3), "float32")}
    for name, tensor in TENSORS.items():
        theirs = f"bert/{tensorflow_name(name)}"
        tensors[theirs] = np.ascontiguousarray(tensor.T if theirs.endswith("kernel:0") else tensor)
    write(tmp_path, CONFIG, None)
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors", {"format": "tf"})
    assert_reads(tmp_path)


def test_a_missing_pooler_is_fresh_and_said(tmp_path):
    tensors = {name: tensor for name, tensor in TENSORS.items() if "pooler" not in name}
    with pytest.warns(UserWarning, match="has no pooler: pooler_output means nothing until it is trained"):
        bert = Bert.from_pretrained(write(tmp_path, CONFIG, tensors))
    np.testing.assert_allclose(bert(IDS)[0], forward(TENSORS, CONFIG, IDS)[0][-1], atol=1e-5)
    assert np.abs(bert.pooler.kernel).max() <= 2 * CONFIG["initializer_range"]


def test_missing_tensors_are_named(tmp_path):
    gone = ("encoder.layer.1.output.dense.bias", "pooler.dense.weight")
    tensors = {name: tensor for name, tensor in TENSORS.items() if name not in gone}
    with pytest.raises(InputError, match=r"no encoder\.layer\.1\.output\.dense\.bias, pooler\.dense\.weight$"):
        Bert.from_pretrained(write(tmp_path, CONFIG, tensors))


def test_many_missing_tensors_are_counted(tmp_path):
    config = {**CONFIG, "num_hidden_layers": 4}
    with pytest.raises(InputError, match=r"no encoder\.layer\.3\.attention\.self\.query\.weight, .* and 11 more$"):
        Bert.from_pretrained(write(tmp_path, config, TENSORS))


def test_tensors_of_other_shapes_are_named(tmp_path):
    config = {**CONFIG, "intermediate_size": 21}
    message = r"do not fit their config.json: .*0\.intermediate\.dense\.weight \[20, 12\] instead of \[21, 12\], "
    with pytest.raises(InputError, match=message):
        Bert.from_pretrained(write(tmp_path, config, TENSORS))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"model_type": "camembert"},
            r"'camembert': its Unigram \(SentencePiece\) tokenizer is not here yet; ",
        ),
        (
            {"model_type": "xlm-roberta"},
            "'xlm-roberta': its Unigram .*; expected bert or distilbert or roberta",
        ),
        ({"model_type": "electra"}, "of type 'electra': expected bert or distilbert or roberta"),
        ({"position_embedding_type": "relative_key"}, "expected position_embedding_type 'absolute'"),
        ({"is_decoder": True}, "of type 'bert' with is_decoder True: expected is_decoder False"),
        ({"hidden_size": "12"}, "says hidden_size '12': expected a whole number"),
        ({"hidden_size": 12.0}, "says hidden_size 12.0: expected a whole number"),
        ({"vocab_size": True}, "says vocab_size True: expected a whole number"),
        ({"layer_norm_eps": "0"}, "says layer_norm_eps '0': expected a number"),
        ({"hidden_act": None}, "says hidden_act None: expected a name"),
    ],
)
def test_what_is_no_bert_of_ours_is_refused(tmp_path, entry, message):
    with pytest.raises(InputError, match=message):
        Bert.from_pretrained(write(tmp_path, {**CONFIG, **entry}, TENSORS))


def test_an_early_config_says_less(tmp_path):
    left_out = ("model_type", "position_embedding_type", "layer_norm_eps", "architectures", "pad_token_id")
    assert_reads(write(tmp_path, {name: value for name, value in CONFIG.items() if name not in left_out}, TENSORS))


def test_arguments_go_before_the_config(tmp_path):
    folder = write(tmp_path, CONFIG, TENSORS)
    bert = Bert.from_pretrained(folder, from_pt=True, hidden_dropout_prob=0.0, name="mine")
    assert (bert.hidden_dropout_prob, bert.attention_probs_dropout_prob, bert.name) == (0.0, 0.2, "mine")


def test_what_is_saved_is_what_was_read(tmp_path):
    bert = Bert.from_pretrained(write(tmp_path / "theirs", CONFIG, TENSORS))
    bert.save_pretrained(tmp_path / "ours")
    tensors = safetensors.numpy.load_file(tmp_path / "ours" / "model.safetensors")
    assert set(tensors) == set(TENSORS)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, TENSORS[name])
    with safetensors.safe_open(tmp_path / "ours" / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert config == {name: value for name, value in CONFIG.items() if name in config}
    assert {"model_type", "architectures", "vocab_size", "layer_norm_eps", "type_vocab_size"} <= set(config)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_the_table_reads_what_it_writes(layers, width, seed):
    rng = np.random.default_rng(seed)
    config = {**CONFIG, "num_hidden_layers": layers, "hidden_size": width, "intermediate_size": 5}
    tensors = {name: rng.normal(size=tensor.shape) for name, tensor in tensors_of(config).items()}
    rows = [*BERT.rows(layers), *BERT.pooler]
    assert sorted(row.theirs for row in rows) == sorted(tensors)
    shapes = {}
    for row in rows:
        *lengths, last = tensors[row.theirs].shape[:: -1 if row.transposed else 1]
        shapes[row.ours] = (*lengths, shapes.get(row.ours, (0,))[-1] + last)
    ours = table.read_rows(rows, tensors, shapes, "here")
    assert {path: value.shape for path, value in ours.items()} == shapes
    again = table.write_rows(rows, ours)
    assert set(again) == set(tensors)
    for name, tensor in again.items():
        np.testing.assert_array_equal(tensor, tensors[name])
