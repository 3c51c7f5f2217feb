"""The verb that answers texts: predict."""

from typing import Annotated

import tyro

from lmkeras.cli.runs import Flat, Run, lines_typed, loaded, require_task
from lmkeras.errors import InputError
from lmkeras.models.tables import require_writable_table, write_predictions
from lmkeras.tasks import tasks
from lmkeras.tasks.base import TextColumns


def predict(
    run: Run,
    texts: Annotated[list[str], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = [],  # noqa: B006
    text: Annotated[list[str] | None, tyro.conf.arg(metavar="FILES")] = None,
    output: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None,
    columns: Annotated[TextColumns, Flat] = TextColumns(),  # noqa: B008
    encoding: str = "utf-8",
    overwrite: bool = False,
    device: str = "auto",
) -> None:
    """Answer texts: of a classifier label, its probability and the text, between tabs; or whole files into a table.

    Args:
        run: folder of a saved model that answers texts, such as a classifier.
        texts: the texts; none, and no --text: a text a line from standard input.
        text: files of texts: .csv, .tsv, .jsonl (other columns do not matter), .txt with a text a line (whatever else
            stands there, such as a label, is text), .gz of these, tfds:NAME:SPLIT.
        output: a .csv or .jsonl file for the whole answers, such as all probabilities; None: standard output.
        encoding: the files' encoding.
        overwrite: replace the output file where there is one already.
        device: auto, cpu, gpu or gpu:N.
    """
    answering = [task for task in tasks().values() if task.answers_texts]
    if texts and text is not None:
        raise InputError("give texts, or files of texts as --text, not both")
    if columns.pair_column is not None and text is None:
        raise InputError("--pair-column is for files of pairs: name them as --text")
    if output is not None:
        require_writable_table(output, overwrite)
    task = require_task(run, *answering)
    examples = task().open_texts(text, columns, encoding) if text is not None else texts or lines_typed()
    with loaded(run, device) as model:
        # from a pipe each line is answered as it comes
        answers = model.predict_each(examples, at_a_time=1024 if text is not None or texts else 1)
        if output is not None:
            count = write_predictions(output, answers, model.task)
            print(f"{count} texts labelled in {output}")
            return
        for example, answer in answers:
            shown = "\t".join(example) if isinstance(example, tuple) else example
            shown = " ".join(shown.splitlines())  # a line a text
            print(f"{model.task.line(answer)}\t{shown}", flush=True)
