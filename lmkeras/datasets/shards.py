"""A tokenized corpus in a folder of any file system that TensorFlow opens: shards of ids, and what is said of them.

manifest.json           what there is in all and in every shard; written last, so that it vouches for the rest
tokenizer.json          what made the ids
tokens-00000.tfrecord   a record a text: its number of characters and of unknown tokens, little-endian uint32 each,
                        then a 0 and its ids, little-endian, of the type that the manifest names
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

from lmkeras.datasets.shard_files import MANIFEST, TOKENIZER, UNFINISHED, digest_of, read_description, read_file
from lmkeras.datasets.windows import Frame, TokenStream
from lmkeras.errors import InputError
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.base import BaseTokenizer

HEADER = struct.Struct("<II")  # characters and unknown tokens, before the ids of a text
_LENGTH, _CHECKSUM_BYTES = struct.Struct("<Q"), 4  # a TFRecord: length, checksum, content, checksum


class Part(NamedTuple):
    """The ids `first` to `end` of a shard, which are whole texts."""

    shard: dict
    first: int
    end: int
    texts: int


@dataclasses.dataclass(frozen=True)
class Texts:
    """What a shard holds.

    Attributes:
        ids: uint16 or int32, each text after a 0.
        starts: int64, where each text's 0 stands in `ids`.
        counts: int64 [texts, 2], of each text the characters and the unknown tokens.
    """

    ids: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


class TokenShards:
    """A tokenized corpus, or a part of one; in memory is one shard at a time.

    Args:
        folder: holds the manifest.
        manifest: what it says.
        parts: which of the ids; None for all.
    """

    def __init__(self, folder: str, manifest: dict, parts: Sequence[Part] | None = None):
        self.folder, self._manifest = folder, manifest
        if parts is None:
            parts = [Part(one, 0, self._ids_of(one), one["texts"]) for one in manifest["shards"]]
        self.parts = tuple(parts)

    @functools.cached_property
    def frame(self) -> Frame:
        """What stands around each text; where the manifest does not say, a 0 before it."""
        return Frame(*self._manifest.get("frame", (0, None)))

    def _ids_of(self, shard: dict) -> int:
        return shard["tokens"] + self.frame.size * shard["texts"]

    @property
    def num_ids(self) -> int:
        """Number of ids, the 0 before each text included."""
        return sum(part.end - part.first for part in self.parts)

    @property
    def num_texts(self) -> int:
        """Number of texts that have tokens."""
        return sum(part.texts for part in self.parts)

    @property
    def num_tokens(self) -> int:
        """Number of ids without these."""
        return self.num_ids - self.frame.size * self.num_texts

    @functools.cached_property
    def tokenizer(self) -> BaseTokenizer:
        """The tokenizer that made the ids; InputError where its file is missing or damaged."""
        path = os.path.join(self.folder, TOKENIZER)
        content = read_file(path)
        if digest_of(content) != self._manifest["tokenizer_sha256"]:
            raise InputError(f"{path} is damaged or belongs to other tokens: tokenize {self.folder} again")
        return tokenizer_from_json(content.decode())

    def require_tokenizer(self, tokenizer: BaseTokenizer) -> None:
        """Raises InputError unless the ids are those that this tokenizer would have given."""
        if tokenizer.to_json() != self.tokenizer.to_json():
            raise InputError(
                f"the ids in {self.folder} were made by another tokenizer than the model's: tokenize that text with "
                "--tokenizer-from and the model's folder, or the folder that it was trained on"
            )

    def digest(self) -> str:
        """What no other corpus has, in hexadecimal."""
        parts = [(part.shard["sha256"], part.first, part.end) for part in self.parts]
        return digest_of(json.dumps([self._manifest["dtype"], parts]).encode())

    def split(self, validation_fraction: float) -> tuple["TokenShards", "TokenShards"]:
        """Cuts the corpus between two texts: what comes first trains, the rest validates.

        Args:
            validation_fraction: share of the ids that validate, in (0, 1). The cut is where the last text begins that
                begins before the place that would be exact, or after the first text.

        Returns:
            (train, validation), neither empty.

        Raises:
            InputError: the fraction is outside (0, 1), or there is one text only.
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
            texts = 1  # the first text trains, whatever its size
        cut = part.end if texts == part.texts else part.first + int(starts[texts])
        before = [part._replace(end=cut, texts=texts)] if texts else []
        after = [part._replace(first=cut, texts=part.texts - texts)] if texts < part.texts else []
        return tuple(
            TokenShards(self.folder, self._manifest, parts)
            for parts in ((*self.parts[:at], *before), (*after, *self.parts[at + 1 :]))
        )

    def texts(self, part: Part) -> Texts:
        """Reads a part; InputError, which names the shard, where it is missing or damaged."""
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

    def stream(self) -> TokenStream:
        """All ids as one array, as `tokenize` makes it: a memory map of a file without a name.

        That file is as large as the ids are; where texts begin is in memory, 8 bytes a text.
        """
        starts, counts, length = array.array("q"), np.zeros(2, np.int64), 0
        with tempfile.TemporaryFile() as file:
            for part in self.parts:
                texts = self.texts(part)
                starts.frombytes((texts.starts + length).astype(np.int64).tobytes())
                counts += texts.counts.sum(axis=0)
                length += len(texts.ids)
                file.write(texts.ids.tobytes())
            file.flush()
            ids = np.memmap(file, texts.ids.dtype, mode="r", shape=(length,))
        characters, unknown = counts.tolist()
        filler = self.tokenizer.special.filler
        return TokenStream(ids, np.array(starts), characters, unknown, self.frame, filler)


def _records(content: memoryview) -> Iterator[memoryview]:
    """The records of a TFRecord file; their checksums are not looked at, as the file's digest is."""
    at = 0
    while at < len(content):
        first = at + _LENGTH.size + _CHECKSUM_BYTES
        end = first + _LENGTH.unpack_from(content, at)[0]
        yield content[first:end]
        at = end + _CHECKSUM_BYTES


def open_shards(source: object) -> TokenShards | None:
    """The tokenized corpus in a folder.

    Args:
        source: a folder's name or Path, or what this function returned.

    Returns:
        The corpus; None for whatever is no such folder.

    Raises:
        InputError: the manifest is damaged, or tokenizing has not been ended.
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
    """Whether a manifest that may come from strangers says what is needed, and names no file of another folder."""
    try:
        return (
            (manifest["dtype"] in ("uint16", "int32") and type(manifest["tokenizer_sha256"]) is str)
            and all(
                re.fullmatch(r"tokens-\d+\.tfrecord", shard["name"])
                and type(shard["sha256"]) is str
                and 0 < shard["texts"] <= shard["tokens"]
                for shard in manifest["shards"]
            )
            and all(
                id is None or (type(id) is int and 0 <= id < 2**31) for id in Frame(*manifest.get("frame", (0, None)))
            )
        )
    except (KeyError, TypeError):
        return False
