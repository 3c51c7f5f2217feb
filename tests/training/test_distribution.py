import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.training import strategies
from lmkeras.training.settings import FitSettings
from lmkeras.training.strategies import strategy_for
from tests.training import worker

KINDS = ("lstm", "transformer", "classifier", "tagger")
ROOT = Path(__file__).parents[2]
SECONDS_TO_NOTICE = 60  # a worker that is gone, as the README says


def start(task, **environment):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, worker.__file__, json.dumps(task)]
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def start_workers(tasks):
    """One process a task, which know of each other."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in tasks]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]}
    processes = []
    for index, task in enumerate(tasks):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        processes.append(start(task, TF_CONFIG=json.dumps(config)))
    return processes


def end(process, seconds=200):
    """Exit code and what was printed."""
    try:
        out, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode in (0, 2, 143, -9), errors[-3000:]
    return process.returncode, json.loads(out) if out else None


def tasks(kind, folder, count=2, stop=None, **options):
    options = {"distribute": "multi_worker", **options}
    made = [{"kind": kind, "arrays": f"{folder}/weights-{index}.npz", "options": options} for index in range(count)]
    if stop is not None:
        made[stop[0]]["stop"] = stop[1:]
    return made


def weights(path):
    with np.load(path) as arrays:
        return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process makes of each kind of model: history and weights."""
    folder = tmp_path_factory.mktemp("alone")
    processes = {kind: start({"kind": kind, "arrays": f"{folder}/{kind}.npz", "options": {}}) for kind in KINDS}
    return {kind: (end(process)[1], weights(folder / f"{kind}.npz")) for kind, process in processes.items()}


def require_equal(history, arrays, alone):
    for line, expected in zip(history, alone[0], strict=True):
        assert line == pytest.approx(expected, abs=1e-5)
    for array, expected in zip(arrays, alone[1], strict=True):
        np.testing.assert_allclose(array, expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_two_workers_do_what_one_process_does(kind, alone, tmp_path):
    for index, process in enumerate(start_workers(tasks(kind, tmp_path))):
        code, history = end(process)
        assert code == 0
        require_equal(history, weights(tmp_path / f"weights-{index}.npz"), alone[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_two_devices_of_a_process_do_what_one_does(kind, alone, tmp_path):
    task = {"kind": kind, "arrays": f"{tmp_path}/w.npz", "devices": 2, "options": {"distribute": "mirrored"}}
    code, history = end(start(task))
    assert code == 0
    require_equal(history, weights(tmp_path / "w.npz"), alone[kind])


def test_workers_stop_together_are_lost_and_go_on(alone, tmp_path):
    run = tmp_path / "run"
    options = {"run_folder": str(run), "resume": True, "checkpoint_every": 3}
    # 1) a signal to one worker stops both after the next update; only the first has written
    ends = [end(one) for one in start_workers(tasks("transformer", tmp_path, stop=(1, 4, signal.SIGTERM), **options))]
    assert [code for code, _ in ends] == [143, 143]
    assert all("stopped at update 5; the checkpoint is " in message for _, message in ends)
    assert sorted(path.name for path in run.rglob("update-*")) == [
        "update-00000003.safetensors",
        "update-00000005.safetensors",
    ]
    # 2) a worker that is killed, the first one too, ends the other, with a message
    for who, update in ((1, 3), (0, 5)):
        both = start_workers(tasks("transformer", tmp_path, stop=(who, update, signal.SIGKILL), **options))
        assert end(both[who])[0] == -9
        code, message = end(both[1 - who], SECONDS_TO_NOTICE)
        assert code == 2
        assert message.startswith("a worker was lost after update ")
        assert "--resume; the last good checkpoint is " in message
    # 3) both go on to where one process comes without any of this
    for index, process in enumerate(start_workers(tasks("transformer", tmp_path, **options))):
        code, history = end(process)
        assert code == 0
        require_equal(history, weights(tmp_path / f"weights-{index}.npz"), alone["transformer"])
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("difference", ["settings", "sizes"])
def test_workers_that_differ_are_told_so(difference, tmp_path):
    both = tasks("lstm", tmp_path)
    if difference == "settings":
        both[1]["options"] = {**both[1]["options"], "learning_rate": 0.5}
    else:
        both[1]["sizes"] = {"units": 9}
    for process in start_workers(both):
        code, message = end(process)
        assert code == 2
        assert message.startswith("replicas 1 and replica 0 differ in text, arguments or checkpoint")


def test_a_worker_that_is_left_alone_gives_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
    with socket.create_server(("127.0.0.1", 0)) as one:
        cluster = {"worker": [f"127.0.0.1:{one.getsockname()[1]}", address]}
    config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
    process = start({**tasks("lstm", tmp_path)[0], "start_seconds": 3}, TF_CONFIG=json.dumps(config))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{cluster['worker']}" in errors
    assert "where they do not all come, this process ends after 3 seconds" in errors


def test_a_port_in_use_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as used:
        cluster = {"worker": [f"127.0.0.1:{used.getsockname()[1]}"]}
        config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
        code, message = end(start(tasks("lstm", tmp_path)[0], TF_CONFIG=json.dumps(config)))
    assert code == 2
    assert "cannot be set up" in message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "'TF_CONFIG' is missing: set TF_CONFIG to"),
        ("nonsense", "TF_CONFIG cannot be used"),
        ("[1]", "TF_CONFIG cannot be used"),
        ('{"cluster": {"worker": ["a:1"]}}', "'task' is missing"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "is none of"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "is none of"),
        ('{"cluster": {"ps": ["a:1"]}, "task": {"type": "worker", "index": 0}}', "is none of {}"),
        (
            '{"cluster": {"worker": "a:12345"}, "task": {"type": "worker", "index": 0}}',
            "worker is 'a:12345': expected a li",
        ),
        (
            '{"cluster": {"worker": {"1": "a:1"}}, "task": {"type": "worker", "index": 0}}',
            "expected a list of addresses",
        ),
        ('{"cluster": {"worker": {"0": "a:1"}}, "task": {"type": "worker", "index": 0}}', "begin the program with fit"),
        (
            '{"cluster": {"worker": ["localhost:1"]}, "task": {"type": "worker", "index": 0}}',
            "begin the program with fit",
        ),
    ],
)
def test_what_is_wrong_with_workers_is_said(value, message, monkeypatch):
    tf.constant(1)  # TensorFlow has been used: the last case is of a good TF_CONFIG that comes too late
    strategies._multi_worker.cache_clear()
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(InputError, match=message):
        strategy_for("multi_worker")


def test_names_of_strategies():
    assert strategy_for("none") is None
    with pytest.raises(InputError, match="did you mean 'mirrored'"):
        strategy_for("mirored")
    with pytest.raises(InputError, match="say one of them"):
        FitSettings(distribute="mirrored", device="cpu")
    with pytest.raises(InputError, match="replicas cannot train in mixed_float16"):
        FitSettings(distribute="mirrored", precision="mixed_float16")
    with pytest.raises(InputError, match="xla auto or off"):
        FitSettings(distribute="mirrored", xla="on")


SEEDS = """
import json, sys
import tensorflow as tf
parts = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.training.distribution import on_every_replica, spread_seeds
from lmkeras.training.strategies import strategy_for
strategy = strategy_for("mirrored")
network = lstm_language_model(9, 4, 4, dropout=0.5)
with on_every_replica(network, strategy) as twin:
    spread_seeds(twin, strategy)
    dropout = next(layer for layer in twin._flatten_layers() if type(layer).__name__ == "Dropout")
    draw = tf.function(lambda: strategy.run(lambda: dropout(tf.ones((1, 64)), training=True)))
    draws = [[part.numpy().tolist() for part in strategy.experimental_local_results(draw())] for _ in range(2)]
print(json.dumps(draws))
"""


def test_replicas_drop_other_values():
    done = subprocess.run([sys.executable, "-c", SEEDS], capture_output=True, text=True, check=True, cwd=ROOT)
    draws = [draw for both in json.loads(done.stdout) for draw in both]
    assert all(set(draw[0]) == {0.0, 2.0} for draw in draws)
    assert len({str(draw) for draw in draws}) == 4, "each replica its own, and others in every update"
