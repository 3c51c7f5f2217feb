"""The verb that judges any model: evaluate."""

from typing import Annotated

import tyro

from lmkeras.cli import classification, language
from lmkeras.cli.runs import Files, Run, loaded, print_values
from lmkeras.corpora import open_labelled_corpus
from lmkeras.errors import InputError
from lmkeras.models.folder import read_config
from lmkeras.models.tables import require_writable_file


def evaluate(
    run: Run,
    text: Files,
    stride: int | None = None,
    picture: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None,
    text_column: str = "text",
    label_column: str = "label",
    pair_column: str | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
    device: str = "auto",
) -> None:
    """Judge a model: a language model's loss, perplexity, bits per character; a classifier's accuracy, F1, confusions.

    Args:
        run: folder of a saved model.
        text: files or names, as for train.
        stride: of a language model, tokens judged in each window, the rest being context; None: windows side by side.
        picture: for a classifier, a PNG file for the confusion matrix; None: no picture.
        text_column: column or key that holds the text.
        label_column: for a classifier, column or key that holds the label.
        pair_column: for a classifier of pairs, column or key that holds the second text.
        encoding: the files' encoding.
        overwrite: replace the picture where there is one already.
        device: auto, cpu, gpu or gpu:N.
    """
    if read_config(run)["kind"] == classification.KIND:
        if stride is not None:
            raise InputError(f"--stride is for language models, and {run} is a text classifier")
        if picture is not None:
            require_writable_file(picture, overwrite)
        corpus = open_labelled_corpus(text, text_column, label_column, pair_column, encoding)
        with loaded(run, device) as model:
            classification.print_judgement(model, corpus, picture)
        return
    if picture is not None or pair_column is not None:
        raise InputError(f"--picture and --pair-column are for classifiers, and {run} is a language model")
    corpus = language.open_text(text, text_column, encoding)
    with loaded(run, device, language.KIND) as model:
        print_values(model.evaluate(corpus, stride))
