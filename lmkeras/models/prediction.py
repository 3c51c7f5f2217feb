"""What a classifier says of texts.

Shape letters: B batch, T tokens, N texts, C classes.
"""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from lmkeras.corpora import LabelledCorpus, require_known_labels
from lmkeras.corpora.labelled import Text
from lmkeras.datasets import EncodedExamples, TextLayout
from lmkeras.errors import InputError
from lmkeras.networks.classification import ClassificationNetwork
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.tokenizers.utf8 import encodable

_BATCH_IDS = 8192


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The likeliest label of a text, and the probability of every label.

    Attributes:
        label: the label with the highest probability.
        probabilities: of every label, in the order of the model's labels; they sum to 1.
    """

    label: str
    probabilities: dict[str, float]

    @classmethod
    def from_logits(cls, logits: np.ndarray, labels: Sequence[str]) -> "Prediction":
        """The prediction of one text.

        Args:
            logits: float [C].
            labels: names of the C classes.

        Example:
            >>> Prediction.from_logits(np.array([1.0, 1.0]), ["ham", "spam"])
            Prediction(label='ham', probabilities={'ham': 0.5, 'spam': 0.5})
        """
        odds = np.exp(np.asarray(logits, np.float64) - np.max(logits))
        probabilities = (odds / odds.sum()).tolist()
        return cls(labels[int(np.argmax(logits))], dict(zip(labels, probabilities, strict=True)))

    @property
    def probability(self) -> float:
        """The probability of the label, in (0, 1]."""
        return self.probabilities[self.label]


class TextLabeller:
    """Texts to logits and predictions, in batches of texts of like length.

    Args:
        network: a built classification network.
        tokenizer: the tokenizer it was trained with.
        layout: how texts stand in its input.
        labels: the classes' names, in the order of the logits.
        pairs: whether an example is a pair of texts.
    """

    def __init__(
        self,
        network: ClassificationNetwork,
        tokenizer: BaseTokenizer,
        layout: TextLayout,
        labels: Sequence[str],
        pairs: bool,
    ):
        self._network, self._tokenizer, self._layout = network, tokenizer, layout
        self._labels, self._pairs = labels, pairs

    @functools.cached_property
    def _forward(self):
        """Inputs → logits, traced once: TensorFlow warns of what is traced anew for model after model."""
        ids = tf.TensorSpec([None, None], tf.int32)
        inputs = {"input_ids": ids, "token_type_ids": ids} if self._layout.token_types else ids
        forward = tf.function(
            lambda inputs: self._network(inputs, training=False), input_signature=[inputs], autograph=False
        )
        return forward.get_concrete_function()

    def encode(self, corpus: LabelledCorpus) -> tuple[EncodedExamples, np.ndarray]:
        """The corpus as ids and classes, int32 [N]; InputError where a label is not known."""
        number, found = {label: i for i, label in enumerate(self._labels)}, []

        def texts():
            for text, label in corpus:
                found.append(label)
                yield text

        examples = self._encoded(texts())
        require_known_labels(Counter(found), self._labels)
        return examples, np.array([number[label] for label in found], np.int32)

    def logits(self, examples: EncodedExamples) -> np.ndarray:
        """float64 [N, C]."""
        logits = np.zeros((len(examples), len(self._labels)))
        for rows in examples.batches_by_length(_BATCH_IDS):
            logits[rows] = self._forward(tf.nest.map_structure(tf.constant, examples.inputs(rows))).numpy()
        return logits

    def predict(self, texts: Iterable[Text], at_a_time: int) -> Iterator[tuple[Text, Prediction]]:
        """Each text with its prediction, in the order of the texts, of which so many at a time are read."""
        texts = iter(texts)
        while some := [_text(text) for text in itertools.islice(texts, at_a_time)]:
            for text, logits in zip(some, self.logits(self._encoded(some)), strict=True):
                yield text, Prediction.from_logits(logits, self._labels)

    def _encoded(self, texts: Iterable[Text]) -> EncodedExamples:
        checked = (self._of_my_kind(text) for text in texts)
        return EncodedExamples.encode(checked, self._tokenizer, self._layout)

    def _of_my_kind(self, text: Text) -> Text:
        if isinstance(text, tuple) != self._pairs:
            raise of_the_other_kind(self._pairs)
        return text


def _text(value: object) -> Text:
    """A text as a tokenizer takes it; a pair may also come as a list."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return tuple(map(encodable, value))
    raise InputError(
        f"expected a text or a pair (first, second) of texts, got {type(value).__name__}; several texts go into a list"
    )


def of_the_other_kind(pairs: bool) -> InputError:
    """The error for a single text where a model takes pairs, or the other way round."""
    if pairs:
        return InputError(
            "this model classifies pairs of texts, and got a single one: give (first, second), or name the second "
            "text's column with pair_column (--pair-column)"
        )
    return InputError("this model classifies single texts, and got a pair: leave out the second text")
