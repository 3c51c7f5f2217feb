"""The options of a verb, which come from its signature: a parameter each, or each field of a parameter's dataclass."""

import ast
import dataclasses
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, get_args, get_origin, get_type_hints

from lmkeras.arguments.values import choices_of, is_flag, shown_type

Verb = Callable[..., None]


@dataclasses.dataclass(frozen=True)
class Shown:
    """How the command line shows a parameter; stands beside its type: Annotated[str, Shown("FILE")].

    Attributes:
        metavar: what the help calls a value; None: the last word of the parameter's name, in capitals.
        positional: whether the value is given by its place, without the option's name.
        help: what the help says; None: what the docstring says.
    """

    metavar: str | None = None
    positional: bool = False
    help: str | None = None


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a verb.

    Attributes:
        name: the parameter's or field's name.
        type: its type.
        default: its value if it is not given; `inspect.Parameter.empty` if it must be given.
        group: the title under which the help shows it.
        shown: how the help shows it.
        holder: the parameter that is a dataclass with this field; None if the option is a parameter itself.
    """

    name: str
    type: object
    default: object
    group: str
    shown: Shown = Shown()
    holder: str | None = None

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty

    @property
    def flag(self) -> str:
        """As it is typed: --batch-size; of what is given by its place, what the help calls it: RUN."""
        return self.metavar.removesuffix(" ...") if self.shown.positional else f"--{self.name.replace('_', '-')}"

    @property
    def flags(self) -> list[str]:
        """All ways to type it."""
        if self.shown.positional:
            return []
        return [self.flag, f"--no-{self.flag[2:]}"] if is_flag(self.type) else [self.flag]

    @property
    def metavar(self) -> str:
        """What the help calls a value; empty for an option without one."""
        if is_flag(self.type):
            return ""
        return shown_type(self.type, self.shown.metavar or self.name.rpartition("_")[2].upper())

    @property
    def choices(self) -> list[str]:
        """What may be typed as value, if this is a list of names."""
        return choices_of(self.type)


def options_of(verb: Verb) -> list[Option]:
    """The options of a verb in the order of its signature.

    A parameter whose default is a dataclass stands for the fields of this dataclass. The function may have an attribute
    `groups`: for each title in the help, the parameters or fields that stand under it; of a field that is not named
    there, its parameter decides. Without it, everything that is not positional stands under "options". An attribute
    `values_before` is a function that gets the verb's name, the values that were typed and the options, and returns the
    values for the verb; it may add some from elsewhere.
    """
    found = []
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        default = parameter.default
        if not dataclasses.is_dataclass(default):
            type_, shown = _apart(parameter.annotation)
            group = "arguments" if shown.positional else _group(verb, parameter.name)
            found.append(Option(parameter.name, type_, default, group=group, shown=shown))
            continue
        hints = get_type_hints(type(default), include_extras=True)
        for field in dataclasses.fields(default):
            type_, shown = _apart(hints[field.name])
            if "metavar" in field.metadata:
                shown = dataclasses.replace(shown, metavar=field.metadata["metavar"])
            group = _group(verb, field.name, parameter.name)
            value = getattr(default, field.name)
            found.append(Option(field.name, type_, value, group=group, shown=shown, holder=parameter.name))
    return found


def _apart(annotation: object) -> tuple[object, Shown]:
    if get_origin(annotation) is not Annotated:
        return annotation, Shown()
    type_, *others = get_args(annotation)
    return type_, next((other for other in others if isinstance(other, Shown)), Shown())


def _group(verb: Verb, *names: str) -> str:
    titles = {name: title for title, members in groups_of(verb).items() for name in members}
    return next((titles[name] for name in names if name in titles), "options")


def groups_of(verb: Verb) -> Mapping[str, Sequence[str]]:
    """The titles under which a verb's options stand in its help, with the names of parameters and fields."""
    return getattr(verb, "groups", {})


def call_of(verb: Verb, options: Sequence[Option], given: Mapping[str, object]) -> functools.partial:
    """The call of a verb with the values that were given, and defaults for all others."""
    arguments = {option.name: given[option.name] for option in options if option.name in given and not option.holder}
    for name, parameter in inspect.signature(verb).parameters.items():
        if dataclasses.is_dataclass(parameter.default):
            own = {option.name for option in options if option.holder == name}
            changes = {field: value for field, value in given.items() if field in own}
            arguments[name] = dataclasses.replace(parameter.default, **changes)
    return functools.partial(verb, **arguments)


def helps_of(verb: Verb, options: Sequence[Option]) -> dict[str, str]:
    """What is written of each option: in the verb's docstring, or below the field of a dataclass."""
    texts = {}
    for option in options:
        text = option.shown.help
        if text is None and option.holder is None:
            text = documented(inspect.getdoc(verb), option.name)
        elif text is None:
            text = _below_fields(type(inspect.signature(verb).parameters[option.holder].default)).get(option.name)
        texts[option.name] = " ".join((text or "").split())
    return texts


def summary_of(verb: Verb) -> str:
    """The first sentence of a verb's docstring."""
    first = " ".join((inspect.getdoc(verb) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", first)[0]


def description_of(verb: Verb) -> str:
    """A verb's docstring up to its arguments."""
    return re.split(r"\n\n?(?=Args:)", inspect.getdoc(verb) or "")[0].strip()


def documented(docstring: str | None, name: str) -> str | None:
    """What the section Args of a docstring says of an argument; None if it says nothing."""
    _, _, section = (docstring or "").partition("Args:\n")
    section = re.split(r"\n(?=\S)", section)[0]  # up to the next line that is not indented
    entry = re.search(rf"^( +){re.escape(name)}(?: \(.*?\))?:(.*(?:\n\1 +.*)*)", section, re.MULTILINE)
    return " ".join(entry[2].split()) or None if entry else None


@functools.cache
def _below_fields(type_: type) -> dict[str, str]:
    """The strings that stand below the fields of a dataclass and of those that it extends."""
    texts = {}
    for one in reversed(type_.__mro__):
        try:
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        except (OSError, TypeError, SyntaxError, ValueError):  # it has no source, such as one that Python has made
            continue
        for field, below in zip(getattr(body, "body", []), getattr(body, "body", [])[1:], strict=False):
            told = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if told and isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                texts[field.target.id] = str(below.value.value)
    return texts
