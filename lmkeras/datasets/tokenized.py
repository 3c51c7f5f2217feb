"""Corpora of language models: text, or the ids that `lmkeras tokenize` wrote. Each function here takes both kinds."""

import numpy as np

from lmkeras.corpora import Corpus, as_corpus, split
from lmkeras.datasets.notes import TextNotes
from lmkeras.datasets.sharded_windows import ShardedWindows
from lmkeras.datasets.shards import TokenShards, open_shards
from lmkeras.datasets.windows import TokenStream, TrainingWindows, tokenize
from lmkeras.tokenizers.base import BaseTokenizer

_FIRST_IDS = 1 << 22


def text_or_tokens(value: object, encoding: str = "utf-8", **columns) -> Corpus | TokenShards:
    """The corpus that a value stands for: a folder that `lmkeras tokenize` wrote is opened as tokens, all else as text.

    Args:
        value: a folder of tokens, or what `as_corpus` takes.
        encoding: as for `as_corpus`.
        columns: as for `as_corpus`.
    """
    return open_shards(value) or as_corpus(value, encoding, **columns)


def split_corpus(corpus: Corpus | TokenShards, validation_fraction: float):
    """Splits a corpus into its beginning, to train on, and its end, to validate on."""
    if isinstance(corpus, TokenShards):
        return corpus.split(validation_fraction)
    return split(corpus, validation_fraction)


def tokens_of(corpus: Corpus | TokenShards, tokenizer: BaseTokenizer) -> TokenStream | TokenShards:
    """The ids of a corpus; InputError if the text has no tokens, or the shards were made with another tokenizer."""
    if not isinstance(corpus, TokenShards):
        return tokenize(corpus, tokenizer)
    corpus.require_tokenizer(tokenizer)
    return corpus


def stream_of(corpus: Corpus | TokenShards, tokenizer: BaseTokenizer) -> TokenStream:
    """The ids of a corpus as one array, also if they are stored in shards; InputError as for `tokens_of`."""
    tokens = tokens_of(corpus, tokenizer)
    return tokens.stream() if isinstance(tokens, TokenShards) else tokens


def noted_of(tokens: TokenStream | TokenShards) -> tuple[TextNotes | None, np.ndarray, int]:
    """Notes of the texts, the first ids, and the number of tokens; of shards, only the first one is read for this."""
    if isinstance(tokens, TokenShards):
        ids, notes = tokens.first_noted()
        return notes, ids, tokens.num_tokens
    return tokens.notes, tokens.ids[:_FIRST_IDS], tokens.tokens


def training_windows(
    tokens: TokenStream | TokenShards, length: int, batch_size: int, seed: int = 0
) -> TrainingWindows | ShardedWindows:
    """Training windows: TrainingWindows for a stream, ShardedWindows for shards, which take the same arguments."""
    windows = ShardedWindows if isinstance(tokens, TokenShards) else TrainingWindows
    return windows(tokens, length, batch_size=batch_size, seed=seed)
