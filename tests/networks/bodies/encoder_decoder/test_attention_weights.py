"""What encoder-decoders tell of their attention to sources: the weights with which they write."""

import numpy as np
import pytest

from lmkeras.layers.cross_attention import LuongAttention, _OverSources
from tests.layers import formulas
from tests.networks.test_encoder_decoder_contract import INPUTS, NETWORKS, assert_close, new


@pytest.mark.parametrize("row", NETWORKS)
def test_attention_weights_are_those_of_the_pass_that_writes(row, monkeypatch):
    network = new(row)
    passed, call = [], _OverSources.call

    def watched(self, x, memory, memory_mask=None):
        passed.append((self, np.asarray(x), np.asarray(memory), np.asarray(memory_mask)))
        return call(self, x, memory, memory_mask)

    with monkeypatch.context() as patch:
        patch.setattr(_OverSources, "call", watched)
        network(INPUTS)
    found = network.body.attention_weights(network.body.inputs(INPUTS))
    for weights, (layer, x, memory, mask) in zip(found, passed, strict=True):
        formula = formulas.luong_weights if isinstance(layer, LuongAttention) else formulas.cross_weights
        assert_close(weights, formula(x, memory, layer, mask))
        assert not np.asarray(weights)[~np.broadcast_to(mask[:, None, None], weights.shape)].any()
