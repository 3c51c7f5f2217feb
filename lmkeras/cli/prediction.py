"""The verb that gives a model's answers to texts: predict."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

from lmkeras.arguments import Shown
from lmkeras.cli.runs import Run, lines_typed, loaded, of_all_tasks, own_options, require_task
from lmkeras.corpora.corpus import Text
from lmkeras.corpora.unlabelled import TextRow, text_row
from lmkeras.durable import replacing
from lmkeras.errors import InputError
from lmkeras.models.tables import as_json, beside, require_output, write_rows
from lmkeras.tasks import tasks
from lmkeras.tasks.base import TextColumns
from lmkeras.tokenizers.utf8 import encodable


def predict_verb() -> Callable[..., None]:
    """The function that `lmkeras predict` calls; its options are those of all tasks."""
    options_type = of_all_tasks("Showing")

    def predict(
        run: Run,
        texts: Annotated[list[str], Shown("TEXT", positional=True)] = [],  # noqa: B006
        text: Annotated[list[str] | None, Shown("FILES")] = None,
        output: Annotated[str | None, Shown("FILE")] = None,
        json: bool = False,
        options: options_type = options_type(),  # noqa: B008
        columns: TextColumns = TextColumns(),  # noqa: B008
        encoding: str = "utf-8",
        overwrite: bool = False,
        device: str = "auto",
    ) -> None:
        """Print a model's answer to each text, one a line. A classifier prints label, probability and text, with tabs.

        A text of which the model knows no token is marked, and their number is printed on standard error.

        Args:
            run: folder of a saved model that answers texts, such as a classifier.
            texts: the texts. Without them, and without --text: one text a line from standard input.
            text: files of texts: .csv, .tsv or .jsonl, .txt with one text a line (the whole line is the text, even if
                it contains a label), the same as .gz, or tfds:NAME:SPLIT.
            output: .csv, .tsv or .jsonl file for complete answers, such as the probability of each label, beside all
                columns of the files of texts; for a tagger also .conll, a word and a tag a line; None: standard output.
            json: print complete answers as JSON, one object a line.
            encoding: the files' encoding.
            overwrite: replace the output file if it exists already.
            device: where to compute: auto, cpu, gpu or gpu:N.
        """
        if texts and text is not None:
            raise InputError("give texts, or files of texts as --text, not both")
        if columns.pair_column is not None and text is None:
            raise InputError("--pair-column is for files of pairs: name them as --text")
        task = require_task(run, *(task for task in tasks().values() if task.answers_texts))
        require_output(output, overwrite=overwrite, json=json, others=task.answers_files)
        shown = vars(own_options(options, wanted=task.Showing, name="Showing", run=run))
        typed = (text_row(encodable(line)) for line in texts or lines_typed())
        rows = typed if text is None else task().open_texts(text, columns, encoding)
        with loaded(run, device) as model:
            # lines from standard input are answered one by one, as they come
            answers = Answers(model, rows, at_a_time=1024 if text is not None or texts else 1)
            _give(answers, shown, output=output, as_json_lines=json)
            answers.warn()

    return predict


class Answer(NamedTuple):
    """A model's answer to the text of a row."""

    row: TextRow
    text: Text
    answer: object
    unknown: bool
    """whether the model knows no token of the text"""


class Answers:
    """A model's answers to texts in their order; texts are read as answers are needed.

    Args:
        model: a trained model.
        rows: the texts with their rows.
        at_a_time: how many texts are read before they are answered.
    """

    def __init__(self, model, rows: Iterable[TextRow], at_a_time: int):
        self.model, self._rows, self._at_a_time = model, rows, at_a_time
        self._count = self._unknown = 0

    def __iter__(self) -> Iterator[Answer]:
        waiting = deque()  # rows whose texts have been read and not been answered yet

        def texts():
            for row in self._rows:
                waiting.append(row)
                yield row.text

        for text, answer in self.model.predict_each(texts(), at_a_time=self._at_a_time):
            parts = text if isinstance(text, tuple) else (text,)
            unknown = not any(map(self.model.tokenizer.knows, parts))
            self._count, self._unknown = self._count + 1, self._unknown + unknown
            yield Answer(waiting.popleft(), text=text, answer=answer, unknown=unknown)

    @property
    def count(self) -> int:
        """How many texts have been answered."""
        return self._count

    def warn(self) -> None:
        """Prints on standard error how many texts have no known token, if there are any."""
        if self._unknown:
            rest = "the answers to these do not depend on the text"
            print(
                f"lmkeras: the model knows no token of {self._unknown} of {self._count} texts: {rest}", file=sys.stderr
            )


def _give(answers: Answers, options: dict, output: str | None, as_json_lines: bool) -> None:
    """Prints answers, or writes them to a file."""
    task = answers.model.task
    if output is None and not as_json_lines:
        for one in answers:
            text = "\t".join(one.text) if isinstance(one.text, tuple) else one.text
            text = " ".join(text.splitlines())  # one line for each text
            note = "\t(no known token)" if one.unknown else ""
            print(f"{task.line(one.answer, **options)}\t{text}{note}", flush=True)
        return
    rows = ((one.row.columns, {**task.row(one.answer, **options), "unknown_text": one.unknown}) for one in answers)
    if output is None:
        for row in rows:
            print(as_json(beside(*row)), flush=True)
        return
    if write := task.answers_files.get(Path(output).suffix):
        with replacing(output) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            write(file, (one.answer for one in answers))
        print(f"{answers.count} texts answered in {output}")
        return
    count = write_rows(output, rows, names=[*task.row_names(**options), "unknown_text"])
    print(f"{count} texts answered in {output}")
