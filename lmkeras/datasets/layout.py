"""How a classifier's input is made of a text or a pair of texts: special ids are added, and long texts are cut.

Shape letters: B batch, T tokens.
"""

import dataclasses
from typing import TYPE_CHECKING

from lmkeras.errors import InputError, unknown_name
from lmkeras.tokenizers.bert_inputs import pair_lengths

if TYPE_CHECKING:
    import tensorflow as tf

LONG_TEXTS = ("start", "end", "both")


@dataclasses.dataclass(frozen=True)
class TextLayout:
    """[first] first text [separators] second text [last], at most `max_length` ids.

    Of a single text that is too long, its start, its end, or equal parts of both are kept. If a pair is too long, its
    longer text is cut at the end until both texts have the same length; then both are cut equally.

    Args:
        max_length: the most ids, special ones included.
        long_texts: what is kept of a long single text: "start", "end" or "both".
        first: the id before every text, such as [CLS]; None for no such id.
        separator: the id between the texts of a pair, such as [SEP].
        separators: how often it stands there.
        last: the id after every text, such as [SEP]; None for no such id.
        token_types: whether the network is also told which ids belong to the second text of a pair.

    Raises:
        InputError: max_length leaves no room for two tokens beside the special ids, or long_texts is an unknown word.

    Source: keeping both ends of a long text: Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", 5.3.1.

    Example:
        >>> layout = TextLayout(max_length=6, first=101, separator=102, last=102)
        >>> layout.arrange([7, 8]), layout.arrange([7, 8], [9, 5])
        (([101, 7, 8, 102], 4), ([101, 7, 102, 9, 5, 102], 3))
    """

    max_length: int
    long_texts: str = "start"
    first: int | None = None
    separator: int | None = None
    separators: int = 1
    last: int | None = None
    token_types: bool = False

    def __post_init__(self):
        if self.long_texts not in LONG_TEXTS:
            raise unknown_name("part of long texts", self.long_texts, LONG_TEXTS)
        needed = 2 + len(self._before) + len(self._between) + len(self._after)
        if self.max_length < needed:
            raise InputError(
                f"max_length must be at least {needed}, for two tokens and the special ids, got {self.max_length}"
            )

    @property
    def _before(self) -> list[int]:
        return [] if self.first is None else [self.first]

    @property
    def _between(self) -> list[int]:
        return [] if self.separator is None else [self.separator] * self.separators

    @property
    def _after(self) -> list[int]:
        return [] if self.last is None else [self.last]

    def arrange(self, ids: list[int], second: list[int] | None = None) -> tuple[list[int], int]:
        """The input's ids, and how many of them belong to the first text and the separator after it."""
        before, between, after = self._before, self._between, self._after
        budget = self.max_length - len(before) - len(after)
        if second is None:
            head, tail = self._kept(budget)
            ids = ids if len(ids) <= budget else [*ids[:head], *ids[len(ids) - tail :]]
            whole = [*before, *ids, *after]
            return whole, len(whole)
        kept, kept_second = pair_lengths(len(ids), len(second), budget=budget - len(between), minimum=min, maximum=max)
        start = [*before, *ids[:kept], *between]
        return [*start, *second[:kept_second], *after], len(start)

    def whole_length(self, ids: list[int], second: list[int] | None = None) -> int:
        """The number of ids that the input would have if nothing was cut."""
        around = len(self._before) + len(self._after)
        return around + len(ids) + (0 if second is None else len(self._between) + len(second))

    def arrange_in_graph(
        self, ids: "tf.RaggedTensor", second: "tf.RaggedTensor | None" = None
    ) -> tuple["tf.RaggedTensor", "tf.Tensor"]:
        """What `arrange` does, in TensorFlow: ragged ids int32 [B, T] → (the inputs' ids, the first texts' lengths)."""
        import tensorflow as tf

        rows, size = ids.nrows(), tf.cast(ids.row_lengths(), tf.int32)
        before, between, after = (_columns(special, rows) for special in (self._before, self._between, self._after))
        budget = self.max_length - len(self._before) - len(self._after)
        if second is None:
            head, tail = self._kept(budget)
            at = tf.ragged.range(size)
            rest = tf.gather(size, at.value_rowids()) - at.flat_values
            fits = tf.gather(size, at.value_rowids()) <= budget
            ids = tf.ragged.boolean_mask(ids, at.with_flat_values(fits | (at.flat_values < head) | (rest <= tail)))
            whole = tf.concat([before, ids, after], axis=1)
            return whole, tf.cast(whole.row_lengths(), tf.int32)
        budget -= len(self._between)
        second_size = tf.cast(second.row_lengths(), tf.int32)
        kept, kept_second = pair_lengths(size, second_size, budget=budget, minimum=tf.minimum, maximum=tf.maximum)
        start = tf.concat([before, _first(ids, kept), between], axis=1)
        whole = tf.concat([start, _first(second, kept_second), after], axis=1)
        return whole, tf.cast(start.row_lengths(), tf.int32)

    def _kept(self, budget: int) -> tuple[int, int]:
        """How many ids are kept at the start and at the end of a text that is too long."""
        head = {"start": budget, "end": 0, "both": budget - budget // 2}[self.long_texts]
        return head, budget - head


def _columns(special: list[int], rows: "tf.Tensor") -> "tf.Tensor":
    """The special ids in each row, int32 [rows, special ids]."""
    import tensorflow as tf

    return tf.tile(tf.constant([special], tf.int32), [rows, 1])


def _first(ids: "tf.RaggedTensor", kept: "tf.Tensor") -> "tf.RaggedTensor":
    """The first `kept` [B] ids of each row."""
    import tensorflow as tf

    at = tf.ragged.range(tf.cast(ids.row_lengths(), tf.int32))
    return tf.ragged.boolean_mask(ids, at.with_flat_values(at.flat_values < tf.gather(kept, at.value_rowids())))
