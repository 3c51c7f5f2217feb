"""What rendering a chat template may cost: a template of a stranger may loop for years, or make text without end."""

import contextlib
import contextvars
import time
from collections.abc import Collection, Iterator, Mapping

_STEP = 32  # the price of a step, where a character costs 1
_LOOK = 2  # the price of an entry that is looked at
_SECONDS = 20


class TooMuchError(Exception):
    """A template does more, or makes more text, than it may."""


class RaisedError(Exception):
    """A template refuses the conversation: it called raise_exception."""


class Budget:
    """What a rendering may still spend.

    Args:
        units: a character, or an entry of a list, costs 1; a step costs more.
    """

    def __init__(self, units: int):
        self.left, self._deadline = units, time.monotonic() + _SECONDS

    def step(self, size: int = 0) -> None:
        """Pays for one step that makes something of a size."""
        self.left -= _STEP + size
        if self.left < 0 or time.monotonic() > self._deadline:
            raise TooMuchError

    def require(self, size: int) -> None:
        """Raises TooMuchError if something of that size is too much; pays nothing."""
        if size > self.left:
            raise TooMuchError

    def size(self, value: object) -> int:
        """The characters and entries of a value, as deep as it goes; pays for looking at the entries.

        A list may hold the same list twice, and that again: what is small in memory is written out without end.
        """
        total, waiting = 0, [value]
        while waiting:
            one = waiting.pop()
            total += len(one) if isinstance(one, Collection) else 1
            if isinstance(one, int):
                total += one.bit_length() // 3  # decimal digits
            elif isinstance(one, Mapping):
                waiting += [*one.keys(), *one.values()]
            elif isinstance(one, Collection) and not isinstance(one, str):
                waiting += one
            self.require(total)
            self.left -= _LOOK
        return total


#: of the rendering that is going on
BUDGET: contextvars.ContextVar[Budget] = contextvars.ContextVar("budget")


@contextlib.contextmanager
def spending(units: int) -> Iterator[None]:
    """A context in which templates of a ChatEnvironment may spend so much together."""
    token = BUDGET.set(Budget(units))
    try:
        yield
    finally:
        BUDGET.reset(token)
