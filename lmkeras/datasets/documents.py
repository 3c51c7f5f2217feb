"""The ids of documents and their sentences on disk, and the pieces of them that a network reads at once."""

import array
import dataclasses
import functools
import hashlib
import tempfile
from collections.abc import Iterable, Iterator

import numpy as np

from lmkeras.datasets.notes import TextNotes
from lmkeras.datasets.windows import TokenStream
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer, in_blocks

_BATCH_CHARACTERS = 1 << 20  # how much text is tokenized at a time


@dataclasses.dataclass(frozen=True)
class Documents:
    """The ids of documents, each of one or several sentences.

    Attributes:
        ids: the ids of all sentences, one after the other; an array in memory or a memory map of a file.
        starts: int64 [sentences], where each sentence begins in `ids`, increasing.
        ends: int64 [sentences], where it ends.
        documents: int64 [sentences], the number of the document that it belongs to, not decreasing.
        notes: what was noted of the sentences; None if nothing was.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    documents: np.ndarray
    notes: TextNotes | None = None

    @classmethod
    def tokenize(cls, documents: Iterable[list[str]], tokenizer: BaseTokenizer) -> "Documents":
        """Tokenizes documents, lists of sentences, to disk; the positions of sentences take 24 bytes each in memory.

        Raises:
            InputError: no sentence has a token.
        """
        dtype = np.uint16 if tokenizer.vocabulary_size <= 1 << 16 else np.int32
        starts, ends, number, length = array.array("q"), array.array("q"), array.array("q"), 0

        def sentences() -> Iterator[str]:
            for at, document in enumerate(documents):
                for place, sentence in enumerate(document):
                    number.append(at)
                    yield sentence if place == 0 else tokenizer.before_words + sentence

        with tempfile.TemporaryFile() as file:
            for block in in_blocks(sentences(), _BATCH_CHARACTERS):
                for ids in tokenizer.encode_batch(block):
                    starts.append(length)
                    length += len(ids)
                    ends.append(length)
                    file.write(np.array(ids, dtype).tobytes())
            if not length:
                raise InputError("the corpus has no tokens: every text is empty to the tokenizer. Give it more text")
            file.flush()
            ids = np.memmap(file, dtype, mode="r", shape=(length,))
        found = cls._of(ids, starts=starts, ends=ends, documents=number, notes=TextNotes())
        found.note(tokenizer.special.unknown)
        return found

    @classmethod
    def of_stream(cls, stream: TokenStream) -> "Documents":
        """The texts of a stream of ids, each a document of one sentence, without the special ids around them."""
        after = stream.frame.size - 1
        starts = np.asarray(stream.starts)
        ends = np.append(starts[1:], len(stream.ids)) - after
        numbers = np.arange(len(starts))
        return cls._of(stream.ids, starts=starts + 1, ends=ends, documents=numbers, notes=stream.notes)

    @classmethod
    def _of(cls, ids, *, starts, ends, documents, notes) -> "Documents":
        starts, ends, documents = (np.asarray(one, np.int64) for one in (starts, ends, documents))
        real = ends > starts  # sentences without tokens are left out
        return cls(ids, starts[real], ends=ends[real], documents=documents[real], notes=notes)

    def note(self, unknown: int | None) -> None:
        """Adds all documents to the notes; their ids stand for them."""
        firsts = np.flatnonzero(np.diff(self.documents, prepend=-1))
        for start, end in zip(self.starts[firsts], np.append(self.starts[firsts[1:]], len(self.ids)), strict=True):
            ids = self.ids[start:end]
            self.notes.add_counted(ids.tobytes(), len(ids), int(np.count_nonzero(ids == unknown)))

    def digest(self) -> str:
        """A fingerprint (SHA-256, in hexadecimal) of the ids and of where sentences and documents begin."""
        digest = hashlib.sha256(f"{self.ids.dtype} {len(self.ids)}".encode())
        for numbers in (self.ids, self.starts, self.ends, self.documents):
            for first in range(0, len(numbers), _BATCH_CHARACTERS):
                digest.update(np.ascontiguousarray(numbers[first : first + _BATCH_CHARACTERS]).view(np.uint8))
        return digest.hexdigest()

    def pieces(self, most: int, fewest: int = 1) -> "Pieces":
        """Cuts documents into pieces: as many whole sentences as fit; a sentence that is too long is cut.

        Args:
            most: the most ids of a piece.
            fewest: the fewest; shorter pieces are left out.
        """
        found = array.array("q"), array.array("q"), array.array("q")  # starts, ends and documents of the pieces

        def add(*piece: int) -> None:
            for value, values in zip(piece, found, strict=True):
                values.append(value)

        of_piece = None  # start, end and document of the piece that sentences are added to
        for start, end, document in zip(self.starts.tolist(), self.ends.tolist(), self.documents.tolist(), strict=True):
            if of_piece and (document != of_piece[2] or start != of_piece[1] or end - of_piece[0] > most):
                add(*of_piece)
                of_piece = None
            while end - start > most:
                add(start, start + most, document)
                start += most
            of_piece = (of_piece[0] if of_piece else start, end, document)
        add(*of_piece)
        numbers = [np.asarray(one, np.int64) for one in found]
        long = numbers[1] - numbers[0] >= fewest
        return Pieces(self, *(one[long] for one in numbers))


@dataclasses.dataclass(frozen=True)
class Pieces:
    """What a network reads at once: consecutive sentences of one document.

    Attributes:
        source: the documents.
        starts: int64 [N], where each piece begins in the documents' ids.
        ends: int64 [N], where it ends.
        documents: int64 [N], the number of its document, not decreasing.
    """

    source: Documents
    starts: np.ndarray
    ends: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """The number of ids of each piece, int64 [N]."""
        return self.ends - self.starts

    def ids(self, start: int, end: int) -> np.ndarray:
        """Ids of the documents, int64, of positions from `start` up to but not including `end`."""
        return np.asarray(self.source.ids[start:end], np.int64)

    def boundaries(self, piece: int) -> np.ndarray:
        """Where sentences begin inside a piece, without its own start; where it has one sentence, every other id."""
        start, end = self.starts[piece], self.ends[piece]
        first = np.searchsorted(self.source.starts, start, side="right")
        inside = self.source.starts[first : np.searchsorted(self.source.starts, end, side="left")]
        return inside if len(inside) else np.arange(start + 1, end)

    def of_another_document(self, piece: int, random: np.random.Generator) -> int:
        """A piece of another document, drawn at random; there must be another one."""
        document = self.documents[piece]
        first, last = np.searchsorted(self.documents, [document, document + 1])
        drawn = int(random.integers(len(self) - (last - first)))
        return drawn if drawn < first else drawn + last - first
