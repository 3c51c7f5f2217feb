"""How a search goes: one trial after the other, what is printed of them, and the files in the search's folder."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import lmkeras
from lmkeras.durable import replacing
from lmkeras.errors import InputError
from lmkeras.models.model import Model
from lmkeras.models.recipe import AUTO, Recipe
from lmkeras.models.search_defaults import check_space, default_space, is_size, read_space
from lmkeras.models.studies import (
    FINISHED,
    PICTURE,
    PRUNED,
    SETTINGS,
    TRIALS,
    Study,
    TrialResult,
    alone_in,
    clear,
    imported_optuna,
    study_folder,
)
from lmkeras.models.trials import Trials, read_once
from lmkeras.models.tuning_results import Tuning, described_settings
from lmkeras.tasks.base import Task
from lmkeras.training.devices import place
from lmkeras.training.interruption import Interrupted
from lmkeras.training.outcome import shown_number
from lmkeras.training.progress import level_of, say
from lmkeras.training.settings import TrainingSettings

_log = logging.getLogger("lmkeras")
_WITHOUT_MEANING = ("tensorboard", "checkpoint_every", "keep_checkpoints")  # trials write no run


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to search, and where the results go.

    Attributes:
        search: for each setting its values; None for the defaults.
        trials: how many trials there shall be in all.
        folder: where the study and its results are kept; None to keep nothing.
        resume: whether to go on with the search in the folder, if there is one.
        overwrite: whether to replace it.
        minutes_in_total: no trial begins later than so many minutes after the first one; None for no limit.
        prune: whether hopeless trials are ended early.
        fixed: the names of settings that the user has given a value.
        entries: of settings.json; the best settings come among its "settings".
        next_step: what is printed at the end: how to train with the best settings; "" for nothing.
    """

    search: Mapping[str, object] | None = None
    trials: int = 20
    folder: str | Path | None = None
    resume: bool = False
    overwrite: bool = False
    minutes_in_total: float | None = None
    prune: bool = True
    fixed: Collection[str] = ()
    entries: Mapping[str, object] = dataclasses.field(default_factory=dict)
    next_step: str = ""

    def __post_init__(self):
        if not hasattr(self.trials, "__index__") or self.trials < 1:
            raise InputError(f"trials must be a whole number, at least 1, got {self.trials!r}", arguments=("trials",))
        if self.minutes_in_total is not None and not self.minutes_in_total > 0:
            raise InputError(f"minutes_in_total must be greater than 0, got {self.minutes_in_total}")
        if self.resume and self.folder is None:
            raise InputError("resume goes on with a search in a folder: name that folder too")


def run_search(model: Model, train, held_out, *, settings: TrainingSettings, plan: Plan, verbose: str | int) -> Tuning:
    """Searches as `tune` does.

    Args:
        model: an untrained model with a network given by name.
        train: the corpus to train on.
        held_out: the corpus to validate on.
        settings: how to train.
        plan: how to search.
        verbose: as for `tune`.
    """
    imported_optuna()
    level = level_of(verbose)
    if held_out is None:
        raise InputError("trials are compared on a validation part: give one, or a validation_fraction above 0")
    if settings.distribute == "multi_worker":
        raise InputError("a search trains in one process: distribute none or mirrored")
    recipe, task = model._recipe, model.task
    monitor = task.monitored(settings)
    space = None if plan.search is None else read_space(plan.search, task, plan.fixed)
    check_space(space or {}, recipe.network, task=task, settings=settings)
    folder = None if plan.folder is None else study_folder(plan.folder, plan.overwrite, plan.resume)
    train, held_out = read_once(train), read_once(held_out)
    with place(settings.device), alone_in(folder):
        if recipe.network == AUTO and "network" not in (space or {}):
            task = task.learned(train.corpus, held_out.corpus, settings=settings, trained=False)
            searched = [name for name in space or {} if is_size(name, task)]
            recipe, settings = _settled(recipe, searched, task=task, corpus=train.corpus, settings=settings)
        common = {"train": train.corpus, "held_out": held_out.corpus, "settings": settings}
        trials = Trials(model, recipe, **common, space=space or {}, verbose=2 if level > 2 else 0)
        trials.remember = train.in_memory and held_out.in_memory
        if space is None:
            rate, sizes = trials.usual()
            own = {"learning_rate": rate, "own_sizes": sizes, "pretrained": recipe.weights is not None}
            trials.space = default_space(recipe.network, task, settings, fixed=plan.fixed, **own)
        if folder is not None and plan.overwrite:
            clear(folder)
        facts = _facts(trials, plan, digests={"text": train.digest, "validation": held_out.digest})
        study = Study(folder, facts, higher_is_better=monitor.higher_is_better, seed=settings.seed, prune=plan.prune)
        return _Search(trials, study, folder, plan=plan, level=level).run()


def _settled(recipe: Recipe, searched: Sequence[str], *, task: Task, corpus, settings: TrainingSettings):
    """Recipe and settings with what suits the corpus: one network in all trials, which has the searched sizes."""
    asked = dataclasses.replace(recipe, sizes={**recipe.sizes, **dict.fromkeys(searched)})
    settled, found = asked.settled(task, corpus)
    sizes = {name: size for name, size in settled.sizes.items() if name not in searched}
    return dataclasses.replace(settled, sizes=sizes), settings.filled(found.settings)


def _facts(trials: Trials, plan: Plan, digests: Mapping[str, str]) -> dict[str, object]:
    """What must be the same when a search goes on, by name."""
    recipe = trials.recipe
    settings = {name: value for name, value in vars(trials.settings).items() if name not in _WITHOUT_MEANING}
    tokenizer = recipe.tokenizer
    if tokenizer is not None and not isinstance(tokenizer, str):
        tokenizer = hashlib.sha256(tokenizer.to_json().encode()).hexdigest()
    facts = {
        **digests,
        **trials.recipe.task.config(),
        "network": recipe.network,
        "tokenizer": tokenizer,
        "vocabulary_size": recipe.vocabulary_size,
        "weights": None if recipe.weights is None else str(recipe.weights),
        **recipe.sizes,
        **settings,
        **{f"search {name}": str(values) for name, values in trials.space.items()},
        "prune": plan.prune,
    }
    return json.loads(json.dumps(facts))


class _Search:
    """Makes the trials of a search and writes its files.

    Args:
        trials: what trials have in common.
        study: Optuna's side.
        folder: for the files; None to write none.
        plan: how to search.
        level: how much is shown, 0 for nothing.
    """

    def __init__(self, trials: Trials, study: Study, folder: Path | None, *, plan: Plan, level: int):
        self._trials, self._study, self._folder = trials, study, folder
        self._plan, self._level, self._told = plan, level, False
        self._results = study.results

    def run(self) -> Tuning:
        """Makes the trials that are missing; InputError if none came to its end."""
        began, minutes = time.monotonic(), self._plan.minutes_in_total
        self._say_before()
        try:
            with _ended_by_signals():
                while len(self._results) < self._plan.trials:
                    if minutes is not None and self._results and time.monotonic() - began > 60 * minutes:
                        self._say(f"the {minutes:g} minutes in total are over")
                        break
                    self._one()
        except KeyboardInterrupt as interrupt:
            self._end()
            number = getattr(interrupt, "number", signal.SIGINT)
            kept = f"the trials before it are kept in {self._folder}: go on with --resume (resume=True)"
            said = kept if self._folder else "nothing is kept, because no folder was named"
            raise Interrupted(number, f"stopped in trial {len(self._results) + 1}; {said}") from None
        found = self._end()
        _ = found.best  # raises InputError if there is none
        if self._level:
            say(f"\n{found}")
            if advice := found.advice():
                say(f"{advice}: a wider range may hold a better one")
            if self._plan.next_step:
                say(f"\n{self._plan.next_step}")
        return found

    def _one(self) -> None:
        number = len(self._results) + 1
        trial = self._study.ask(number)
        try:
            chosen = self._trials.suggested(trial)
            if self._level > 2:
                said = described_settings(chosen, list(self._trials.space))
                say(f"\ntrial {number}/{self._plan.trials} begins: {said}")
            result = self._trials.run(trial, number, chosen)
            self._study.tell(trial, result)
        except KeyboardInterrupt:
            self._study.forget(trial)
            raise
        self._results.append(result)
        self._say_trial(result)
        self._write()

    def _found(self) -> Tuning:
        trials = self._trials
        return Tuning(tuple(self._results), *trials.monitor, trials.space, _made_by=trials)

    def _write(self) -> None:
        """Writes the table, and the settings of the best trial so far."""
        found = self._found()
        if self._folder is None:
            return
        found.write_csv(self._folder / TRIALS)
        if any(result.finished for result in self._results):
            entries = self._entries(found.best)
            with replacing(self._folder / SETTINGS) as aside:
                text = json.dumps(entries, indent=1, ensure_ascii=False, default=str)
                aside.write_text(text + "\n", encoding="utf-8")

    def _entries(self, best: TrialResult) -> dict[str, object]:
        """The entries of settings.json."""
        settings = dict(self._plan.entries["settings"])
        network = best.settings.get("network", self._trials.recipe.network)
        kept = self._trials.fixed_sizes(network)
        settings |= {name: None for name in self._trials.recipe.sizes if name not in kept}
        settings |= best.settings
        of = {"trial": best.number, "value": best.value, "monitor": self._trials.monitor.name}
        return {**self._plan.entries, "settings": settings, "version": lmkeras.__version__, "best": of}

    def _end(self) -> Tuning:
        """Writes all files, and gives the results."""
        found = self._found()
        if self._folder is not None and self._results:
            self._write()
            found.draw(self._folder / PICTURE)
        return found

    def _say(self, line: str) -> None:
        if self._level:
            say(line)

    def _say_before(self) -> None:
        monitor, done = self._trials.monitor, len(self._results)
        direction = "higher" if monitor.higher_is_better else "lower"
        searched = ", ".join(f"{name} {values}" for name, values in self._trials.space.items())
        self._say(f"{'task':<12} {self._trials.recipe.task.title}, network {self._trials.recipe.network}")
        self._say(f"{'searched':<12} {searched}")
        self._say(f"{'judged by':<12} the best {monitor.name}, {direction} is better")
        self._say(f"{'trials':<12} {self._plan.trials}{f', {done} of them made before' * (done > 0)}")

    def _say_trial(self, result: TrialResult) -> None:
        findings = self._trials.findings
        if findings is not None and not self._told and self._level:
            self._told = True
            for line in findings if self._trials.verbose == 0 else ():  # else the training has said it
                _log.warning(line)
        value = "" if result.value is None else f"{self._trials.monitor.name} {shown_number(result.value)}"
        if result.state == FINISHED:
            best = ", the best so far" * (self._found().best is result)
            said = f"{value}{best}{f' ({result.why})' * bool(result.why)}"
        elif result.state == PRUNED:
            said = f"{value}, ended early"
        else:
            said = f"failed: {result.why}"
        settings = described_settings(result.settings, list(self._trials.space))
        count = f"trial {result.number}/{self._plan.trials}"
        self._say(f"{count:<12} {said}; {settings}; {result.updates:,} updates, {result.seconds:.1f} s")


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A context in which SIGTERM ends what is done as Ctrl-C does, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number, frame):
        raise Interrupted(number, "")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
