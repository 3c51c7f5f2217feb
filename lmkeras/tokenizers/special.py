"""The ids that stand for something other than a piece of text."""

from collections.abc import Sequence
from typing import NamedTuple


class SpecialIds(NamedTuple):
    """A tokenizer's special ids; None for a role that no id has. One id may have several roles.

    Attributes:
        padding: fills the shorter rows of a batch up; networks ignore it.
        start: stands before a text that a language model reads or writes.
        ends: the ids that end a text which a language model writes; the first of them stands after a text in training.
        separator: stands after each text of an input of one or two texts, as in BERT ("[SEP]").
        classification: stands before the first text of such an input ("[CLS]").
        mask: stands in the place of a token that the network has to guess.
        unknown: stands for every word or character that has no id of its own.
        separators: how many separators stand between the two texts of a pair: 1 in BERT, 2 in RoBERTa.
        always_before: whether `before_text` stands before every text that is read alone, as in training. False where
            texts begin without any special id, as for GPT-2: then it stands only where a text is empty, since a network
            has to read at least one id.
    """

    padding: int | None = None
    start: int | None = None
    ends: tuple[int, ...] = ()
    separator: int | None = None
    classification: int | None = None
    mask: int | None = None
    unknown: int | None = None
    separators: int = 1
    always_before: bool = True

    @property
    def ids(self) -> frozenset[int]:
        """All ids that have a role.

        Example:
            >>> sorted(SpecialIds(padding=0, start=0, ends=(7, 8)).ids)
            [0, 7, 8]
        """
        roles = (self.padding, self.start, *self.ends, self.separator, self.classification, self.mask, self.unknown)
        return frozenset(id for id in roles if id is not None)

    def around(self, pair: bool) -> int:
        """How many ids stand before, between and behind one text or, in a pair, two.

        Example:
            >>> SpecialIds(separators=2).around(pair=False), SpecialIds(separators=2).around(pair=True)
            (2, 4)
        """
        return 2 + (self.separators if pair else 0)

    @property
    def before_text(self) -> int | None:
        """The id before each text where many texts follow one another in one stream of ids.

        It is `start`. For tokenizers without `start` it is the first of `ends`: the end of one text also marks where
        the next begins.

        Example:
            >>> SpecialIds(start=1, ends=(2,)).before_text, SpecialIds(ends=(2, 3)).before_text
            (1, 2)
        """
        return self.start if self.start is not None else next(iter(self.ends), None)

    @property
    def after_text(self) -> int | None:
        """The id after each text where many texts follow one another in one stream of ids.

        It is the first of `ends`; None where `before_text`, which precedes the next text, is an end already.

        Example:
            >>> SpecialIds(start=1, ends=(2, 3)).after_text, SpecialIds(start=2, ends=(2, 3)).after_text
            (2, None)
        """
        return None if not self.ends or self.before_text in self.ends else self.ends[0]

    def before(self, ids: Sequence[int]) -> list[int]:
        """The ids, one or none, that stand before the ids of a text that is read alone.

        Example:
            >>> SpecialIds(start=1).before([5]), SpecialIds(start=1, always_before=False).before([5])
            ([1], [])
        """
        needed = self.before_text is not None and (self.always_before or not ids)
        return [self.before_text] if needed else []

    @property
    def filler(self) -> int:
        """The id that fills rows up at places that are ignored: `padding`, or id 0 where there is no padding id."""
        return 0 if self.padding is None else self.padding
