"""The folder that a model is kept in: config.json says what it is, and which other files belong to it."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lmkeras.archives import MEGABYTE, inside, parse_json, read_text, shortened
from lmkeras.durable import sync
from lmkeras.errors import InputError
from lmkeras.tasks import tasks

FORMAT_VERSION = 2
_READABLE = (1, 2)  # 1 is that of version 0.1, whose networks were of other classes
_ASIDE = ".saving-"
_LARGEST_CONFIG = 64 * MEGABYTE  # it holds a classifier's labels


def write_model(folder: str | Path, config: dict, files: dict[str, Callable[[Path], object]]) -> None:
    """Writes a model's files, all aside first, then into their places, config.json last.

    Args:
        folder: created where it is missing; an earlier model's files are replaced.
        config: what config.json shall say beside the format's version and the files' digests.
        files: for each file's name the function that writes it to a path.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_ASIDE}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_ASIDE) as aside:
        for name, write in files.items():
            write(Path(aside) / name)
        digests = {name: _digest(Path(aside) / name) for name in files}
        whole = {**config, "format_version": FORMAT_VERSION, "files": digests}
        whole["digest"] = _digest_of(whole)
        (Path(aside) / "config.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        for name in (*files, "config.json"):
            sync(Path(aside) / name)
        for name in (*files, "config.json"):
            os.replace(Path(aside) / name, folder / name)
    sync(folder)


def read_config(folder: str | Path) -> dict:
    """What a model's config.json says, once it has been checked that the folder holds one whole model.

    Args:
        folder: where a model was saved.

    Raises:
        InputError: there is no model, or a file is missing, damaged, from another model or a link that leads out of
            the folder; it is named.
    """
    folder = Path(folder)
    path = inside(folder, "config.json")
    if not path.is_file():
        raise InputError(f"no saved model in {folder}: {path} is missing. Train one, or name the folder of one")
    text = read_text(path, _LARGEST_CONFIG)
    try:
        config = parse_json(text)
        version = config["format_version"]
        if version not in _READABLE:  # before anything else, whose place and meaning may be other in another format
            raise InputError(
                f"{path} has format {shortened(version)}; this version of lmkeras reads format {FORMAT_VERSION}"
            )
        kind, files = config["kind"], {name: config["files"][name] for name in ("network.keras", "tokenizer.json")}
        digest = config.pop("digest", None)  # which models of version 0.1 did not write at first
        damaged = digest is not None and digest != _digest_of(config)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError):
        damaged = True
    if damaged:
        raise InputError(f"{path} is damaged or was changed: it is not what a saved model has there") from None
    known = list(tasks())  # a list, because JSON may hold what cannot be a key
    if kind not in known:
        raise InputError(f"{path} names a model of kind {shortened(repr(kind))}; this version knows {', '.join(known)}")
    for name, digest in files.items():
        if not inside(folder, name).is_file():
            raise InputError(f"{folder / name} is missing")
        if _digest(folder / name) != digest:
            raise InputError(f"{folder / name} is damaged or belongs to another model than {path} does")
    return config


def _digest_of(config: dict) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
