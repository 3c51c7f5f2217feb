"""A run's folder on the command line: checks it, trains into it, loads, exports and describes its model."""

import contextlib
import dataclasses
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from lmkeras.arguments import Shown, running_command
from lmkeras.cli.configuration import entries_of
from lmkeras.durable import local
from lmkeras.errors import InputError
from lmkeras.models.folder import read_config
from lmkeras.models.published import described_source, is_published, kind_in
from lmkeras.models.tables import as_json
from lmkeras.quiet import quiet_tensorflow
from lmkeras.tasks import tasks
from lmkeras.tasks.base import Task
from lmkeras.training.checkpoints import Checkpoints

# Only verbs that compute import TensorFlow, so that help, errors and `info` appear at once

Run = Annotated[str, Shown("RUN", positional=True)]
Output = Annotated[str, Shown("RUN")]
Folder = Annotated[str, Shown("FOLDER", positional=True)]
Files = Annotated[list[str], Shown("FILES")]
WeightsDtype = Literal["float32", "bfloat16", "float16"] | None
HeldDtype = Annotated[
    WeightsDtype,
    Shown(
        help="precision in which a published decoder's weights are held; bfloat16 and float16 take half the memory of "
        "float32, and are slower on CPUs. None: float32, or as it was held when lmkeras saved it."
    ),
]


def new_run(output: str, overwrite: bool, resume: bool) -> Path:
    """Checks the folder for a training run, so that nothing is lost unless the user allows it, and returns its path.

    Args:
        output: the folder's name.
        overwrite: whether what an earlier run left there may be replaced.
        resume: whether the run goes on from its newest checkpoint.

    Raises:
        InputError: the folder holds a model or checkpoints of an earlier run, and the arguments do not say what to do
            with them; or it cannot be created.
    """
    run = local(output)
    if overwrite and resume:
        raise InputError("--overwrite starts anew and --resume goes on: say one of them")
    begun = any((run / "checkpoints").glob("update-*"))  # False if a run was killed before its first checkpoint
    saved = (run / "config.json").exists()  # also by a run that was stopped, as far as it had come
    if begun and not overwrite and not resume and (not saved or Checkpoints(run, keep=1).unfinished()):
        raise InputError(f"{run} holds the checkpoints of a run that did not end: say --resume, or --overwrite")
    if saved and not overwrite and not (resume and begun):
        raise InputError(f"{run} holds a model already: name another --output, or say --overwrite")
    mine = next((name for name in ("metrics.jsonl", "curves.png", "logs") if (run / name).exists()), None)
    if mine and not overwrite and not (resume and (run / "checkpoints").is_dir()):
        raise InputError(f"{run} holds {mine} already: name another --output, or say --overwrite")
    _require_writable(run)
    return run


def _require_writable(folder: Path) -> None:
    """Raises InputError if a folder cannot be written: hours of training would be lost if this was found at the end."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise InputError(f"{nearest} is a file: name a folder as --output")
    try:
        tempfile.TemporaryFile(dir=nearest).close()  # some places say that they can be written to, and cannot
    except OSError:
        raise InputError(f"{nearest} cannot be written to: name another --output") from None


def fit_and_save(model, run: Path, *corpora, settings, **options) -> bool:
    """Trains a model and saves it; after SIGTERM or Ctrl-C, it is saved as far as it is trained.

    Returns:
        Whether this process should report results: of several workers, only the first writes and reports.
    """
    from lmkeras.training.interruption import Interrupted
    from lmkeras.training.settings_file import SettingsFile
    from lmkeras.training.strategies import is_chief, strategy_for

    chief = is_chief(strategy_for(settings.distribute))
    kept = SettingsFile(run, settings, entries_of(running_command()), resume=options["resume"])
    try:
        model.fit(*corpora, run_folder=run, settings=settings, callbacks=[kept], **options)
    except Interrupted:  # comes only between two updates, when the model can be saved
        if not chief:
            raise
        model.save(run)
        print(f"\nstopped; the model as far as it came is saved in {run}")
        raise
    if chief:
        model.save(run)
        if options.get("verbose") != 0:
            print(f"saved in {run}")
    return chief


def verbosity(quiet: bool, verbose: bool) -> str | int:
    """How much `fit` shows, from the options --quiet and --verbose; InputError for both."""
    if quiet and verbose:
        raise InputError("--quiet shows less and --verbose shows more: say one of them")
    return 0 if quiet else 3 if verbose else "auto"


def require_task(run: str, *wanted: type[Task]) -> type[Task]:
    """The task of a saved model; InputError if there is no model, or `wanted` names tasks and this is none of them."""
    task = kind_in(run)
    if wanted and task not in wanted:
        titles = " or ".join(other.title for other in wanted)
        raise InputError(f"{run} is {task.title}, and this is for {titles}")
    return task


def of_all_tasks(name: str) -> type:
    """One dataclass with the fields of all tasks' dataclasses of this name, such as "Columns"."""
    found = dict.fromkeys(getattr(task, name) for task in tasks().values())
    most_derived = [one for one in found if not any(other is not one and issubclass(other, one) for other in found)]
    return dataclasses.dataclass(frozen=True)(type(name, tuple(most_derived), {}))


def own_options(given: object, wanted: type, name: str, run: str) -> object:
    """Selects, from the options of all tasks that a verb takes, those of the model's task.

    Args:
        given: a dataclass with the options of all tasks.
        wanted: the dataclass of this task's options.
        name: the attribute of tasks that holds such a dataclass, such as "Columns".
        run: where the model was saved.

    Raises:
        InputError: the user has set an option that only other tasks have.
    """
    mine, unset = _fields_of(wanted), type(given)()
    for field in dataclasses.fields(given):
        if field.name not in mine and getattr(given, field.name) != getattr(unset, field.name):
            others = [task for task in tasks().values() if field.name in _fields_of(getattr(task, name))]
            titles = " or ".join(task.title for task in others)
            option = f"--{field.name.replace('_', '-')}"
            raise InputError(f"{option} is for {titles}, and {run} is {require_task(run).title}")
    chosen = {name: getattr(given, name) for name in mine}
    # what was not chosen has the default of this task, which may differ from that of another one
    return wanted(**{name: value for name, value in chosen.items() if value != getattr(unset, name)})


def _fields_of(options: type) -> set[str]:
    return {field.name for field in dataclasses.fields(options)}


@contextlib.contextmanager
def loaded(run: str, device: str, *wanted: type[Task], weights_dtype: WeightsDtype = None):
    """A context that gives the model in a folder, placed on a device; InputError as in `require_task` and `load`."""
    require_task(run, *wanted)  # before TensorFlow's start, which takes seconds
    quiet_tensorflow()
    from lmkeras.models.loading import load
    from lmkeras.training.devices import place

    with place(device), warnings_noted():
        yield load(run, weights_dtype)


@contextlib.contextmanager
def warnings_noted() -> Iterator[None]:
    """A context in which what Python warns of is a line on standard error, as all that the command line notes."""

    def note(message, category, filename, lineno, file=None, line=None):
        print(f"lmkeras: {' '.join(str(message).split())}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.showwarning = note
        yield


def print_judgement(model, corpus, picture: str | None = None, json: bool = False, **options) -> None:
    """Evaluates a model on a corpus, prints values and report, and draws the report if `picture` names a file."""
    values, report = model.judge(corpus, **options)
    print_result(values, report, picture=picture, json=json)


def print_result(values: Mapping[str, float], report: Any, picture: str | None = None, json: bool = False) -> None:
    """Prints values, a line `name value` for each, and then a report; and draws it if `picture` names a file.

    Args:
        values: by name.
        report: as `Runner.judge` gives it, or None.
        picture: the file for a picture of the report; None: no picture.
        json: whether to print all of it as one JSON object instead.
    """
    if picture is not None:
        report.draw(picture)
    if json:
        print(as_json({**values, **({} if report is None else {"report": report.data()})}))
        return
    for name, value in values.items():
        written = ".4f" if isinstance(value, float) and abs(value) < 1e9 else ".6g" if isinstance(value, float) else ""
        print(f"{name:<20} {value:{written}}")
    if report is not None:
        print(f"\n{report.text()}")
    if picture is not None:
        print(f"\ndrawn in {picture}")


def lines_typed() -> Iterator[str]:
    """Texts from standard input, one a line."""
    with typed_text():
        for line in sys.stdin:
            yield line.rstrip("\r\n")


@contextlib.contextmanager
def typed_text() -> Iterator[None]:
    """A context for reading standard input; InputError if it is not in the expected encoding, such as UTF-8."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(
            f"standard input is not {error.encoding} ({error.reason}): convert it, or give a file and --encoding"
        ) from error


def export(
    run: Run,
    folder: Folder,
    overwrite: bool = False,
    dtype: Literal["float32", "bfloat16"] = "float32",
    weights_dtype: WeightsDtype = None,
) -> None:
    """Export a model as a SavedModel, which takes text, gives text or labels, and needs only TensorFlow.

    Args:
        run: folder of a saved model.
        folder: a new folder for the SavedModel.
        overwrite: replace a SavedModel that is there already.
        dtype: precision of matrix products; bfloat16 is only for BERT, and fast only on CPUs with instructions for it.
            Published decoders always multiply in float32, whatever their weights are kept in.
        weights_dtype: precision in which a published decoder is held while it is exported; the export keeps its weights
            as they were published, or, where they were quantised or this has fewer digits, in this. None: float32.
    """
    with loaded(run, "cpu", weights_dtype=weights_dtype) as model:
        exported, known = model.export(folder, overwrite, dtype), model.task.signatures
        names = [name for name in exported if name in known or name != "serving_default"]
        print(f"exported to {folder}: signature{'s' * (len(names) > 1)} {' and '.join(names)}")


def info(run: Run) -> None:
    """Describe a saved model: its kind, network, sizes and labels, and the versions of the software that wrote it.

    Of a published model, its config.json, and how many numbers its weights have.

    Args:
        run: folder of a saved model.
    """
    config = described_source(run) if is_published(run) else read_config(run)
    shown = {name: value for name, value in config.items() if name != "files"}
    print(as_json(shown, indent=2))
