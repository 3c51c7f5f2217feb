"""Shape letters: B batch, T tokens."""

import numpy as np
import pytest

from lmkeras.networks.bodies.bert import Bert
from lmkeras.networks.heads.spans import SpanHead
from lmkeras.networks.network import Network
from tests.layers.formulas import fill
from tests.networks.bodies.bert.published import CONFIG, forward, tensors_of, write

IDS = np.random.default_rng(1).integers(1, CONFIG["vocab_size"], (3, 6)).astype("int32")
MASK = (np.arange(6) < np.array([[6], [4], [2]])).astype("int32")
TYPES = np.array([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0], [0] * 6], "int32")
INPUTS = {"input_ids": IDS * MASK, "attention_mask": MASK, "token_type_ids": TYPES}
TENSORS = tensors_of(CONFIG)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("bert"), CONFIG, TENSORS)
    network = Network(Bert.from_pretrained(folder), SpanHead())
    fill(network.head)
    return network


def test_logits_are_a_linear_function_of_each_tokens_state(network):
    states = forward(TENSORS, CONFIG, IDS * MASK, MASK, TYPES)[0][-1]
    wanted = states @ network.head.dense.kernel.numpy() + network.head.dense.bias.numpy()
    logits = network(INPUTS).numpy()
    assert logits.shape == (3, 6, 2)
    np.testing.assert_allclose(logits[MASK == 1], wanted[MASK == 1], atol=1e-5)
    assert (logits[MASK == 0] == -1e9).all()


def test_padding_has_no_part_in_the_loss(network):
    targets, share = np.array([[1, 4], [0, 3], [1, 1]], "int32"), np.full((3, 2), 1 / 6, "float32")
    together = network.head.loss(network(INPUTS), targets, share)
    alone = 0
    for row, length in enumerate(MASK.sum(axis=1)):
        inputs = {name: value[row : row + 1, :length] for name, value in INPUTS.items()}
        logits = network(inputs).numpy().astype("float64")[0]
        for column, place in enumerate(targets[row]):
            alone += np.log(np.exp(logits[:, column] - logits[place, column]).sum()) / 6
    assert float(together) == pytest.approx(alone, rel=1e-5)
