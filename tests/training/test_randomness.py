import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras import LanguageModel, TextClassifier
from lmkeras.training.randomness import random_seed

EXAMPLES = [("好看 电影", "pos"), ("难看 电影", "neg")] * 8


def next_numbers():
    """What the user's program would draw next, from all three sources of global random numbers."""
    return random.random(), np.random.rand(), float(tf.random.uniform(()))


@pytest.mark.parametrize("model", ["language", "classifier"])
def test_fit_leaves_the_random_numbers_of_the_program_as_they_were(model, tmp_path):
    keras.utils.set_random_seed(5)
    expected = next_numbers()
    keras.utils.set_random_seed(5)
    if model == "language":
        made = LanguageModel("lstm", "characters", embedding_dim=4, units=4, dropout=0.5)
        made.fit([text for text, _ in EXAMPLES], steps=2, verbose=0, run_folder=tmp_path)
    else:
        made = TextClassifier("cnn", embedding_dim=4, filters=4)
        made.find_learning_rate(EXAMPLES, steps=10)
        made.fit(EXAMPLES, steps=2, verbose=0)
    assert next_numbers() == expected


def test_the_seed_decides_and_not_what_was_drawn_before():
    def weights(seed):
        with random_seed(seed):
            dense = keras.layers.Dense(3)
            dense.build((None, 4))
            return dense.kernel.numpy().tolist(), np.random.rand()

    first = weights(1)
    random.random()
    assert weights(1) == first
    assert weights(2)[0] != first[0]
    with pytest.raises(ZeroDivisionError), random_seed(3):
        _ = 1 / 0
    assert weights(1) == first
