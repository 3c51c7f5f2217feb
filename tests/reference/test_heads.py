"""BERT, DistilBERT and RoBERTa with each of their heads equal PyTorch's, in outputs, losses, gradients and files.

`make parity` installs PyTorch and runs this; without it, everything here is skipped.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import lmkeras
from lmkeras.networks.bodies.bert import Bert
from lmkeras.networks.heads.masked import MaskedHead
from lmkeras.networks.heads.spans import SpanHead
from lmkeras.networks.judged import HeadLoss
from lmkeras.networks.network import Network
from lmkeras.pretrained.checkpoint import read_checkpoint
from lmkeras.training.adam import Adam

pytestmark = pytest.mark.reference

ROOT = Path(__file__).parents[2]
PYTORCH = ROOT / ".reference" / "pytorch"
BOTH = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM")
PROBLEMS = ("multi_label", "regression")
CASES = [f"{family}{name}" for family in ("Bert", "DistilBert", "Roberta") for name in BOTH]
CASES += ["BertForPreTraining", *(f"{family}{name}" for family in ("Bert", "Roberta") for name in PROBLEMS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What PyTorch made, see reference_heads.py."""
    if not (PYTORCH / "ready").exists():
        pytest.skip("there is no .reference/pytorch: `make parity` installs it")
    folder = tmp_path_factory.mktemp("heads")
    program = ROOT / "tests" / "reference" / "reference_heads.py"
    environment = {**os.environ, "PYTHONPATH": str(PYTORCH)}
    subprocess.run([sys.executable, program, folder], env=environment, check=True, capture_output=True)
    return folder


def arrays(path):
    return {name: tf.constant(array) for name, array in np.load(path).items()}


def model_of(case):
    architecture = json.loads((case / "config.json").read_text())["architectures"][0]
    return getattr(lmkeras, f"TFBert{architecture[architecture.index('For') :]}").from_pretrained(case)


@pytest.mark.filterwarnings("error::UserWarning:lmkeras")
@pytest.mark.parametrize("name", CASES)
def test_outputs_loss_gradients_and_files(folder, tmp_path, name):
    case, theirs = folder / name, np.load(folder / name / "pytorch.npz")
    model, inputs, labels = model_of(case), arrays(case / "inputs.npz"), arrays(case / "labels.npz")
    with tf.GradientTape() as tape:
        outputs = model(**inputs, **labels, training=True)
    assert outputs._fields == tuple(key.removeprefix("output ") for key in theirs if key.startswith("output "))
    for field in outputs._fields:
        np.testing.assert_allclose(outputs[field], theirs[f"output {field}"], atol=1e-5)
    model.save_pretrained(tmp_path)
    written, published = load_file(tmp_path / "model.safetensors"), load_file(case / "model.safetensors")
    assert written.keys() == published.keys()
    for key, tensor in published.items():
        np.testing.assert_array_equal(written[key], tensor)
    for key, value in json.loads((tmp_path / "config.json").read_text()).items():
        given = json.loads((case / "config.json").read_text()).get(key, value)
        assert key in ("problem_type", "id2label", "label2id") or given == value, key
    # gradients in the places of the weights are saved under the originals' names
    for weight, gradient in zip(model.weights, tape.gradient(outputs.loss, model.weights), strict=True):
        weight.assign(tf.zeros(weight.shape) if gradient is None else tf.convert_to_tensor(gradient))
    model.save_pretrained(tmp_path)
    for key, gradient in load_file(tmp_path / "model.safetensors").items():
        np.testing.assert_allclose(gradient, theirs[f"gradient {key}"], atol=1e-5, err_msg=key)


def masked_batch(batches, update):
    """The batch with the places of masked words instead of a label for every token, as lmkeras trains."""
    labels = batches[f"labels {update}"]
    masked, width = labels != -100, int((labels != -100).sum(axis=1).max())
    places = np.argsort(~masked, axis=1, kind="stable")[:, :width].astype("int32")
    targets = np.maximum(0, np.take_along_axis(labels, places, axis=1)).astype("int32")
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = {name: batches[f"{name} {update}"].astype("int32") for name in names}
    weights = np.take_along_axis(masked, places, axis=1).astype("float32")
    return {**inputs, "masked_positions": places}, targets, weights


def test_the_first_updates_of_masked_words_have_the_same_losses(folder):
    batches, checkpoint = np.load(folder / "updates" / "updates.npz"), read_checkpoint(folder / "updates")
    bert = Bert.of_checkpoint(checkpoint, pooled=False)
    network = Network(bert, MaskedHead(bert.vocab_size))
    bert.read_head(network.head, checkpoint)
    network.compile(Adam(1e-3), HeadLoss())
    losses = []
    for update in range(len(batches["losses"])):
        inputs, targets, weights = masked_batch(batches, update)
        losses.append(network.train_on_batch(inputs, targets, weights))
        network.reset_metrics()
    assert len(losses) == 20
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, batches["losses"], atol=1e-3)


def test_the_head_of_spans_has_the_same_logits_loss_and_gradients(folder):
    theirs, checkpoint = np.load(folder / "spans" / "spans.npz"), read_checkpoint(folder / "spans")
    bert = Bert.of_checkpoint(checkpoint, pooled=False)
    network = Network(bert, SpanHead())
    bert.read_head(network.head, checkpoint)
    ids, types = (theirs[name].astype("int32") for name in ("input_ids", "token_type_ids"))
    inputs = {"input_ids": ids, "token_type_ids": types, "attention_mask": np.ones_like(ids)}
    targets = np.stack([theirs["start_positions"], theirs["end_positions"]], axis=1)
    with tf.GradientTape() as tape:
        logits = network(inputs)
        loss = network.head.loss(logits, targets, np.full(targets.shape, 1 / targets.size, "float32"))
    np.testing.assert_allclose(logits[..., 0], theirs["start_logits"], atol=1e-5)
    np.testing.assert_allclose(logits[..., 1], theirs["end_logits"], atol=1e-5)
    assert float(loss) == pytest.approx(float(theirs["loss"]), abs=1e-5)
    for gradient, name in zip(tape.gradient(loss, network.head.trainable_weights), ("kernel", "bias"), strict=True):
        np.testing.assert_allclose(gradient, theirs[name], atol=1e-5)
