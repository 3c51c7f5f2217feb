"""Folders of Hugging Face's BERT tokenizers: vocab.txt, tokenizer.json and tokenizer_config.json."""

import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmkeras.archives import MEGABYTE, inside, read_json, read_text, shortened
from lmkeras.durable import local
from lmkeras.errors import InputError
from lmkeras.tokenizers.bert_text import BertTextRules
from lmkeras.tokenizers.special_tokens import SpecialTokens

VOCABULARY, TOKENIZER, CONFIG = "vocab.txt", "tokenizer.json", "tokenizer_config.json"
_FILES_IN_IT = f"{VOCABULARY}, {TOKENIZER}, or vocab.json with merges.txt"
# for each of our settings its name in tokenizer_config.json, and its name in the normalizer of tokenizer.json
_RULES = {
    "lowercase": ("do_lower_case", "lowercase"),
    "strip_accents": ("strip_accents", "strip_accents"),
    "tokenize_chinese_chars": ("tokenize_chinese_chars", "handle_chinese_chars"),
}
_SPECIAL = {
    "pad": "pad_token",
    "unknown": "unk_token",
    "cls": "cls_token",
    "sep": "sep_token",
    "mask": "mask_token",
}
_LARGEST_FILE = 256 * MEGABYTE
_NO_LIMIT = 10**9  # Hugging Face writes 1e30 for a model_max_length that is unknown


def read_pretrained(source: str | os.PathLike, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of WordPieceTokenizer that the files of a pretrained tokenizer ask for, and the given ones.

    A rule for how texts become words is taken from tokenizer_config.json; if it is not there, from tokenizer.json; if
    it is in neither, it is BERT's. Special tokens and model_max_length are taken from tokenizer_config.json alone.

    Where nothing says whether texts are lower-cased, they are, as in transformers. If the vocabulary has capitals, a
    warning says so.

    Args:
        source: a folder; a vocabulary file, one token in a line, which has BERT's settings; or a name on the hub.
        settings: arguments of WordPieceTokenizer, which override those of the files.

    Raises:
        InputError: no such files, files that are damaged, or a tokenizer that is not BERT's.
    """
    found = {**_read(source), **settings}
    if "lowercase" not in found:
        _warn_of_capitals(source, found["vocabulary"], found.get("special_tokens") or SpecialTokens())
    return found


def _warn_of_capitals(source: str | os.PathLike, vocabulary: Sequence[str], special: SpecialTokens) -> None:
    """Warns of pieces with capitals, which lower-cased texts do not contain: the vocabulary may be a cased one."""
    capitals = [piece for piece in vocabulary if piece != piece.lower() and piece not in special.names()]
    if capitals:
        logging.getLogger("lmkeras").warning(
            f"{source}: texts are lower-cased, as nothing there says do_lower_case, so {len(capitals)} of "
            f"{len(vocabulary)} pieces, which have capitals such as {capitals[0]!r}, cannot be reached. For a cased "
            f'vocabulary put {{"do_lower_case": false}} into {CONFIG} beside it, or say lowercase=False in Python'
        )


def _read(source: str | os.PathLike) -> dict[str, Any]:
    """The arguments of WordPieceTokenizer that the files ask for."""
    path = Path(source)
    if path.is_file():
        return {"vocabulary": _lines(path)}
    folder = path if path.is_dir() else downloaded(str(source))
    config, tokenizer = json_in(folder, CONFIG), json_in(folder, TOKENIZER)
    lines = inside(folder, VOCABULARY)
    if not lines.is_file() and not tokenizer:
        raise InputError(f"{folder} holds no tokenizer: expected {_FILES_IN_IT}")
    special = _special_tokens(config)
    _refuse_other_tokenizers(folder, tokenizer, special)
    vocabulary = _lines(lines) if lines.is_file() else _vocabulary(folder, tokenizer)
    normalizer = tokenizer.get("normalizer") or {}
    rules = {
        ours: config.get(in_config, normalizer.get(in_normalizer))
        for ours, (in_config, in_normalizer) in _RULES.items()
        if in_config in config or in_normalizer in normalizer
    }
    limit = config.get("model_max_length")
    limit = limit if type(limit) is int and limit < _NO_LIMIT else None
    return {"vocabulary": vocabulary, **rules, "special_tokens": special, "model_max_length": limit}


def write_pretrained(
    folder: str | os.PathLike,
    vocabulary: Sequence[str],
    rules: BertTextRules,
    special: SpecialTokens,
    model_max_length: int | None,
) -> None:
    """Writes vocab.txt and tokenizer_config.json, which `read_pretrained` and transformers read.

    Raises:
        InputError: a token that does not fit in a line.
    """
    # the only line ends of the file are those that `open` knows: U+2028 is a piece of Chinese BERT's vocabulary
    broken = [token for token in vocabulary if "\n" in token or "\r" in token]
    if broken:
        raise InputError(f"{VOCABULARY} has a line for each token, and {broken[0]!r} would not come back from one")
    config = {"tokenizer_class": "BertTokenizer"}
    config |= {theirs: getattr(rules, ours) for ours, (theirs, _) in _RULES.items()}
    config |= {theirs: getattr(special, ours) for ours, theirs in _SPECIAL.items()}
    config |= {} if model_max_length is None else {"model_max_length": model_max_length}
    local(folder).mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{token}\n" for token in vocabulary)
    Path(folder, VOCABULARY).write_text(lines, encoding="utf-8", newline="\n")
    Path(folder, CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _lines(path: Path) -> list[str]:
    text = read_text(path, _LARGEST_FILE).replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n")


def json_in(folder: Path, name: str) -> dict[str, Any]:
    """The JSON object that a file of a folder holds; an empty one where there is no file. InputError for others."""
    path = inside(folder, name)
    if not path.is_file():
        return {}
    found = read_json(path, _LARGEST_FILE)
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged: expected a JSON object")
    return found


def _special_tokens(config: dict[str, Any]) -> SpecialTokens:
    names = {ours: config[theirs] for ours, theirs in _SPECIAL.items() if config.get(theirs) is not None}
    # transformers writes a token that has options (an AddedToken) as an object with the name under "content"
    return SpecialTokens(
        **{ours: name.get("content") if isinstance(name, dict) else name for ours, name in names.items()}
    )


def _refuse_other_tokenizers(folder: Path, tokenizer: dict[str, Any], special: SpecialTokens) -> None:
    """Raises InputError where a WordPieceTokenizer would encode texts to other ids than tokenizer.json asks for."""
    try:
        model, normalizer = tokenizer.get("model") or {}, tokenizer.get("normalizer") or {}
        kinds = (model.get("type", "WordPiece"), normalizer.get("type", "BertNormalizer"))
        added = [token["content"] for token in tokenizer.get("added_tokens") or []]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{folder / TOKENIZER} is damaged ({type(error).__name__}: {shortened(error)})") from None
    if kinds != ("WordPiece", "BertNormalizer"):
        raise InputError(
            f"{folder / TOKENIZER} is not BERT's: expected WordPiece and BertNormalizer, not {shortened(kinds)}"
        )
    if other := [name for name in added if name not in special.names()]:
        raise InputError(
            f"{folder / TOKENIZER} adds tokens to BERT's five special ones: expected no others, not {shortened(other)}"
        )


def _vocabulary(folder: Path, tokenizer: dict[str, Any]) -> list[str]:
    ids = (tokenizer.get("model") or {}).get("vocab")
    numbers = ids.values() if isinstance(ids, dict) else [None]
    if not all(type(id) is int for id in numbers) or set(numbers) != set(range(len(numbers))):
        raise InputError(f"{folder / TOKENIZER} is damaged: expected a vocabulary with ids from 0 on")
    return sorted(ids, key=ids.get)


def downloaded(name: str, files: Sequence[str] = (VOCABULARY, TOKENIZER, CONFIG)) -> Path:
    """The folder of a name on the hub, with the files of its tokenizer, from the hub or from its cache.

    Raises:
        InputError: it is no such name, or the hub does not give it.
    """
    here = f"give a folder with {_FILES_IN_IT}"
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise InputError(f"there is no {name!r}, and it is no name on the hub: {here}")
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=[*files]))
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"there is no folder {name!r}, and the hub did not give it ({reason}): {here}") from None
