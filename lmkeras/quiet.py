"""Imports TensorFlow without the notes that it prints at its start."""

import os
import sys
import tempfile


def quiet_tensorflow() -> None:
    """Imports TensorFlow and hides the notes that it prints at start whatever the log level; shows them if it fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        terminal = os.dup(2)
    except OSError:  # a program without standard error, such as a daemon: there is nothing to hide
        _import_tensorflow()
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile("w+", errors="replace") as notes:
        os.dup2(notes.fileno(), 2)
        try:
            _import_tensorflow()
        except BaseException:
            notes.seek(0)
            os.write(terminal, notes.read().encode())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _import_tensorflow() -> None:
    import tensorflow as tf

    tf.config.list_physical_devices()  # the search for GPUs prints notes too
