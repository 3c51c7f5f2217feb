"""A corpus of text, or one that is tokenized already: what a language model does with either."""

from collections.abc import Sequence
from pathlib import Path

from lmkeras.corpora import Corpus, as_corpus, split
from lmkeras.datasets.sharded_windows import ShardedWindows
from lmkeras.datasets.shards import TokenShards, open_shards
from lmkeras.datasets.windows import TokenStream, TrainingWindows, tokenize
from lmkeras.tokenizers.base import BaseTokenizer


def text_or_tokens(value: Corpus | TokenShards | str | Path | Sequence[str]) -> Corpus | TokenShards:
    """The tokenized corpus of a folder that `lmkeras tokenize` wrote; of all else what `as_corpus` makes of it."""
    return open_shards(value) or as_corpus(value)


def split_corpus(corpus: Corpus | TokenShards, validation_fraction: float):
    """What comes first trains, the rest validates: `split` of text, `TokenShards.split` of tokens."""
    if isinstance(corpus, TokenShards):
        return corpus.split(validation_fraction)
    return split(corpus, validation_fraction)


def tokens_of(corpus: Corpus | TokenShards, tokenizer: BaseTokenizer) -> TokenStream | TokenShards:
    """The ids of a corpus; InputError where they are another tokenizer's, or none."""
    if not isinstance(corpus, TokenShards):
        return tokenize(corpus, tokenizer)
    corpus.require_tokenizer(tokenizer)
    return corpus


def stream_of(corpus: Corpus | TokenShards, tokenizer: BaseTokenizer) -> TokenStream:
    """The ids of a corpus as one array, those of shards too; InputError as for `tokens_of`."""
    tokens = tokens_of(corpus, tokenizer)
    return tokens.stream() if isinstance(tokens, TokenShards) else tokens


def training_windows(
    tokens: TokenStream | TokenShards, length: int, batch_size: int, seed: int = 0
) -> TrainingWindows | ShardedWindows:
    """TrainingWindows of a stream, ShardedWindows of shards; the arguments are theirs."""
    return (ShardedWindows if isinstance(tokens, TokenShards) else TrainingWindows)(tokens, length, batch_size, seed)
