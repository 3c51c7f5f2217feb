"""The ids that stand for something other than a piece of text."""

from typing import NamedTuple


class SpecialIds(NamedTuple):
    """A tokenizer's special ids, each None where the tokenizer has none. One id may have several of these roles.

    Attributes:
        padding: fills rows of a batch up; never looked at.
        start: stands before a text that a language model reads or writes.
        ends: the ids that end a text which a language model writes; the first of them stands after a text in training.
        separator: stands between two texts, and after the last one, for networks that were trained so.
        classification: stands before the first text, for networks that were trained so.
        mask: hides a token that is to be guessed.
        unknown: stands for whatever has no id of its own.
    """

    padding: int | None = None
    start: int | None = None
    ends: tuple[int, ...] = ()
    separator: int | None = None
    classification: int | None = None
    mask: int | None = None
    unknown: int | None = None

    @property
    def before_text(self) -> int | None:
        """The id before a text in running text: `start`, or where there is none the first end, that of the text before.

        Example:
            >>> SpecialIds(start=1, ends=(2,)).before_text, SpecialIds(ends=(2, 3)).before_text
            (1, 2)
        """
        return self.start if self.start is not None else next(iter(self.ends), None)

    @property
    def after_text(self) -> int | None:
        """The id after a text in running text; None where the one before the next text says that this one has ended.

        Example:
            >>> SpecialIds(start=1, ends=(2, 3)).after_text, SpecialIds(start=2, ends=(2, 3)).after_text
            (2, None)
        """
        return None if not self.ends or self.before_text in self.ends else self.ends[0]

    @property
    def filler(self) -> int:
        """What fills rows up where nothing looks at it: `padding`, or id 0 where there is none."""
        return 0 if self.padding is None else self.padding
