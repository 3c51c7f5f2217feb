"""The verb that evaluates a model of any task: evaluate."""

from collections.abc import Callable
from typing import Annotated

from lmkeras.arguments import Shown
from lmkeras.cli.runs import Files, HeldDtype, Run, loaded, of_all_tasks, own_options, print_judgement, require_task
from lmkeras.errors import InputError
from lmkeras.models.tables import require_writable_file
from lmkeras.quiet import quiet_tensorflow
from lmkeras.tasks import tasks


def evaluate_verb() -> Callable[..., None]:
    """The function that `lmkeras evaluate` calls; its options are those of all tasks."""
    columns_type, options_type = of_all_tasks("Columns"), of_all_tasks("Evaluation")

    def evaluate(
        run: Run,
        text: Files,
        options: options_type = options_type(),  # noqa: B008
        picture: Annotated[str | None, Shown("FILE")] = None,
        json: bool = False,
        columns: columns_type = columns_type(),  # noqa: B008
        encoding: str = "utf-8",
        overwrite: bool = False,
        weights_dtype: HeldDtype = None,
        device: str = "auto",
    ) -> None:
        """Evaluate a model: loss and perplexity; what it labels, finds, answers or writes, compared with what is right.

        Args:
            run: folder of a saved model.
            text: files or names, as for train.
            picture: PNG file for a picture of the report, such as a classifier's confusion matrix; None: no picture.
            json: print one JSON object: the values by name, and under "report" what the tables show.
            encoding: the files' encoding.
            overwrite: replace the picture if the file exists already.
            device: where to compute: auto, cpu, gpu or gpu:N.
        """
        task = require_task(run)
        own_columns = own_options(columns, wanted=task.Columns, name="Columns", run=run)
        own = own_options(options, wanted=task.Evaluation, name="Evaluation", run=run)
        if picture is not None and not task.reports:
            titles = " or ".join(other.title for other in tasks().values() if other.reports)
            raise InputError(f"--picture is for {titles}, and {run} is {task.title}")
        if picture is not None:
            require_writable_file(picture, overwrite)
        if any("://" in name for name in text):
            quiet_tensorflow()  # opening a place such as gs://bucket/folder imports TensorFlow
        corpus = task().open(text, own_columns, encoding)
        with loaded(run, device, weights_dtype=weights_dtype) as model:
            print_judgement(model, corpus, picture=picture, json=json, **vars(own))

    return evaluate
