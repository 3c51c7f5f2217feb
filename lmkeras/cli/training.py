"""The verbs that train a model, one for every task: train lm, train classifier."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from lmkeras.arguments import Shown
from lmkeras.cli.configuration import with_config
from lmkeras.cli.network_options import network_settings
from lmkeras.cli.runs import Files, Output, fit_and_save, new_run, print_judgement, verbosity
from lmkeras.quiet import quiet_tensorflow
from lmkeras.tasks.base import Task

_HELP = {
    "summary": "Train on examples and save the model.",
    "text": "files of examples: .csv, .tsv or .jsonl (.gz too) with a column for each part of an example.",
    "validation": "examples to validate on; None: some taken from the training examples at random.",
    "tokenizer": "how text becomes tokens; auto: what suits the network and the text.",
    "vocabulary_size": "the largest number of different tokens; None: the tokenizer's own default.",
}
_DOCSTRING = """{summary}

    Args:
        text: {text}
        output: the run's folder: the model, checkpoints, settings.json, metrics.jsonl, curves.png, TensorBoard logs.
        validation: {validation}
        validation_fraction: share of the examples or the text taken for validation, from 0 (none) to below 1.
        encoding: the files' encoding.
        tokenizer: {tokenizer}
        vocabulary_size: {vocabulary_size}
        overwrite: replace a model, or checkpoints, that are in the run's folder already.
        quiet: print nothing but warnings and errors.
        verbose: print more, such as every setting and a line after each tenth of an epoch.
        resume: continue from the newest checkpoint in the run's folder, or start anew if there is none; all other
            arguments must be as before.
        config: settings of an earlier run, to be used again: its folder, or its settings.json. What is given beside it
            counts instead of what stands there; --output must be given.
    """
#: the groups of options in the help, with the parameters and fields that stand in them
_GROUPS = {
    "data": ("text", "validation", "validation_fraction", "columns", "encoding"),
    "model": ("tokenizer", "vocabulary_size", "network", "options"),
    "training": ("settings",),
    "run": (
        *("output", "config", "overwrite", "resume", "quiet", "verbose", "seed", "device", "distribute"),
        *("precision", "xla", "tensorboard", "checkpoint_every", "keep_checkpoints"),
    ),
}


def corpus_of(task: type[Task], *, text: Sequence[str], options, columns, encoding: str, **others):
    """The corpus of a verb that trains; the arguments are those of `train`, of which it needs these."""
    if any("://" in name for name in text):
        quiet_tensorflow()  # opening a place such as gs://bucket/folder imports TensorFlow
    return task(**vars(options)).open(text, columns, encoding)


def untrained(task: type[Task], *, tokenizer: str, vocabulary_size: int | None, options, network, **others):
    """The model of a verb that trains; the arguments are those of `train`, of which it needs these."""
    quiet_tensorflow()
    from lmkeras.models.loading import model_class

    return model_class(task.kind).of_task(
        task(**vars(options)),
        network.network,
        tokenizer,
        vocabulary_size=vocabulary_size,
        weights=network.weights,
        **network.sizes(),
    )


def train_verb(task: type[Task]) -> Callable[..., None]:
    """The function that `lmkeras train COMMAND` calls for a task; its signature is the command's options."""
    network_type = network_settings(task.bodies)

    def train(
        text: Files,
        output: Output,
        *,
        validation: Annotated[list[str] | None, Shown("FILES")] = None,
        validation_fraction: float = 0.1,
        columns: task.Columns = task.Columns(),  # noqa: B008
        encoding: str = "utf-8",
        tokenizer: Literal[("auto", *task.tokenizers)] = "auto",
        vocabulary_size: int | None = None,
        options: task.Options = task.Options(),  # noqa: B008
        network: network_type = network_type(),  # noqa: B008
        settings: task.Settings = task.Settings(),  # noqa: B008
        overwrite: bool = False,
        resume: bool = False,
        config: Annotated[str | None, Shown("RUN")] = None,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        shown = verbosity(quiet, verbose)
        run, asked = new_run(output, overwrite, resume), task(**vars(options))
        source = {"columns": columns, "encoding": encoding}
        corpus = corpus_of(task, text=text, options=options, **source)
        held_out = None if validation is None else corpus_of(task, text=validation, options=options, **source)
        if held_out is None and validation_fraction:
            corpus, held_out = asked.split(corpus, validation_fraction, settings.seed)
        model = untrained(task, tokenizer=tokenizer, vocabulary_size=vocabulary_size, options=options, network=network)
        data = {"validation": held_out, "validation_fraction": 0}
        reports = fit_and_save(model, run, corpus, settings=settings, resume=resume, verbose=shown, **data)
        if reports and not quiet and held_out is not None:
            print("on the part that chose the weights:")
            print_judgement(model, held_out)
            for line in model.task.after_training(corpus, held_out):
                print(line)

    train.groups, train.values_before = _GROUPS, with_config
    train.__doc__ = _DOCSTRING.format(**{**_HELP, **task.help})
    return train
