"""A corpus as one array of ids on disk, and windows cut from it for training.

Shape letters: B batch, T tokens of a window.
"""

import array
import dataclasses
import hashlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lmkeras.datasets.notes import TextNotes
from lmkeras.datasets.prefetching import prefetched
from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer, in_blocks
from lmkeras.tokenizers.special import SpecialIds

if TYPE_CHECKING:
    import tensorflow as tf

_BATCH_CHARACTERS = 1 << 22  # how much text is tokenized at a time
_DIGESTED_AT_A_TIME = 1 << 22  # ids
Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
_SHOWN_AS_STARTS = 16  # one window in this many is shown as the start of a text, see TrainingWindows


class Frame(NamedTuple):
    """The special ids that stand around each text where the texts of a corpus follow one another.

    Attributes:
        before: the id before every text, so that the first token of a text is predicted too.
        after: the id after every text; None if the `before` of the next text is what marks the end.
    """

    before: int
    after: int | None

    @classmethod
    def of(cls, special: SpecialIds) -> "Frame":
        """The frame that a tokenizer's special ids make.

        Raises:
            InputError: the tokenizer has no id that could stand before a text.
        """
        if special.before_text is None:
            raise InputError(
                "this tokenizer has no id for the start of a text and none for its end, of which a language model "
                "needs one: take another tokenizer"
            )
        return cls(special.before_text, special.after_text)

    @property
    def size(self) -> int:
        """How many ids the frame adds to each text."""
        return 1 if self.after is None else 2

    def around(self, ids: list[int]) -> list[int]:
        """The ids of a text with the frame around them."""
        return [self.before, *ids] if self.after is None else [self.before, *ids, self.after]


@dataclasses.dataclass(frozen=True)
class TokenStream:
    """The ids of a corpus, each text in its frame: if id 0 stands before texts, 0 w1 … wn 0 u1 … um.

    Attributes:
        ids: the ids, an array in memory or a memory map of a file.
        starts: where each text's frame begins in `ids`, increasing.
        characters: number of characters of all texts.
        unknown_tokens: number of tokens that the tokenizer does not know and replaces by its unknown id.
        frame: the special ids around each text.
        filler: the id that fills up rows that are too short; no result depends on it.
        notes: what was noted of the texts; None if nothing was.
    """

    ids: np.ndarray
    starts: np.ndarray
    characters: int
    unknown_tokens: int
    frame: Frame
    filler: int
    notes: TextNotes | None = None

    @property
    def tokens(self) -> int:
        """Number of tokens, not counting the frames."""
        return len(self.ids) - self.frame.size * len(self.starts)

    def digest(self) -> str:
        """A fingerprint (SHA-256, in hexadecimal) of the ids and of where texts begin."""
        digest = hashlib.sha256(f"{self.ids.dtype} {len(self.ids)}".encode())
        for numbers in (self.ids, self.starts):
            for first in range(0, len(numbers), _DIGESTED_AT_A_TIME):
                digest.update(np.ascontiguousarray(numbers[first : first + _DIGESTED_AT_A_TIME]).view(np.uint8))
        return digest.hexdigest()


def tokenize(texts: Iterable[str], tokenizer: BaseTokenizer) -> TokenStream:
    """Tokenizes a corpus to disk, so that it may be larger than memory.

    Args:
        texts: the corpus, read once.
        tokenizer: a fitted tokenizer.

    Returns:
        The ids as a memory map of a file in the system's temporary folder (TMPDIR names another). The file has no name,
        so the system removes it when the process ends.

    Raises:
        InputError: the corpus has no token at all, or the tokenizer has no id that can stand before a text.
    """
    dtype = np.uint16 if tokenizer.vocabulary_size <= 1 << 16 else np.int32
    notes, frame = TextNotes(tokenizer.special.unknown), Frame.of(tokenizer.special)
    characters, length, starts = 0, 0, array.array("q")
    with tempfile.TemporaryFile() as file:
        for batch in in_blocks(texts, _BATCH_CHARACTERS):
            characters += sum(map(len, batch))
            for text, ids in zip(batch, tokenizer.encode_batch(batch), strict=True):
                notes.add(text, ids)
                if not ids:
                    continue
                starts.append(length)
                length += frame.size + len(ids)
                file.write(np.array(frame.around(ids), dtype).tobytes())
        if not starts:
            raise InputError("the corpus has no tokens: every text is empty to the tokenizer. Give it more text")
        file.flush()
        ids = np.memmap(file, dtype, mode="r", shape=(length,))
    filler = tokenizer.special.filler
    return TokenStream(
        ids,
        starts=np.array(starts),
        characters=characters,
        unknown_tokens=notes.unknown_tokens,
        frame=frame,
        filler=filler,
        notes=notes,
    )


class TrainingWindows:
    """Windows of a token stream in random order, in batches, forever; the order is a function of (seed, epoch).

    In each epoch the stream is cut into windows of T + 1 ids, starting at a random place. The last id of a window is
    the first of the next, so no id is a target twice in an epoch. The few ids at both ends of the stream that do not
    fill a batch are left out; they are different ones in every epoch.

    If texts are long, windows rarely begin where a text begins. The network would then hardly learn what the id before
    a text means, although that id also stands before every prompt. So in one window in sixteen, chosen at random, the
    first id is replaced by that id, as if a text started there.

    Args:
        stream: the corpus; if it is too small for the windows or batches asked for, they are made smaller.
        length: T.
        batch_size: B.
        seed: fixes the order.
    """

    def __init__(self, stream: TokenStream, length: int, batch_size: int, seed: int = 0):
        self.ids, self._before = stream.ids, stream.frame.before
        self._set_sizes(len(stream.ids), texts=len(stream.starts), length=length, batch_size=batch_size, seed=seed)

    def _set_sizes(self, ids: int, texts: int, length: int, batch_size: int, seed: int) -> None:
        self.length = min(length, ids - 1)
        # one window is kept back, for the random start to have room
        windows = max(1, (ids - 1) // self.length - 1)
        self.batch_size = min(batch_size, windows)
        self.steps_per_epoch = windows // self.batch_size
        self.seed = seed
        self._spare = ids - 1 - self.steps_per_epoch * self.batch_size * self.length
        self._starts_are_rare = ids > _SHOWN_AS_STARTS * self.length * texts

    def epoch(self, epoch: int, first_step: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        """The batches of one epoch from `first_step` on: ({"input_ids"}, targets, weights of 1), each [B, T].

        Args:
            epoch: number of the epoch.
            first_step: how many batches are left out at the beginning.
            share: which rows of each batch are made.
        """
        random = np.random.default_rng((self.seed, epoch))
        first = random.integers(0, self._spare + 1)
        how = {"random": random, "first_step": first_step, "share": share}
        return self._batches(self.ids[first:], steps=self.steps_per_epoch, **how)

    def _batches(
        self, ids: np.ndarray, steps: int, random: np.random.Generator, first_step: int, share: Share
    ) -> Iterator[Batch]:
        """The first windows of `ids`, as many as `steps` batches take, in random order."""
        rows = random.permutation(steps * self.batch_size).reshape(steps, self.batch_size)
        as_starts = random.random(rows.shape) < (1 / _SHOWN_AS_STARTS if self._starts_are_rare else 0)
        offsets = np.arange(self.length + 1)
        for batch, as_start in zip(rows[first_step:], as_starts[first_step:], strict=True):
            windows = ids[share.part(batch)[:, None] * self.length + offsets].astype(np.int32)
            inputs, targets = windows[:, :-1].copy(), windows[:, 1:]
            inputs[share.part(as_start), 0] = self._before
            yield {"input_ids": inputs}, targets, np.ones(targets.shape, np.float32)

    def dataset(self, first_step: int = 0, share: Share = WHOLE) -> "tf.data.Dataset":
        """All batches from `first_step` on, or a share of each, as a tf.data.Dataset without end, which prefetches."""

        def batches():
            first_epoch, skip = divmod(first_step, self.steps_per_epoch)
            for epoch in itertools.count(first_epoch):
                yield from self.epoch(epoch, skip, share)
                skip = 0

        rows = len(share.part(range(self.batch_size)))
        return prefetched(batches, window_signature((rows, self.length)))


def window_signature(shape: tuple[int, int]):
    """The signature of batches of windows [B, T] in a tf.data.Dataset."""
    import tensorflow as tf

    ids = tf.TensorSpec(shape, tf.int32)
    return {"input_ids": ids}, ids, tf.TensorSpec(shape, tf.float32)
