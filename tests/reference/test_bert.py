"""BERT equals the originals: TFBertModel of transformers 4 and PyTorch's BertModel, each in a process of its own.

`make parity` installs them and runs this; what is missing is skipped.
"""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from lmkeras.networks.bodies.bert import Bert, bert_classifier
from tests.reference import cases

pytestmark = pytest.mark.reference

ROOT = Path(__file__).parents[2]
STACKS = ("tensorflow", "pytorch")
WRITTEN_AGAIN = ("types", "gelu_new", "silu_deep", "roberta")  # by lmkeras, as NAME_by_lmkeras, for the others to read


def comparisons(*names):
    return [
        (name, stack)
        for name in names
        for stack in STACKS
        if not (stack == "tensorflow" and name in cases.NOT_IN_TENSORFLOW)
    ]


def installed(name):
    return (ROOT / ".reference" / name / "ready").exists()


def require(name):
    if not installed(name):
        pytest.skip(f"there is no .reference/{name}: `make parity` installs it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All cases."""
    folder = tmp_path_factory.mktemp("cases")
    cases.write_random_cases(folder)
    for name in WRITTEN_AGAIN:
        write_again(Bert.from_pretrained(folder / name), folder / name)
    write_again(classifier(folder / "classifier"), folder / "classifier")
    if installed("minilm"):
        cases.write_minilm_cases(folder)
    return folder


def write_again(network, case):
    again = case.with_name(f"{case.name}_by_lmkeras")
    network.save_pretrained(again)
    (again / "inputs.npz").write_bytes((case / "inputs.npz").read_bytes())


def classifier(case):
    network, tensors = bert_classifier(case, cases.NUM_CLASSES), load_file(case / "model.safetensors")
    network.head.set_weights([tensors["classifier.weight"].T, tensors["classifier.bias"]])
    return network


@pytest.fixture(scope="module")
def processes(folder):
    """Every stack that is installed, all at work on all cases."""
    started = {stack: start(stack, folder) for stack in STACKS if installed(stack)}
    yield started
    for process in started.values():
        process.kill()
        process.wait()


def start(stack, folder):
    command = [sys.executable, str(ROOT / "tests" / "reference" / f"reference_{stack}.py"), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".reference" / stack)}
    with (folder / f"{stack}.log").open("w") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@pytest.fixture
def reference(folder, processes, name, stack):
    """What a stack made of a case: arrays by name."""
    require(stack)
    if name.startswith("minilm"):
        require("minilm")
    assert processes[stack].wait() == 0, (folder / f"{stack}.log").read_text()[-3000:]
    return np.load(folder / name / f"{stack}.npz")


def read_inputs(case):
    return {name: tf.constant(array) for name, array in np.load(case / "inputs.npz").items()}


@pytest.mark.parametrize(
    ("name", "stack"), comparisons(*cases.FORWARD, "minilm", *(f"{name}_by_lmkeras" for name in WRITTEN_AGAIN))
)
def test_what_bert_gives(folder, reference, name, stack):
    inputs = read_inputs(folder / name)
    bert = Bert.from_pretrained(folder / name)
    outputs = bert(**inputs, output_hidden_states=True, output_attentions=True)
    tokens = np.ones(inputs["input_ids"].shape, "bool")
    if name == "minilm":
        # A padding token of MiniLM hardly varies over its width, and norms with an epsilon of 1e-12 enlarge how float32
        # rounds it: PyTorch is 1.6e-4 away from its own float64 there, 4e-6 at tokens. Nothing reads these states.
        tokens = inputs["attention_mask"].numpy().astype("bool")
    hidden_states, attentions = np.stack(outputs.hidden_states), np.stack(outputs.attentions)
    assert np.abs(hidden_states - reference["hidden_states"])[:, tokens].max() <= 1e-5
    assert np.abs(attentions - reference["attentions"]).swapaxes(2, 3)[:, tokens].max() <= 1e-5
    assert np.abs(outputs.pooler_output - reference["pooled"]).max() <= 1e-5
    np.testing.assert_array_equal(outputs.last_hidden_state, hidden_states[-1])


@pytest.mark.parametrize(
    ("name", "stack"), comparisons(*cases.CLASSIFIERS, "minilm_classifier", "classifier_by_lmkeras")
)
def test_loss_and_gradients_of_a_classifier(folder, tmp_path, reference, name, stack):
    inputs = read_inputs(folder / name)
    labels, network = inputs.pop("labels"), classifier(folder / name)
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, network(inputs, training=True))
    # gradients in the places of the weights are saved under the originals' names
    for variable, gradient in zip(network.weights, tape.gradient(loss, network.weights), strict=True):
        variable.assign(tf.convert_to_tensor(gradient))
    network.save_pretrained(tmp_path)
    ours = load_file(tmp_path / "model.safetensors")
    theirs = {key.removeprefix("gradient "): reference[key] for key in reference if key != "loss"}
    assert abs(loss - reference["loss"]) <= 1e-5
    assert ours.keys() == theirs.keys()
    for key, gradient in theirs.items():
        assert np.abs(ours[key] - gradient).max() <= 1e-5, key
