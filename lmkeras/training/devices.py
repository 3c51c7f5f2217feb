"""The device and the precision that a network trains with, each by name or chosen automatically."""

import contextlib
import functools
import re
from pathlib import Path

import keras
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.network import Network


def place(device: str) -> contextlib.AbstractContextManager:
    """A context in which networks are built and run on the named device.

    Args:
        device: "auto" (TensorFlow's own choice: the first GPU, else the CPU), "cpu", "gpu" or "gpu:N".

    Returns:
        The context. As a side effect, GPUs are set to take memory as they need it, not all of it at once.

    Raises:
        InputError: this machine has no such device, or `device` is none of these names.
    """
    match = re.fullmatch(r"(auto|cpu)|gpu(?::(\d+))?", device)
    if not match:
        raise InputError(f"unknown device {device!r}: expected auto, cpu, gpu or gpu:N with a number N from 0")
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        # RuntimeError: TensorFlow has already started to use the GPU, so this can no longer be changed
        with contextlib.suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(gpu, True)
    if device == "auto":
        return contextlib.nullcontext()
    if device == "cpu":
        return tf.device("/CPU:0")
    index = int(match[2] or 0)
    if index >= len(gpus):
        found = f"TensorFlow finds {len(gpus)}" if gpus else "TensorFlow finds none"
        raise InputError(f"no device {device}: {found} on this machine; use --device auto or cpu")
    return tf.device(f"/GPU:{index}")


def training_policy(network: Network, choice: str) -> str:
    """The Keras dtype policy to train by.

    Args:
        network: its body's `bfloat16_on_cpu` says whether bfloat16 was measured to help on CPUs.
        choice: a policy, or "auto": mixed_bfloat16 on a CPU that multiplies such matrices faster than float32 ones.

    Returns:
        "float32", "mixed_bfloat16" or "mixed_float16".
    """
    if choice != "auto":
        return choice
    helps = network.body.bfloat16_on_cpu and not tf.config.list_logical_devices("GPU")
    return "mixed_bfloat16" if helps and _multiplies_bfloat16() else "float32"


@functools.cache
def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 products, according to Linux' /proc/cpuinfo."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


@contextlib.contextmanager
def precision(network: Network, choice: str):
    """A context in which a network's layers compute by a Keras dtype policy; afterwards they have their old policies.

    The context's value is the policy's name. Weights are float32 under each of these policies, so a network can be
    trained with one and saved with another. Embeddings always give float32, because their output is the start of the
    sum that is passed on from block to block, and this sum is at least float32 (see `layers/blocks.py`).

    Args:
        network: a built network.
        choice: a policy or "auto", see `training_policy`.
    """
    policy = training_policy(network, choice)
    layers = [network, *network._flatten_layers(include_self=False)]
    layers = [layer for layer in layers if not isinstance(layer, keras.layers.Embedding)]
    before = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = policy
        yield policy
    finally:
        for layer, old in zip(layers, before, strict=True):
            layer.dtype_policy = old
        # Keras has compiled these functions for the policy of the context, so they must be compiled again
        network.train_function = network.test_function = network.predict_function = None
