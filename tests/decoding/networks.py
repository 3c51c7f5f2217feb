"""Tiny random language networks, one of each kind."""

import keras

from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.networks.bodies.transformer import transformer_language_model
from lmkeras.tokenizers.special import SpecialIds

VOCABULARY = 12
CONTEXT = 8
SPECIAL = SpecialIds(padding=0, start=0, ends=(0,))  # of this package's own tokenizers for language models


def build(name, context_length=CONTEXT):
    keras.utils.set_random_seed(5)
    if name in ("pre_norm", "post_norm"):
        network = transformer_language_model(
            VOCABULARY, d_model=16, num_heads=2, num_layers=2, context_length=context_length, block=name
        )
    else:
        network = lstm_language_model(VOCABULARY, embedding_dim=6, units=10, num_layers=2, cell=name)
    # fresh networks are nearly uniform; larger weights make likely and unlikely ids
    network.set_weights([3 * weight for weight in network.get_weights()])
    return network


NAMES = ("pre_norm", "post_norm", "lstm", "gru", "simple_rnn")
