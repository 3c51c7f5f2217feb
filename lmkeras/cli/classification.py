"""The verbs of classifiers: train classifier, predict."""

from typing import Annotated, Literal

import tyro

from lmkeras.arguments import quiet_tensorflow
from lmkeras.cli.runs import Files, Flat, Output, Run, fit_and_save, lines_typed, loaded, new_run, print_values
from lmkeras.corpora import LabelledCorpus, open_examples, open_labelled_corpus, require_several_labels, split_labelled
from lmkeras.errors import InputError
from lmkeras.networks.settings import ClassificationNetworkSettings
from lmkeras.training.settings import ClassifierFitSettings

KIND = "text_classifier"


def train_classifier(
    text: Files,
    output: Output,
    validation: Annotated[list[str] | None, tyro.conf.arg(metavar="FILES")] = None,
    validation_fraction: float = 0.1,
    text_column: str = "text",
    label_column: str = "label",
    pair_column: str | None = None,
    encoding: str = "utf-8",
    tokenizer: Literal["words", "characters", "byte_pair", "word_piece"] | None = None,
    vocabulary_size: int | None = None,
    max_length: int | None = None,
    long_texts: Literal["start", "end", "both"] = "start",
    weights: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None,
    network: Annotated[ClassificationNetworkSettings, Flat] = ClassificationNetworkSettings(),  # noqa: B008
    settings: Annotated[ClassifierFitSettings, Flat] = ClassifierFitSettings(),  # noqa: B008
    overwrite: bool = False,
    resume: bool = False,
) -> None:
    """Train a text classifier on labelled text and save it.

    Args:
        text: .csv, .tsv, .jsonl with columns, .txt of label TAB text or __label__ lines (.gz too), a folder with a
            subfolder for each label, tfds:NAME:SPLIT, builtin:python-docstrings.
        output: the run's folder: the model, checkpoints, metrics.jsonl, curves.png and TensorBoard logs.
        validation: labelled text to validate on; None: examples of every label taken from the training text.
        validation_fraction: share of the examples taken for validation, from 0 (none) to below 1.
        text_column: column (.csv, .tsv) or key (.jsonl) that holds the text.
        label_column: column or key that holds the label.
        pair_column: column or key that holds the second text, where pairs are classified.
        encoding: the files' encoding.
        tokenizer: how text becomes tokens; None: words, and for bert WordPiece.
        vocabulary_size: the most tokens there may be; None: 10000 words, every character, 4096 byte pairs, 8192 pieces.
        max_length: the most tokens of a text that the network sees; None: the network's limit, 512 where it has none.
        long_texts: what is kept of longer texts: their start, their end, or as much of both.
        weights: for bert, a folder or hub name of pretrained weights; None: begin from nothing.
        network: what to train.
        settings: how to train it.
        overwrite: replace a model, or checkpoints, that are in the run's folder already.
        resume: go on from the newest checkpoint in the run's folder, or begin where there is none; all other arguments
            are to be what they were.
    """
    run = new_run(output, overwrite, resume)
    columns = (text_column, label_column, pair_column, encoding)
    corpus = open_labelled_corpus(text, *columns)
    require_several_labels(corpus.label_counts())
    held_out = open_labelled_corpus(validation, *columns) if validation is not None else None
    if held_out is None and validation_fraction:
        corpus, held_out = split_labelled(corpus, validation_fraction, settings.seed)
    quiet_tensorflow()
    from lmkeras.models.text_classifier import TextClassifier

    limits = {"max_length": max_length, "long_texts": long_texts, "weights": weights}
    model = TextClassifier(network.network, tokenizer, vocabulary_size, **limits, **network.sizes())
    reports = fit_and_save(model, run, corpus, held_out, validation_fraction=0, settings=settings, resume=resume)
    if reports and held_out is not None:
        print("on the examples that chose the weights:")
        print_judgement(model, held_out)


def print_judgement(model, corpus: LabelledCorpus, picture: str | None = None) -> None:
    """Prints what a classifier makes of a corpus, and draws its confusions where a picture is asked for."""
    values, report = model.judge(corpus)
    print_values(values)
    print(f"\n{report.table()}\n\n{report.confusion_table()}")
    if picture is not None:
        report.draw(picture)
        print(f"\ndrawn in {picture}")


def predict(
    run: Run,
    texts: Annotated[list[str], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = [],  # noqa: B006
    text: Annotated[list[str] | None, tyro.conf.arg(metavar="FILES")] = None,
    output: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None,
    text_column: str = "text",
    pair_column: str | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
    device: str = "auto",
) -> None:
    """Label texts: label, its probability and the text, between tabs; or whole files into a table.

    Args:
        run: folder of a saved classifier.
        texts: the texts; none, and no --text: a text a line from standard input.
        text: files of texts: .csv, .tsv, .jsonl (other columns do not matter), .txt with a text a line (whatever else
            stands there, such as a label, is text), .gz of these, tfds:NAME:SPLIT.
        output: a .csv or .jsonl file for the labels and all probabilities; None: standard output.
        text_column: column (.csv, .tsv) or key (.jsonl) that holds the text.
        pair_column: column or key that holds the second text, where pairs are classified.
        encoding: the files' encoding.
        overwrite: replace the output file where there is one already.
        device: auto, cpu, gpu or gpu:N.
    """
    from lmkeras.models.tables import require_writable_table, write_predictions

    if texts and text is not None:
        raise InputError("give texts, or files of texts as --text, not both")
    if pair_column is not None and text is None:
        raise InputError("--pair-column is for files of pairs: name them as --text")
    if output is not None:
        require_writable_table(output, overwrite)
    examples = open_examples(text, text_column, pair_column, encoding) if text is not None else texts or lines_typed()
    with loaded(run, device, KIND) as model:
        # from a pipe each line is answered as it comes
        predictions = model.predict_each(examples, at_a_time=1024 if text is not None or texts else 1)
        if output is not None:
            count = write_predictions(output, predictions, model.labels)
            print(f"{count} texts labelled in {output}")
            return
        for example, prediction in predictions:
            shown = "\t".join(example) if isinstance(example, tuple) else example
            shown = " ".join(shown.splitlines())  # a line a text
            print(f"{prediction.label}\t{prediction.probability:.4f}\t{shown}", flush=True)
