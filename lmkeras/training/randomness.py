"""Random numbers that follow from a seed, without touching those of the user's program."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def random_seed(seed: int) -> Iterator[None]:
    """A context in which Keras draws fresh weights from a seed; afterwards the global random state is as before.

    Keras takes the seeds of layers and initializers that have none from Python's module `random`. NumPy's global
    numbers are seeded too, for layers of a user that draw from them. TensorFlow's global seed is left alone: it cannot
    be put back, and nothing in lmkeras or Keras draws by it.

    Args:
        seed: an integer from 0 to 2**32 - 1.
    """
    before, before_in_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_in_numpy)
