"""Bodies that read a source and write a target: the transformer, and LSTMs with attention."""

from lmkeras.networks.bodies.encoder_decoder.recurrent import RecurrentEncoderDecoder, lstm_encoder_decoder
from lmkeras.networks.bodies.encoder_decoder.transformer import TransformerEncoderDecoder, transformer_encoder_decoder

__all__ = [
    "RecurrentEncoderDecoder",
    "TransformerEncoderDecoder",
    "lstm_encoder_decoder",
    "transformer_encoder_decoder",
]
