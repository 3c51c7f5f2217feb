"""What a tokenizer.json does to a text, step by step, as far as there is a twin in TensorFlow for it."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lmkeras.archives import shortened
from lmkeras.errors import InputError
from lmkeras.tokenizers.patterns import Choice, Repeated, literal, parsed
from lmkeras.tokenizers.spelling import Spelling, stand_ins

#: Source: Radford et al. 2019, the code of GPT-2; the pre-tokenizer ByteLevel cuts texts with it.
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_MOST_STRIPPED = 1000  # what RE2 counts up to
_LONGEST_PREPENDED = 16


class Compose(NamedTuple):
    """The normalizer NFC."""


class Replace(NamedTuple):
    """One character in the place of another."""

    old: str
    new: str


class Prepend(NamedTuple):
    """A text before each run of characters.

    Attributes:
        text: what is put there.
        unless: where a run begins with this, nothing is put there.
        only_first: whether only what begins a whole text is such a run.
    """

    text: str
    unless: str = ""
    only_first: bool = False


class Split(NamedTuple):
    """Cuts each run of characters into pieces where a pattern matches.

    Attributes:
        pattern: what is looked for.
        behavior: what becomes of matches, as the library calls it: "Isolated", "MergedWithPrevious", "MergedWithNext",
            "Contiguous"; or "Kept", where what is between matches is removed.
    """

    pattern: Choice
    behavior: str


class Pipeline(NamedTuple):
    """The steps of a tokenizer.

    Attributes:
        normalize: what is done to each run of characters between added tokens.
        split: how runs are cut into pieces.
        byte_level: whether each byte of a piece is a symbol, instead of each character.
        spelling: how tokens become text.
    """

    normalize: tuple[NamedTuple, ...]
    split: tuple[NamedTuple, ...]
    byte_level: bool
    spelling: Spelling


def pipeline_of(tokenizer: Mapping) -> Pipeline:
    """The steps of the content of a tokenizer.json.

    Raises:
        InputError: it has a step without a twin; the message names it.
    """
    spelling = Spelling.of_decoder(tokenizer.get("decoder"))
    if spelling is None or spelling.most_stripped > _MOST_STRIPPED:
        raise _without_twin("decoder", tokenizer.get("decoder"))
    normalize = tuple(step for part in _parts(tokenizer, "normalizer") for step in _normalize(part))
    cuts = _parts(tokenizer, "pre_tokenizer")
    byte_level = [part.get("type") for part in cuts].count("ByteLevel") > 0
    if any(part.get("type") == "ByteLevel" for part in cuts[:-1]):
        raise InputError("the pre_tokenizer ByteLevel has a twin only where it is the last one")
    split = tuple(step for part in cuts for step in _split(part))
    _check_model(tokenizer["model"], byte_level)
    return Pipeline(normalize, split, byte_level=byte_level, spelling=spelling)


def _without_twin(kind: str, part: object) -> InputError:
    return InputError(f"this tokenizer has no twin in TensorFlow: nothing is known of its {kind} {shortened(part)}")


def _parts(tokenizer: Mapping, kind: str) -> list[Mapping]:
    """The normalizers or pre-tokenizers that follow one another."""
    found, waiting = [], [tokenizer.get(kind)]
    while waiting:
        part = waiting.pop(0)
        if part is not None and part["type"] == "Sequence":
            waiting[:0] = part[f"{kind}s".replace("_", "")]
        elif part is not None:
            found.append(part)
    return found


def _normalize(part: Mapping) -> Iterator[NamedTuple]:
    old = part["pattern"].get("String") if part["type"] == "Replace" else None
    if part["type"] == "NFC":
        yield Compose()
    elif part["type"] == "Prepend" and 0 < len(part["prepend"]) <= _LONGEST_PREPENDED:
        yield Prepend(part["prepend"])
    elif old is not None and len(old) == len(part["content"]) == 1:
        yield Replace(old, part["content"])
    else:
        raise _without_twin("normalizer", part)


def _split(part: Mapping) -> Iterator[NamedTuple]:
    kind = part["type"]
    if kind == "ByteLevel":
        if part["add_prefix_space"]:
            yield Prepend(" ", unless=" ")
        if part.get("use_regex", True):
            yield Split(parsed(GPT2_PATTERN), "Isolated")
    elif kind == "Split":
        yield Split(_pattern(part), _behavior(part))
    elif kind == "Digits":
        yield Split(Choice(((Repeated("digits", most=1 if part["individual_digits"] else None),),)), "Isolated")
    elif kind == "Punctuation" and part.get("behavior", "Isolated") in _BEHAVIORS:
        yield Split(Choice(((Repeated("punctuation"),),)), part.get("behavior", "Isolated"))
    elif kind == "Metaspace" and part.get("prepend_scheme") in ("never", "first", "always"):
        yield Replace(" ", part["replacement"])
        if part["prepend_scheme"] != "never":
            yield Prepend(part["replacement"], unless=part["replacement"], only_first=part["prepend_scheme"] == "first")
        if part["split"]:
            yield Split(literal(part["replacement"]), "MergedWithNext")
    else:
        raise _without_twin("pre_tokenizer", part)


_BEHAVIORS = ("Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")


def _pattern(part: Mapping) -> Choice:
    pattern = part["pattern"]
    return literal(pattern["String"]) if pattern.get("String") else parsed(pattern.get("Regex", ""))


def _behavior(part: Mapping) -> str:
    if part["invert"] and part["behavior"] in ("Removed", "Isolated"):
        return {"Removed": "Kept", "Isolated": "Isolated"}[part["behavior"]]
    if part["invert"] or part["behavior"] not in _BEHAVIORS:
        raise _without_twin("pre_tokenizer", part)
    return part["behavior"]


def _check_model(model: Mapping, byte_level: bool) -> None:
    """Refuses a model in which some texts have no symbols, or that has marks at the ends of words."""
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise InputError(f"this tokenizer has no twin in TensorFlow: its model has a {name}")
    if len({*model["vocab"].values()}) < len(model["vocab"]):
        raise InputError("this tokenizer has no twin in TensorFlow: two tokens of its vocabulary have the same id")
    missing = [symbol for symbol in map("<0x{:02X}>".format, range(256)) if symbol not in model["vocab"]]
    if byte_level and model.get("fuse_unk") and any(symbol not in model["vocab"] for symbol in stand_ins()):
        raise InputError("this tokenizer has no twin in TensorFlow: it makes several unknown bytes one token")
    if not byte_level and model.get("byte_fallback") and missing:
        raise InputError(f"this tokenizer has no twin in TensorFlow: its vocabulary lacks {missing[0]}")
    if not byte_level and not model.get("byte_fallback") and model.get("unk_token") not in model["vocab"]:
        raise InputError("this tokenizer has no twin in TensorFlow: it has neither bytes nor a token for the unknown")
