"""What stands between a corpus and the training of a model: its parts are made, checked and frozen as asked."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lmkeras.errors import InputError
from lmkeras.models.recipe import Recipe
from lmkeras.models.saving import without_names
from lmkeras.networks.network import Network
from lmkeras.tasks.base import Task, TrainingData
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training.layer_rates import freeze, layer_factors
from lmkeras.training.run import Run
from lmkeras.training.settings import TrainingSettings


class Parts(NamedTuple):
    """What a model is made of; tokenizer and network are None until there is a corpus to make them for."""

    task: Task
    tokenizer: BaseTokenizer | None
    network: Network | None


def prepared(
    parts: Parts, recipe: Recipe | None, train, held_out, settings: TrainingSettings
) -> tuple[Parts, TrainingData]:
    """The parts to train, all of them made, and what to train them on.

    Args:
        parts: those that there are.
        recipe: how to make the others; None where there are all.
        train: the corpus.
        held_out: what validates, or None.
        settings: how training will be done.

    Raises:
        InputError: corpus, parts and settings do not go together.
    """
    task = parts.task.learned(train, held_out, settings, trained=parts.network is not None)
    tokenizer = parts.tokenizer or recipe.tokenizer_for(train)
    network = parts.network or recipe.network_for(task, tokenizer, settings.seed)
    with freeze(network.layer_groups(), settings.frozen_groups):  # refuses too many
        task.check(network, tokenizer)
    return Parts(task, tokenizer, network), task.training_data(
        train, tokenizer=tokenizer, network=network, settings=settings
    )


@contextlib.contextmanager
def as_trained(network: Network, settings: TrainingSettings) -> Iterator[Mapping[str, float] | None]:
    """A context in which groups of layers are frozen as the settings say; gives the learning-rate factors of others."""
    groups = network.layer_groups()
    with freeze(groups, settings.frozen_groups):
        yield None if settings.layer_decay == 1 else layer_factors(groups, settings.layer_decay)


def run_of(
    parts: Parts, folder: str | Path | None, resume: bool, digests: Mapping[str, Callable[[], str]]
) -> Run | None:
    """Where a training is recorded, and what it may be resumed with, such as the same text.

    Args:
        parts: what is trained.
        folder: the run's folder; None for no records.
        resume: whether to go on from the newest checkpoint in it.
        digests: what gives the digest of each corpus, by name.

    Raises:
        InputError: resume, but no folder.
    """
    if folder is None:
        if resume:
            raise InputError("resume goes on from a checkpoint in run_folder: name that folder too")
        return None
    made_of = {**parts.task.config(), **{name: digest() for name, digest in digests.items()}}
    made_of["tokenizer"] = hashlib.sha256(parts.tokenizer.to_json().encode()).hexdigest()
    made_of["network"] = without_names(parts.network.get_config())
    return Run(Path(folder), resume, made_of)
