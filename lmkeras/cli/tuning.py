"""The verb that searches settings: tune, one for every task."""

import os
from collections.abc import Callable
from typing import Annotated

from lmkeras.arguments import Shown, running_command
from lmkeras.arguments.options import options_of
from lmkeras.cli.runs import verbosity
from lmkeras.cli.training import corpus_of, train_verb, untrained
from lmkeras.cli.trial import with_options_of_train
from lmkeras.models.search_space import words_by_name
from lmkeras.models.studies import imported_optuna
from lmkeras.models.tables import as_json
from lmkeras.tasks.base import Task

#: parameters of `train` that this verb has in its own way, or not at all
_OF_A_RUN = ("output", "overwrite", "resume", "config")


def tune_verb(task: type[Task]) -> Callable[..., None]:
    """The function that `lmkeras tune COMMAND` calls for a task; its options are those of `train` and its own."""

    def tune(
        output: Annotated[str, Shown("STUDY")],
        trials: int = 20,
        search: Annotated[list[str], Shown("NAME=VALUES")] = [],  # noqa: B006
        minutes_in_total: float | None = None,
        prune: bool = True,
        overwrite: bool = False,
        resume: bool = False,
        json: bool = False,
        **training,
    ) -> None:
        """Search the settings that do best on the validation part. Each trial trains a new model.

        All options of train that are not searched are the same in all trials. At the end the best trials are printed,
        and how to train with their settings. Optuna makes the suggestions: pip install 'lmkeras[tune]'.

        Args:
            output: the search's folder: study.db (of Optuna), trials.csv, tune.png, settings.json of the best trial.
            trials: how many trials there shall be in all, those before --resume too.
            search: what is searched, one or several: a range as in 'learning_rate=1e-4..1e-1' (by its logarithm if it
                is wider than ten times; :log or :linear at its end decides), whole numbers as in units=32..128, choices
                as in network=cnn,dense. Without it: the learning rate, batch size, weight decay, dropout and the main
                sizes of the network.
            minutes_in_total: no trial begins later than so many minutes after the start; None: no limit.
            prune: end trials early that are worse than the median of the others at the same stage of training.
            overwrite: replace a search that is in the folder already.
            resume: go on with the search in the folder, or begin it if there is none; all other arguments but --trials
                and --minutes-in-total must be as before.
            quiet: print nothing but warnings and errors.
            verbose: also print how each training goes.
            json: print one JSON object: all trials, and the best one.
            validation_fraction: share of the examples or the text by which trials are compared.
        """
        imported_optuna()  # raises the error before TensorFlow starts
        level = 0 if json else verbosity(training["quiet"], training["verbose"])
        parts, model = _parts(task, **training), untrained(task, **training)
        from lmkeras.models.searching import Plan, run_search

        plan = Plan(
            search=words_by_name(search) or None,
            trials=trials,
            folder=output,
            resume=resume,
            overwrite=overwrite,
            minutes_in_total=minutes_in_total,
            prune=prune,
            fixed=running_command().given,
            entries=_entries(task),
            next_step=f"train with the best: lmkeras train {task.command} --config {output} --output RUN",
        )
        found = run_search(model, *parts, settings=training["settings"], plan=plan, verbose=level)
        if json:
            print(as_json(found.data()))

    verb = with_options_of_train(tune, task, without=_OF_A_RUN)
    verb.groups = {"search": ("trials", "search", "minutes_in_total", "prune", "json"), **verb.groups}
    return verb


def _parts(task: type[Task], *, text, validation, validation_fraction: float, options, settings, **others):
    """The corpora to train and to validate on, as `train` takes them; the arguments are those of `train`."""
    corpus = corpus_of(task, text=text, options=options, **others)
    if validation is not None:
        return corpus, corpus_of(task, text=validation, options=options, **others)
    if validation_fraction:
        return task(**vars(options)).split(corpus, validation_fraction, settings.seed)
    return corpus, None


def _entries(task: type[Task]) -> dict[str, object]:
    """What settings.json says beside the best settings, so that `train --config` trains with them."""
    command, verb = running_command(), f"train {task.command}"
    known = [option.name for option in options_of(train_verb(task)) if option.name not in _OF_A_RUN]
    settings = {name: command.values[name] for name in known}
    said = {"command": list(command.words), "folder": os.getcwd(), "verb": verb}
    return {**said, "settings": {**settings, "quiet": False, "verbose": False}}
