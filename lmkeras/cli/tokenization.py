"""The verb tokenize, which turns a corpus into ids on disk."""

import functools
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from lmkeras.arguments import Shown
from lmkeras.cli.runs import Files
from lmkeras.corpora import Corpus, open_corpus
from lmkeras.errors import InputError
from lmkeras.models.folder import read_config
from lmkeras.quiet import quiet_tensorflow
from lmkeras.tasks.base import Columns
from lmkeras.tasks.language import Language
from lmkeras.tokenizers import new_tokenizer, tokenizer_from_json
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.tokenizers.choice import choose, warn_of_sentences


def tokenize(
    text: Files,
    output: Annotated[str, Shown("FOLDER")],
    *,
    tokenizer: Literal["auto", "byte_pair", "characters", "words", "word_piece"] = "auto",
    vocabulary_size: int | None = None,
    tokenizer_from: Annotated[str | None, Shown("FOLDER")] = None,
    fit_megabytes: float = 12.0,
    columns: Columns = Columns(),  # noqa: B008
    encoding: str = "utf-8",
    shard_tokens: int = 4_000_000,
    workers: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> None:
    """Tokenize text to disk, so that train lm and train masked-lm can read a corpus that is larger than memory.

    Args:
        text: files, globs or folders of .txt, .csv, .tsv or .jsonl (.gz too), tfds:NAME:SPLIT, builtin:python-docs.
        output: folder for tokenizer.json, shards of ids and manifest.json; also any path of tf.io.gfile, such as gs://.
        tokenizer: how text becomes tokens; auto: byte_pair, or that of --tokenizer-from; masked-lm needs word_piece.
        vocabulary_size: the most tokens; None: 4096 byte pairs, 10000 words, 8192 word pieces, every character.
        tokenizer_from: folder of a saved model or of tokenized text, whose tokenizer is used instead of a new one.
            Validation text needs the tokenizer of the training text.
        fit_megabytes: megabytes of text, taken evenly from the corpus, to which byte pairs and words are fitted.
            Fitting takes up to 100 times as much memory. Characters are always fitted to all of the text.
        encoding: the files' encoding.
        shard_tokens: approximate number of tokens in a shard; training shuffles within 16 million tokens.
        workers: number of processes that tokenize; None: one for each core.
        overwrite: replace tokenized text that is in the folder already.
        resume: go on where an earlier run stopped, or start if there was none.
            All other arguments, except workers, must be the same as in that run.
    """
    corpus = open_corpus(text, **vars(columns), encoding=encoding)
    if not fit_megabytes > 0:
        raise InputError(f"fit_megabytes must be above 0, got {fit_megabytes}")
    made_of = {"text": text, **vars(columns), "encoding": encoding}
    if tokenizer_from is None:
        new_tokenizer(Language.default_tokenizer if tokenizer == "auto" else tokenizer, vocabulary_size)  # checks them
        made_of |= {"tokenizer": tokenizer, "vocabulary_size": vocabulary_size, "fit_megabytes": fit_megabytes}
        make = functools.partial(
            _fitted, corpus, name=tokenizer, vocabulary_size=vocabulary_size, megabytes=fit_megabytes
        )
    elif tokenizer != "auto" or vocabulary_size is not None:
        raise InputError("--tokenizer-from brings a whole tokenizer: leave out --tokenizer and --vocabulary-size")
    else:
        taken = _tokenizer_in(tokenizer_from)
        made_of["tokenizer"] = hashlib.sha256(taken.to_json().encode()).hexdigest()
        make = functools.partial(_same, taken)
    quiet_tensorflow()
    from lmkeras.datasets import write_shards

    progress = _Progress(make)
    how = {"made_of": made_of, "shard_tokens": shard_tokens, "overwrite": overwrite, "resume": resume}
    how |= {"workers": os.cpu_count() or 1 if workers is None else workers, "on_shard": progress.shard}
    try:
        shards = write_shards(corpus, output, progress.tokenizer, **how)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped; the same command goes on from here with --resume added") from None
    print(f"{shards.num_tokens:,} tokens of {shards.num_texts:,} texts in {output}{progress.rate()}")


class _Progress:
    """Prints a line when the tokenizer is ready and one for each shard, with the rate of tokenizing without fitting."""

    def __init__(self, make: Callable[[], BaseTokenizer]):
        self._make, self._start, self._bytes = make, time.perf_counter(), 0

    def tokenizer(self) -> BaseTokenizer:
        made = self._make()
        print(f"tokenizer with {made.vocabulary_size:,} ids ready after {time.perf_counter() - self._start:.0f} s")
        self._start = time.perf_counter()
        return made

    def shard(self, shard: dict) -> None:
        self._bytes += shard["source_bytes"]
        print(f"{shard['name']}  {shard['tokens']:,} tokens{self.rate()}", flush=True)

    def rate(self) -> str:
        seconds = time.perf_counter() - self._start
        return f", {self._bytes / 1e6 / seconds:.2f} MB/s of text" if self._bytes else ""


def _same(tokenizer: BaseTokenizer) -> BaseTokenizer:
    return tokenizer


def _fitted(corpus: Corpus, name: str, vocabulary_size: int | None, megabytes: float) -> BaseTokenizer:
    from lmkeras.datasets import evenly

    if name == "auto":
        usual, other = Language.default_tokenizer, Language.default_tokenizer_without_spaces
        name, reason = choose(corpus, with_spaces=usual, without_spaces=other)
        print(f"tokenizer {reason}")
    elif name == "words":
        warn_of_sentences(corpus)
    # even a large corpus has few different characters, and each of them needs an id
    return new_tokenizer(name, vocabulary_size).fit(corpus if name == "characters" else evenly(corpus, megabytes * 1e6))


def _tokenizer_in(folder: str) -> BaseTokenizer:
    from lmkeras.datasets import open_shards

    if "://" in folder:
        quiet_tensorflow()
    if shards := open_shards(folder):
        return shards.tokenizer
    read_config(folder)  # raises InputError if the folder holds no model either
    return tokenizer_from_json((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))
