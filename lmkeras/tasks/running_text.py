"""The base of tasks that learn from running text without answers, which may be tokenized already."""

import dataclasses
from typing import ClassVar, NamedTuple

from lmkeras.corpora import open_corpus
from lmkeras.datasets import TokenShards, open_shards
from lmkeras.datasets.tokenized import split_corpus, text_or_tokens
from lmkeras.errors import InputError
from lmkeras.tasks.base import Task


class RunningText(NamedTuple):
    """An example: a text."""

    text: str


@dataclasses.dataclass(frozen=True)
class RunningTextTask(Task):
    """A task that learns from texts, or from a folder of ids that `lmkeras tokenize` wrote."""

    Example: ClassVar[type] = RunningText

    def open(self, sources, columns, encoding):
        """The corpus that files and other names stand for, or the tokenized one in a folder.

        Raises:
            InputError: a name stands for nothing, or a tokenized corpus is given together with another.
        """
        tokenized = list(filter(None, map(open_shards, sources)))
        if tokenized and len(sources) > 1:
            raise InputError(f"{tokenized[0].folder} holds tokens, which do not mix with other text: name it alone")
        if tokenized:
            return tokenized[0]
        return open_corpus(sources, text_column=columns.text_column, encoding=encoding, quoting=columns.quoting)

    def corpus(self, value, columns=None, encoding="utf-8"):
        """See `text_or_tokens`."""
        return text_or_tokens(value, encoding, **vars(columns or self.Columns()))

    def split(self, corpus, validation_fraction, seed):
        """The beginning of the corpus is trained on, its end validates."""
        return split_corpus(corpus, validation_fraction)

    def texts(self, corpus):
        """The corpus itself."""
        return corpus

    def tokenizer_in(self, corpus):
        """The tokenizer of a tokenized corpus."""
        return corpus.tokenizer if isinstance(corpus, TokenShards) else None
