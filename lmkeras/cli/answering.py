"""The verb that only question answerers have: answer."""

from typing import Annotated

from lmkeras.arguments import Shown
from lmkeras.cli.runs import Run, lines_typed, loaded, require_task
from lmkeras.errors import InputError
from lmkeras.models.tables import as_json
from lmkeras.tasks.answering import Answering


def answer(
    run: Run,
    knowledge: Annotated[list[str], Shown("FILES")],
    question: Annotated[list[str] | None, Shown("TEXT")] = None,
    passages: int = 5,
    top_k: int = 1,
    text_column: str = "text",
    json: bool = False,
    encoding: str = "utf-8",
    device: str = "auto",
) -> None:
    """Answer questions from a knowledge base. Prints answer, probability and source (file and line), with tabs.

    Args:
        run: folder of a saved question answerer.
        knowledge: the texts that hold the answers: .txt (a passage is what stands between blank lines), .csv, .tsv,
            .jsonl, the same as .gz, folders, or builtin:python-docs.
        question: the questions. Without them: one a line from standard input.
        passages: how many passages are read for a question, those that suit its words best.
        top_k: how many answers to give to each question, the likeliest first.
        text_column: column or key of tables that holds the text.
        json: print one JSON object for each question, with its answers and their passages.
        encoding: the files' encoding.
        device: where to compute: auto, cpu, gpu or gpu:N.
    """
    for name, value in (("passages", passages), ("top_k", top_k)):
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    require_task(run, Answering)  # before the texts are read
    from lmkeras.corpora.knowledge import Knowledge

    known = Knowledge(knowledge, text_column, encoding)
    with loaded(run, device, Answering) as model:
        for one in lines_typed() if question is None else question:
            found = model.ask(one, known, passages, top_k=top_k)
            if json:
                print(as_json({"question": one, "answers": found}), flush=True)
                continue
            if question is None or len(question) > 1:
                print(one)
            for text, _, _, probability, passage in found:
                print(f"{' '.join(text.split())}\t{probability:.4f}\t{passage.source}:{passage.line}", flush=True)
            if not found:
                print("(no answer)", flush=True)
