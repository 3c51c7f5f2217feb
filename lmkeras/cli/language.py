"""The verbs of language models: train lm, score, generate."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from lmkeras.arguments import quiet_tensorflow
from lmkeras.cli.runs import (
    Files,
    Flat,
    Output,
    Run,
    fit_and_save,
    lines_typed,
    loaded,
    new_run,
    print_values,
    typed_text,
)
from lmkeras.corpora import Corpus, open_corpus
from lmkeras.errors import InputError
from lmkeras.metrics import xz_bits_per_character
from lmkeras.networks.settings import LanguageNetworkSettings
from lmkeras.training.settings import FitSettings

if TYPE_CHECKING:
    from lmkeras.datasets import TokenShards

_XZ_CHARACTERS = 20_000_000  # xz is slow: with more text than this, training ends without the comparison
KIND = "language_model"


def train_lm(
    text: Files,
    output: Output,
    validation: Annotated[list[str] | None, tyro.conf.arg(metavar="FILES")] = None,
    validation_fraction: float = 0.1,
    text_column: str = "text",
    encoding: str = "utf-8",
    tokenizer: Literal["auto", "byte_pair", "characters", "words"] = "auto",
    vocabulary_size: int | None = None,
    network: Annotated[LanguageNetworkSettings, Flat] = LanguageNetworkSettings(),  # noqa: B008
    settings: Annotated[FitSettings, Flat] = FitSettings(),  # noqa: B008
    overwrite: bool = False,
    resume: bool = False,
) -> None:
    """Train a language model on text and save it.

    Args:
        text: files, globs or folders of .txt, .csv, .tsv or .jsonl (.gz too), tfds:NAME:SPLIT, builtin:python-docs; or
            one folder that `lmkeras tokenize` wrote.
        output: the run's folder: the model, checkpoints, metrics.jsonl, curves.png and TensorBoard logs.
        validation: text to validate on; None: the last part of the training text.
        validation_fraction: share of the text split off for validation, from 0 (none) to below 1.
        text_column: column (.csv, .tsv) or key (.jsonl) that holds the text.
        encoding: the files' encoding.
        tokenizer: how text becomes tokens; auto: byte_pair, or what tokenized text was made with.
        vocabulary_size: the most tokens there may be; None: 4096 byte pairs, 10000 words, every character.
        network: what to train.
        settings: how to train it.
        overwrite: replace a model, or checkpoints, that are in the run's folder already.
        resume: go on from the newest checkpoint in the run's folder, or begin where there is none; all other arguments
            are to be what they were.
    """
    run = new_run(output, overwrite, resume)
    train, held_out = _corpora(text, validation, validation_fraction, text_column, encoding)
    quiet_tensorflow()
    from lmkeras.models.language_model import LanguageModel

    model = LanguageModel(network.network, tokenizer, vocabulary_size, **network.sizes())
    reports = fit_and_save(model, run, train, held_out, validation_fraction=0, settings=settings, resume=resume)
    if reports and held_out is not None:
        print_values(model.evaluate(held_out))
        _print_xz(train, held_out)


def open_text(names: list[str], column: str, encoding: str) -> "Corpus | TokenShards":
    """The corpus that files and other names stand for, or the tokenized one in a folder.

    Raises:
        InputError: a name stands for nothing, or a tokenized corpus is to be mixed with another.
    """
    from lmkeras.datasets import open_shards

    if any("://" in name for name in names):
        quiet_tensorflow()
    tokenized = list(filter(None, map(open_shards, names)))
    if tokenized and len(names) > 1:
        raise InputError(f"{tokenized[0].folder} holds tokens, which do not mix with other text: name it alone")
    return tokenized[0] if tokenized else open_corpus(names, column, encoding)


def _corpora(text, validation, fraction, column, encoding):
    corpus = open_text(text, column, encoding)
    if validation is not None:
        return corpus, open_text(validation, column, encoding)
    if fraction == 0:
        return corpus, None
    from lmkeras.datasets.tokenized import split_corpus

    return split_corpus(corpus, fraction)


def _print_xz(train: "Corpus | TokenShards", held_out: "Corpus | TokenShards") -> None:
    if not isinstance(train, Corpus) or not isinstance(held_out, Corpus):
        return
    if train.count()[1] + held_out.count()[1] > _XZ_CHARACTERS:
        return
    alone, given = xz_bits_per_character(held_out), xz_bits_per_character(held_out, train)
    print(f"xz -9e, same text    {alone:.4f} bits per character alone, {given:.4f} after the training text")


def score(
    run: Run,
    texts: Annotated[list[str], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = [],  # noqa: B006
    tokens: bool = False,
    device: str = "auto",
) -> None:
    """Score texts by the chain rule: log probability in nats, number of tokens, perplexity, text, between tabs.

    Args:
        run: folder of a saved model.
        texts: the texts; none: a text a line from standard input.
        tokens: also print each token's log probability, a line a token.
        device: auto, cpu, gpu or gpu:N.
    """
    with loaded(run, device, KIND) as model:
        for text in texts or lines_typed():
            result = model.score(text)
            numbers = f"{result.log_probability:.4f}\t{len(result.tokens)}\t{result.perplexity:.4f}"
            print(f"{numbers}\t{text}", flush=True)
            if tokens:
                for token, value in zip(result.tokens, result.token_log_probabilities, strict=True):
                    print(f"  {value:.4f}\t{token!r}")


def generate(
    run: Run,
    prompt: str | None = None,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    repetition_penalty: float = 1.0,
    stop: Annotated[list[str], tyro.conf.arg(metavar="TEXT")] = [],  # noqa: B006
    num_samples: int = 1,
    seed: int = 0,
    device: str = "auto",
) -> None:
    """Write what follows a prompt; without --prompt, ask for one prompt after the other.

    Args:
        run: folder of a saved model.
        prompt: the text to go on from; "" starts a new text.
        max_new_tokens: the most tokens to add.
        temperature: 0: always the likeliest token; 1: as the model has it; above: wilder.
        top_k: draw from this many of the likeliest tokens; 0: from all.
        top_p: draw from the likeliest tokens that reach this probability together; 1: from all.
        repetition_penalty: above 1: tokens already in the text become less likely.
        stop: texts before which to stop.
        num_samples: texts to write.
        seed: the same seed gives the same text.
        device: auto, cpu, gpu or gpu:N.
    """
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    options |= {"repetition_penalty": repetition_penalty, "seed": seed}
    if num_samples < 1:
        raise InputError(f"num_samples must be at least 1, got {num_samples}")
    with loaded(run, device, KIND) as model:
        for text in _prompts() if prompt is None else [prompt]:
            if num_samples > 1:
                samples = model.generate(text, max_new_tokens, stop=stop, num_samples=num_samples, **options)
                print(*(text + sample for sample in samples), sep="\n", flush=True)
                continue
            print(text, end="", flush=True)
            for piece in model.stream(text, max_new_tokens, stop, **options):
                print(piece, end="", flush=True)
            print()


def _prompts() -> Iterator[str]:
    """Prompts typed one after the other, until the end of the input."""
    with typed_text():
        while True:
            try:
                yield input("prompt> " if sys.stdin.isatty() else "")
            except EOFError:
                return
