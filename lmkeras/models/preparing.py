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
from lmkeras.tasks.base import Task
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training.layer_rates import freeze, layer_factors
from lmkeras.training.run import Batches, Run
from lmkeras.training.settings import TrainingSettings


class Parts(NamedTuple):
    """What a model is made of; tokenizer and network are None until there is a corpus to make them for."""

    task: Task
    tokenizer: BaseTokenizer | None
    network: Network | None


class Prepared(NamedTuple):
    """All that a training needs.

    Attributes:
        parts: what is trained, all of it made.
        batches: what it is trained and validated on.
        digests: what gives the digest of each corpus, by name.
    """

    parts: Parts
    batches: Batches
    digests: Mapping[str, Callable[[], str]]


def prepared(
    parts: Parts,
    recipe: Recipe | None,
    train,
    *,
    settings: TrainingSettings,
    held_out=None,
    replicas: int = 1,
) -> Prepared:
    """Makes what is not made yet; the parts that are given stay as they are.

    Args:
        parts: those that there are.
        recipe: how to make the others; None where there are all.
        train: the corpus.
        settings: how training will be done.
        held_out: what validates, or None.
        replicas: how many share each batch.

    Raises:
        InputError: corpus, parts and settings do not go together.
    """
    task = parts.task.learned(train, held_out, settings=settings, trained=parts.network is not None)
    tokenizer = parts.tokenizer or recipe.tokenizer_for(train)
    network = parts.network or recipe.network_for(task, tokenizer, settings.seed)
    with freeze(network.layer_groups(), settings.frozen_groups):  # refuses too many
        task.check(network, tokenizer)
    data = task.training_data(train, tokenizer=tokenizer, network=network, settings=settings)
    judged, digests = None, {"text": data.digest}
    if held_out is not None:
        judged = task.validation_data(held_out, tokenizer=tokenizer, network=network, replicas=replicas)
        digests["validation"] = judged.digest
    batches = Batches(data.dataset, data.steps_per_epoch, judged and judged.dataset)
    return Prepared(Parts(task, tokenizer, network), batches, digests)


@contextlib.contextmanager
def as_trained(network: Network, settings: TrainingSettings) -> Iterator[Mapping[str, float] | None]:
    """A context in which groups of layers are frozen as the settings say; gives the learning-rate factors of others."""
    groups = network.layer_groups()
    with freeze(groups, settings.frozen_groups):
        yield None if settings.layer_decay == 1 else layer_factors(groups, settings.layer_decay)


def run_of(ready: Prepared, folder: str | Path | None, resume: bool) -> Run | None:
    """Where a training is recorded, and what it may be resumed with, such as the same text.

    Args:
        ready: what is trained.
        folder: the run's folder; None for no records.
        resume: whether to go on from the newest checkpoint in it.

    Raises:
        InputError: resume, but no folder.
    """
    if folder is None:
        if resume:
            raise InputError("resume goes on from a checkpoint in run_folder: name that folder too")
        return None
    task, tokenizer, network = ready.parts
    made_of = {**task.config(), **{name: digest() for name, digest in ready.digests.items()}}
    made_of["tokenizer"] = hashlib.sha256(tokenizer.to_json().encode()).hexdigest()
    made_of["network"] = without_names(network.get_config())
    return Run(Path(folder), resume, made_of)
