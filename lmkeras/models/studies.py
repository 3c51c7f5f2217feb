"""A search by Optuna that is kept in a folder: its trials survive a kill at any moment, and it can go on later."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from lmkeras.durable import local, locked
from lmkeras.errors import InputError

#: a database of SQLite: what is written to it is there whole or not at all, even if the process or machine dies
FILE = "study.db"
#: what else a search leaves in its folder
TRIALS, PICTURE, SETTINGS = "trials.csv", "tune.png", "settings.json"

_NAME = "lmkeras"  # of the study within the file
_FACTS, _RESULT = "made_of", "result"  # attributes of a study and of a trial
_DIGESTS = ("text", "validation")  # facts whose values say nothing to people
_RANDOM_TRIALS = 5  # so many trials must have ended before others are compared with them and ended early
_TENTHS = 3  # no trial is ended in the first tenths of its training, when the learning rate is at its highest

FINISHED, PRUNED, FAILED = "finished", "pruned", "failed"


@dataclasses.dataclass(frozen=True)
class TrialResult:
    """What came of a trial.

    Attributes:
        number: of the trial, from 1.
        state: "finished"; "pruned", where it was ended early as hopeless; or "failed".
        value: the best value of the monitor; None if there is none.
        settings: the searched settings by name.
        updates: how many were made.
        seconds: how long it took.
        why: why it failed, or what is odd about it; "" otherwise.
        loss: the validation loss of the kept weights, which decides between equal values; None if there is no value.
    """

    number: int
    state: str
    value: float | None
    settings: Mapping[str, object]
    updates: int
    seconds: float
    why: str = ""
    loss: float | None = None

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end, so that its value counts."""
        return self.state == FINISHED


def imported_optuna():
    """Optuna; InputError if it is not installed."""
    try:
        import optuna
    except ImportError:
        raise InputError("tuning needs Optuna, which is not installed here: pip install 'lmkeras[tune]'") from None
    return optuna


@contextlib.contextmanager
def _quiet(optuna) -> Iterator[None]:
    """A context in which Optuna logs nothing but warnings."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def study_folder(folder: str | Path, overwrite: bool, resume: bool) -> Path:
    """Checks the folder of a search, so that nothing is lost unless the user allows it, and returns its path.

    Raises:
        InputError: there is a search already, and the arguments do not say what to do with it; the folder holds a
            model; or it cannot be made.
    """
    path = local(folder)
    if overwrite and resume:
        raise InputError("overwrite starts anew and resume goes on: say one of them", arguments=("overwrite", "resume"))
    if (path / "config.json").exists():
        raise InputError(f"{path} holds a model: name another folder for the search")
    if (path / FILE).exists() and not (overwrite or resume):
        raise InputError(
            f"{path} holds a search already: say resume (--resume) to go on, overwrite (--overwrite) to replace it, or "
            "name another folder"
        )
    other = next((name for name in (TRIALS, PICTURE, SETTINGS) if (path / name).exists()), None)
    if other and not (path / FILE).exists() and not overwrite:
        raise InputError(f"{path} holds {other} already: name another folder, or say overwrite (--overwrite)")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{path} is a file: name a folder for the search") from None
    return path


class Study:
    """The trials of a search, and what Optuna suggests next.

    The n-th suggestion is a function of the seed, n, and the trials before it. A trial that was interrupted does not
    count: it is made again, with the same suggestion.

    Args:
        folder: where the study is kept; None for memory.
        facts: what must be the same when the search goes on, by name, as JSON can hold it.
        higher_is_better: whether a higher value is better.
        seed: of the suggestions.
        prune: whether hopeless trials are ended early.
    """

    def __init__(self, folder: Path | None, facts: Mapping, *, higher_is_better: bool, seed: int, prune: bool):
        self._optuna, self._seed = imported_optuna(), seed
        pruners = self._optuna.pruners
        how = {"n_startup_trials": _RANDOM_TRIALS, "n_warmup_steps": _TENTHS}
        with _quiet(self._optuna):
            self._study = self._optuna.create_study(
                storage=None if folder is None else self._storage(folder / FILE),
                study_name=_NAME,
                direction="maximize" if higher_is_better else "minimize",
                pruner=pruners.MedianPruner(**how) if prune else pruners.NopPruner(),
                load_if_exists=True,
            )
        known = self._study.user_attrs.get(_FACTS)
        if known is None:
            self._study.set_user_attr(_FACTS, dict(facts))
        else:
            _require_same(known, json.loads(json.dumps(facts)), folder)
        self._end_interrupted()

    def _storage(self, file: Path):
        import sqlite3

        from sqlalchemy.pool import NullPool

        # not an address such as sqlite:///FILE, in which some characters of a file's name have another meaning
        how = {"creator": lambda: sqlite3.connect(file, timeout=60), "poolclass": NullPool}
        try:
            return self._optuna.storages.RDBStorage("sqlite://", engine_kwargs=how)
        except Exception as error:  # SQLAlchemy and Optuna have errors of their own
            raise InputError(f"{file} is not the file of a search, or damaged: {error}") from error

    def _end_interrupted(self) -> None:
        """Ends trials that a killed process has left: with their result if they have one, else they do not count."""
        running = self._optuna.trial.TrialState.RUNNING
        for trial in self._study.get_trials(states=(running,)):
            result = trial.user_attrs.get(_RESULT)
            self._tell(trial.number, None if result is None else _read(result))

    @property
    def results(self) -> list[TrialResult]:
        """The results of all trials that count, in their order."""
        with _quiet(self._optuna):
            found = [trial.user_attrs.get(_RESULT) for trial in self._study.get_trials(deepcopy=False)]
        return [_read(result) for result in found if result is not None]

    def ask(self, number: int):
        """A new trial of Optuna.

        Args:
            number: the trial's number, from 1, without those that do not count.
        """
        own = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        with _quiet(self._optuna):
            self._study.sampler = self._optuna.samplers.TPESampler(seed=own)
            return self._study.ask()

    def tell(self, trial, result: TrialResult) -> None:
        """Keeps what came of a trial."""
        trial.set_user_attr(_RESULT, dataclasses.asdict(result))
        self._tell(trial.number, result)

    def forget(self, trial) -> None:
        """Says that a trial was interrupted and does not count."""
        self._tell(trial.number, None)

    def _tell(self, number: int, result: TrialResult | None) -> None:
        states = self._optuna.trial.TrialState
        state = {FINISHED: states.COMPLETE, PRUNED: states.PRUNED}.get(result and result.state, states.FAIL)
        with _quiet(self._optuna):
            self._study.tell(number, result.value if state is states.COMPLETE else None, state=state)


def _read(result: Mapping) -> TrialResult:
    """A result as it was before it became JSON, which has no tuples."""
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in result["settings"].items()}
    return TrialResult(**{**result, "settings": settings})


def clear(folder: Path) -> None:
    """Removes what a search has left in a folder."""
    for name in (FILE, f"{FILE}-journal", TRIALS, PICTURE, SETTINGS):
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def alone_in(folder: Path | None) -> Iterator[None]:
    """A context in which no other process searches in a folder, where the system has locks; InputError if one does."""
    with contextlib.ExitStack() as stack:
        if folder is not None:
            try:
                stack.enter_context(locked(folder))
            except BlockingIOError:
                raise InputError(f"another process searches in {folder} at this moment: wait for its end") from None
            except OSError:  # this system has no such locks
                pass
        yield


def _require_same(then: Mapping, now: Mapping, folder: Path | None) -> None:
    """Raises InputError, which names each difference, if a search would go on with other arguments."""
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if not names:
        return
    named = [
        f"another {name}" if name in _DIGESTS else f"{name} {_said(then.get(name))} there, {_said(now.get(name))} now"
        for name in names
    ]
    raise InputError(
        f"{folder} holds a search of other arguments: {'; '.join(named)}. Give the same, or name another folder",
        arguments=names,
    )


def _said(value: object) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
