"""The tokenizer in a GGUF file's metadata, as the tokenizer.json and tokenizer_config.json of the same model."""

import itertools
from collections.abc import Mapping

import numpy as np

from lmkeras.archives import shortened
from lmkeras.errors import InputError
from lmkeras.pretrained.gguf.header import Header

_KEY = "tokenizer.ggml"
# what each piece of the vocabulary is: the numbers of tokenizer.ggml.token_type
_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)
_ADDED = (_UNKNOWN, _CONTROL, _USER)
_LONGEST_PIECE = 256  # characters; a longer one is found by no merges, whose number would be that of its characters

# How byte-level tokenizers split a text before they merge, by tokenizer.ggml.pre.
_WORDS_AND = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_THREE_DIGITS, _ONE_DIGIT = _WORDS_AND % r"\p{N}{1,3}", _WORDS_AND % r"\p{N}"
_SPLITS = {
    **dict.fromkeys(("default", "gpt-2", "gpt2"), None),
    **dict.fromkeys(("smollm", "starcoder"), None),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "smaug-bpe"), _THREE_DIGITS),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen"), _ONE_DIGIT),
}
_DIGIT_BY_DIGIT = ("smollm", "starcoder")
_COMPOSING = ("qwen2", "deepseek-r1-qwen")
_WHOLE_WORDS = ("llama-bpe", "llama3", "llama-v3")  # a word that is a piece is not merged to it, it is it
_BEGINNING = (*_WHOLE_WORDS, "smaug-bpe")


def tokenizer_of(header: Header) -> dict:
    """What the tokenizer is made of: {"tokenizer": tokenizer.json, "tokenizer_config": tokenizer_config.json}.

    Args:
        header: of the file.

    Raises:
        InputError: the file holds no tokenizer, a damaged one, or one of a kind that is not read.
    """
    kind, pre = header.get(f"{_KEY}.model", str), header.get(f"{_KEY}.pre", str, "default")
    pieces, types = _pieces(header)
    if kind == "gpt2":
        if pre not in _SPLITS:
            raise InputError(
                f"{header.path} has a tokenizer that splits texts as {shortened(repr(pre))}: expected one of "
                f"{', '.join(_SPLITS)}; take the model's folder with tokenizer.json"
            )
        parts = _byte_level(pre, _stored_merges(header))
        begins = pre in _BEGINNING
    elif kind == "llama":
        parts, begins = _sentence_pieces(header, pieces, types), True
    else:
        raise InputError(
            f"{header.path} has a tokenizer of the kind {shortened(repr(kind))}: expected gpt2 (byte-level) or llama "
            "(SentencePiece's byte-pair encoding); take the model's folder with tokenizer.json"
        )
    config = _config(header, pieces, begins=header.get(f"{_KEY}.add_bos_token", bool, begins))
    parts["model"]["vocab"] = {piece: id for id, piece in enumerate(pieces) if types[id] != _UNUSED}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(id, pieces[id], types[id]) for id in range(len(pieces)) if types[id] in _ADDED],
        **parts,
        "post_processor": _beginning(config, pieces),
    }
    return {"tokenizer": tokenizer, "tokenizer_config": config}


def _pieces(header: Header) -> tuple[list[str], list[int]]:
    """The pieces of the vocabulary by their ids, and what each is."""
    pieces = header.get(f"{_KEY}.tokens", list)
    if not pieces:
        raise InputError(
            f"{header.path} holds no tokenizer ({_KEY}.tokens): take the model's folder with tokenizer.json"
        )
    types = header.get(f"{_KEY}.token_type", np.ndarray, np.full(len(pieces), _NORMAL)).tolist()
    if len(types) != len(pieces):
        raise InputError(f"{header.path} is damaged: {len(pieces):,} pieces of text, {len(types):,} types of them")
    if len(set(pieces)) < len(pieces):
        twice = next(piece for piece, after in itertools.pairwise(sorted(pieces)) if piece == after)
        raise InputError(f"{header.path} is damaged: its vocabulary has {shortened(repr(twice))} twice")
    return pieces, types


def _byte_level(pre: str, merges: list[list[str]]) -> dict:
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": not _SPLITS[pre]}
    before = []
    if pre in _DIGIT_BY_DIGIT:
        before.append({"type": "Digits", "individual_digits": True})
    if _SPLITS[pre]:
        split = {"type": "Split", "pattern": {"Regex": _SPLITS[pre]}, "behavior": "Isolated", "invert": False}
        before.append(split)
    return {
        "normalizer": {"type": "NFC"} if pre in _COMPOSING else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*before, level]} if before else level,
        "decoder": level,
        "model": _model(merges, ignore_merges=pre in _WHOLE_WORDS),
    }


def _stored_merges(header: Header) -> list[list[str]]:
    merges = [merge.split(" ") for merge in header.get(f"{_KEY}.merges", list, [])]
    wrong = [merge for merge in merges if len(merge) != 2]
    if wrong or not merges:
        found = shortened(repr(" ".join(wrong[0]))) if wrong else "none"
        raise InputError(f"{header.path} is damaged: {_KEY}.merges must be pairs of pieces with a space, got {found}")
    return merges


def _sentence_pieces(header: Header, pieces: list[str], types: list[int]) -> dict:
    scores = header.get(f"{_KEY}.scores", np.ndarray, np.zeros(0)).tolist()
    if len(scores) != len(pieces):
        raise InputError(f"{header.path} is damaged: {len(pieces):,} pieces of text, {len(scores):,} scores of them")
    is_gemma = header.metadata["general.architecture"] == "gemma3"
    if is_gemma:
        # its pieces stand in the order in which they were merged; those of spaces alone are stored as spaces
        pieces[:] = ["▁" * len(piece) if piece.strip(" ") == "" and len(piece) > 1 else piece for piece in pieces]
        scores = [-id for id in range(len(pieces))]
    prefixed = header.get(f"{_KEY}.add_space_prefix", bool, not is_gemma)
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    first = {"type": "Prepend", "prepend": "▁"}
    back = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    unknown = header.get(f"{_KEY}.unknown_token_id", int, 0)
    model = _model(_merges_of(pieces, types, scores), unk_token=_piece(header, pieces, unknown), fuse_unk=True)
    return {
        "normalizer": {"type": "Sequence", "normalizers": [first, spaces]} if prefixed else spaces,
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [*back, strip] if prefixed else back},
        "model": {**model, "byte_fallback": _BYTE in types},
    }


def _merges_of(pieces: list[str], types: list[int], scores: list[float]) -> list[list[str]]:
    """The pairs of pieces that make a piece: the piece of the highest score first, with the longest parts.

    SentencePiece gives pieces that a user defines the score 0, above all others, which a file may not say.
    """
    known, found = set(pieces), []
    for id, piece in enumerate(pieces):
        if types[id] in (_NORMAL, _USER) and len(piece) <= _LONGEST_PIECE:
            for cut in range(1, len(piece)):
                left, right = piece[:cut], piece[cut:]
                if left in known and right in known:
                    score = 0.0 if types[id] == _USER else scores[id]
                    found.append((-score, -cut, -len(right), left, right))
    return [[left, right] for *_, left, right in sorted(found)]


def _model(merges: list[list[str]], **settings) -> dict:
    plain = {"unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False}
    return {
        "type": "BPE",
        "dropout": None,
        **plain,
        "byte_fallback": False,
        "ignore_merges": False,
        **settings,
        "merges": merges,
    }


def _added(id: int, piece: str, kind: int) -> dict:
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id, "content": piece, **plain, "special": kind != _USER}


def _config(header: Header, pieces: list[str], *, begins: bool) -> dict:
    """The content that tokenizer_config.json would have."""
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    ids = {name: header.get(f"{_KEY}.{key}_token_id", int) for name, key in names.items()}
    config = {name: _piece(header, pieces, id) for name, id in ids.items() if id is not None}
    config["add_bos_token"] = begins and "bos_token" in config
    template = header.get("tokenizer.chat_template", str)
    return {**config, **({"chat_template": template} if template else {})}


def _piece(header: Header, pieces: list[str], id: int) -> str:
    if not 0 <= id < len(pieces):
        raise InputError(f"{header.path} is damaged: a special token has the id {id}, of {len(pieces):,} there are")
    return pieces[id]


def _beginning(config: Mapping, pieces: list[str]) -> dict | None:
    """What puts the beginning of a text before it, in a tokenizer.json; None for nothing."""
    if not config["add_bos_token"]:
        return None
    token = config["bos_token"]
    begin, text = ({"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}})
    second = ({"SpecialToken": {"id": token, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}})
    return {
        "type": "TemplateProcessing",
        "single": [begin, text],
        "pair": [begin, text, *second],
        "special_tokens": {token: {"id": token, "ids": [pieces.index(token)], "tokens": [token]}},
    }
