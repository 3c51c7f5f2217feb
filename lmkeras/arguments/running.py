"""Runs the verb that a command line names; an error that the user can mend is printed as one line."""

import contextvars
import dataclasses
import errno
import os
import re
import sys
import sysconfig
from collections.abc import Collection, Mapping, Sequence

from lmkeras.arguments import completion, showing
from lmkeras.arguments.options import Option, Verb, call_of, options_of
from lmkeras.arguments.parsing import WIDE_BLANK, require_all, values_typed, with_hyphens
from lmkeras.errors import InputError, unknown_name

_HELP = ("-h", "--help")


@dataclasses.dataclass(frozen=True)
class Program:
    """What a command line can do.

    Attributes:
        name: what the user types.
        version: of the program.
        summary: what it does, in one line.
        verbs: functions by the verb's name, one word or two. A function's signature gives the verb's options, its
            docstring the help text; `options_of` says more.
        second_words: for the first word of verbs that have two, what the second one names, such as "task".
    """

    name: str
    version: str
    summary: str
    verbs: Mapping[str, Verb]
    second_words: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Command:
    """The command that this process runs.

    Attributes:
        words: what was typed after the program's name.
        verb: the verb.
        values: the values of all its options by name, the defaults of those included that were not given.
        given: the names of the options that were given.
    """

    words: Sequence[str]
    verb: str
    values: Mapping[str, object]
    given: Collection[str] = ()


_running: contextvars.ContextVar[Command | None] = contextvars.ContextVar("running", default=None)


def running_command() -> Command | None:
    """The command that runs now; None where lmkeras is used from Python."""
    return _running.get()


def run_verb(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Runs the verb that the arguments name, or shows the help for which they ask.

    Args:
        program: its verbs, and what its help says.
        arguments: the words after the program's name; None for those of this process.

    Returns:
        The exit code: 0 for success, 2 for an error that the user can mend (printed in one line on standard error),
        130 for Ctrl-C, 143 for SIGTERM while training.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0].partition(WIDE_BLANK)[0] in {name.split()[0] for name in program.verbs}:
        words[:1] = words[0].split(WIDE_BLANK)
    options: list[Option] = []  # of the verb, once it is known
    outside = _running.set(None)
    try:
        if getattr(sys.stdout, "errors", "") == "strict":
            sys.stdout.reconfigure(errors="backslashreplace")  # for characters that the terminal cannot show
        if words[:1] == [completion.WORD]:
            for word in completion.completions(words[1:], program.verbs):
                print(word)
            return 0
        asked = with_hyphens(words[:1], ["--version"]) + words[1:]
        if asked[:1] == ["help"]:
            asked = [*asked[1:], "--help"]
        if (shown := _of_program(asked, program)) is not None:
            print(shown)
        else:
            _run(asked, program, options)
    except BrokenPipeError:  # the program that reads the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as interrupt:  # where training was stopped, it has a message and an exit code
        print(f"{program.name}: {str(interrupt) or 'stopped'}", file=sys.stderr)
        return getattr(interrupt, "exit_code", 130)
    except Exception as error:
        if (message := _mendable(error)) is None:
            raise
        message = showing.named_as_typed(" ".join(message.split()), options, getattr(error, "arguments", ()))
        print(f"{program.name}: {message}", file=sys.stderr)
        return 2
    finally:
        _running.reset(outside)
    return 0


def _run(words: list[str], program: Program, options: list[Option]) -> None:
    """Runs a verb, or shows its help; puts the verb's options into `options` as soon as they are known."""
    name, rest = _verb_of(words, program)
    verb = program.verbs[name]
    options += options_of(verb)
    if not {*_HELP}.isdisjoint(with_hyphens(rest, ())):
        print(showing.help_of_verb(f"{program.name} {name}", verb, options))
        return
    try:
        values = values_typed(rest, options)
        if before := getattr(verb, "values_before", None):
            values = before(name, values, options)
        require_all(values, options, f"{program.name} {name}")
    except InputError as error:
        see = f"{error.message}; see {program.name} {name} --help"
        raise InputError(see, arguments=error.arguments) from None
    call = call_of(verb, options, values)
    all_values = {option.name: values.get(option.name, option.default) for option in options}
    _running.set(Command(words, name, all_values, given=tuple(values)))
    call()


def _of_program(words: Sequence[str], program: Program) -> str | None:
    """The program's help, the list of what a first word can do, or the version, if the words ask for it."""
    first, *rest = words or _HELP
    if first == "--version":
        return f"{program.name} {program.version}"
    if first in _HELP:
        return showing.help_of_program(program.name, program.summary, program.verbs)
    if first in program.second_words and {*rest} <= {*_HELP}:
        return showing.list_of_verbs(program.name, first, program.verbs, second=program.second_words[first])
    return None


def _verb_of(words: Sequence[str], program: Program) -> tuple[str, list[str]]:
    """The verb's name, and the words after it. A second word may be missing where there is only one.

    Raises:
        InputError: there is no such verb, or its second word is missing.
    """
    for count in (2, 1):
        if " ".join(words[:count]) in program.verbs:
            return " ".join(words[:count]), words[count:]
    first, second = (*words, "", "")[:2]
    see = f"; see {program.name} {first if first in program.second_words else ''}".rstrip() + " --help"
    if first not in program.second_words:
        raise InputError(f"{unknown_name('verb', first, dict.fromkeys(n.split()[0] for n in program.verbs))}{see}")
    known = [name.removeprefix(f"{first} ") for name in program.verbs if name.startswith(f"{first} ")]
    if len(known) == 1 and second.startswith("-"):
        return f"{first} {known[0]}", words[1:]  # no other can be meant
    if not second or second.startswith("-"):
        named = ", ".join(f"{first} {word}" for word in known)
        raise InputError(f"{first} needs a {program.second_words[first]}: say one of {named}{see}")
    raise InputError(f"{unknown_name(program.second_words[first], second, known)}{see}")


def _mendable(error: Exception) -> str | None:
    """The message for an error that the user can mend; None for any other error, which shall show its traceback."""
    if isinstance(error, InputError):
        return error.message
    if isinstance(error, OSError) and _is_of_users_path(error):
        return str(error)
    exhausted = [MemoryError]
    if "tensorflow" in sys.modules:
        exhausted.append(sys.modules["tensorflow"].errors.ResourceExhaustedError)
    if isinstance(error, tuple(exhausted)):
        if "No space left" in str(error):
            return "no space is left on the disk: free some, or name another place"
        what = re.search(
            r"Unable to allocate .*|OOM when allocating tensor with shape\S+|trying to allocate [\d.]+\w*", str(error)
        )
        return f"not enough memory ({what[0] if what else error}): make sizes, batches or lengths smaller"
    return None


def _is_of_users_path(error: OSError) -> bool:
    """Whether an error is about a place that the user named, such as a folder without write permission or a full disk.

    A full disk is reported without a path. A file of Python's own, or no path at all, means a bug or a broken system.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    return isinstance(error.filename, str | bytes | os.PathLike) and not _is_of_python(os.fsdecode(error.filename))


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # that of lmkeras


def _is_of_python(path: str) -> bool:
    homes = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return any(os.path.abspath(path).startswith(home + os.sep) for home in (*homes, _PACKAGE))
