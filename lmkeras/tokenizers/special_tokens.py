"""The names of the tokens that stand for something other than text, such as "[PAD]"."""

import dataclasses

from lmkeras.archives import shortened
from lmkeras.errors import InputError

LONGEST_NAME = 100


@dataclasses.dataclass(frozen=True)
class SpecialTokens:
    """The names of BERT's special tokens; where a name is written out in a text, it is encoded to the token's id.

    Args:
        pad: fills the shorter rows of a batch up; its id must be 0.
        unknown: stands for words that no pieces spell.
        cls: starts every sequence.
        sep: ends each text of a sequence.
        mask: stands in the place of a piece that masked-language-model training hides.

    Raises:
        InputError: a name that is not printable text of 1 to 100 characters, or two of the same name.
    """

    pad: str = "[PAD]"
    unknown: str = "[UNK]"
    cls: str = "[CLS]"
    sep: str = "[SEP]"
    mask: str = "[MASK]"

    def __post_init__(self):
        names = self.names()
        if not all(isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable() for name in names):
            wanted = f"names of 1 to {LONGEST_NAME} printable characters"
            raise InputError(f"special tokens must have {wanted}, not {shortened(names)}")
        if len(set(names)) < len(names):
            raise InputError(f"special tokens must have different names, not {names}")

    def names(self) -> tuple[str, ...]:
        """The names, in the order of their ids in a vocabulary that `fit` learns."""
        return dataclasses.astuple(self)
