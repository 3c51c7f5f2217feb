"""A share of each batch is those rows of the whole batch, in training and evaluation, for texts and windows."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.datasets import EncodedExamples, TrainingExamples, evaluation_batches
from lmkeras.datasets.judged_windows import evaluation_windows
from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.datasets.windows import TrainingWindows
from tests.datasets.test_windows import stream_of

RANDOM = np.random.default_rng(4)
LENGTHS = RANDOM.integers(1, 9, 23)
EXAMPLES = EncodedExamples(RANDOM.integers(1, 20, LENGTHS.sum()).astype("int32"), np.cumsum([0, *LENGTHS]), None)
TARGETS = np.arange(23, dtype="int32")
MAKERS = {
    "training texts": lambda share: TrainingExamples(EXAMPLES, TARGETS, 5, 1).dataset(3, share),
    "texts to judge": lambda share: evaluation_batches(EXAMPLES, TARGETS, batch_ids=24, share=share),
    "training windows": lambda share: TrainingWindows(stream_of([90]), 4, 6, 1).dataset(3, share),
    "windows to judge": lambda share: evaluation_windows(stream_of([9, 1, 7, 2]), 4, 6, 2, share=share),
}


@pytest.mark.parametrize("of", [1, 2, 3, 7])
@pytest.mark.parametrize("name", MAKERS)
def test_the_shares_of_a_batch_are_its_rows(name, of):
    make = MAKERS[name]
    whole = list(itertools.islice(make(WHOLE).as_numpy_iterator(), 9))
    shares = [list(itertools.islice(make(Share(number, of)).as_numpy_iterator(), 9)) for number in range(of)]
    assert {len(share) for share in shares} == {len(whole)}
    assert make(Share(0, of)).cardinality() == make(WHOLE).cardinality()
    for batch, *parts in zip(whole, *shares, strict=True):
        inputs, *targets_and_weights = batch
        for index, array in enumerate(targets_and_weights, 1):
            np.testing.assert_array_equal(np.concatenate([part[index] for part in parts]), array)
        for number, part in enumerate(parts):
            rows = Share(number, of).part(inputs["input_ids"])
            width = part[0]["input_ids"].shape[1]
            np.testing.assert_array_equal(part[0]["input_ids"], rows[:, :width])
            assert not rows[:, width:].any(), "what a share leaves out is padding"


def test_windows_of_a_share_have_a_known_shape():
    dataset = MAKERS["training windows"](Share(1, 3))
    assert dataset.element_spec[0]["input_ids"] == tf.TensorSpec((2, 4), tf.int32)
