"""The trials of a search: each trains a fresh model on the same text, which is read and tokenized once."""

import array
import contextlib
import copy
import dataclasses
import functools
import gc
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from lmkeras.corpora.corpus import Examples
from lmkeras.errors import InputError
from lmkeras.models.model import Model
from lmkeras.models.recipe import Recipe
from lmkeras.models.search_defaults import Space, is_size, takes
from lmkeras.models.studies import FAILED, FINISHED, PRUNED, TrialResult
from lmkeras.tasks.base import Metric
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training.optimizers import chosen_optimizer
from lmkeras.training.settings import TrainingSettings, changed

_log = logging.getLogger("lmkeras")
_MOST_CHARACTERS = 1 << 26  # of a corpus that is kept in memory, with its ids
_TENTHS = 10  # of a training: after each of them trials are compared


class Hopeless(Exception):
    """A trial is ended early, because it is worse than most at the same stage of training."""


class Watch(keras.callbacks.Callback):
    """Follows a trial: counts updates, keeps the best value, tells Optuna of it, and ends a trial that is hopeless.

    Trials of other batch sizes make other numbers of updates, so trials are compared by tenths of their training.

    Args:
        trial: Optuna's.
        monitor: the value that counts.

    Attributes:
        updates: how many were made.
        best: the best value so far; None before the first evaluation.
    """

    def __init__(self, trial, monitor: Metric):
        super().__init__()
        self._trial, self._monitor = trial, monitor
        self.updates, self.best, self._told = 0, None, 0

    def on_train_batch_end(self, batch, logs=None):
        """Counts the update."""
        self.updates += 1

    def on_epoch_end(self, epoch, logs=None):
        """Compares the trial with others at the same tenth of the training."""
        value = (logs or {}).get(self._monitor.name)
        if value is None or value != value:  # NaN ends the training in another way
            return
        better = max if self._monitor.higher_is_better else min
        self.best = float(value) if self.best is None else better(self.best, float(value))
        tenth = _TENTHS * (epoch + 1) // self.params["epochs"]
        if self._told < tenth < _TENTHS:
            self._told = tenth
            self._trial.report(self.best, tenth)
            if self._trial.should_prune():
                raise Hopeless


@dataclasses.dataclass
class Trials:
    """What all trials have in common, and how one of them is made.

    Args:
        model: the untrained model whose settings are searched.
        recipe: how it is made.
        train: the corpus to train on.
        held_out: the corpus to validate on.
        settings: how to train, where that is not searched.
        space: what is searched.
        verbose: as for `fit`, of each training.
        remember: whether the ids of all texts are kept, so that each text is tokenized once.
    """

    model: Model
    recipe: Recipe
    train: object
    held_out: object
    settings: TrainingSettings
    space: Space
    verbose: int = 0
    remember: bool = True

    def __post_init__(self):
        self.findings: tuple[str, ...] | None = None
        self._tokenizers: dict[tuple, BaseTokenizer] = {}

    @property
    def monitor(self) -> Metric:
        """The value that trials are compared by."""
        return self.recipe.task.monitored(self.settings)

    def suggested(self, trial) -> dict[str, object]:
        """The settings that Optuna suggests for a trial; sizes that its network does not have are left out."""
        task, chosen = self.recipe.task, {}
        for name in sorted(self.space, key=lambda name: name != "network"):  # the network first
            if is_size(name, task) and not takes(chosen.get("network", self.recipe.network), name, task):
                continue
            chosen[name] = self.space[name].suggest(trial, name)
        return {name: chosen[name] for name in self.space if name in chosen}

    def fixed_sizes(self, network: str) -> dict[str, object]:
        """The sizes that are not searched; where networks are searched, those that this one has."""
        sizes = self.recipe.sizes
        if "network" not in self.space:
            return sizes
        return {name: size for name, size in sizes.items() if takes(network, name, self.recipe.task)}

    def training(self, chosen: Mapping[str, object]) -> TrainingSettings:
        """How the trial with these settings is trained."""
        fields = {field.name for field in dataclasses.fields(self.settings)}
        return changed(self.settings, {name: value for name, value in chosen.items() if name in fields})

    def untrained(self, chosen: Mapping[str, object], tokenizer: BaseTokenizer | None = None) -> Model:
        """The untrained model of the trial with these settings.

        Args:
            chosen: the searched settings by name.
            tokenizer: a fitted tokenizer to use; None for the model's own choice.
        """
        recipe, network = self.recipe, chosen.get("network", self.recipe.network)
        options = {field.name for field in dataclasses.fields(recipe.task.Options)}
        task = dataclasses.replace(recipe.task, **{name: chosen[name] for name in chosen if name in options})
        sizes = {name: value for name, value in chosen.items() if is_size(name, recipe.task)}
        others = {"vocabulary_size": chosen.get("vocabulary_size", recipe.vocabulary_size), "weights": recipe.weights}
        if tokenizer is not None:
            others["vocabulary_size"] = None
        named = chosen.get("tokenizer", recipe.tokenizer) if tokenizer is None else tokenizer
        return self.model.of_task(task, network, named, **others, **{**self.fixed_sizes(network), **sizes})

    def usual(self) -> tuple[float, dict[str, object]]:
        """The learning rate and the sizes that the network has if none are given."""
        fresh = self.untrained({})._recipe
        task = fresh.task.learned(self.train, self.held_out, settings=self.settings, trained=False)
        network = fresh.network_for(task, self._tokenizer({}), self.settings.seed)
        _, learning_rate = chosen_optimizer(network, dataclasses.replace(self.settings, learning_rate=None))
        return learning_rate, network.body.get_config()

    def _tokenizer(self, chosen: Mapping[str, object]) -> BaseTokenizer:
        """The fitted tokenizer of a trial: one for all trials of the same network, tokenizer and vocabulary size."""
        key = tuple(chosen.get(name) for name in ("network", "tokenizer", "vocabulary_size"))
        if key not in self._tokenizers:
            fitted, _ = self.untrained(chosen)._recipe.tokenizer_for(self.train)
            self._tokenizers[key] = remembering(fitted) if self.remember else fitted
        return self._tokenizers[key]

    def run(self, trial, number: int, chosen: Mapping[str, object]) -> TrialResult:
        """Trains the model of a trial, and says what came of it.

        Args:
            trial: Optuna's.
            number: from 1.
            chosen: the searched settings by name.

        Raises:
            KeyboardInterrupt: Ctrl-C came.
        """
        watch, began, why = Watch(trial, self.monitor), time.perf_counter(), ""
        state, value, loss = FAILED, None, None
        try:
            model = self.untrained(chosen, self._tokenizer(chosen))
            how = {"settings": self.training(chosen), "callbacks": [watch], "verbose": self.verbose}
            with _without_warnings(self.verbose == 0):
                history = model.fit(self.train, validation=self.held_out, validation_fraction=0, **how)
            self.findings = model.findings if self.findings is None else self.findings
            outcome = history.outcome
            if outcome.course == "exploded":
                why = "the loss exploded"
            else:
                state, value = FINISHED, outcome.value
                loss = history.kept["val_loss"]
                why = "no better than a guess" if outcome.course == "nothing" else ""
        except Hopeless:
            state, value = PRUNED, watch.best
        except InputError as error:
            why = " ".join(error.message.split())
        except (MemoryError, tf.errors.ResourceExhaustedError):
            why = "not enough memory"
        finally:
            model = None
            gc.collect()  # networks and their graphs hold each other
        seconds = round(time.perf_counter() - began, 1)
        made = {"updates": watch.updates, "seconds": seconds}
        return TrialResult(number, state, value, settings=chosen, **made, why=why, loss=loss)


@contextlib.contextmanager
def _without_warnings(quiet: bool) -> Iterator[None]:
    """A context without warnings, if `quiet`: what lmkeras says of a trial stands beside it.

    TensorFlow warns of graphs that are traced again and again, which every trial needs.
    """
    loggers = (_log, tf.get_logger()) if quiet else ()
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class Kept(NamedTuple):
    """A corpus for several trainings.

    Attributes:
        corpus: the corpus, in memory if it fits there well, so that its text is read once.
        digest: its fingerprint, SHA-256 in hexadecimal.
        in_memory: whether it is in memory.
    """

    corpus: object
    digest: str
    in_memory: bool = False


def read_once(corpus) -> Kept:
    """What `Task.corpus` returned, with its examples in memory unless they are many."""
    if not isinstance(corpus, Examples):
        return Kept(corpus, corpus.digest())  # such as one that is tokenized
    digest, kept, characters = hashlib.sha256(), [], 0
    for example in corpus:
        digest.update(repr(example).encode("utf-8", "backslashreplace"))
        characters += _characters(example)
        if characters <= _MOST_CHARACTERS:
            kept.append(example)
    if characters > _MOST_CHARACTERS or type(corpus).__init__ is not Examples.__init__:
        return Kept(corpus, digest.hexdigest())
    return Kept(type(corpus)(functools.partial(iter, kept)), digest.hexdigest(), in_memory=True)


def _characters(example: object) -> int:
    if isinstance(example, str):
        return len(example)
    return sum(map(_characters, example)) if isinstance(example, tuple | list) else 0


def remembering(tokenizer: BaseTokenizer) -> BaseTokenizer:
    """A copy of a tokenizer that tokenizes a text only the first time."""
    encode: Callable = tokenizer.encode_batch
    known: dict[str, array.array] = {}

    def encode_batch(texts):
        new = [text for text in dict.fromkeys(texts) if text not in known]
        for text, ids in zip(new, encode(new) if new else [], strict=True):
            known[text] = array.array("i", ids)
        return [known[text].tolist() for text in texts]

    again = copy.copy(tokenizer)
    again.encode_batch = encode_batch
    return again
