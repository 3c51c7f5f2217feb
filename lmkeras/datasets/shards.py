"""Reads a tokenized corpus: a folder of shards of ids, on any file system that TensorFlow can open.

manifest.json           counts and digests of the whole corpus and of every shard. It is written last: a folder that
                        has a manifest is complete.
tokenizer.json          the tokenizer that made the ids
tokens-00000.tfrecord   a shard. It has one record for each text: the text's number of characters and of unknown tokens,
                        each a little-endian uint32; then the text's ids with special ids around them, little-endian.
                        The manifest names the ids' dtype and, as "frame", the special ids (see `Frame`). If a manifest
                        has no "frame", the id 0 stands before each text and none after it.
"""

import array
import dataclasses
import functools
import itertools
import json
import os
import re
import struct
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmkeras.datasets.notes import TextNotes
from lmkeras.datasets.shard_files import MANIFEST, TOKENIZER, UNFINISHED, digest_of, read_description, read_file
from lmkeras.datasets.windows import Frame, TokenStream
from lmkeras.errors import InputError
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.base import BaseTokenizer

HEADER = struct.Struct("<II")  # number of characters and of unknown tokens, stored before the ids of a text
_LENGTH, _CHECKSUM_BYTES = struct.Struct("<Q"), 4  # a TFRecord is: length, checksum, content, checksum


class Part(NamedTuple):
    """A range of a shard's ids, from `first` up to but not including `end`; it consists of `texts` whole texts."""

    shard: dict
    first: int
    end: int
    texts: int


@dataclasses.dataclass(frozen=True)
class Texts:
    """The content of a shard, or of a part of one.

    Attributes:
        ids: uint16 or int32; the ids of all texts, each in its frame.
        starts: int64 [texts], where each text's frame begins in `ids`.
        counts: int64 [texts, 2], the numbers of characters and of unknown tokens of each text.
    """

    ids: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    def note(self, notes: TextNotes, frame: Frame) -> None:
        """Adds these texts to the notes of a corpus; their ids stand for them."""
        ends = [*self.starts[1:].tolist(), len(self.ids)]
        for start, end, unknown in zip(self.starts.tolist(), ends, self.counts[:, 1].tolist(), strict=True):
            notes.add_counted(self.ids[start:end].tobytes(), end - start - frame.size, unknown)


class TokenShards:
    """A tokenized corpus, or a part of one, of which one shard at a time is read into memory.

    Args:
        folder: the folder of the shards.
        manifest: the content of the folder's manifest.json.
        parts: the parts of shards that make up this corpus; None for all shards.
    """

    def __init__(self, folder: str, manifest: dict, parts: Sequence[Part] | None = None):
        self.folder, self._manifest = folder, manifest
        if parts is None:
            parts = [Part(one, first=0, end=self._ids_of(one), texts=one["texts"]) for one in manifest["shards"]]
        self.parts = tuple(parts)

    @functools.cached_property
    def frame(self) -> Frame:
        """The special ids around each text. If the manifest does not name them, the id 0 stands before each text."""
        return Frame(*self._manifest.get("frame", (0, None)))

    def _ids_of(self, shard: dict) -> int:
        return shard["tokens"] + self.frame.size * shard["texts"]

    @property
    def num_ids(self) -> int:
        """Number of ids, including the frames around the texts."""
        return sum(part.end - part.first for part in self.parts)

    @property
    def num_texts(self) -> int:
        """Number of texts; texts without tokens are not stored, so they do not count."""
        return sum(part.texts for part in self.parts)

    @property
    def num_tokens(self) -> int:
        """Number of ids, not counting the frames around the texts."""
        return self.num_ids - self.frame.size * self.num_texts

    @functools.cached_property
    def tokenizer(self) -> BaseTokenizer:
        """The tokenizer that made the ids; InputError if its file is missing or damaged."""
        path = os.path.join(self.folder, TOKENIZER)
        content = read_file(path)
        if digest_of(content) != self._manifest["tokenizer_sha256"]:
            raise InputError(f"{path} is damaged or belongs to other tokens: tokenize {self.folder} again")
        return tokenizer_from_json(content.decode())

    def require_tokenizer(self, tokenizer: BaseTokenizer) -> None:
        """Raises InputError unless this tokenizer is the same as the one that made the ids."""
        if tokenizer.to_json() != self.tokenizer.to_json():
            raise InputError(
                f"the ids in {self.folder} were made by another tokenizer than the model's: tokenize that text with "
                "--tokenizer-from and the model's folder, or the folder that it was trained on"
            )

    def digest(self) -> str:
        """A fingerprint of the ids, in hexadecimal; another corpus has another one."""
        parts = [(part.shard["sha256"], part.first, part.end) for part in self.parts]
        return digest_of(json.dumps([self._manifest["dtype"], parts]).encode())

    def split(self, validation_fraction: float) -> tuple["TokenShards", "TokenShards"]:
        """Cuts the corpus between two texts: the first part is for training, the rest for validation.

        Args:
            validation_fraction: share of the ids in the validation part, in (0, 1). A cut with exactly this share would
                usually fall inside a text; the whole text then goes to the validation part, unless it is the first one.

        Returns:
            (train, validation), neither empty.

        Raises:
            InputError: the fraction is outside (0, 1), or the corpus has only one text.
        """
        if not 0 < validation_fraction < 1:
            raise InputError(f"validation_fraction: expected a number between 0 and 1, got {validation_fraction}")
        if self.num_texts < 2:
            raise InputError(
                f"{self.folder} holds one text, which cannot be cut in two: give a validation text (--validation), or "
                "0 as validation_fraction"
            )
        place = int(self.num_ids * (1 - Fraction(str(validation_fraction))))
        ends = list(itertools.accumulate(part.end - part.first for part in self.parts))
        at = next(number for number, end in enumerate(ends) if end > place)
        part = self.parts[at]
        starts = self.texts(part).starts
        texts = int(np.searchsorted(starts, place - (ends[at] - (part.end - part.first)), side="right")) - 1
        if at == texts == 0:
            texts = 1  # the first text is for training even if it is longer than the training part should be
        cut = part.end if texts == part.texts else part.first + int(starts[texts])
        before = [part._replace(end=cut, texts=texts)] if texts else []
        after = [part._replace(first=cut, texts=part.texts - texts)] if texts < part.texts else []
        return tuple(
            TokenShards(self.folder, self._manifest, parts)
            for parts in ((*self.parts[:at], *before), (*after, *self.parts[at + 1 :]))
        )

    def texts(self, part: Part) -> Texts:
        """Reads a part of a shard; InputError, which names the shard's file, if the file is missing or damaged."""
        path = os.path.join(self.folder, part.shard["name"])
        content = memoryview(read_file(path))
        if digest_of(content) != part.shard["sha256"]:
            raise InputError(
                f"{path} is damaged: its digest is not what the manifest says. Tokenize {self.folder} again"
            )
        dtype = np.dtype(self._manifest["dtype"]).newbyteorder("<")
        try:
            records = list(_records(content))
            ids = np.frombuffer(b"".join(record[HEADER.size :] for record in records), dtype)
            counts = np.array([HEADER.unpack_from(record) for record in records])
        except (ValueError, struct.error) as error:
            raise InputError(f"{path} is no shard that lmkeras tokenize wrote: {error}") from error
        if (len(ids), len(records)) != (self._ids_of(part.shard), part.shard["texts"]):
            raise InputError(f"{path} holds {len(ids)} ids of {len(records)} texts, and its manifest says otherwise")
        sizes = [(len(record) - HEADER.size) // dtype.itemsize for record in records]
        starts = np.array([0, *itertools.accumulate(sizes[:-1])])
        first, end = np.searchsorted(starts, (part.first, part.end))
        return Texts(ids[part.first : part.end], starts[first:end] - part.first, counts[first:end])

    def first_noted(self) -> tuple[np.ndarray, TextNotes]:
        """The ids of the first shard, and notes of its texts: to read all shards for this would take too long."""
        notes, texts = TextNotes(), self.texts(self.parts[0])
        texts.note(notes, self.frame)
        return texts.ids, notes

    def stream(self) -> TokenStream:
        """All ids as one array, like the one that `tokenize` makes: a memory map of a temporary file without a name.

        The file takes as much space on the disk as the ids; the positions of the texts take 8 bytes a text in memory.
        """
        starts, counts, length, notes = array.array("q"), np.zeros(2, np.int64), 0, TextNotes()
        with tempfile.TemporaryFile() as file:
            for part in self.parts:
                texts = self.texts(part)
                starts.frombytes((texts.starts + length).astype(np.int64).tobytes())
                counts += texts.counts.sum(axis=0)
                length += len(texts.ids)
                texts.note(notes, self.frame)
                file.write(texts.ids.tobytes())
            file.flush()
            ids = np.memmap(file, texts.ids.dtype, mode="r", shape=(length,))
        characters, unknown = counts.tolist()
        filler = self.tokenizer.special.filler
        return TokenStream(
            ids,
            starts=np.array(starts),
            characters=characters,
            unknown_tokens=unknown,
            frame=self.frame,
            filler=filler,
            notes=notes,
        )


def _records(content: memoryview) -> Iterator[memoryview]:
    """The records of a TFRecord file. Their checksums are not verified, as the digest of the file has been."""
    at = 0
    while at < len(content):
        first = at + _LENGTH.size + _CHECKSUM_BYTES
        end = first + _LENGTH.unpack_from(content, at)[0]
        yield content[first:end]
        at = end + _CHECKSUM_BYTES


def open_shards(source: object) -> TokenShards | None:
    """The tokenized corpus in a folder, if the folder holds one.

    Args:
        source: the name or Path of a folder, or a TokenShards, which is returned unchanged.

    Returns:
        The corpus; None if `source` is anything but the folder of a tokenized corpus.

    Raises:
        InputError: the manifest is damaged, or tokenizing was stopped before its end.
    """
    if isinstance(source, TokenShards):
        return source
    if not isinstance(source, str | Path) or "\0" in str(source):
        return None
    folder = os.path.expanduser(source)
    manifest = read_description(os.path.join(folder, MANIFEST))
    if manifest is None and read_description(os.path.join(folder, UNFINISHED)) is not None:
        raise InputError(f"{folder} is not tokenized to its end: run lmkeras tokenize with --resume first")
    if manifest is not None and not _is_usable(manifest):
        raise InputError(f"{os.path.join(folder, MANIFEST)} is not what lmkeras tokenize writes: tokenize again")
    return manifest and TokenShards(folder, manifest)


def _is_usable(manifest: dict) -> bool:
    """Whether a manifest, which may come from a stranger, has what is needed and only names files of its own folder."""
    try:
        return (
            (manifest["dtype"] in ("uint16", "int32") and type(manifest["tokenizer_sha256"]) is str)
            and all(
                re.fullmatch(r"tokens-\d+\.tfrecord", shard["name"])
                and type(shard["sha256"]) is str
                and 0 < shard["texts"] <= shard["tokens"]
                for shard in manifest["shards"]
            )
            and _is_frame(*manifest.get("frame", (0, None)))
        )
    except (KeyError, TypeError):
        return False


def _is_frame(before: object, after: object) -> bool:
    """Whether these are an id to stand before each text, and one to stand after it or None."""
    return all(type(id) is int and 0 <= id < 2**31 for id in ((before,) if after is None else (before, after)))
