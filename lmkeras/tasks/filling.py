"""What a masked language model says of a text with masks, and what is shown of it."""

import dataclasses

from lmkeras.display import html_table
from lmkeras.errors import InputError

#: how many tokens for each mask are kept of an answer, and how many are shown unless told otherwise
MOST_TOKENS, TOKENS = 100, 5


@dataclasses.dataclass(frozen=True)
class ShownTokens:
    """What is shown of the tokens that fill in a mask."""

    top_k: int | None = None
    """show the N likeliest tokens of each mask, the likeliest first; None: 5."""

    def __post_init__(self):
        if self.top_k is not None and not 1 <= self.top_k <= MOST_TOKENS:
            raise InputError(f"top_k must be from 1 to {MOST_TOKENS}, got {self.top_k}")

    def of(self, answer: "Filling") -> "Filling":
        """The answer with as many tokens as are shown."""
        return Filling(tuple(mask[: self.top_k or TOKENS] for mask in answer.masks))


@dataclasses.dataclass(frozen=True, repr=False)
class Filling:
    """The likeliest tokens in the place of each mask of a text.

    Attributes:
        masks: for each mask of the text, in order, (token, probability) of the likeliest tokens, the likeliest first.

    Example:
        >>> Filling(((("paris", 0.5), ("lyon", 0.25)),))
        Filling(['paris' 0.5, 'lyon' 0.25])
    """

    masks: tuple[tuple[tuple[str, float], ...], ...]

    def __getitem__(self, number: int) -> tuple[tuple[str, float], ...]:
        return self.masks[number]

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def tokens(self) -> list[str]:
        """The likeliest token of each mask."""
        return [mask[0][0] for mask in self.masks]

    def row(self) -> dict:
        """As a JSON object."""
        return {"masks": [[{"token": token, "probability": p} for token, p in mask] for mask in self.masks]}

    def line(self) -> str:
        """Tokens and probabilities, separated by tabs; those of further masks after a bar."""
        return "\t|\t".join("\t".join(f"{token}\t{p:.4f}" for token, p in mask) for mask in self.masks)

    def __repr__(self) -> str:
        masks = ("[" + ", ".join(f"{token!r} {p:.4g}" for token, p in mask) + "]" for mask in self.masks)
        return f"Filling({', '.join(masks)})"

    def _repr_html_(self) -> str:
        rows = [[f"{n}", token, f"{p:.4f}"] for n, mask in enumerate(self.masks, 1) for token, p in mask]
        return html_table([["mask", "token", "probability"], *rows])
