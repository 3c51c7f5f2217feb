"""Activations by the names that published config.json files have for them."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("lmkeras")
def tanh_gelu(x):
    """GELU with its normal distribution approximated by a tanh: x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    return ops.gelu(x, approximate=True)


ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": tanh_gelu,
    "gelu_fast": tanh_gelu,
    "gelu_pytorch_tanh": tanh_gelu,
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
