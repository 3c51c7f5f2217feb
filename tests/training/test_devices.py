import subprocess
import sys
import threading

import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.bodies.bidirectional import lstm_classifier
from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.networks.bodies.transformer import transformer_classifier, transformer_language_model
from lmkeras.training import adam, policy
from lmkeras.training.devices import compiles_steps, place, training_policy

WITHOUT, WITH = (policy.Device(False, multiplies_bfloat16=fast) for fast in (False, True))
GPU = policy.Device(True, compute_capability=(9, 0))
EVEN, RAGGED = ([8, 16], [None, None])


def batches(shape):
    return tf.data.Dataset.from_generator(lambda: (), output_signature=({"input_ids": tf.TensorSpec(shape, tf.int32)},))


@pytest.mark.parametrize(("device", "placed"), [("cpu", "/device:CPU:0"), ("auto", "")])
def test_cpu_places_on_the_cpu_and_auto_leaves_it_to_tensorflow(device, placed):
    with tf.Graph().as_default(), place(device):
        assert tf.constant(1.0).device == placed


@pytest.mark.parametrize("device", ["tpu", "gpu:", "gpu:x", "GPU 0", "", "cpu:0"])
def test_other_words_are_refused(device):
    with pytest.raises(InputError, match="auto, cpu, gpu or gpu:N"), place(device):
        pass


@pytest.fixture
def gpus(monkeypatch):
    """A machine with two GPUs: an old one and a new one."""
    details = {"old": {"compute_capability": (6, 1)}, "new": {"compute_capability": (8, 6)}}
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: list(details) if kind == "GPU" else [])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
    policy._chosen_by_tensorflow.cache_clear()
    yield
    policy._chosen_by_tensorflow.cache_clear()


def test_a_gpu_that_is_not_there_is_refused(monkeypatch, gpus):
    with pytest.raises(InputError, match="finds 2"), place("gpu:2"):
        pass
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    with pytest.raises(InputError, match="finds none"), place("gpu"):
        pass


def test_the_device_in_use_is_the_named_one_and_else_the_first_gpu(gpus):
    assert policy.device_in_use().compute_capability == (6, 1)
    with tf.Graph().as_default(), place("gpu:1"):
        assert policy.device_in_use().compute_capability == (8, 6)
        assert tf.constant(1.0).device == "/device:GPU:1"
    with place("cpu"):
        assert policy.device_in_use() == policy.cpu()
    with place("auto"):
        assert policy.device_in_use().is_gpu


def test_without_a_gpu_the_cpu_is_in_use(monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    assert policy.device_in_use() == policy.cpu()


@pytest.mark.parametrize(
    ("device", "helps", "expected"),
    [
        (WITH, True, "mixed_bfloat16"),
        (WITH, False, "float32"),
        (WITHOUT, True, "float32"),
        (policy.Device(True, compute_capability=(9, 0)), False, "mixed_bfloat16"),
        (policy.Device(True, compute_capability=(8, 0)), True, "mixed_bfloat16"),
        (policy.Device(True, compute_capability=(7, 5)), True, "mixed_float16"),
        (policy.Device(True, compute_capability=(7, 0)), True, "mixed_float16"),
        (policy.Device(True, compute_capability=(6, 1)), True, "float32"),
        (policy.Device(True), True, "float32"),
    ],
)
def test_precision_follows_the_device(device, helps, expected):
    assert device.precision(helps) == expected


def test_replicas_do_not_train_in_float16_and_what_loses_digits_never_in_less_than_float32():
    old, new = (policy.Device(True, compute_capability=version) for version in ((7, 5), (9, 0)))
    assert [device.precision(True, alone=False) for device in (old, new)] == ["float32", "mixed_bfloat16"]
    for device in (old, new, WITH):
        assert device.precision(True, keeps_digits=False) == "float32"
    with policy.working_on(new):
        assert training_policy(lstm_language_model(7, 4, 4, cell="gru"), "auto") == "float32"
        assert training_policy(lstm_language_model(7, 4, 4), "auto") == "mixed_bfloat16"


def test_equal_ids_are_found_in_another_way_on_gpus():
    ids, rows = tf.constant([3, 1, 3]), tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    found = {}
    for name, device in (("cpu", WITH), ("gpu", GPU)):
        with policy.working_on(device):
            found[name] = adam._with_rows_once(tf.IndexedSlices(rows, ids, tf.constant([5, 2])))
    assert isinstance(found["cpu"], tf.IndexedSlices)
    assert found["gpu"].numpy().tolist() == tf.convert_to_tensor(found["cpu"]).numpy().tolist()
    assert found["gpu"][3].numpy().tolist() == [6, 8]


@pytest.mark.parametrize(
    ("network", "gains"),
    [
        (lambda: transformer_language_model(7, d_model=8, num_heads=2, num_layers=1), True),
        (lambda: lstm_language_model(7, 4, 4), True),
        (lambda: lstm_language_model(7, 4, 4, cell="gru"), False),
    ],
    ids=["transformer", "lstm", "gru"],
)
@pytest.mark.parametrize("device", [WITH, WITHOUT])
def test_auto_is_bfloat16_where_processor_and_network_gain_by_it(device, network, gains):
    network = network()
    with policy.working_on(device):
        expected = "mixed_bfloat16" if device.multiplies_bfloat16 and gains else "float32"
        assert training_policy(network, "auto") == expected
        assert training_policy(network, "mixed_float16") == "mixed_float16"


@pytest.mark.parametrize(
    ("device", "network", "precision", "shape", "expected"),
    [
        (WITH, "transformer", "float32", EVEN, True),
        (WITH, "transformer", "mixed_bfloat16", EVEN, False),
        (WITH, "transformer", "float32", RAGGED, False),
        (WITH, "lstm", "float32", EVEN, False),
        (GPU, "transformer", "mixed_bfloat16", EVEN, True),
        (GPU, "transformer", "mixed_bfloat16", RAGGED, False),
        (GPU, "transformer classifier", "mixed_bfloat16", RAGGED, False),
        (GPU, "lstm", "mixed_bfloat16", EVEN, False),
        (GPU, "lstm classifier", "float32", RAGGED, False),
    ],
)
def test_xla_is_for_batches_of_one_shape(device, network, precision, shape, expected):
    network = {
        "transformer": lambda: transformer_language_model(7, d_model=8, num_heads=2, num_layers=1),
        "lstm": lambda: lstm_language_model(7, 4, 4),
        "transformer classifier": lambda: transformer_classifier(7, 2, d_model=8, num_heads=2, num_layers=1),
        "lstm classifier": lambda: lstm_classifier(7, 2, units=4),
    }[network]()
    with policy.working_on(device):
        assert compiles_steps(network, "auto", precision=precision, batches=batches(shape)) is expected
        assert compiles_steps(network, "off", precision=precision, batches=batches(shape)) is False
        if device.is_gpu and not network.body.xla_on_gpu:
            with pytest.raises(InputError, match="cuDNN"):
                compiles_steps(network, "on", precision=precision, batches=batches(shape))
        else:
            assert compiles_steps(network, "on", precision=precision, batches=batches(shape)) is True


def test_cudnn_runs_on_gpus_but_not_where_a_graph_must_run_anywhere():
    with policy.working_on(GPU):
        assert policy.uses_cudnn()
        with policy.without_cudnn():
            assert not policy.uses_cudnn()
        assert policy.uses_cudnn()
    with policy.working_on(WITH):
        assert not policy.uses_cudnn()


def test_only_cpus_take_means_by_products_and_small_clusters():
    assert (WITH.rounds_products, GPU.rounds_products) == (False, True)
    assert WITH.fuses("bfloat16")
    assert not WITH.fuses("float32")
    assert not GPU.fuses("bfloat16")
    assert GPU.logits_bytes > WITH.logits_bytes


@pytest.mark.parametrize(("flags", "expected"), [("fpu amx_bf16", True), ("avx512_bf16", True), ("fpu avx2", False)])
def test_the_processor_is_asked(monkeypatch, flags, expected):
    monkeypatch.setattr(policy.Path, "read_text", lambda path: f"flags : {flags}")
    assert policy.cpu.__wrapped__() == policy.Device(False, multiplies_bfloat16=expected)


def test_without_a_list_of_instructions_none_is_assumed(monkeypatch):
    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(policy.Path, "read_text", missing)
    assert policy.cpu.__wrapped__() == policy.Device(False)


GROWING = """
import tensorflow as tf
grown = []
tf.config.list_physical_devices = lambda kind=None: ["first", "second"]
tf.config.experimental.set_memory_growth = lambda gpu, on: grown.append((gpu, on))
import {module}
assert grown == [("first", True), ("second", True)], grown
from tensorflow.python.eager import context
assert not context.context()._initialized  # after that, TensorFlow would not hear of it any more
"""


@pytest.mark.parametrize("module", ["lmkeras.models.loading", "lmkeras.training.strategies", "lmkeras.decoding.text"])
def test_whoever_uses_a_gpu_first_takes_its_memory_as_needed(module):
    subprocess.run([sys.executable, "-c", GROWING.format(module=module)], check=True)


def test_what_a_user_has_set_for_the_gpus_stays(monkeypatch):
    def refuse(gpu, on):
        raise {"in use": RuntimeError, "divided": ValueError}[gpu](gpu)

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["in use", "divided"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    policy.take_gpu_memory_as_needed()


def test_what_one_thread_decides_is_not_decided_for_others():
    found = []
    with policy.working_on(GPU), policy.without_cudnn():
        thread = threading.Thread(target=lambda: found.append((policy.device_in_use(), policy._without_cudnn.get())))
        thread.start()
        thread.join()
        assert policy.device_in_use() is GPU
    assert found == [(policy.cpu(), False)] or found[0][0].is_gpu  # what this machine has
