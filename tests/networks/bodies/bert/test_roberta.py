"""RoBERTa: a BERT whose positions follow from the ids, in the formulas of NumPy; `make parity` has PyTorch's."""

import json

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.bodies.bert import Bert
from tests.networks.bodies.bert.published import CONFIG, forward, tensors_of, write
from tests.networks.bodies.bert.test_encoder import IDS, MASK, SMALL, assert_close

ROBERTA = {**CONFIG, "model_type": "roberta", "type_vocab_size": 1, "max_position_embeddings": 10, "pad_token_id": 2}


def test_a_roberta_counts_positions_from_behind_that_of_padding(tmp_path):
    tensors = tensors_of(ROBERTA)
    roberta = Bert.from_pretrained(write(tmp_path, ROBERTA, tensors))
    ids = np.where(MASK == 1, np.maximum(IDS, 3), 2)  # padding inside of texts too
    states, pooled, _ = forward(tensors, ROBERTA, ids, MASK)
    assert_close(roberta(ids, MASK).last_hidden_state, states[-1])
    assert_close(roberta(ids, MASK, np.zeros_like(ids)).pooler_output, pooled)
    # without a mask, what the body of a network is given is masked where padding stands
    assert_close(roberta.states(roberta.inputs({"input_ids": ids})), states[-1])
    assert (roberta.max_length, roberta.takes_token_types) == (7, False)
    with pytest.raises(InputError, match="got 8 tokens: this BERT looks at 7 at most"):
        roberta(np.full((1, 8), 3))


def test_a_roberta_is_written_as_it_was_read(tmp_path):
    roberta = Bert.from_pretrained(write(tmp_path / "theirs", ROBERTA, tensors_of(ROBERTA)))
    roberta.save_pretrained(tmp_path / "ours")
    again = Bert.from_pretrained(tmp_path / "ours")
    assert again.sizes() == roberta.sizes()
    for name, tensor in again.published_weights().items():
        np.testing.assert_array_equal(tensor, tensors_of(ROBERTA)[name])
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert (config["architectures"], config["pad_token_id"]) == (["RobertaModel"], 2)


@pytest.mark.parametrize("sizes", [{"pad_token_id": 9}, {"pad_token_id": -1}, {"model_type": "bert"}])
def test_padding_needs_a_position_and_a_roberta(sizes):
    with pytest.raises(InputError, match="expected a pad_token_id of a RoBERTa, and positions behind it"):
        Bert(**SMALL, **{"model_type": "roberta", "max_position_embeddings": 10, "pad_token_id": 1, **sizes})
