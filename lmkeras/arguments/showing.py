"""The help of a program and of its verbs."""

import re
import shutil
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from lmkeras.arguments.options import Option, Verb, description_of, groups_of, helps_of, summary_of

_INDENT = 26


def help_of_program(program: str, summary: str, verbs: Mapping[str, Callable]) -> str:
    """What the program does, and its verbs with their summaries."""
    lines = [f"usage: {program} VERB ...", "", *_wrapped(summary), "", "verbs:"]
    lines += [line for name, verb in verbs.items() for line in _entry(name, summary_of(verb))]
    lines += ["", *_wrapped(f"`{program} help VERB` or `{program} VERB --help` shows the options of a verb,")]
    lines += [f"`{program} --version` the version."]
    return "\n".join(lines)


def list_of_verbs(program: str, first: str, verbs: Mapping[str, Callable], second: str) -> str:
    """The verbs that begin with a word, with their summaries.

    Args:
        program: the program's name.
        first: the word, such as "train".
        verbs: all verbs.
        second: what the second word names, such as "task".
    """
    lines = [f"usage: {program} {first} {second.upper()} ...", ""]
    for name, verb in verbs.items():
        if name.startswith(f"{first} "):
            lines += _entry(name, summary_of(verb))
    return "\n".join([*lines, "", f"`{program} {first} {second.upper()} --help` shows the options."])


def help_of_verb(called: str, verb: Verb, options: Sequence[Option]) -> str:
    """How a verb is called (`called`, such as "lmkeras info"), what it does, and its options in groups."""
    usage = " ".join([called, *(_in_usage(option) for option in options if _stands_in_usage(option))])
    lines = [f"usage: {usage} [OPTIONS]", "", *_wrapped(description_of(verb))]
    texts = helps_of(verb, options)
    for title in dict.fromkeys(["arguments", *groups_of(verb), "options"]):
        members = [option for option in options if option.group == title]
        if members:
            lines += ["", f"{title}:"]
        for option in members:
            lines += _entry(_typed(option), _told(option, texts[option.name], options))
    return "\n".join(lines)


def _stands_in_usage(option: Option) -> bool:
    return option.required or option.shown.positional


def _in_usage(option: Option) -> str:
    shown = option.metavar if option.shown.positional else f"{option.flag} {option.metavar}"
    return shown if option.required else f"[{shown}]"


def _typed(option: Option) -> str:
    if option.shown.positional:
        return option.metavar
    flags = option.flags if option.default is not False else option.flags[:1]
    return f"{', '.join(flags)} {option.metavar}".rstrip()


def _told(option: Option, text: str, options: Iterable[Option]) -> str:
    """What an option means, and what holds without it.

    Where None is the default, the text says what it does ("None: 4 for transformers"); the help says this as default.
    """
    text, default = _without_none(named_as_typed(text, options))
    text = text[:1].upper() + text[1:].rstrip(".")
    if option.required:
        return f"{text} (required)"
    if option.shown.positional and not option.default:
        return text
    if option.default is None:
        return f"{text} (default: {default or 'none'})"
    if default:
        text += f"; none: {default}"
    return f"{text} (default: {_shown_default(option.default)})"


def _without_none(text: str) -> tuple[str, str | None]:
    """A text without its part "None: …", and this part."""
    found = re.search(r"[;,.]?\s*\bNone: (.*?)\.?(?=\.\s|$)\.?", text)
    if not found:
        return text, None
    before, after = text[: found.start()], text[found.end() :].strip()
    default = {"True": "yes", "False": "no"}.get(found[1], found[1])
    return (f"{before}. {after}" if after else before), default


def _shown_default(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(map(str, value)) or "none"
    return str(value)


def named_as_typed(text: str, options: Iterable[Option], sure: Collection[str] = ()) -> str:
    """A text that names options as Python does, such as batch_size, with their names on the command line.

    Where the text has both names, as in "say quoting off (--quoting off)", the latter is left.

    A name of one word, such as steps, is an English word as well: it counts as an option only where the text begins
    with it and goes on with "must" or a colon.

    Args:
        text: such as the message of an error.
        options: those of the verb.
        sure: names of one word that the text means as options wherever they stand in it.
    """
    for option in options:
        if option.shown.positional:
            continue
        both = rf"(?<![\w-]){re.escape(option.name)}(?P<value>(?: [^\s()]+)?) \({re.escape(option.flag)}(?P=value)\)"
        text = re.sub(both, lambda found, flag=option.flag: flag + found["value"], text)
        name = rf"(?<![\w'\"/.\-]){re.escape(option.name)}(?![\w'\"/\-]|\.\w)"
        if "_" not in option.name and option.name not in sure:
            name = rf"\A{name}(?= must |: )"
        text = re.sub(name, option.flag, text)
    return text


def _entry(name: str, text: str) -> list[str]:
    """A name and what is told of it, in two columns."""
    told = textwrap.wrap(text, _width() - _INDENT, break_on_hyphens=False) or [""]
    first = f"  {name}"
    if len(first) > _INDENT - 2:
        return [first, *(" " * _INDENT + line for line in told)]
    return [first.ljust(_INDENT) + told[0], *(" " * _INDENT + line for line in told[1:])]


def _wrapped(text: str) -> list[str]:
    return [line for part in text.split("\n\n") for line in textwrap.wrap(" ".join(part.split()), _width())]


def _width() -> int:
    return max(60, min(shutil.get_terminal_size().columns, 120))
