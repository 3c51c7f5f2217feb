"""Ids into batches: windows of running text for language models, whole examples for classifiers."""

from lmkeras.datasets.examples import EncodedExamples, TrainingExamples, evaluation_batches
from lmkeras.datasets.judged_windows import evaluation_windows, text_windows
from lmkeras.datasets.layout import TextLayout
from lmkeras.datasets.pairs import EncodedPairs
from lmkeras.datasets.question_windows import EncodedQuestions, WindowLayout
from lmkeras.datasets.shard_writing import evenly, write_shards
from lmkeras.datasets.sharded_windows import ShardedWindows
from lmkeras.datasets.shards import TokenShards, open_shards
from lmkeras.datasets.windows import TokenStream, TrainingWindows, tokenize

__all__ = [
    "EncodedExamples",
    "EncodedPairs",
    "EncodedQuestions",
    "ShardedWindows",
    "TextLayout",
    "TokenShards",
    "TokenStream",
    "TrainingExamples",
    "TrainingWindows",
    "WindowLayout",
    "evaluation_batches",
    "evaluation_windows",
    "evenly",
    "open_shards",
    "text_windows",
    "tokenize",
    "write_shards",
]
