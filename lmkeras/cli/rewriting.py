"""The verb that only sequence-to-sequence models have: rewrite."""

import itertools
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated

from lmkeras.arguments import Shown
from lmkeras.cli.runs import Run, lines_typed, loaded, require_task
from lmkeras.corpora.corpus import Examples
from lmkeras.corpora.unlabelled import TextRow, open_text_rows, text_row
from lmkeras.decoding.sampling import Beams, require_counts
from lmkeras.errors import InputError
from lmkeras.models.tables import as_json, beside, require_output, write_rows
from lmkeras.tasks.seq2seq import Seq2Seq
from lmkeras.tokenizers.utf8 import encodable

_AT_A_TIME = 1024  # texts of files, which are written in batches of similar length


def rewrite(
    run: Run,
    texts: Annotated[list[str], Shown("TEXT", positional=True)] = [],  # noqa: B006
    text: Annotated[list[str] | None, Shown("FILES")] = None,
    beams: Beams = Beams(),  # noqa: B008
    max_new_tokens: int | None = None,
    num_best: int = 1,
    output: Annotated[str | None, Shown("FILE")] = None,
    json: bool = False,
    text_column: str | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
    device: str = "auto",
) -> None:
    """Translate, summarise, or whatever a model has learnt to make of texts: print the best text for each, one a line.

    Args:
        run: folder of a saved sequence-to-sequence model.
        texts: the texts. Without them, and without --text: one text a line from standard input; in a terminal each
            answer appears as it is written, with the likeliest token every time.
        text: files of texts: .csv, .tsv or .jsonl, .txt with one text a line, the same as .gz, or tfds:NAME:SPLIT.
        max_new_tokens: the most tokens to write, for each sentence of a text that is split; None: twice as many as it
            has, and ten.
        num_best: how many texts to give for each, the best first, with their scores.
        output: .csv, .tsv or .jsonl file for the new texts, beside all columns of the files of texts; None: standard
            output.
        json: print one JSON object for each new text, with its score.
        text_column: column (.csv, .tsv) or key (.jsonl) that holds the texts; None: source, or target where the model
            was trained in reverse.
        encoding: the files' encoding.
        overwrite: replace the output file if it exists already.
        device: where to compute: auto, cpu, gpu or gpu:N.
    """
    if texts and text is not None:
        raise InputError("give texts, or files of texts as --text, not both")
    require_output(output, overwrite=overwrite, json=json)
    require_counts(1 if max_new_tokens is None else max_new_tokens, num_best)
    if num_best > beams.num_beams:
        raise InputError(f"num_best {num_best} needs as many beams: say --num-beams {num_best} or more")
    require_task(run, Seq2Seq)
    typed = (text_row(encodable(line)) for line in texts or lines_typed())
    how = {**vars(beams), "max_new_tokens": max_new_tokens}
    converses = not texts and text is None and sys.stdin.isatty()
    if converses and (output is not None or json or num_best > 1 or beams != Beams()):
        raise InputError("typed texts are answered as they come: give texts, or --text, for --output, --json and beams")
    with loaded(run, device, Seq2Seq) as model:
        if converses:
            _converse(model, typed, max_new_tokens)
            return
        named = text_column or model.task.read_column
        rows = typed if text is None else open_text_rows(text, text_column=named, encoding=encoding)
        written = _written(model, rows, {**how, "num_best": num_best})
        if output is not None:
            count = write_rows(output, written, names=["written", "score"])
            print(f"{count} texts written in {output}")
            return
        for columns, answer in written:
            score = f"{answer['score']:.4f}\t" if num_best > 1 else ""
            line = f"{score}{' '.join(answer['written'].splitlines())}"
            print(as_json(beside(columns, answer)) if json else line, flush=True)


def _converse(model, rows: Iterable[TextRow], max_new_tokens: int | None) -> None:
    """Answers texts that are typed one after the other; each answer appears as it is written."""
    for row in rows:
        for piece in model.stream(row.text, max_new_tokens):
            print(piece, end="", flush=True)
        print()


def _written(model, rows: Iterable[TextRow], how: dict) -> Iterator[tuple]:
    """For each new text the columns of what it was made of, and the text with its score."""
    # lines from standard input are answered one by one, as they come
    at_a_time = _AT_A_TIME if isinstance(rows, Examples) else 1
    rows = iter(rows)
    while some := list(itertools.islice(rows, at_a_time)):
        for row, best in zip(some, model.rewrite([row.text for row in some], **how), strict=True):
            yield from ((row.columns, model.task.row(one)) for one in best)
