"""Runs the verb that a command line names: tyro reads the arguments, and an error is printed as one line."""

import contextlib
import errno
import functools
import io
import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence

import tyro

from lmkeras.errors import InputError, unknown_name


def run_verb(
    verbs: Mapping[str, Callable[..., None]],
    summary: str,
    arguments: Sequence[str] | None = None,
    second_words: Mapping[str, str] | None = None,
) -> int:
    """Runs the verb that the arguments name.

    Args:
        verbs: functions by the verb's name, one word or two. A function's signature gives the verb's options, its
            docstring the help text.
        summary: what the program does, in one line, for the help text.
        arguments: the words after the program's name; None for those of this process.
        second_words: for the first word of verbs that have two, what the second one names, such as "task".

    Returns:
        The exit code: 0 for success, 2 for an error that the user can mend (printed in one line on standard error),
        130 for Ctrl-C, 143 for SIGTERM while training.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    errors = io.StringIO()
    try:
        arguments = _with_whole_verb(arguments, verbs, second_words or {})
        with contextlib.redirect_stderr(errors):
            prepared = {name: _prepared(verb) for name, verb in verbs.items()}
            verb = tyro.extras.subcommand_cli_from_dict(prepared, prog="lmkeras", description=summary, args=arguments)
        if getattr(sys.stdout, "errors", "") == "strict":
            sys.stdout.reconfigure(errors="backslashreplace")  # for characters that the terminal cannot show
        verb()
    except BrokenPipeError:  # the program that reads the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SystemExit as exit_:  # raised by tyro for --help and for arguments that it cannot read
        if exit_.code:
            print(f"lmkeras: {_one_line(errors.getvalue())}", file=sys.stderr)
        return int(exit_.code or 0)
    except KeyboardInterrupt as interrupt:  # where training was stopped, it has a message and an exit code
        print(f"lmkeras: {str(interrupt) or 'stopped'}", file=sys.stderr)
        return getattr(interrupt, "exit_code", 130)
    except Exception as error:
        if (message := _mendable(error)) is None:
            raise
        print(f"lmkeras: {' '.join(message.split())}", file=sys.stderr)
        return 2
    return 0


def _with_whole_verb(arguments: list[str], verbs: Iterable[str], second_words: Mapping[str, str]) -> list[str]:
    """The arguments with a verb of two words as one of them.

    Raises:
        InputError: the second word is missing, or there is no such verb.
    """
    if " ".join(arguments[:2]) in verbs:
        return [" ".join(arguments[:2]), *arguments[2:]]
    first, second = (*arguments, "", "")[:2]
    if first not in second_words or {"-h", "--help"}.intersection(arguments):
        return arguments
    known = [verb.removeprefix(f"{first} ") for verb in verbs if verb.startswith(f"{first} ")]
    if not second or second.startswith("-"):
        verbs_of_it = ", ".join(f"{first} {word}" for word in known)
        raise InputError(f"{first} needs a {second_words[first]}: say one of {verbs_of_it}")
    raise unknown_name(second_words[first], second, known)


def _mendable(error: Exception) -> str | None:
    """The message for an error that the user can mend; None for any other error, which shall show its traceback."""
    if isinstance(error, InputError) or (isinstance(error, OSError) and _is_of_users_path(error)):
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


def _is_of_python(path: str) -> bool:
    homes = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return any(os.path.abspath(path).startswith(home + os.sep) for home in (*homes, os.path.dirname(__file__)))


def _prepared(verb: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """A function with the verb's signature that returns the call to make, instead of making it.

    tyro calls this function while standard error is caught; the verb itself runs later, when it is not.
    """

    @functools.wraps(verb)
    def prepare(*args, **kwargs):
        return functools.partial(verb, *args, **kwargs)

    return prepare


def _one_line(message: str) -> str:
    """tyro's error message, which has several sections, in one line: what is wrong, the nearest option, where help is.

    tyro draws the sections in a box, or under a title where the terminal cannot show the characters of a box.
    """
    sections: list[list[str]] = [[]]
    for line in message.splitlines():
        line = line.strip(" │")
        if re.fullmatch("[─-]{5,}", line):
            sections.append([])
        elif line and line[0] not in "╭╰":
            sections[-1].append(line)
    parts = []
    for section in sections if "╭" in message else sections[1:]:
        part = " ".join(" ".join(section).split())
        if guess := re.match(r"(Perhaps you meant|Arguments similar to \S+): (--\S+)", part):
            part = f"did you mean {guess[2]}?"
        if not part.startswith("Argument helptext"):
            parts.append(part.rstrip("."))
    return "; ".join(parts)


def quiet_tensorflow() -> None:
    """Imports TensorFlow and hides the notes that it prints at start whatever the log level; shows them if it fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+", errors="replace") as notes:
        terminal = os.dup(2)
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()  # the search for GPUs prints notes too
        except BaseException:
            notes.seek(0)
            os.write(terminal, notes.read().encode())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
