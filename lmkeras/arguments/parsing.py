"""Reads what was typed after a verb: finds the options, and makes values of their words."""

import argparse
import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from lmkeras.arguments.options import Option
from lmkeras.arguments.values import is_flag, num_words, value_of
from lmkeras.errors import InputError

#: what keyboards and word processors write for one or two hyphens
_DASHES = "-－﹣‐‑‒–—―−─ー"
#: before a word that follows "--": it is no option, whatever it begins with
_NO_OPTION = "\0"
#: U+3000, at which a shell does not divide words
WIDE_BLANK = "\u3000"


def values_typed(words: Sequence[str], options: Sequence[Option]) -> dict[str, object]:
    """The values of the options that were typed, by the options' names.

    Args:
        words: what was typed after the verb.
        options: those of the verb.

    Raises:
        InputError: a word is no option of the verb, or an option's words are no value of its type.
    """
    until = words.index("--") if "--" in words else len(words)
    before = with_hyphens(words[:until], [flag for option in options for flag in option.flags])
    after = [_NO_OPTION + word for word in words[until + 1 :]]
    typed, extra = _parser(options).parse_known_intermixed_args([*before, *after])
    if extra:
        raise _unknown(extra, options)
    return {option.name: _value(vars(typed)[option.name], option) for option in options if option.name in typed}


def require_all(values: Mapping[str, object], options: Iterable[Option], verb: str) -> None:
    """Raises InputError if a value is missing that must be given."""
    if missing := [option.flag for option in options if option.required and option.name not in values]:
        raise InputError(f"{verb} needs {' and '.join(missing)}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(re.sub(r"^argument (\S+?)(?:/\S+)?: ", r"\1: ", message))


def _parser(options: Sequence[Option]) -> argparse.ArgumentParser:
    """Finds the words of each option; an option that was not typed has none."""
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for option in options:
        if is_flag(option.type):
            parser.add_argument(*option.flags[:1], dest=option.name, action=argparse.BooleanOptionalAction)
            continue
        count = num_words(option.type)
        nargs = count if count not in (None, 1) else None if count else "*" if option.shown.positional else "+"
        if option.shown.positional and count == 1:
            nargs = "?"  # so that what is missing is said together with the options that are missing
        names = [option.name] if option.shown.positional else option.flags
        dest = {} if option.shown.positional else {"dest": option.name}
        parser.add_argument(*names, nargs=nargs, **dest)
    return parser


def _value(words: object, option: Option) -> object:
    if isinstance(words, bool):
        return words
    words = [word.removeprefix(_NO_OPTION) for word in ([words] if isinstance(words, str) else words)]
    if words == ["none"] and option.default is not None and type(None) in getattr(option.type, "__args__", ()):
        return None  # where leaving the option out means something else
    return value_of(words, option.type, option.flag)


def _unknown(extra: Sequence[str], options: Iterable[Option]) -> InputError:
    """The error for words that no option takes."""
    word = next((word for word in extra if word.startswith("-") and len(word) > 1), extra[0])
    name = word.partition("=")[0]
    if not name.startswith("-"):
        return InputError(f"unexpected {word!r}: what contains blanks needs quotes around it")
    flags = [flag[2:] for option in options for flag in option.flags[: 2 if name.startswith("--no-") else 1]]
    near = difflib.get_close_matches(name.lstrip("-"), flags, n=1)
    return InputError(f"unknown option {name}" + (f"; did you mean --{near[0]}?" if near else ""))


def with_hyphens(words: Sequence[str], flags: Iterable[str]) -> list[str]:
    """The words, with options that were typed with other dashes, wide letters or underscores as they are known.

    Args:
        words: what was typed. A word with a wide blank (U+3000), at which a shell does not divide words, is divided if
            an option stands beside the blank.
        flags: the options that are known, such as --batch-size.

    Example:
        >>> with_hyphens(["——steps", "5", "-1", "－－batch_size　8"], ["--steps", "--batch-size"])
        ['--steps', '5', '-1', '--batch-size', '8']
    """
    flags, found = {*flags, "-h", "--help"}, []
    for word in words:
        pieces = [_as_flag(piece, flags) for piece in word.split(WIDE_BLANK) if piece]
        if len(pieces) < 2 or not flags.intersection(piece.partition("=")[0] for piece in pieces):
            pieces = [_as_flag(word, flags)]
        found += pieces
    return found


def _as_flag(word: str, flags: set[str]) -> str:
    """The word as the option that it stands for; the word itself if it stands for none."""
    name, equals, value = word.partition("=")
    bare = unicodedata.normalize("NFKC", name.lstrip(_DASHES)).replace("_", "-")
    if name and name[0] in _DASHES:
        for dashes in ("--", "-"):
            if dashes + bare in flags:
                return dashes + bare + equals + value
        if name[0] != "-" and re.fullmatch(r"[A-Za-z][A-Za-z-]*", bare):
            return f"--{bare}{equals}{value}"  # an option that is not known
    return word
