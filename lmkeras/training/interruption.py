"""SIGTERM and Ctrl-C while training: noted at once, obeyed between two updates."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal, and a checkpoint says how far it came.

    Args:
        number: of the signal.
        message: where the checkpoint is.
    """

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a process that a signal ended exits with: 128 and the signal's number."""
        return 128 + self.number


class SignalNote:
    """Which signal has come; None while none has."""

    number: int | None = None


@contextlib.contextmanager
def noting_signals() -> Iterator[SignalNote]:
    """A context in which the first SIGTERM or Ctrl-C is noted only; a second one ends the process as it does elsewhere.

    Python tells signals to the main thread alone: in another thread nothing is noted.
    """
    note = SignalNote()
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
