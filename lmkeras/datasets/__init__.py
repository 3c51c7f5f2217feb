"""Ids into batches: windows of running text for language models, whole examples for classifiers."""

from lmkeras.datasets.examples import EncodedExamples, TrainingExamples, evaluation_batches
from lmkeras.datasets.layout import TextLayout
from lmkeras.datasets.windows import TokenStream, TrainingWindows, evaluation_windows, text_windows, tokenize

__all__ = [
    "EncodedExamples",
    "TextLayout",
    "TokenStream",
    "TrainingExamples",
    "TrainingWindows",
    "evaluation_batches",
    "evaluation_windows",
    "text_windows",
    "tokenize",
]
