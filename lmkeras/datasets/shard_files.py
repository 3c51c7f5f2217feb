"""Reads and writes the files beside shards, on any file system of TensorFlow; the manifest has a digest of itself."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lmkeras.errors import InputError

MANIFEST, TOKENIZER, UNFINISHED = "manifest.json", "tokenizer.json", "unfinished.json"
ASIDE = ".writing"  # suffix of the temporary file that is being written
_FORMAT = {"kind": "lmkeras tokens", "format_version": 1}


def digest_of(content: bytes) -> str:
    """The SHA-256 digest of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def is_remote(path: str) -> bool:
    """Whether a path, such as gs://bucket/folder, can only be opened by TensorFlow, not by Python's `open`."""
    return re.match(r"[\w+.-]+://", path) is not None


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """A context in which TensorFlow's errors about a file or folder become InputErrors that name `path`."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message or type(error).__name__
        raise InputError(f"{path} cannot be read or written ({reason}): name another place, or mend it") from error


def read_file(path: str) -> bytes:
    """The content of a file; InputError if it cannot be read."""
    if not is_remote(path):  # read without TensorFlow, which takes seconds to import
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    import tensorflow as tf

    with file_errors(path), tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def write_file(path: str, content: bytes) -> None:
    """Writes a temporary file and renames it to `path`; InputError if that is not possible."""
    import tensorflow as tf

    with file_errors(path):
        with tf.io.gfile.GFile(path + ASIDE, "wb") as file:
            file.write(content)
        tf.io.gfile.rename(path + ASIDE, path, overwrite=True)


def write_description(path: str, description: dict) -> None:
    """Writes a manifest, with its format and a digest of its content, for `read_description` to read."""
    whole = {**_FORMAT, **description}
    whole["digest"] = digest_of(json.dumps(whole, sort_keys=True).encode())
    write_file(path, (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())


def read_description(path: str) -> dict | None:
    """The content of a manifest; None if there is no such file, or if another program wrote it.

    Raises:
        InputError: the manifest is damaged, or another version of lmkeras wrote it.
    """
    if is_remote(path):
        import tensorflow as tf

        try:
            with file_errors(path):
                found = tf.io.gfile.exists(path)
        except InputError as error:
            if not isinstance(error.__cause__, tf.errors.UnimplementedError):
                raise
            return None  # TensorFlow does not know the scheme of this path
    else:
        found = os.path.isfile(path)
    if not found:
        return None
    try:
        description = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        if not is_remote(path) and not os.path.exists(os.path.join(os.path.dirname(path), TOKENIZER)):
            return None  # another program's file: beside a manifest of lmkeras there is a tokenizer.json
        raise InputError(f"{path} is not JSON ({error}): if it is of a tokenized corpus, tokenize again") from None
    if not isinstance(description, dict) or description.get("kind") != _FORMAT["kind"]:
        return None
    version, digest = description.get("format_version"), description.pop("digest", None)
    if version != _FORMAT["format_version"]:
        raise InputError(f"{path} has format {version}; this version of lmkeras reads {_FORMAT['format_version']}")
    if digest != digest_of(json.dumps(description, sort_keys=True).encode()):
        raise InputError(f"{path} is damaged or was changed: tokenize again")
    return description
