import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.training.devices import place


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
