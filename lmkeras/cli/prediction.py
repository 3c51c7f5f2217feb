"""The verb that gives a model's answers to texts: predict."""

from typing import Annotated

from lmkeras.arguments import Shown
from lmkeras.cli.runs import Run, lines_typed, loaded, require_task
from lmkeras.errors import InputError
from lmkeras.models.tables import require_writable_table, write_predictions
from lmkeras.tasks import tasks
from lmkeras.tasks.base import TextColumns


def predict(
    run: Run,
    texts: Annotated[list[str], Shown("TEXT", positional=True)] = [],  # noqa: B006
    text: Annotated[list[str] | None, Shown("FILES")] = None,
    output: Annotated[str | None, Shown("FILE")] = None,
    columns: TextColumns = TextColumns(),  # noqa: B008
    encoding: str = "utf-8",
    overwrite: bool = False,
    device: str = "auto",
) -> None:
    """Print a model's answer to each text, one per line. A classifier prints label, probability and text, with tabs.

    Args:
        run: folder of a saved model that answers texts, such as a classifier.
        texts: the texts. Without them, and without --text: one text a line from standard input.
        text: files of texts: .csv, .tsv or .jsonl (other columns are ignored), .txt with one text a line (the whole
            line is the text, even if it contains a label), the same as .gz, or tfds:NAME:SPLIT.
        output: .csv or .jsonl file for complete answers, such as the probability of each label; None: standard output.
        encoding: the files' encoding.
        overwrite: replace the output file if it exists already.
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
        # lines from standard input are answered one by one, as they come
        answers = model.predict_each(examples, at_a_time=1024 if text is not None or texts else 1)
        if output is not None:
            count = write_predictions(output, answers, model.task)
            print(f"{count} texts answered in {output}")
            return
        for example, answer in answers:
            shown = "\t".join(example) if isinstance(example, tuple) else example
            shown = " ".join(shown.splitlines())  # one line for each text
            print(f"{model.task.line(answer)}\t{shown}", flush=True)
