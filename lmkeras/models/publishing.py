"""Writes a language model that was published, in the form in which transformers reads it."""

import json
from collections.abc import Mapping
from pathlib import Path

from lmkeras.durable import local, replacing
from lmkeras.errors import InputError
from lmkeras.networks.bodies.decoder import write_decoder
from lmkeras.networks.network import Network
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.tokenizers.published import PublishedTokenizer


def save_published(
    folder: str | Path, network: Network, tokenizer: BaseTokenizer, generation: Mapping[str, float] | None
) -> None:
    """Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json and generation_config.json.

    Args:
        folder: created if it does not exist; the files of an earlier checkpoint are replaced.
        network: the network that was read from a published checkpoint.
        tokenizer: its tokenizer.
        generation: the model's defaults of generation, see `published_defaults`.

    Raises:
        InputError: transformers has no such network or tokenizer.
    """
    if not isinstance(tokenizer, PublishedTokenizer):
        raise InputError(f"{type(tokenizer).__name__} has no form in transformers: use save instead")
    special, files = tokenizer.special, tokenizer.files()
    ids = {"bos_token_id": special.start, "pad_token_id": special.padding}
    ids = {name: id for name, id in ids.items() if id is not None}
    ids |= {"eos_token_id": special.ends[0] if len(special.ends) == 1 else list(special.ends)} if special.ends else {}
    write_decoder(network, folder, ids)
    own = dict(generation or {})
    samples = own.get("temperature") != 0.0
    if not samples:
        del own["temperature"]  # which transformers warns of where it does not sample
    for name, content in {**files, "generation_config": {"do_sample": samples, **own, **ids}}.items():
        with replacing(local(folder) / f"{name}.json") as aside:
            text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
            aside.write_text(text, encoding="utf-8")
