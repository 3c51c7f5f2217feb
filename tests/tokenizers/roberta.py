"""A small tokenizer of RoBERTa's kind, learnt from texts, as its files have it; and that of transformers beside it."""

import functools
import json
import pydoc_data.topics
import tempfile
from pathlib import Path

from tokenizers import AddedToken, pre_tokenizers
from transformers import RobertaTokenizerFast

from lmkeras.tokenizers.roberta import RobertaTokenizer
from tests.tokenizers.published import byte_level

NAMES = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
PROSE = (
    "The film is good. The film is bad, and where is it? It's in Munich; Anna Smith's house isn't there (2019)!",
    *list(pydoc_data.topics.topics.values())[::16],
)


@functools.cache
def learnt(vocabulary_size: int = 600) -> dict:
    """The model of a tokenizer.json, with RoBERTa's special tokens at RoBERTa's ids."""
    model = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), PROSE, vocabulary_size)["model"]
    tokens = [*NAMES, *model["vocab"], MASK]
    return {**model, "vocab": {token: id for id, token in enumerate(tokens)}}


def write_old(folder, vocabulary_size: int = 600, **config) -> None:
    """vocab.json and merges.txt, as the first checkpoints have them, and tokenizer_config.json where there is one."""
    model = learnt(vocabulary_size)
    lines = ["#version: 0.2", *(" ".join(merge) for merge in model["merges"])]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def of_transformers(**options) -> RobertaTokenizerFast:
    """The tokenizer of transformers; in its older versions "<mask>" takes blanks in by itself."""
    with tempfile.TemporaryDirectory() as folder:
        write_old(Path(folder))
        mask = AddedToken(MASK, lstrip=True, normalized=False, special=True)
        return RobertaTokenizerFast.from_pretrained(folder, mask_token=mask, **options)


@functools.cache
def tokenizer() -> RobertaTokenizer:
    """Ours, of a tokenizer.json without post-processor."""
    pre_tokenizer = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    content = {"pre_tokenizer": pre_tokenizer, "decoder": {**pre_tokenizer}, "model": learnt()}
    return RobertaTokenizer({"version": "1.0", **content})
