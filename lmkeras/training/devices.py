"""The device and the precision that a network trains with, each by name or chosen automatically."""

import contextlib
import re
from collections.abc import Iterator

import keras
import tensorflow as tf

from lmkeras.errors import InputError, did_you_mean
from lmkeras.layers.precision import steps_in
from lmkeras.networks.network import Network
from lmkeras.training import policy
from lmkeras.training.keras_contract import all_layers, set_functions


@contextlib.contextmanager
def place(device: str) -> Iterator[None]:
    """A context in which networks are built and run on the named device.

    Args:
        device: "auto" (TensorFlow's own choice: the first GPU, else the CPU), "cpu", "gpu" or "gpu:N".

    Raises:
        InputError: this machine has no such device, or `device` is none of these names.
    """
    match = re.fullmatch(r"(auto|cpu)|gpu(?::(\d+))?", device)
    if not match:
        guess = did_you_mean(device, ("auto", "cpu", "gpu"))
        raise InputError(f"unknown device {device!r}: expected auto, cpu, gpu or gpu:N with a number N from 0{guess}")
    if device == "auto":
        yield
        return
    if device == "cpu":
        with tf.device("/CPU:0"), policy.working_on(policy.cpu()):
            yield
        return
    gpus, index = tf.config.get_visible_devices("GPU"), int(match[2] or 0)
    if index >= len(gpus):
        found = f"TensorFlow finds {len(gpus)}" if gpus else "TensorFlow finds none"
        raise InputError(f"no device {device}: {found} on this machine; use --device auto or cpu")
    with tf.device(f"/GPU:{index}"), policy.working_on(policy.gpu(gpus[index])):
        yield


def training_policy(network: Network, choice: str, alone: bool = True) -> str:
    """The Keras dtype policy to train by.

    Args:
        network: its body says whether bfloat16 was measured to help on CPUs, and whether sums keep their digits.
        choice: a policy, or "auto" to leave it to `policy.Device.precision` of the device in use.
        alone: whether one replica trains, and not several together.

    Returns:
        "float32", "mixed_bfloat16" or "mixed_float16".
    """
    if choice != "auto":
        return choice
    body = network.body
    return policy.device_in_use().precision(body.bfloat16_on_cpu, keeps_digits=body.keeps_digits, alone=alone)


def compiles_steps(network: Network, choice: str, precision: str, batches: tf.data.Dataset) -> bool:
    """The value for `jit_compile` in Keras' compile: whether XLA compiles the whole training step.

    Args:
        network: its body says where XLA helps.
        choice: "on", "off", or "auto" to leave it to `policy.Device.compiles_steps` of the device in use.
        precision: the Keras dtype policy of the training.
        batches: the batches to train on. They are even if the dataset knows all their dimensions beforehand.

    Raises:
        InputError: XLA is asked for by name, and the device is a GPU where it cannot compile this network.
    """
    if choice == "on" and policy.uses_cudnn() and not network.body.xla_on_gpu:
        raise InputError(
            f"XLA cannot compile cuDNN's kernel, which {type(network.body).__name__} runs by on GPUs: xla auto or off"
        )
    if choice != "auto":
        return choice == "on"
    return policy.device_in_use().compiles_steps(
        precision,
        even=all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(batches.element_spec)),
        helps_on_cpu=network.body.xla_on_cpu,
        possible_on_gpu=network.body.xla_on_gpu,
    )


@contextlib.contextmanager
def precision(network: Network, choice: str, alone: bool = True) -> Iterator[str]:
    """A context in which a network trains by a Keras dtype policy; afterwards its layers have their old policies.

    The context's value is the policy's name. Weights are float32 under each of these policies, so a network can be
    trained with one and saved with another. Embeddings always give float32, because their output is the start of the
    sum that is passed on from block to block, and this sum is at least float32 (see `layers/blocks.py`).
    Only the network's train_step and test_step follow the policy. What others do with the network meanwhile, such as
    predictions in another thread, keeps its own precision.

    Args:
        network: a built network.
        choice: a policy or "auto", see `training_policy`.
        alone: whether one replica trains, and not several together.
    """
    name = training_policy(network, choice, alone)
    layers = [layer for layer in all_layers(network) if not isinstance(layer, keras.layers.Embedding)]
    try:
        with steps_in(name, layers):
            yield name
    finally:
        # Keras has compiled these functions for the policy of the context, so they must be compiled again
        set_functions(network)
