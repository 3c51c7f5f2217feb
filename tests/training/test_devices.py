import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.networks.bodies.transformer import transformer_language_model
from lmkeras.training import devices
from lmkeras.training.devices import place, training_policy


@pytest.mark.parametrize(("device", "placed"), [("cpu", "/device:CPU:0"), ("auto", "")])
def test_cpu_places_on_the_cpu_and_auto_leaves_it_to_tensorflow(device, placed):
    with tf.Graph().as_default(), place(device):
        assert tf.constant(1.0).device == placed


@pytest.mark.parametrize("device", ["tpu", "gpu:", "gpu:x", "GPU 0", "", "cpu:0"])
def test_other_words_are_refused(device):
    with pytest.raises(InputError, match="auto, cpu, gpu or gpu:N"):
        place(device)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    with pytest.raises(InputError, match="finds none"):
        place("gpu")


def test_gpus_grow_their_memory_and_are_placed_by_number(monkeypatch):
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: grown.append((gpu, on)))
    with tf.Graph().as_default(), place("gpu:1"):
        assert tf.constant(1.0).device == "/device:GPU:1"
    assert grown == [("first", True), ("second", True)]
    with pytest.raises(InputError, match="finds 2"):
        place("gpu:2")


@pytest.fixture(params=[True, False])
def multiplies(request, monkeypatch):
    monkeypatch.setattr(devices, "_multiplies_bfloat16", lambda: request.param)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    return request.param


@pytest.mark.parametrize(
    ("network", "gains"),
    [
        (lambda: transformer_language_model(7, d_model=8, num_heads=2, num_layers=1), True),
        (lambda: lstm_language_model(7, 4, 4), True),
        (lambda: lstm_language_model(7, 4, 4, cell="gru"), False),
    ],
    ids=["transformer", "lstm", "gru"],
)
def test_auto_is_bfloat16_where_processor_and_network_gain_by_it(multiplies, network, gains):
    network = network()
    assert training_policy(network, "auto") == ("mixed_bfloat16" if multiplies and gains else "float32")
    assert training_policy(network, "mixed_float16") == "mixed_float16"


def test_auto_is_float32_on_a_gpu(monkeypatch):
    monkeypatch.setattr(devices, "_multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    assert training_policy(transformer_language_model(7, d_model=8, num_heads=2, num_layers=1), "auto") == "float32"


@pytest.mark.parametrize(("flags", "expected"), [("fpu amx_bf16", True), ("avx512_bf16", True), ("fpu avx2", False)])
def test_the_processor_is_asked(monkeypatch, flags, expected):
    monkeypatch.setattr(devices.Path, "read_text", lambda path: f"flags : {flags}")
    assert devices._multiplies_bfloat16.__wrapped__() == expected
