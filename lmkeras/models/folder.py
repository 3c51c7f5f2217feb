"""Writes and checks the folder of a saved model: config.json names the kind of model and the other files."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lmkeras.archives import MEGABYTE, inside, parse_json, read_text, shortened
from lmkeras.durable import local, sync
from lmkeras.errors import InputError
from lmkeras.tasks import OWN_KINDS, tasks

FORMAT_VERSION = 3
WEIGHTS = "model.safetensors"
#: the formats that can be read, with the name of the file that holds the weights; 1 is that of version 0.1
WEIGHTS_FILES = {1: "network.keras", FORMAT_VERSION: WEIGHTS}
_ASIDE = ".saving-"
_LARGEST_CONFIG = 64 * MEGABYTE  # config.json contains all labels of a classifier, so it may be long


def write_model(folder: str | Path, config: dict, files: dict[str, Callable[[Path], object]]) -> None:
    """Writes the files of a model, all to a temporary folder first, then moves them into place, config.json last.

    Args:
        folder: the folder to write to, created if it does not exist; the files of an earlier model are replaced.
        config: the content of config.json, to which the format's version and the files' digests are added.
        files: for the name of each file a function that writes the file to a given path.
    """
    folder = local(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_ASIDE}*"):  # left by a process that was killed
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
    for name in WEIGHTS_FILES.values():
        if name not in files:  # of an earlier model in another format
            (folder / name).unlink(missing_ok=True)
    sync(folder)


def is_saved(folder: str | Path) -> bool:
    """Whether a folder holds a model that lmkeras saved, and not another library's config.json, or none."""
    path = Path(folder) / "config.json"
    try:
        return path.is_file() and "format_version" in parse_json(read_text(path, _LARGEST_CONFIG))
    except (InputError, TypeError, ValueError):
        return False


def read_config(folder: str | Path, whole: bool = True) -> dict:
    """The content of a model's config.json, after a check that the folder holds this model's files, undamaged.

    Args:
        folder: the folder in which a model was saved.
        whole: whether the other files are checked too, which takes as long as reading them.

    Raises:
        InputError: the folder holds no model; or a file, which the message names, is missing, damaged, from another
            model, or a link that leads out of the folder.
    """
    folder = Path(folder)
    path = inside(folder, "config.json")
    if not path.is_file():
        raise InputError(
            f"no saved model in {folder}: {path} is missing. Train one, or name the folder of one; or name a published "
            "model by its folder, its .gguf file or its two-part name on the Hugging Face hub, such as Qwen/Qwen3-0.6B"
        )
    text = read_text(path, _LARGEST_CONFIG)
    try:
        config = parse_json(text)
        version = config["format_version"]
        if version not in list(WEIGHTS_FILES):  # checked first, as another format may have other entries
            raise InputError(
                f"{path} has format {shortened(version)}; this version of lmkeras reads format {FORMAT_VERSION}, or 1"
            )
        kind, names = config["kind"], (WEIGHTS_FILES[version], "tokenizer.json")
        files = {name: config["files"][name] for name in names}
        digest = config.pop("digest", None)  # the first models of version 0.1 have no digest
        damaged = digest is not None and digest != _digest_of(config)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError):
        damaged = True
    if damaged:
        raise InputError(f"{path} is damaged or was changed: it is not what a saved model has there") from None
    known = list(tasks())  # a list, because `kind` comes from JSON and may be unhashable
    if kind not in known:
        raise InputError(
            f"{path} names a model of kind {shortened(repr(kind))}; this version knows {', '.join(known)}. {OWN_KINDS}"
        )
    for name, digest in files.items() if whole else ():
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
