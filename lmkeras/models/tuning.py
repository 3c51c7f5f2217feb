"""Tuning: Optuna searches the settings with which a model does best on the validation part."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

from lmkeras.models.given import Given, names_of
from lmkeras.models.model import Model
from lmkeras.models.preparing import settings_for
from lmkeras.models.searching import Plan, run_search
from lmkeras.models.studies import imported_optuna
from lmkeras.models.tuning_results import Tuning
from lmkeras.training.settings import TrainingSettings


def tune(
    model: Model,
    corpus,
    y=None,
    validation=None,
    search: Mapping[str, object] | None = None,
    trials: int = 20,
    folder: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    minutes_in_total: float | None = None,
    prune: bool = True,
    validation_fraction: float = 0.1,
    settings: TrainingSettings | None = None,
    verbose: str | int = "auto",
    encoding: str = "utf-8",
    **changes,
) -> Tuning:
    """Searches settings by Optuna (pip install 'lmkeras[tune]'): each trial trains a fresh model on the same text.

    Args:
        model: an untrained model with a network given by name, which stays untrained: each trial trains a copy.
        corpus: as in `Model.fit`.
        y: the answers to the texts, if they stand apart.
        validation: the corpus by which trials are compared; None takes a part of the corpus, the same in all trials.
        search: for each setting or size of the network a tuple (low, high) or (low, high, "log"), a list of choices, or
            a text as on the command line, such as "1e-4..1e-1". None: learning_rate, batch_size, weight_decay, and the
            network's dropout and main sizes.
        trials: how many trials there shall be in all, those before a resume too.
        folder: folder for the study and its results; None to keep nothing.
        resume: go on with the search in the folder, or begin it; all arguments but trials must be as before.
        overwrite: replace a search that is in the folder already.
        minutes_in_total: no trial begins later than so many minutes after the call; None for no limit.
        prune: whether a trial that is worse than the median of the others is ended early.
        validation_fraction: share of the corpus by which trials are compared, in (0, 1), if there is no `validation`.
        settings: how to train, as in `Model.fit`; the seed also fixes Optuna's suggestions.
        verbose: 0 shows nothing, 1 (or "auto") and 2 a line for each trial, 3 also how each trains.
        encoding: the files' encoding.
        changes: settings that are the same in all trials, and columns of files and tables, by name.

    Returns:
        The trials and the best settings; print it for a table. Ctrl-C ends the search; the folder keeps its trials.

    Raises:
        InputError: Optuna is not installed; a setting is unknown, has a value already, or takes no such values; no
            trial came to its end; or `Model.fit` refuses an argument.

    Source: Akiba et al. 2019, "Optuna"; Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization" (TPE).
    """
    imported_optuna()
    given, changes = Given.to(tune, model.task, named=changes, encoding=encoding)
    chosen = settings_for(model.task, settings, changes)
    ends = {"resume": resume, "overwrite": overwrite, "minutes_in_total": minutes_in_total, "prune": prune}
    plan = _plan(model, chosen, changes, search=search, trials=trials, folder=folder, **ends)
    parts = given.corpora(corpus, y, validation, fraction=validation_fraction, seed=chosen.seed)
    return run_search(model, *parts, settings=chosen, plan=plan, verbose=verbose)


def _plan(model: Model, settings: TrainingSettings, changes: Collection[str], **how) -> Plan:
    """How to search; InputError for a model that was made from a built network.

    Args:
        model: the untrained model.
        settings: how to train.
        changes: the names of settings that were given a value by name; others may have one in `settings`.
        how: further arguments of `Plan`.
    """
    model.untrained()  # raises the InputError
    recipe, usual = model._recipe, model.task.Settings()
    fixed = {name for name in names_of(type(settings)) if getattr(settings, name) != getattr(usual, name)}
    fixed |= {*changes, *recipe.sizes}
    fixed |= {name for name in ("vocabulary_size", "weights") if getattr(recipe, name) is not None}
    fixed |= {"tokenizer"} if recipe.tokenizer not in (None, "auto") else set()
    tokenizer = recipe.tokenizer if isinstance(recipe.tokenizer, str) else type(recipe.tokenizer).__name__
    asked = {"network": recipe.network, "tokenizer": tokenizer, "vocabulary_size": recipe.vocabulary_size}
    asked |= {"weights": recipe.weights and str(recipe.weights), **recipe.sizes, **dataclasses.asdict(settings)}
    return Plan(fixed=fixed, entries={"settings": asked}, **how)
