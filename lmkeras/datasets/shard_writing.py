"""Tokenizes a corpus into shards, in one or several processes with the same result, and resumes after a stop."""

import collections
import contextlib
import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from lmkeras.datasets.encoding import encoded, ids_dtype
from lmkeras.datasets.shard_files import (
    ASIDE,
    MANIFEST,
    TOKENIZER,
    UNFINISHED,
    digest_of,
    file_errors,
    read_description,
    read_file,
    write_description,
    write_file,
)
from lmkeras.datasets.shards import HEADER, TokenShards, open_shards
from lmkeras.datasets.windows import Frame
from lmkeras.errors import InputError
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.base import BaseTokenizer

SHARD_TOKENS = 4_000_000
_LARGEST_SHARD_TOKENS = 1 << 26  # a shard must fit into memory, as it is read as a whole
_SAMPLE_CHARACTERS = 1 << 13  # size of the pieces that `evenly` takes


def write_shards(
    texts: Iterable[str],
    folder: str,
    new_tokenizer: Callable[[], BaseTokenizer],
    made_of: Mapping[str, object],
    shard_tokens: int = SHARD_TOKENS,
    workers: int = 1,
    overwrite: bool = False,
    resume: bool = False,
    on_shard: Callable[[dict], None] = lambda shard: None,
) -> TokenShards:
    """Tokenizes a corpus into a folder; the result depends neither on the number of workers nor on interruptions.

    Args:
        texts: the corpus; it is read one text at a time.
        folder: a new or an empty folder, anywhere `tf.io.gfile` can write.
        new_tokenizer: makes the fitted tokenizer; called if the folder does not hold one yet.
        made_of: values of JSON's types, such as names of files, that must be the same when a run is resumed.
        shard_tokens: number of tokens, from 1 to 2**26. A shard ends with the text that makes it reach this number.
        workers: number of processes that tokenize; 1 tokenizes in this process.
        overwrite: whether to replace a tokenized corpus that is in the folder.
        resume: whether to go on after the last complete shard that an earlier run left in the folder, if there is one.
        on_shard: called after each shard with its entry in the manifest.

    Returns:
        The tokenized corpus.

    Raises:
        InputError: the folder holds other files, or an earlier run with other arguments or another corpus; the folder
            cannot be written to; or the corpus has no tokens.
    """
    if not 1 <= shard_tokens <= _LARGEST_SHARD_TOKENS:
        raise InputError(f"shard_tokens must be from 1 to {_LARGEST_SHARD_TOKENS}, got {shard_tokens}")
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    made_of = {**made_of, "shard_tokens": shard_tokens}
    found = _found(folder, made_of=made_of, overwrite=overwrite, resume=resume)
    if found and "tokens" in found:  # a manifest: an earlier run has finished
        return open_shards(folder)
    state = found or _begun(folder, made_of, new_tokenizer())
    texts = iter(texts)
    _pass_over(texts, state["shards"])
    tokenizer_json = read_file(os.path.join(folder, TOKENIZER)).decode()
    tokenizer = tokenizer_from_json(tokenizer_json)
    dtype, frame = ids_dtype(tokenizer), Frame.of(tokenizer.special)
    with contextlib.closing(encoded(texts, tokenizer_json, workers)) as records:
        sizes = {"shard_tokens": shard_tokens, "itemsize": dtype.itemsize, "frame": frame}
        while shard := _write_shard(folder, len(state["shards"]), records, **sizes):
            state["shards"].append(shard)
            write_description(os.path.join(folder, UNFINISHED), state)
            on_shard(shard)
    if not state["shards"]:
        _remove_others(folder, set())
        raise InputError("the corpus has no tokens: every text is empty to the tokenizer. Give it more text")
    counts = ("tokens", "texts", "characters", "unknown_tokens")
    totals = {name: sum(shard[name] for shard in state["shards"]) for name in counts}
    about = {"dtype": dtype.name, "vocabulary_size": tokenizer.vocabulary_size, "frame": list(frame)}
    write_description(os.path.join(folder, MANIFEST), {**about, **totals, **state})
    _remove_others(folder, {MANIFEST, TOKENIZER, *(shard["name"] for shard in state["shards"])})
    return open_shards(folder)


def evenly(texts: Iterable[str], size: float) -> Iterable[str]:
    """A sample of a corpus that is spread evenly over it; the same sample every time.

    Args:
        texts: the corpus; it is read twice.
        size: approximate size of the sample, in bytes of UTF-8.

    Returns:
        The corpus itself if it is not larger than `size`; otherwise pieces of its texts, at most 8192 characters each.
    """
    total = sum(len(_bytes(text)) for text in texts)
    return texts if total <= size else _pieces(texts, size / total)


def _pieces(texts: Iterable[str], share: float) -> Iterator[str]:
    read = taken = 0
    for text in texts:
        for first in range(0, len(text), _SAMPLE_CHARACTERS):
            piece = text[first : first + _SAMPLE_CHARACTERS]
            length = len(_bytes(piece))
            read += length
            if taken + length <= share * read:
                taken += length
                yield piece


def _found(folder: str, made_of: dict, overwrite: bool, resume: bool) -> dict | None:
    """The state of an earlier run in the folder: a finished run's manifest, or what to resume; None to start anew."""
    if overwrite and resume:
        raise InputError("--overwrite starts anew and --resume goes on: say one of them")
    names = _names(folder)
    if overwrite or not names:
        if others := sorted(name for name in names if not _is_ours(name)):
            raise InputError(f"{folder} holds {others[0]}, which is no part of a tokenized corpus: name a new folder")
        return None
    found = read_description(os.path.join(folder, UNFINISHED)) or read_description(os.path.join(folder, MANIFEST))
    if found is None:
        raise InputError(f"{folder} is not empty and holds no tokenized corpus: name a new folder")
    if not resume:
        whole = "already: name another folder" if "tokens" in found else "that was not ended: say --resume"
        raise InputError(f"{folder} holds a tokenized corpus {whole}, or say --overwrite")
    if changed := [name for name in {**made_of, **found["made_of"]} if made_of.get(name) != found["made_of"].get(name)]:
        name = changed[0]
        raise InputError(
            f"{folder} was begun with {name} {found['made_of'].get(name)!r}, and now it is {made_of.get(name)!r}: give "
            "the same arguments to go on, or say --overwrite"
        )
    if TOKENIZER not in names or digest_of(read_file(os.path.join(folder, TOKENIZER))) != found["tokenizer_sha256"]:
        return None
    if "tokens" not in found:
        found["shards"] = list(itertools.takewhile(functools.partial(_is_whole, folder, names), found["shards"]))
    return found


def _is_whole(folder: str, names: list[str], shard: dict) -> bool:
    path = os.path.join(folder, shard["name"])
    return shard["name"] in names and digest_of(read_file(path)) == shard["sha256"]


def _begun(folder: str, made_of: dict, tokenizer: BaseTokenizer) -> dict:
    """Prepares a folder with a tokenizer and no shards; a run that is stopped meanwhile can be resumed."""
    import tensorflow as tf

    content = tokenizer.to_json().encode()
    state = {"made_of": made_of, "tokenizer_sha256": digest_of(content), "shards": []}
    with file_errors(folder):
        tf.io.gfile.makedirs(folder)
    write_description(os.path.join(folder, UNFINISHED), state)
    _remove_others(folder, {UNFINISHED})
    write_file(os.path.join(folder, TOKENIZER), content)
    return state


def _names(folder: str) -> list[str]:
    import tensorflow as tf

    with file_errors(folder):
        if not tf.io.gfile.exists(folder):
            return []
        if not tf.io.gfile.isdir(folder):
            raise InputError(f"{folder} is a file: name a folder")
        return [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]


def _is_ours(name: str) -> bool:
    return name.removesuffix(ASIDE) in (MANIFEST, TOKENIZER, UNFINISHED) or name.startswith("tokens-")


def _remove_others(folder: str, kept: set[str]) -> None:
    """Removes lmkeras' files except those in `kept`, the manifest first, as it says that the others are complete."""
    import tensorflow as tf

    for name in sorted(_names(folder), key=lambda name: name != MANIFEST):
        if _is_ours(name) and name not in kept:
            with file_errors(folder):
                tf.io.gfile.remove(os.path.join(folder, name))


def _pass_over(texts: Iterator[str], shards: list[dict]) -> None:
    """Skips the texts that are in shards already; InputError if they have changed since the shards were written."""
    for shard in shards:
        digest = hashlib.sha256()
        for text in itertools.islice(texts, shard["source_texts"]):
            digest.update(_bytes(text) + b"\0")
        if digest.hexdigest() != shard["source_sha256"]:
            raise InputError(
                f"the text is not what it was when {shard['name']} was written: give the same text to go on, or say "
                "--overwrite"
            )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _write_shard(
    folder: str, number: int, records: Iterator[tuple[str, bytes]], shard_tokens: int, itemsize: int, frame: Frame
) -> dict | None:
    """Writes the next shard, to a temporary file first, and returns its entry in the manifest; None at the end."""
    import tensorflow as tf

    path = os.path.join(folder, name := f"tokens-{number:05}.tfrecord")
    counts, source = collections.Counter(), hashlib.sha256()
    with file_errors(path), tf.io.TFRecordWriter(path + ASIDE) as writer:
        for text, record in records:
            content = _bytes(text)
            source.update(content + b"\0")
            counts.update(source_texts=1, source_bytes=len(content))
            tokens = (len(record) - HEADER.size) // itemsize - frame.size
            if tokens:
                writer.write(record)
                characters, unknown_tokens = HEADER.unpack_from(record)
                counts.update(tokens=tokens, texts=1, characters=characters, unknown_tokens=unknown_tokens)
            if counts["tokens"] >= shard_tokens:
                break
    if not counts["texts"]:
        return None  # the caller removes the temporary file, with `_remove_others`
    written = read_file(path + ASIDE)
    with file_errors(path):
        tf.io.gfile.rename(path + ASIDE, path, overwrite=True)
    about = {"bytes": len(written), "sha256": digest_of(written), "source_sha256": source.hexdigest()}
    return {"name": name, **counts, **about}
