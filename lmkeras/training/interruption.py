"""Handles SIGTERM and Ctrl-C while training: the signal is noted at once, and training stops after the update."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal has stopped the training.

    Args:
        number: the signal's number.
        message: at which update the training stopped, and where its checkpoint is.
    """

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.number = number

    @property
    def exit_code(self) -> int:
        """The exit code that is usual for a process that a signal has ended: 128 + the signal's number."""
        return 128 + self.number


class SignalNote:
    """A note of the signal that this process has received.

    Args:
        shared: whether several processes train together. They must stop after the same update, so a process that has
            received a signal goes on until `agree` is called.

    Attributes:
        number: number of the received signal; None as long as there is none.
    """

    def __init__(self, shared: bool = False):
        self.number: int | None = None
        self._may_stop = not shared

    def agree(self) -> None:
        """Says that all processes now know of a signal, which this one or another one has received."""
        self._may_stop = True
        if self.number is None:
            self.number = signal.SIGTERM

    @property
    def due(self) -> int | None:
        """Number of the signal because of which to stop now; None if training goes on."""
        return self.number if self._may_stop else None


@contextlib.contextmanager
def noting_signals(shared: bool = False) -> Iterator[SignalNote]:
    """A context in which the first SIGTERM or Ctrl-C is only noted; a second one has its usual effect.

    Python handles signals in the main thread only: in another thread this context does nothing.

    Args:
        shared: see SignalNote.
    """
    note = SignalNote(shared)
    if threading.current_thread() is not threading.main_thread():
        yield note
        return

    def take(number, frame):
        note.number = number
        restore()
        print("\nstopping after this update, with a checkpoint; once more to stop at once", file=sys.stderr)

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, take) for number in _SIGNALS}
    try:
        yield note
    finally:
        restore()
