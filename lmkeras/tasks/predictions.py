"""What a classifier answers."""

import dataclasses

import numpy as np

from lmkeras.display import html_table

_MOST_SHOWN = 5  # labels of a prediction that is printed


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
        parts = [f"{label!r}: {probability:.4g}" for label, probability in self.top(_MOST_SHOWN)]
        parts += [f"… {len(self.probabilities) - len(parts)} more"] * (len(self.probabilities) > len(parts))
        return f"Prediction(label={self.label!r}, probabilities={{{', '.join(parts)}}})"

    def _repr_html_(self) -> str:
        rows = [[label, f"{probability:.4f}"] for label, probability in self.top(_MOST_SHOWN)]
        return html_table([["label", "probability"], *rows])
