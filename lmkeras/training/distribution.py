"""Training on several devices, of one machine or of several, by TensorFlow's strategies.

Every replica has a copy of all weights and takes some of the rows of each batch. Gradients are added up over all
replicas before they are clipped and applied, so the weights are the same as in one process with the same batches.

Keras' own functions for a strategy are not used. In Keras 3.15 they fail with several workers, because they reduce
scalars along an axis, and they average the means of replicas whose numbers of rows differ.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.errors import InputError
from lmkeras.training import keras_contract
from lmkeras.training.interruption import SignalNote
from lmkeras.training.policy import device_in_use
from lmkeras.training.strategies import is_multi_worker, worker_number

_SEED_STEP = 0x9E3779B9  # from one replica's dropout seed to the next; so large that small seeds do not meet


@contextlib.contextmanager
def on_every_replica(network: keras.Model, strategy: tf.distribute.Strategy | None) -> Iterator[keras.Model]:
    """A context that gives a copy of a network on every replica; at its end, the network gets the copy's weights.

    Args:
        network: a built network.
        strategy: the replicas; None for one replica, where the context gives the network itself.
    """
    if strategy is None:
        yield network
        return
    with strategy.scope(), tf.variable_creator_scope(_seeds_apart):
        twin = type(network).from_config(network.get_config())
    for layer, of in zip(*map(keras_contract.all_layers, (twin, network)), strict=True):
        layer.trainable = of.trainable  # sets its children too, which come after it
    twin.set_weights(network.get_weights())
    keras_contract.without_strategy(twin)
    try:
        with strategy.scope():
            yield twin
    finally:
        network.set_weights(twin.get_weights())


def _seeds_apart(create, **options):
    if keras_contract.SEED_NAME in (options.get("name") or ""):
        options |= {
            "synchronization": tf.VariableSynchronization.ON_READ,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
    return create(**options)


def spread_seeds(network: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Gives the dropout of each replica a seed of its own; the first replica keeps the seed that is set."""
    first = worker_number(strategy) * len(strategy.extended.worker_devices)
    for variable in keras_contract.seed_states(network):
        parts = strategy.experimental_local_results(variable.value)
        if len(parts) < len(strategy.extended.worker_devices):
            raise RuntimeError("replicas share a random state: dropout would be the same on all of them")
        base = parts[0].numpy()
        for index, part in enumerate(parts):
            part.assign([(int(base[0]) + (first + index) * _SEED_STEP) % 2**32, base[1]])


def shared_batches(
    make: Callable[[Share], tf.data.Dataset], strategy: tf.distribute.Strategy
) -> tf.distribute.DistributedDataset:
    """Shares each batch among replicas; each worker makes the rows of its own replicas alone, and none are sent.

    Args:
        make: a function that returns the batches, with only the rows of a Share in each.
        strategy: the strategy whose replicas share the batches.

    Raises:
        InputError: the number of rows, the same in all batches, cannot be shared evenly.
    """
    replicas = strategy.num_replicas_in_sync
    size = tf.nest.flatten(make(WHOLE).element_spec)[0].shape[0]
    if size is not None and size % replicas:
        raise InputError(
            f"batches of {size} windows cannot be shared among {replicas} replicas: give a --batch-size that can, and "
            "text enough to fill it"
        )

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local
        parts = [make(Share(number, replicas)) for number in range(first, first + local)]
        # one element of each part in turn: the replicas of this worker take them in this order
        turns = tf.data.Dataset.range(local).repeat()
        count = int(parts[0].cardinality())
        shared = tf.data.Dataset.choose_from_datasets(parts, turns if count < 0 else turns.take(count * local))
        # batches without end: their number counts as unknown, and workers would ask each other before every step
        known = tf.data.INFINITE_CARDINALITY if count < 0 else count * local
        return shared.apply(tf.data.experimental.assert_cardinality(known))

    return strategy.distribute_datasets_from_function(of_worker)


def set_functions(
    network: keras.Model,
    strategy: tf.distribute.Strategy,
    averages: Sequence[keras.metrics.Metric],
    note: SignalNote | None,
) -> None:
    """Gives a compiled network the functions that Keras' fit calls, so that each step runs on every replica.

    Args:
        network: a network with a copy of its weights on every replica.
        strategy: the strategy of these replicas.
        averages: the metrics that are averaged over an epoch, the loss first.
        note: says whether this worker has received a signal. Each update tells all workers, so that they stop after the
            same update. None if signals are not noted.
    """

    def train(data):
        return network.train_step(tf.nest.map_structure(_one_row_at_least, data))

    def judge(data):
        return network.test_step(tf.nest.map_structure(_one_row_at_least, data))

    @tf.function(reduce_retracing=True, autograph=False)
    def train_everywhere(data, stop):
        logs = strategy.run(lambda data, stop: {**train(data), "stop": stop}, args=(data, stop))
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

    # replicas do not communicate here: their metrics are added up when Keras reads them
    @tf.function(reduce_retracing=True, autograph=False)
    def judge_everywhere(data):
        strategy.run(judge, args=(data,))

    late, before = device_in_use().runs_ahead, []

    def train_function(iterator):
        stop = 0.0 if note is None or note.number is None else float(note.number)
        logs = train_everywhere(next(iterator), tf.constant(stop))
        before.append(logs.pop("stop"))
        # reading it waits for the device; of a device that runs ahead, it is read one update later, on all workers
        if len(before) > late and note is not None and is_multi_worker(strategy) and float(before.pop(0)):
            note.agree()
        del before[:-1]
        return logs

    def judge_function(iterator):
        judge_everywhere(next(iterator))
        return dict.fromkeys((metric.name for metric in averages), 0.0)  # Keras uses only the names

    keras_contract.set_functions(network, train_function, judge_function)


def _one_row_at_least(tensor):
    """Gives a replica without rows one row of zeros. Its weight is zero too, so it changes no sum."""
    if tensor.shape[0] is not None:
        return tensor
    missing = tf.cast(tf.shape(tensor)[0] == 0, tf.int32)
    return tf.pad(tensor, [[0, missing], *[[0, 0]] * (len(tensor.shape) - 1)])
