"""The text classifier that a user holds: text in, labels and probabilities out."""

from collections.abc import Sequence
from pathlib import Path

from lmkeras.errors import InputError
from lmkeras.models.model import Model
from lmkeras.models.signatures import naming_settings
from lmkeras.networks.network import Network
from lmkeras.tasks.classification import Classification
from lmkeras.tokenizers.base import BaseTokenizer


@naming_settings(Classification)
class TextClassifier(Model):
    """A tokenizer, a classification network and the labels: trains on labelled text and labels text.

    Args:
        network: a name ("ngrams", "dense", "cnn", "lstm", "transformer", "bert"), or a built network for a fitted
            tokenizer. "auto": what suits the texts, with sizes and settings that follow their amount.
        tokenizer: a name ("words", "characters", "byte_pair", "word_piece") of a tokenizer that `fit` fits on the
            corpus; or a fitted tokenizer. "auto" (or None): for "ngrams" "characters"; for "bert" "word_piece", or the
            tokenizer of the pretrained weights; else "words", or "characters" for text without spaces between words,
            such as Chinese.
        vocabulary_size: the most ids that a tokenizer given by name may have; None for its default.
        max_length: the most ids of a text (or pair) that the network sees, special ones included; None for the
            network's limit, or 512 if it has none.
        long_texts: what is kept of a text that is longer: its "start", its "end", or equal parts of "both". Pairs are
            always cut at the end, the longer text first.
        weights: for "bert", a folder or hub name of pretrained weights, or the folder of a saved model with a BERT,
            such as a MaskedLanguageModel; None for fresh weights.
        labels: the names of a built network's classes, in the order of its logits; None to learn them from the corpus.
        pairs: whether a built network classifies pairs of texts; for a network given by name, the corpus decides.
        sizes: sizes of a network given by name, see `cnn_classifier` and the other classifiers.

    Example:
        >>> model = TextClassifier("dense", embedding_dim=8)
        >>> texts, labels = ["good fine great", "bad poor awful"] * 8, ["yes", "no"] * 8
        >>> _ = model.fit((texts, labels), validation_fraction=0, epochs=20, learning_rate=0.05, verbose=0)
        >>> model.predict("great fine").label
        'yes'
    """

    def __init__(
        self,
        network: str | Network = "auto",
        tokenizer: str | BaseTokenizer | None = "auto",
        vocabulary_size: int | None = None,
        max_length: int | None = None,
        long_texts: str = "start",
        weights: str | Path | None = None,
        labels: Sequence[str] | None = None,
        pairs: bool = False,
        **sizes,
    ):
        if labels is not None and isinstance(network, str):
            raise InputError("labels are for a built network: a named one learns them from the corpus")
        task = Classification(max_length, long_texts, pairs=pairs, labels=labels)
        super().__init__(task, network, tokenizer, vocabulary_size=vocabulary_size, weights=weights, **sizes)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the classes, in the order of the logits; None until `fit` has learnt them."""
        return self.task.labels

    @property
    def pairs(self) -> bool:
        """Whether an example is a pair of texts."""
        return self.task.pairs

    @property
    def max_length(self) -> int | None:
        """The most ids of a text that the network sees; None for the network's limit."""
        return self.task.max_length

    @property
    def long_texts(self) -> str:
        """What is kept of a text that is longer than max_length: "start", "end" or "both"."""
        return self.task.long_texts
