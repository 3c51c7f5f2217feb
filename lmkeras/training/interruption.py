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
    """Which signal has come.

    Args:
        shared: whether several processes train together: then nobody stops before `agree` says that all know.

    Attributes:
        number: of the signal that has come to this process, None while none has.
    """

    def __init__(self, shared: bool = False):
        self.number: int | None = None
        self._may_stop = not shared

    def agree(self) -> None:
        """All processes know of a signal, which may have come to another one."""
        self._may_stop = True
        if self.number is None:
            self.number = signal.SIGTERM

    @property
    def due(self) -> int | None:
        """The signal to stop for now, None while there is none."""
        return self.number if self._may_stop else None


@contextlib.contextmanager
def noting_signals(shared: bool = False) -> Iterator[SignalNote]:
    """A context in which the first SIGTERM or Ctrl-C is noted only; a second one ends the process as it does elsewhere.

    Python tells signals to the main thread alone: in another thread nothing is noted.

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
