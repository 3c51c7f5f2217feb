"""Folders of RoBERTa's byte-level tokenizers: tokenizer.json, or vocab.json and merges.txt as they were before."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lmkeras.archives import MEGABYTE, inside, read_text, shortened
from lmkeras.errors import InputError
from lmkeras.tokenizers.bert_files import CONFIG, TOKENIZER, VOCABULARY, json_in

_IDS, _MERGES, _NAMES, _ADDED = "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json"
FILES = (TOKENIZER, CONFIG, VOCABULARY, _IDS, _MERGES, _NAMES, _ADDED)
_LARGEST_FILE = 256 * MEGABYTE
#: classes that take tokenizer.json as it is; RoBERTa's own puts no blank before texts unless its configuration says so
_PLAIN_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")


class Files(NamedTuple):
    """What a RobertaTokenizer is made of: the content of tokenizer.json and of tokenizer_config.json."""

    tokenizer: dict
    config: dict


def read_byte_level(folder: Path) -> Files | None:
    """The files of a byte-level tokenizer; None if the folder holds another one, or none.

    Args:
        folder: with tokenizer.json, or with vocab.json and merges.txt.

    Raises:
        InputError: a file is damaged, or vocab.json lacks tokens that stand in another file.
    """
    config, tokenizer = json_in(folder, CONFIG), json_in(folder, TOKENIZER)
    config = {**json_in(folder, _NAMES), **config}
    model = tokenizer.get("model")
    if tokenizer and not (isinstance(model, Mapping) and "merges" in model):
        return None
    if not tokenizer:
        if not all(inside(folder, name).is_file() for name in (_IDS, _MERGES)):
            return None
        tokenizer = _of_ids_and_merges(folder)
    prefix = config.get("add_prefix_space")
    if not isinstance(prefix, bool):
        prefix = None if config.get("tokenizer_class") in _PLAIN_CLASSES else False
    if prefix is not None:
        tokenizer = {**tokenizer, "pre_tokenizer": _with_prefix(tokenizer.get("pre_tokenizer"), prefix, folder)}
    return Files(tokenizer, config)


def byte_level(prefix: bool) -> dict[str, Any]:
    """The pre-tokenizer of a byte-level tokenizer.json.

    Args:
        prefix: whether a blank is put before texts that begin with none.
    """
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": True}


def has_prefix(pre_tokenizer: object) -> bool:
    """Whether a pre-tokenizer of a tokenizer.json puts a blank before texts that begin with none."""
    parts = pre_tokenizer.get("pretokenizers", [pre_tokenizer]) if isinstance(pre_tokenizer, Mapping) else []
    return any(isinstance(part, Mapping) and part.get("add_prefix_space") is True for part in parts)


def _of_ids_and_merges(folder: Path) -> dict[str, Any]:
    if json_in(folder, _ADDED):
        raise InputError(
            f"{folder} has tokens in {_ADDED}, and no {TOKENIZER}, which would say what they are: transformers makes "
            "it, AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    lines = read_text(inside(folder, _MERGES), _LARGEST_FILE).replace("\r\n", "\n").split("\n")
    merges = [line for line in lines if line and not line.startswith("#version")]
    model = {"type": "BPE", "vocab": json_in(folder, _IDS), "merges": merges}
    model |= {"unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False}
    return {"version": "1.0", "pre_tokenizer": byte_level(False), "decoder": byte_level(True), "model": model}


def _with_prefix(part: object, prefix: bool, folder: Path) -> object:
    """A pre-tokenizer, or a sequence of them, in which ByteLevel has another `add_prefix_space`."""
    if part is None:
        return None
    try:
        if part["type"] == "Sequence":
            return {**part, "pretokenizers": [_with_prefix(one, prefix, folder) for one in part["pretokenizers"]]}
        return {**part, "add_prefix_space": prefix} if part["type"] == "ByteLevel" else part
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{folder / TOKENIZER} is damaged ({type(error).__name__}: {shortened(error)})") from None
