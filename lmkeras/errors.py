"""InputError, for input that cannot be used: the command line prints its message without a traceback."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """An error that the user can mend; its message says what was expected, what was given, and what to do.

    Args:
        message: in one line.
        arguments: names of arguments in the message that are English words as well, such as units. The command line
            writes them as it does names with an underscore: --units, --batch-size.
        in_python: advice that follows the message, except on the command line.
    """

    def __init__(self, message: str, *, arguments: Iterable[str] = (), in_python: str = ""):
        super().__init__(message)
        self.message, self.arguments, self.in_python = message, tuple(arguments), in_python

    def __str__(self):
        return f"{self.message}; {self.in_python}" if self.in_python else self.message


def unknown_name(kind: str, name: object, choices: Iterable[str]) -> InputError:
    """The error for a name that is not one of the known ones, with the nearest known name as a guess.

    Args:
        kind: what the name stands for, in the user's words, such as "network".
        name: what the user gave.
        choices: the names that are allowed.

    Returns:
        An InputError, for the caller to raise.

    Example:
        >>> str(unknown_name("network", "lstn", ["gru", "lstm"]))
        "unknown network 'lstn': expected one of gru, lstm; did you mean 'lstm'?"
    """
    choices = list(choices)
    message = f"unknown {kind} {name!r}: expected one of {', '.join(choices)}"
    return InputError(message + did_you_mean(name, choices))


def unknown_argument(function: str, name: str, choices: Iterable[str]) -> InputError:
    """The error for an argument's name that a function does not know, with the nearest known name as a guess.

    Args:
        function: the function's name.
        name: what the user gave.
        choices: the names of all arguments.

    Returns:
        An InputError, for the caller to raise.

    Example:
        >>> str(unknown_argument("fit", "epoch", ["batch_size", "epochs", "steps"]))
        "fit has no argument 'epoch'; did you mean 'epochs'?"
    """
    guess = did_you_mean(name, sorted(choices)) or ": its docstring says which ones it has"
    return InputError(f"{function} has no argument {name!r}{guess}")


def did_you_mean(name: object, choices: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known name as a question; "" where none is near.

    Example:
        >>> did_you_mean("epoch", ["batch_size", "epochs"])
        "; did you mean 'epochs'?"
    """
    near = difflib.get_close_matches(str(name), list(choices), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
