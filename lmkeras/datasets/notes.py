"""What is noted of a corpus while its texts are tokenized; so no text is read again to find what is odd about it."""

import array

import numpy as np

_MOST_COMPARED = 1 << 22  # texts; a digest takes 8 bytes, so these take 32 MiB

Text = str | tuple[str, str]


class TextNotes:
    """Notes of a corpus: how many texts are blank, how many tokens are unknown, and a digest of each text.

    Digests are 64-bit numbers that two different texts share with a chance of 1 in 10^19. They can be compared within
    one process. Only the first four million texts have one.

    Args:
        unknown: the id that stands for what a tokenizer does not know; None if it has none.

    Attributes:
        texts: number of texts.
        blank: the numbers, counted from 0, of texts that are empty or nothing but white space.
        tokens: number of tokens, without special ones.
        unknown_tokens: how many of them are unknown.
    """

    def __init__(self, unknown: int | None = None):
        self._unknown, self._digests = unknown, array.array("q")
        self.texts = self.tokens = self.unknown_tokens = 0
        self.blank = array.array("q")

    def add(self, text: Text, *ids: list[int]) -> None:
        """Notes the next text, or pair of texts, and its tokens, a list for each of its texts."""
        if not any(map(str.strip, (text,) if isinstance(text, str) else text)):
            self.blank.append(self.texts)
        unknown = 0 if self._unknown is None else sum(some.count(self._unknown) for some in ids)
        self.add_counted(text, sum(map(len, ids)), unknown)

    def add_counted(self, text: Text | bytes, tokens: int, unknown_tokens: int) -> None:
        """Notes the next text, whose numbers of tokens are known; the bytes of its ids may stand for it."""
        if self.texts < _MOST_COMPARED:
            self._digests.append(hash(text))
        self.texts += 1
        self.tokens += tokens
        self.unknown_tokens += unknown_tokens

    @property
    def digests(self) -> np.ndarray:
        """int64, the digests of the first texts."""
        return np.array(self._digests, np.int64)
