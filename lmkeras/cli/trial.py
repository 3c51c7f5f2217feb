"""The verbs that train to find something out and keep no model: find-rate, cross-validate. One for every task."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated

from lmkeras.arguments import Shown
from lmkeras.cli.runs import print_result, verbosity
from lmkeras.cli.training import corpus_of, train_verb, untrained
from lmkeras.models.tables import as_json, require_writable_file
from lmkeras.tasks.base import Task

Picture = Annotated[str | None, Shown("FILE")]
#: parameters of `train` for a run's folder and for a validation part of its own
_OF_A_RUN = ("output", "validation", "overwrite", "resume", "config", "quiet")


def find_rate_verb(task: type[Task]) -> Callable[..., None]:
    """The function that `lmkeras find-rate COMMAND` calls for a task; its options are those of `train` and its own."""

    def find_rate(
        num_rates: int = 100, picture: Picture = None, json: bool = False, overwrite: bool = False, **training
    ) -> None:
        """Find a learning rate: one update after the other with a higher rate. Prints the rate to train with.

        Args:
            num_rates: the most learning rates to try, at least 10.
            picture: PNG file for a picture of the loss at each learning rate; None: no picture.
            json: print one JSON object, with all learning rates and losses.
            overwrite: replace the picture if it exists already.
        """
        if picture is not None:
            require_writable_file(picture, overwrite)
        corpus, model = corpus_of(task, **training), untrained(task, **training)
        finding = model.find_learning_rate(corpus, settings=training["settings"], steps=num_rates)
        if picture is not None:
            finding.draw(picture)
        if json:
            tried = {"learning_rates": finding.learning_rates, "losses": finding.losses}
            print(as_json({"learning_rate": finding.suggestion, **tried}))
            return
        print(f"{'learning_rate':<20} {finding.suggestion:.2g}")
        if picture is not None:
            print(f"\ndrawn in {picture}")

    return with_options_of_train(find_rate, task, without=(*_OF_A_RUN, "validation_fraction", "verbose"))


def cross_validate_verb(task: type[Task]) -> Callable[..., None]:
    """The function that `lmkeras cross-validate COMMAND` calls for a task; its options are those of `train` too."""

    def cross_validate(
        num_folds: int = 10, picture: Picture = None, json: bool = False, overwrite: bool = False, **training
    ) -> None:
        """Judge every example by a model that was trained without it. Prints each metric's mean and deviation.

        Args:
            num_folds: number of parts of the examples, each held out of one training.
            picture: PNG file for a picture of the report on all examples, such as a confusion matrix; None: no picture.
            json: print one JSON object: the values by name, and under "report" what the tables show.
            overwrite: replace the picture if it exists already.
            verbose: also print how each training goes.
            validation_fraction: share of a fold's training examples that chooses the best weights, from 0 to below 1.
        """
        if picture is not None:
            require_writable_file(picture, overwrite)
        corpus, model = corpus_of(task, **training), untrained(task, **training)
        from lmkeras.models.cross_validation import cross_validate

        how = {name: training[name] for name in ("validation_fraction", "settings")}
        shown = verbosity(quiet=not training["verbose"], verbose=training["verbose"])
        found = cross_validate(model, corpus, num_folds=num_folds, verbose=shown, **how)
        print_result(found.values(), found.report, picture=picture, json=json)

    return with_options_of_train(cross_validate, task, without=_OF_A_RUN)


def with_options_of_train(verb: Callable[..., None], task: type[Task], without: tuple[str, ...]) -> Callable[..., None]:
    """Gives a verb, beside its own parameters, those of `train` for a task, with their help.

    Args:
        verb: a function that takes any further arguments by name.
        task: the task.
        without: parameters of `train` that the verb does not have.
    """
    train = train_verb(task)
    own = [one for one in inspect.signature(verb).parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    shared = [one for one in inspect.signature(train).parameters.values() if one.name not in without]
    defaults = {one.name: one.default for one in shared if one.default is not inspect.Parameter.empty}

    @functools.wraps(verb)
    def run(**given) -> None:
        verb(**{**defaults, **given})

    run.__signature__ = inspect.Signature([one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*shared, *own)])
    run.__doc__ = f"{inspect.getdoc(verb)}\n{inspect.getdoc(train).partition('Args:')[2].strip(chr(10))}"
    run.groups = train.groups
    return run
