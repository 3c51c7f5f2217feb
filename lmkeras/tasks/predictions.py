"""What a classifier says of a text, and what is shown of it.

Shape letter: C classes.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from lmkeras.display import html_table
from lmkeras.errors import InputError

_MOST_SHOWN = 5  # labels of a prediction that is printed


@dataclasses.dataclass(frozen=True)
class ShownTop:
    """How much is shown of a prediction."""

    top_k: int | None = None
    """show the N likeliest labels (or answers to a question) with their probabilities, the likeliest first; None: the
    likeliest one, and in tables and JSON the probability of every label."""

    def __post_init__(self):
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k must be at least 1, got {self.top_k}")


@dataclasses.dataclass(frozen=True)
class ShownLabels(ShownTop):
    """What is shown of a prediction."""

    threshold: float | None = None
    """a text whose likeliest label has a lower probability than this gets no label: it is shown as "unsure", in tables
    as an empty cell, in JSON as null; None: every text gets its likeliest label."""

    def __post_init__(self):
        super().__post_init__()
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(f"threshold must be a probability, from 0 to 1, got {self.threshold}")

    def row(self, answer: "Prediction") -> dict[str, object]:
        """Label, or None below the threshold, and the probability of every label, or the likeliest labels as `top`."""
        label = None if self._unsure(answer) else answer.label
        if self.top_k is None:
            return {"label": label, "probabilities": answer.probabilities}
        return {"label": label, "top": [{"label": name, "probability": p} for name, p in answer.top(self.top_k)]}

    def row_names(self, labels: Sequence[str]) -> list[str]:
        """The column label, and a column probability_NAME for each label, or two for each of the likeliest labels."""
        if self.top_k is None:
            return ["label", *(f"probability_{'_'.join(label.split())}" for label in labels)]
        numbers = range(1, min(self.top_k, len(labels)) + 1)
        return ["label", *(f"{name}_{number}" for number in numbers for name in ("label", "probability"))]

    def line(self, answer: "Prediction") -> str:
        """Label and its probability, or those of the likeliest labels, separated by tabs.

        Of the likeliest labels none is left out where a text is unsure: before them stands the label or "unsure".
        """
        label = "unsure" if self._unsure(answer) else answer.label
        if self.top_k is None:
            return f"{label}\t{answer.probability:.4f}"
        likeliest = [f"{name}\t{probability:.4f}" for name, probability in answer.top(self.top_k)]
        return "\t".join(likeliest if self.threshold is None else [label, *likeliest])

    def _unsure(self, answer: "Prediction") -> bool:
        return self.threshold is not None and answer.probability < self.threshold


@dataclasses.dataclass(frozen=True, repr=False)
class Prediction:
    """The likeliest label of a text, and the probability of every label.

    Attributes:
        label: the label with the highest probability.
        probabilities: the probability of every label, in the order of the model's labels; they sum to 1.
    """

    label: str
    probabilities: dict[str, float]

    @classmethod
    def from_logits(cls, logits: np.ndarray, labels) -> "Prediction":
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

    def top(self, count: int) -> list[tuple[str, float]]:
        """The likeliest labels with their probabilities, the likeliest first; at most `count` of them.

        Example:
            >>> Prediction("ham", {"spam": 0.25, "eggs": 0.125, "ham": 0.625}).top(2)
            [('ham', 0.625), ('spam', 0.25)]
        """
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:count]

    def __repr__(self) -> str:
        return f"Prediction(label={self.label!r}, probabilities={_shown(self)})"

    def _repr_html_(self) -> str:
        rows = [[label, f"{probability:.4f}"] for label, probability in self.top(_MOST_SHOWN)]
        return html_table([["label", "probability"], *rows])


@dataclasses.dataclass(frozen=True, repr=False)
class MultiLabelPrediction:
    """The labels that a text is predicted to have, and the probability of every label.

    Attributes:
        labels: the labels whose probability is at least their threshold, the likeliest first; there may be none.
        probabilities: the probability of every label, in the order of the model's labels. Each label is decided for
            itself, so they do not sum to 1.

    Example:
        >>> MultiLabelPrediction(("b",), {"a": 0.25, "b": 0.9})
        MultiLabelPrediction(labels=('b',), probabilities={'b': 0.9, 'a': 0.25})
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]

    def top(self, count: int) -> list[tuple[str, float]]:
        """The likeliest labels with their probabilities, the likeliest first; at most `count` of them."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:count]

    def __repr__(self) -> str:
        return f"MultiLabelPrediction(labels={self.labels!r}, probabilities={_shown(self)})"

    def _repr_html_(self) -> str:
        likeliest = self.top(max(_MOST_SHOWN, len(self.labels)))
        rows = [[label, f"{probability:.4f}", "yes" * (label in self.labels)] for label, probability in likeliest]
        return html_table([["label", "probability", "predicted"], *rows])


def _shown(prediction: Prediction | MultiLabelPrediction) -> str:
    """The likeliest labels of a prediction with their probabilities, and how many more there are."""
    parts = [f"{label!r}: {probability:.4g}" for label, probability in prediction.top(_MOST_SHOWN)]
    parts += [f"… {len(prediction.probabilities) - len(parts)} more"] * (len(prediction.probabilities) > len(parts))
    return f"{{{', '.join(parts)}}}"
