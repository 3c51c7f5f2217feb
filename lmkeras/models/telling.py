"""What a training says before it begins and after it has ended, for every task."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from lmkeras.datasets.sharing import WHOLE
from lmkeras.models.preparing import Prepared
from lmkeras.training import fit as harness
from lmkeras.training.devices import training_policy
from lmkeras.training.history import History
from lmkeras.training.optimizers import chosen_optimizer
from lmkeras.training.outcome import outcome_of, shown_number
from lmkeras.training.policy import device_in_use
from lmkeras.training.progress import level_of, say
from lmkeras.training.run import Judgement
from lmkeras.training.settings import TrainingSettings
from lmkeras.training.strategies import is_chief, replicas_of, strategy_for

_log = logging.getLogger("lmkeras")

_SAMPLE = 2**17  # how many targets are enough to judge what a predictor that reads nothing would get


def fit_and_tell(ready: Prepared, verbose: str | int, **others) -> History:
    """Trains, and says before it what is trained and how, and after it what came of it.

    Args:
        ready: the prepared training.
        verbose: how much is shown, see `level_of`.
        others: further arguments of `harness.fit`.

    Returns:
        The evaluations; the attribute `outcome` is the Outcome of the training.
    """
    level = level_of(verbose, is_chief(strategy_for(ready.settings.distribute)))
    say_before(ready, level)
    judgement = Judgement(partial(ready.parts.task.keras_metrics, ready.parts.network), *ready.monitor)
    network, batches = ready.parts.network, ready.batches
    history = harness.fit(network, batches, ready.settings, judgement=judgement, verbose=level, **others)
    say_after(history, ready, level)
    return history


def say_before(ready: Prepared, level: int) -> None:
    """Prints what will be trained, on what and how: one line for each name, if anything is to be shown.

    Args:
        ready: the prepared training.
        level: how much is shown, 0 for nothing; from 3 on, the settings too, as they act.
    """
    if level:
        _say_aligned([*_parts(ready), *_plan(ready, ready.settings), *(_settings(ready.settings) if level > 2 else ())])


def _say_aligned(rows: Sequence[tuple[str, str]]) -> None:
    for name, text in rows:
        say(f"{name:<12} {text}")


def _parts(ready: Prepared) -> list[tuple[str, str]]:
    task, tokenizer, network = ready.parts
    sizes = {
        name: value
        for name, value in network.body.get_config().items()
        if isinstance(value, int | float | str | list | tuple) and name not in _NOT_SIZES
    }
    shown = ", ".join(f"{name} {_value(value)}" for name, value in sizes.items())
    trained = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    embedded = sum(int(np.prod(weight.shape)) for weight in network.body.embedding.weights)
    return [
        ("task", task.described()),
        ("tokenizer", ready.tokenizer_reason or ready.names[1]),
        ("vocabulary", f"{tokenizer.vocabulary_size:,} different tokens"),
        ("network", f"{ready.names[0]}: {shown}{f'; chosen for {ready.network_reason}' * bool(ready.network_reason)}"),
        ("parameters", f"{trained:,}, of which {embedded:,} in the embedding"),
        ("weights", ready.weights_from),
    ]


_NOT_SIZES = ("name", "trainable", "dtype", "vocabulary_size", "vocab_size")


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}"


def _plan(ready: Prepared, settings: TrainingSettings) -> list[tuple[str, str]]:
    steps, network = ready.batches.steps_per_epoch, ready.parts.network
    total = settings.total_steps(steps)
    optimizer, rate = chosen_optimizer(network, settings)
    policy = training_policy(network, settings.precision, settings.distribute == "none")
    replicas = replicas_of(settings.distribute)
    length = f"{total:,} updates, {total / steps:.3g} epochs" if total else f"updates for {settings.minutes:g} min"
    if settings.minutes is not None and settings.epochs is not None:
        length += f" or {settings.epochs:,} epochs, whichever end first"
    length = f"{length}, an epoch has {steps:,}"
    device = "GPU" if device_in_use().is_gpu else "CPU"
    return [
        ("data", ready.amounts),
        ("training", f"{length}{_judging(ready, settings)}"),
        ("optimizer", f"{optimizer}, learning rate up to {rate:g}, then {_FALLS[settings.schedule]}"),
        ("device", f"{f'{replicas} x ' * (replicas > 1)}{device}, {policy}"),
    ]


_FALLS = {
    "linear": "falling to zero on a line",
    "cosine": "falling to zero as a cosine",
    "inverse_sqrt": "falling as one over the square root of the updates",
    "constant": "staying the same",
}


def _judging(ready: Prepared, settings: TrainingSettings) -> str:
    """How often there is an evaluation, and whether training may end early; with minutes it is not known yet."""
    if not ready.batches.validation:
        return "; no validation"
    if settings.minutes is not None:
        return ""
    steps = ready.batches.steps_per_epoch
    early = f"; ends early after {settings.patience_in_evaluations(steps)} evaluations without a better one"
    judged = f"; an evaluation every {settings.steps_between_evaluations(steps):,}"
    return judged + early * (settings.patience != "never")


def _settings(settings: TrainingSettings) -> list[tuple[str, str]]:
    return [("settings", ", ".join(f"{name} {value}" for name, value in vars(settings).items()))]


def say_after(history: History, ready: Prepared, level: int) -> None:
    """Gives the history its outcome and prints it; warns if the network has learnt nothing, or if the loss exploded.

    Args:
        history: the evaluations of the training.
        ready: the prepared training.
        level: how much is shown, 0 for nothing but warnings.
    """
    if not history:
        return
    guess, steps, settings = _guess(ready), ready.batches.steps_per_epoch, ready.settings
    history.outcome = outcome_of(
        history, history.updates, steps_per_epoch=steps, settings=settings, best=tuple(ready.monitor), guess=guess
    )
    exploded = history.outcome.course == "exploded"
    missed = "" if exploded else _no_better(history, ready, guess)
    if missed:
        history.outcome = dataclasses.replace(history.outcome, course="nothing", advice=_MORE)
    if level:
        _say_aligned(history.outcome.lines())
    if not is_chief(strategy_for(settings.distribute)):
        return
    if exploded:
        first, last = (shown_number(history[place]["loss"]) for place in (0, -1))
        _log.warning(
            "THE LOSS EXPLODED: it was %s at first and %s at the end. Train with %s, or with clip_norm; this model is "
            "hardly of use",
            *(first, last, history.outcome.advice),
        )
    elif missed:
        _log.warning("THE MODEL HAS LEARNT NOTHING: %s. Try %s", missed, _MORE)


_MORE = (
    "longer training, another learning rate (find-rate on the command line, find_learning_rate in Python, suggests "
    "one), tokenizer or network, and look whether texts and labels belong together"
)


def _guess(ready: Prepared) -> Mapping[str, float]:
    """What a guess gets that does not read the text, on the validation part or, without one, in training."""
    batches = ready.batches
    train = _targets(batches.train(0).take(batches.steps_per_epoch))
    return ready.parts.task.baseline(train, _targets(batches.validation(WHOLE)) if batches.validation else train)


def _no_better(history: History, ready: Prepared, guess: Mapping[str, float]) -> str:
    """Says that none of the metrics of the kept weights is better than that of the guess, or "" if one is.

    The loss decides only where there is no metric: of rare labels it may be better than the guess's although every text
    gets the commonest label.
    """
    kept = history.kept
    prefix = "" if ready.batches.validation is None else "val_"
    higher = {name: up for name, up in ready.parts.task.metrics if name in guess} or {"loss": False}
    said = []
    for name in higher.keys() & guess.keys():
        got = kept[f"{prefix}{name}"]
        if (got - guess[name]) * (1 if higher[name] else -1) > 1e-6 or (higher[name] and guess[name] == 1):
            return ""  # the second: all answers are the same, and a guess is right each time
        said.append(f"{name} {shown_number(got)} (the guess: {shown_number(guess[name])})")
    return ", ".join(said) and f"it is no better than a guess without reading the text: {', '.join(sorted(said))}"


def _targets(dataset) -> np.ndarray | Mapping[str, np.ndarray]:
    """Targets that have a weight, at most some hundred thousand, as one array; of several kinds, an array of each."""
    found, seen = [], 0
    for _, targets, weights in dataset.as_numpy_iterator():
        found.append(_counted(targets, weights))
        seen += sum(map(len, found[-1].values())) if isinstance(targets, Mapping) else len(found[-1])
        if seen >= _SAMPLE:
            break
    if isinstance(found[0], Mapping):
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return np.concatenate(found)


def _counted(targets, weights):
    if isinstance(targets, Mapping):
        return {name: _counted(targets[name], weights[name]) for name in targets}
    return targets[weights > 0] if targets.shape[: weights.ndim] == weights.shape else targets
