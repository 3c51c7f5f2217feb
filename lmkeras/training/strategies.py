"""TensorFlow's distribution strategies by name, and functions for the processes that train together under one."""

import contextlib
import faulthandler
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterator

import tensorflow as tf

from lmkeras.errors import InputError, unknown_name
from lmkeras.training import policy

START_SECONDS = 300  # how long workers wait for each other at the start


def strategy_for(name: str) -> tf.distribute.Strategy | None:
    """The strategy with a given name; every call with the same name returns the same object.

    Args:
        name: "none", "mirrored" (trains on all GPUs of this machine, or on its logical CPUs if it has no GPU) or
            "multi_worker" (trains in the processes that the environment variable TF_CONFIG lists, which all run the
            same program).

    Returns:
        The strategy; None for "none".

    Raises:
        InputError: there is no such name; TF_CONFIG is missing or wrong; or "multi_worker" is asked for after
            TensorFlow has been used, when it is too late to set up workers.
    """
    if name == "none":
        return None
    if name == "mirrored":
        return _mirrored()
    if name == "multi_worker":
        return _multi_worker()
    raise unknown_name("distribute", name, ("none", "mirrored", "multi_worker"))


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    policy.take_gpu_memory_as_needed()  # the next line begins to use GPUs, after which it is too late
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    advice = (
        'set TF_CONFIG to {"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": N}}, the same '
        "cluster everywhere and each process its own N from 0"
    )
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        task = config["task"]
        cluster = config["cluster"]
        addresses = {job: _addresses(cluster[job], job) for job in ("chief", "worker") if job in cluster}
        if not 0 <= int(task["index"]) < len(addresses.get(task["type"], ())):
            raise ValueError(f"the task {task} is none of {addresses}")
    except KeyError as error:
        raise InputError(f"several workers need to know of each other, and {error} is missing: {advice}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"TF_CONFIG cannot be used ({error}): {advice}") from None
    try:
        with _waiting_for(addresses):
            return tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise InputError(f"the workers {addresses} cannot be set up ({error.message}): {advice}") from error
    except RuntimeError as error:
        raise InputError(
            "several workers must be set up before anything else is done with TensorFlow: begin the program with fit, "
            f"or with lmkeras.training.strategies.strategy_for('multi_worker') ({error})"
        ) from error


def _addresses(given: object, job: str) -> list[str]:
    """The addresses of a job's tasks, which TF_CONFIG may give as a list or as a mapping from their numbers."""
    if isinstance(given, dict) and sorted(given) == sorted(map(str, range(len(given)))):
        given = [given[str(number)] for number in range(len(given))]
    if not isinstance(given, list) or not all(isinstance(address, str) for address in given):
        raise ValueError(f"{job} is {given!r}: expected a list of addresses, or a mapping from 0, 1, … to them")
    return given


@contextlib.contextmanager
def _waiting_for(addresses: dict) -> Iterator[None]:
    """A context for starting TensorFlow's workers; it ends this process if the others do not come in time.

    TensorFlow waits for the other workers without a time limit, and Ctrl-C and SIGTERM have no effect meanwhile.
    """
    limit = f"where they do not all come, this process ends after {START_SECONDS} seconds"
    print(f"waiting for the workers {addresses}; {limit}", file=sys.stderr, flush=True)
    with open(os.devnull, "w") as silence:
        # Python's threads stand still while TensorFlow waits; faulthandler's timer does not need them
        faulthandler.dump_traceback_later(START_SECONDS, exit=True, file=silence)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def replicas_of(name: str) -> int:
    """The number of devices that train together under a strategy; see `strategy_for` for the names."""
    strategy = strategy_for(name)
    return 1 if strategy is None else strategy.num_replicas_in_sync


def is_chief(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether this process is the one that writes files: the only process, or the first of several workers."""
    return worker_number(strategy) == 0


def worker_number(strategy: tf.distribute.Strategy | None) -> int:
    """The number of this process among the workers, from 0; if TF_CONFIG has a "chief", the chief is number 0."""
    if not is_multi_worker(strategy):
        return 0
    resolver = strategy.cluster_resolver
    chiefs = len(resolver.cluster_spec().as_dict().get("chief", ()))
    return resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)


def is_multi_worker(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether several processes train together under the strategy."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def require_the_same(facts: object, strategy: tf.distribute.Strategy | None) -> None:
    """Raises InputError unless `facts` are the same in all workers, which compare them here, so all must call this.

    Args:
        facts: what must be the same, such as arguments or the update to resume from, as values of JSON's types; other
            objects are compared by their `str`.
        strategy: the strategy of the training; without several workers nothing is compared.
    """
    if not is_multi_worker(strategy):
        return
    number = int.from_bytes(hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).digest()[:3], "big")

    def of_all():  # run as a graph below, because TensorFlow warns of anything else
        context = tf.distribute.get_replica_context()
        own = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync, float(number))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

    everywhere = tf.function(lambda: strategy.run(of_all), autograph=False)
    numbers = strategy.experimental_local_results(everywhere())[0].numpy()
    if (numbers != numbers[0]).any():
        others = ", ".join(str(worker) for worker, other in enumerate(numbers) if other != numbers[0])
        raise InputError(
            f"replicas {others} and replica 0 differ in text, arguments or checkpoint: give all workers the same "
            "arguments, the same text, and a run's folder that all of them see"
        )
