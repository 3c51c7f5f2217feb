"""Prepares a training: makes the parts of a model for a corpus, checks that they fit, and makes the batches."""

import contextlib
import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lmkeras.durable import local
from lmkeras.errors import InputError
from lmkeras.models.network_file import checked_config
from lmkeras.models.recipe import Recipe
from lmkeras.models.saving import without_names
from lmkeras.networks.network import Network
from lmkeras.networks.weights import named_weights, shapes_of
from lmkeras.tasks.base import Metric, Task
from lmkeras.tasks.data import Defaults
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training.layer_rates import freeze, layer_factors
from lmkeras.training.run import Batches, Run
from lmkeras.training.settings import TrainingSettings, changed
from lmkeras.training.settings_file import SettingsFile

_log = logging.getLogger("lmkeras")


class Parts(NamedTuple):
    """The parts of a model; tokenizer and network are None until they are made for a corpus."""

    task: Task
    tokenizer: BaseTokenizer | None
    network: Network | None


class Prepared(NamedTuple):
    """All that a training needs.

    Attributes:
        parts: the parts of the model, all of them made.
        batches: the batches to train and validate on.
        digests: for each corpus, by name, a function that gives its digest.
        monitor: the metric that decides which weights are the best.
        findings: what is odd about the data, a line for each, see `Task.findings`.
        amounts: how much there is to train and to validate on, for people.
        names: what the user called network and tokenizer, or what their classes are called.
        weights_from: where the network's weights come from, for people.
        settings: how training will be done, with a value for everything that the user left to lmkeras.
        recipe: how the user asked for tokenizer and network; None for a model from a built network.
        network_reason: what the choice of the network follows from, for people; "" if the user named or gave it.
        tokenizer_reason: the tokenizer and why it was chosen, for people; "" where the user named or gave it.
    """

    parts: Parts
    batches: Batches
    digests: Mapping[str, Callable[[], str]]
    monitor: Metric
    findings: tuple[str, ...]
    amounts: str
    names: tuple[str, str]
    weights_from: str
    settings: TrainingSettings
    recipe: Recipe | None
    network_reason: str = ""
    tokenizer_reason: str = ""


def settings_for(task: Task, settings: TrainingSettings | None, changes: Mapping[str, object]) -> TrainingSettings:
    """The given settings, or the task's defaults, with changes by name; InputError if they are another task's."""
    wanted = task.Settings
    if settings is not None and not isinstance(settings, wanted):
        raise InputError(f"{task.title} is trained with {wanted.__name__}, got {type(settings).__name__}")
    return changed(settings or wanted(), changes)


def noted(
    callbacks: Sequence,
    run: Run | None,
    ready: Prepared,
    *,
    corpus: object,
    settings: TrainingSettings,
):
    """The callbacks, with one that writes settings.json if there is a run's folder and none of them does that yet.

    Args:
        callbacks: those of the caller.
        run: the run, or None.
        ready: the prepared training, which knows how the settings act.
        corpus: what the caller gave as corpus; the name of a source is noted.
        settings: how training is done, as the user asked for it.
    """
    for callback in callbacks:
        if isinstance(callback, SettingsFile):
            callback.acts(ready.settings, ready.names[0])
            return callbacks
    if run is None:
        return callbacks
    asked, recipe = dataclasses.asdict(settings), ready.recipe
    if recipe is not None:
        tokenizer = recipe.tokenizer if isinstance(recipe.tokenizer, str) else type(recipe.tokenizer).__name__
        own = {"network": recipe.network, "tokenizer": tokenizer, "vocabulary_size": recipe.vocabulary_size}
        asked = {**own, "weights": recipe.weights and str(recipe.weights), **recipe.sizes, **asked}
    if isinstance(corpus, str | Path):
        asked = {"text": str(corpus), **asked}
    kept = SettingsFile(run.folder, settings, {"settings": asked}, resume=run.resume)
    kept.acts(ready.settings, ready.names[0])
    return [*callbacks, kept]


def require_judge(settings: TrainingSettings, held_out: object) -> None:
    """Raises InputError if the settings judge by a validation part and there is none."""
    if held_out is None and (settings.monitor is not None or not isinstance(settings.patience, str)):
        raise InputError("monitor and patience judge by the validation part: give one, or leave them out")


def prepared(
    parts: Parts,
    recipe: Recipe | None,
    train,
    *,
    settings: TrainingSettings,
    held_out=None,
    replicas: int = 1,
) -> Prepared:
    """Makes the tokenizer and the network, if they are missing, and the batches for a training.

    Args:
        parts: the parts that the model has.
        recipe: how to make missing parts; None if there are none.
        train: the corpus to train on.
        settings: how training will be done.
        held_out: the corpus to validate on, or None.
        replicas: number of replicas that share each batch.

    Raises:
        InputError: corpus, parts and settings do not go together.
    """
    if parts.network is not None and parts.network.body.untrainable:
        raise InputError(parts.network.body.untrainable)
    task = parts.task.learned(train, held_out, settings=settings, trained=parts.network is not None)
    monitor = task.monitored(settings)
    asked, defaults = recipe, Defaults("")
    if recipe is not None:
        recipe, defaults = recipe.settled(task, train, parts.network)
    settings = settings.filled(defaults.settings)
    tokenizer, reason = (parts.tokenizer, "") if parts.tokenizer else recipe.tokenizer_for(train)
    network = parts.network or recipe.network_for(task, tokenizer, settings.seed)
    require_saveable(network)
    with freeze(network.layer_groups(), settings.frozen_groups):  # raises InputError for too many
        task.check(network, tokenizer)
    data = task.training_data(train, tokenizer=tokenizer, network=network, settings=settings)
    weights_from = "as they are, to be trained further" if parts.network else recipe.weights_from(settings.seed)
    if parts.network is None and recipe.weights is None:
        examples = data.dataset().take(data.steps_per_epoch)
        weights_from = network.body.begin(examples, tokenizer, head=network.head) or weights_from
    judged, digests, amounts = None, {"text": data.digest}, f"{data.amount} to train on"
    if held_out is not None:
        judged = task.validation_data(held_out, tokenizer=tokenizer, network=network, replicas=replicas)
        digests["validation"], amounts = judged.digest, f"{amounts}, {judged.amount} to validate on"
    batches = _batches(data, judged, by_written=monitor.name.removeprefix("val_") in dict(task.written_metrics))
    findings = tuple(task.findings(data, judged, tokenizer=tokenizer, network=network))
    names = (
        type(network.body).__name__ if recipe is None else recipe.network,
        recipe.tokenizer if recipe is not None and recipe.is_named else type(tokenizer).__name__,
    )
    told = {
        "settings": settings,
        "recipe": asked,
        "findings": findings,
        "network_reason": defaults.reason,
        "amounts": amounts,
        "names": names,
        "weights_from": weights_from,
    }
    return Prepared(Parts(task, tokenizer, network), batches, digests, monitor=monitor, **told, tokenizer_reason=reason)


def _batches(data, judged, by_written: bool) -> Batches:
    """The batches of a training; values of written texts only where one of them is the monitor, as writing is slow."""
    if judged is None:
        return Batches(data.dataset, data.steps_per_epoch)
    written = judged.written if by_written else None
    return Batches(data.dataset, data.steps_per_epoch, judged.dataset, written=written)


def tell(findings: Iterable[str], aloud: bool) -> None:
    """Logs what is odd about the data, one line each, if `aloud`."""
    for line in findings if aloud else ():
        _log.warning(line)


def calibrated(parts: Parts, held_out) -> Parts:
    """The parts with what the task chooses after training on the corpus `held_out`; the same parts if it is None."""
    if held_out is None:
        return parts
    runner = parts.task.runner(parts.network, parts.tokenizer)
    return parts._replace(task=parts.task.calibrated(runner, held_out))


def require_saveable(network: Network) -> None:
    """Raises InputError if a network could not be loaded again; else that would be found out after the training."""
    try:
        own = {name: tuple(weight.shape) for name, weight in named_weights(network).items()}
        again = shapes_of(checked_config(json.loads(json.dumps(network.get_config())), num_arrays=len(own)))
    except Exception as error:  # bodies and heads of users have errors of their own
        raise InputError(f"{network.described()} cannot be made again from its get_config: {error}") from error
    if again != own:
        raise InputError(f"get_config of {network.described()} must give all arguments that decide the weights' shapes")


@contextlib.contextmanager
def as_trained(network: Network, settings: TrainingSettings) -> Iterator[Mapping[str, float] | None]:
    """A context in which layers are frozen as the settings say; gives learning-rate factors, None if all are 1."""
    groups = network.layer_groups()
    with freeze(groups, settings.frozen_groups):
        yield None if settings.layer_decay == 1 else layer_factors(groups, settings.layer_decay)


def run_of(ready: Prepared, folder: str | Path | None, resume: bool) -> Run | None:
    """The Run of a training: its folder, and what must be the same when it is resumed, such as the text.

    Args:
        ready: the prepared training.
        folder: the run's folder; None for no records.
        resume: whether to go on from the newest checkpoint in it.

    Raises:
        InputError: resume is True, but there is no folder.
    """
    if folder is None:
        if resume:
            raise InputError("resume goes on from a checkpoint in run_folder: name that folder too")
        return None
    task, tokenizer, network = ready.parts
    made_of = {**task.config(), **{name: digest() for name, digest in ready.digests.items()}}
    made_of["tokenizer"] = hashlib.sha256(tokenizer.to_json().encode()).hexdigest()
    made_of["network"] = without_names(network.get_config())
    return Run(local(folder), resume, made_of)
