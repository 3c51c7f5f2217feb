"""InputError, for input that cannot be used: the command line prints its message without a traceback."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """An error that the user can mend; its message says what was expected, what was given, and what to do."""


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
    near = difflib.get_close_matches(str(name), choices, n=1)
    return InputError(f"{message}; did you mean {near[0]!r}?" if near else message)
