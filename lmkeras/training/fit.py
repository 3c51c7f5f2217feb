"""Training and evaluation: Keras' own compile, fit and evaluate, with records, checkpoints, resuming and devices."""

import contextlib
import dataclasses
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import keras
import tensorflow as tf

from lmkeras.datasets.prefetching import failures_of_batches
from lmkeras.datasets.sharing import WHOLE
from lmkeras.errors import InputError
from lmkeras.networks.judged import HeadLoss
from lmkeras.networks.network import Network
from lmkeras.training.callbacks import CheckpointWriter, Evaluations, LateLogs, StopAtNaN, Updates, WrittenValues
from lmkeras.training.checkpoints import Checkpoint, Checkpoints
from lmkeras.training.devices import compiles_steps, precision
from lmkeras.training.distribution import on_every_replica, set_functions, shared_batches, spread_seeds
from lmkeras.training.duration import planned_settings, settings_in_time
from lmkeras.training.history import History
from lmkeras.training.interruption import Interrupted, noting_signals
from lmkeras.training.layer_rates import with_layer_rates
from lmkeras.training.optimizers import build_optimizer, chosen_optimizer
from lmkeras.training.policy import device_in_use
from lmkeras.training.progress import EvaluationBar, Progress, level_of
from lmkeras.training.run import BY_LOSS, Batches, Judgement, Run
from lmkeras.training.settings import TrainingSettings
from lmkeras.training.state import BestWeights, TrainingState
from lmkeras.training.strategies import is_chief, is_multi_worker, require_the_same, strategy_for

_log = logging.getLogger("lmkeras")

# Settings that may differ when a run is resumed. All others decide what the numbers in a checkpoint mean.
_MAY_CHANGE = (
    *("learning_rate", "schedule", "warmup_steps", "weight_decay", "clip_norm", "patience", "device", "distribute"),
    *("precision", "xla", "tensorboard", "checkpoint_every", "keep_checkpoints", "average_checkpoints"),
)

# Errors of TensorFlow that do not mean that another worker is lost.
_NOT_OF_WORKERS = tf.errors.ResourceExhaustedError, tf.errors.InvalidArgumentError, tf.errors.UnimplementedError


def fit(
    network: Network,
    batches: Batches,
    settings: TrainingSettings,
    *,
    judgement: Judgement = BY_LOSS,
    run: Run | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    rate_factors: Mapping[str, float] | None = None,
) -> History:
    """Trains a network by the loss that its head defines.

    Args:
        network: what to train.
        batches: what to train and validate on.
        settings: how to train.
        judgement: the metrics to report, and the one that decides which weights are best.
        run: the folder for records and checkpoints; None to write none.
        callbacks: further Keras callbacks; checkpoints do not contain their state.
        verbose: how much is shown, see `level_of`.
        rate_factors: see `with_layer_rates`; None for the same learning rate everywhere.

    Returns:
        For each evaluation, those before a resume too, loss (nats), metrics and, with validation, the same with val_.

    Raises:
        InputError: the body cannot be trained, the loss became NaN or infinite (with validation, the best weights until
            then are kept), the checkpoint is of another training or cannot be written, or a worker was lost.
        Interrupted: SIGTERM or Ctrl-C came; a run has written a checkpoint before it stopped.
    """
    steps, strategy, updates = batches.steps_per_epoch, strategy_for(settings.distribute), Updates(1, 1)
    planned = planned_settings(settings, run)  # None: its minutes are to be measured
    with _naming_lost_workers(strategy, updates, run):
        require_the_same([network.get_config(), settings, planned, run and run.made_of], strategy)
        on_replicas, alone = on_every_replica(network, strategy), strategy is None
        with on_replicas as replica, precision(replica, settings.precision, alone) as policy:
            others = {"batches": batches, "metrics": judgement.metrics(), "rate_factors": rate_factors}
            averages = _compile(replica, settings, policy, total=planned.total_steps(steps) if planned else 1, **others)
            shared, level = partial(_shared, replica, strategy, averages), level_of(verbose, is_chief(strategy))
            planned = planned or settings_in_time(replica, settings, averages, data=(batches, shared), level=level)
            updates.total, updates.interval = planned.total_steps(steps), planned.steps_between_evaluations(steps)
            judge = (judgement.monitor, judgement.higher_is_better) if batches.validation else None
            best = judge and BestWeights(*judge, planned.patience_in_evaluations(steps))
            state = TrainingState(replica, averages, best, average=settings.average_checkpoints)
            recorded = _recorded(run, settings, state, updates=updates, strategy=strategy, written=batches.written)
            progress = Progress(level, updates, state.lines, steps_per_epoch=steps, best=judge)
            with recorded as (records, checkpoint_writer, note), progress, failures_of_batches():
                train, state.validation = shared(batches, note)
                replica.fit(
                    train(updates.done),
                    steps_per_epoch=updates.interval,
                    initial_epoch=updates.epoch,
                    epochs=-(-updates.total // updates.interval),
                    validation_data=state.validation,
                    callbacks=[*records, progress, *callbacks, *checkpoint_writer],  # the last sees what all did
                    verbose=0,
                    shuffle=False,
                )
    return _history(state.lines, steps)


def _history(lines: list[dict], steps_per_epoch: int) -> History:
    values = [{name: line[name] for name in line if name not in Evaluations.OWN} for line in lines]
    return History(values, updates=[line["step"] for line in lines], steps_per_epoch=steps_per_epoch)


def _shared(network, strategy, averages, batches: Batches, note=None):
    """The batches to train and validate on; where there are replicas, makes all of them share the work and batches."""
    train, validation = batches.train, batches.validation
    if strategy is None:
        return train, validation and validation(WHOLE)
    spread_seeds(network, strategy)
    set_functions(network, strategy=strategy, averages=averages, note=note)
    judged = validation and shared_batches(validation, strategy)
    return lambda done: shared_batches(partial(train, done), strategy), judged


def _compile(network, settings, policy, total, batches, metrics, rate_factors) -> list[keras.metrics.Metric]:
    """Compiles the network, seeds its dropout; returns the metrics that are averaged over an epoch, the loss first."""
    if network.body.untrainable:
        raise InputError(network.body.untrainable)
    _seed_dropout(network, settings.seed)
    optimizer = _optimizer(network, settings=settings, policy=policy, total=total)
    if rate_factors is not None:
        optimizer = with_layer_rates(optimizer, rate_factors)
    xla = compiles_steps(network, settings.xla, precision=policy, batches=batches.train(0))
    network.compile(optimizer, HeadLoss(), weighted_metrics=metrics or None, jit_compile=xla)
    network.optimizer.build(network.trainable_variables)
    return [network.mean_loss, *metrics]


def _optimizer(network, settings, policy, total):
    name, learning_rate = chosen_optimizer(network, settings)
    return build_optimizer(
        name,
        settings.schedule,
        total,
        learning_rate=learning_rate,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        policy=policy,
    )


def _seed_dropout(network: Network, seed: int) -> None:
    """Sets the random state of dropout from the seed, so that a fit does not depend on what was drawn before it."""
    for index, layer in enumerate(network.layers_as_made()):
        if generator := getattr(layer, "seed_generator", None):
            generator.state.assign([seed % 2**32, index])


@contextlib.contextmanager
def _recorded(run: Run | None, settings: TrainingSettings, state: TrainingState, updates: Updates, strategy, written):
    """A context around Keras' fit: gives callbacks that record updates, one that writes checkpoints, and a SignalNote.

    At its end it raises an InputError if the loss or a weight became NaN or infinite.
    """
    late, chief = LateLogs(device_in_use().runs_ahead), is_chief(strategy)
    nan, first = StopAtNaN(updates, late), [WrittenValues(written)] if written else []
    if run is None:
        checkpoints = None
        yield [*first, late, updates, nan, *state.callbacks, Evaluations(state.lines, updates, None)], [], None
    else:
        checkpoints = Checkpoints(run.folder, settings.keep_checkpoints, read_only=not chief)
        lengths = {"total": updates.total, "interval": updates.interval}
        made_of = {**run.made_of, **dataclasses.asdict(settings), **lengths}
        facts = {"made_of": json.loads(json.dumps(made_of))}  # in the form in which a checkpoint gives it back
        _begin(run, checkpoints=checkpoints, state=state, updates=updates, made_of=facts["made_of"])
        require_the_same(updates.done, strategy)
        evaluations = Evaluations(state.lines, updates, run.folder if chief else None, judge=state.judge)
        records = [*first, late, updates, nan, *state.callbacks, evaluations]  # which draws what the callbacks keep
        if settings.tensorboard and chief:
            records.append(keras.callbacks.TensorBoard(str(run.folder / "logs"), write_graph=False))
        every = settings.checkpoint_every
        with noting_signals(is_multi_worker(strategy)) as note:
            try:
                yield (
                    records,
                    [
                        CheckpointWriter(
                            checkpoints, state=state, facts=facts, every=every, updates=updates, nan=nan, note=note
                        )
                    ],
                    note,
                )
            except Interrupted:
                state.interrupt()
                for callback in records:
                    callback.on_train_end()  # puts the best weights back, draws the curves
                raise
    if nan.message:
        raise InputError(nan.message + _last_good(checkpoints))


@contextlib.contextmanager
def _naming_lost_workers(strategy, updates: Updates, run: Run | None):
    """A context that turns TensorFlow's errors about workers that do not answer into an InputError with advice."""
    try:
        yield
    except tf.errors.OpError as error:
        if not is_multi_worker(strategy) or isinstance(error, _NOT_OF_WORKERS):
            raise
        reason = re.sub(r"\{\{.*?\}\} *", "", error.message or "").strip().partition("\n")[0]
        raise InputError(
            f"a worker was lost after update {updates.done} ({reason}): start all workers again, with --resume"
            + _last_good(run and Checkpoints(run.folder, 1))
        ) from error


def _last_good(checkpoints: Checkpoints | None) -> str:
    if checkpoints is None:
        return ""
    newest = next(checkpoints.newest_first(), None)
    return f"; the last good checkpoint is {newest}" if newest else "; there is no checkpoint before it"


def _begin(run: Run, checkpoints: Checkpoints, state: TrainingState, updates: Updates, made_of: dict) -> None:
    """Makes the run's folder ready; if the run is resumed, restores the state from its newest checkpoint."""
    run.folder.mkdir(parents=True, exist_ok=True)
    checkpoints.tidy()
    newest = checkpoints.newest() if run.resume else None
    if newest is None and run.resume and any(checkpoints.newest_first()):
        raise InputError(f"no checkpoint in {checkpoints.folder} is intact: start anew, without resume (--overwrite)")
    if newest is None:
        checkpoints.clear()
        for name in ("train", "validation"):  # else TensorBoard would mix an earlier run's curves with ours
            if not checkpoints.read_only:
                shutil.rmtree(run.folder / "logs" / name, ignore_errors=True)
        return
    try:
        _require_same_training(newest, made_of)
        state.restore(newest.arrays, newest.facts)
        updates.resume(newest.facts["step"], newest.facts["stopped"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:  # an intact file that no training wrote
        if isinstance(error, InputError):
            raise
        raise InputError(f"{newest.path} is not the checkpoint of a training ({error!r}): remove it") from error


def _require_same_training(checkpoint: Checkpoint, made_of: dict) -> None:
    """Raises InputError if a checkpoint's arrays would mean something else now; logs differences that are allowed."""
    then = checkpoint.facts["made_of"]
    for name in {**then, **made_of}:
        value, now = then.get(name), made_of.get(name)
        if now == value:
            continue
        if name not in _MAY_CHANGE:
            found = [f"{where}: {there!r} there, {here!r} now" for where, there, here in _differences(name, value, now)]
            raise InputError(
                f"{checkpoint.path} is of a training with another {'; '.join(found)}. Give the same arguments, or "
                "start another run"
            )
        _log.warning("%s was %r and is %r from update %s on", name, value, now, checkpoint.facts["step"])


def _differences(name: str, then: object, now: object) -> Iterator[tuple[str, object, object]]:
    """The entries that differ, as (name, value then, value now); of nested objects the innermost ones.

    Example:
        >>> list(_differences("network", {"body": {"units": 8, "dropout": 0}}, {"body": {"units": 9, "dropout": 0}}))
        [('network: body units', 8, 9)]
    """
    if not isinstance(then, dict) or not isinstance(now, dict):
        yield name, then, now
        return
    for key in {**then, **now}:
        if then.get(key) != now.get(key):
            inner = f"{name} {key}" if ": " in name else f"{name}: {key}"
            yield from _differences(inner, then.get(key), now.get(key))


def evaluate(network: Network, dataset: tf.data.Dataset, verbose: str | int = 0) -> dict[str, float]:
    """Mean loss, and metrics if the network is compiled with some, over a dataset; each target has its weight.

    Args:
        network: a network; if it is compiled already, its optimizer and metrics stay as they are.
        dataset: batches of (inputs, targets, weights).
        verbose: as in `fit`.
    """
    if not network.compiled:
        network.compile(loss=HeadLoss(), jit_compile=False)
    with failures_of_batches():
        bar = EvaluationBar(level_of(verbose), int(dataset.cardinality()))
        return network.evaluate(dataset, verbose=0, callbacks=[bar], return_dict=True)
