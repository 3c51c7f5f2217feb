"""Where the tokens of a target look in its source."""

import numpy as np

from lmkeras.layers.cross_attention import LuongAttention, _OverSources
from tests.layers import formulas
from tests.networks.test_encoder_decoder_contract import INPUTS, assert_close, network  # noqa: F401


def test_attention_weights_are_those_of_the_pass_that_writes(network, monkeypatch):  # noqa: F811
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
