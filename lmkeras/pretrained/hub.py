"""The folder of a published model: one on this machine, or one that the Hugging Face hub's files are fetched into."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lmkeras.errors import InputError


def folder_of(source: str | Path, formats: Sequence[str], beside: Sequence[str] = (), *, tokenizer: str) -> Path:
    """The folder that holds a published model's config.json and weights.

    Args:
        source: a folder, or a name on the hub, such as "bert-base-uncased". A folder is given back unread.
        formats: names of files of weights, such as "model.safetensors", best first; from the hub comes the first that
            it has, whole or in several files with an index.
        beside: names of other files to fetch from the hub.
        tokenizer: the files that hold the tokenizer, for messages.

    Raises:
        InputError: it is a file; or there is no such folder, and the hub cannot be reached or has no such name.
    """
    folder = Path(source)
    if not folder.exists():
        folder = _download(str(source), formats, beside=beside, tokenizer=tokenizer)
    if not folder.is_dir():
        raise InputError(f"{source} is a file: expected the folder that holds it, with config.json beside the weights")
    return folder


def _download(name: str, formats: Sequence[str], *, beside: Sequence[str], tokenizer: str) -> Path:
    """Downloads the files, the weights in the first format that the hub has; gives their folder in its cache."""
    advice = (
        f"download config.json and model.safetensors (and {tokenizer}, for the tokenizer) of "
        f"https://huggingface.co/{name} into a folder, and give the path of that folder"
    )
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        raise InputError(f"no folder {name}: give a folder with config.json and model.safetensors, or a hub name")
    import huggingface_hub

    try:
        for weights in formats:
            stem, suffix = os.path.splitext(weights)
            wanted = ["config.json", *beside, f"{weights}.index.json", weights, f"{stem}-*{suffix}"]
            folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted))
            if any((folder / file).is_file() for file in (weights, f"{weights}.index.json")):
                break
    except (OSError, ValueError) as error:  # no network, no such name on the hub, no permission
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"no folder {name}, and the Hugging Face hub does not give it ({reason}): {advice}") from error
    return folder
