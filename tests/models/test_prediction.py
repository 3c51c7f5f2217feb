import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora import LabelledCorpus
from lmkeras.tasks.classification import Classification, Prediction
from lmkeras.tasks.whole_texts import TextRunner
from tests.models.reviews import drawn

FINITE = st.floats(-1e6, 1e6)


@given(st.lists(FINITE, min_size=2, max_size=5), FINITE)
def test_probabilities_are_the_softmax_of_logits(logits, shift):
    """By their ratios, exp of the difference of logits; a shift of all of them changes nothing."""
    labels = [f"label {number}" for number in range(len(logits))]
    prediction = Prediction.from_logits(np.array(logits), labels)
    assert list(prediction.probabilities) == labels
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.probability == max(prediction.probabilities.values()) > 0
    assert prediction.label == labels[int(np.argmax(logits))]
    for label, logit in zip(labels, logits, strict=True):
        ratio = math.exp(logit - max(logits))
        assert prediction.probabilities[label] == pytest.approx(prediction.probability * ratio, abs=1e-12)
    shifted = Prediction.from_logits(np.array(logits) + shift, labels)
    assert [*shifted.probabilities.values()] == pytest.approx([*prediction.probabilities.values()], abs=1e-6)


@pytest.fixture(scope="module")
def model():
    return drawn("transformer", "characters", max_length=40)


def test_logits_are_those_of_single_passes_in_the_order_of_the_texts(model):
    """Although texts of like length are labelled together, as many at a time as fill a batch."""
    texts = ["it was " * (number * 4 % 9) for number in range(9)]
    task = Classification(labels=model.labels)
    runner = TextRunner(task, model.network, model.tokenizer)
    examples = task.encode_texts(texts, model.tokenizer, task.layout(model.network, model.tokenizer))
    batches = list(examples.batches_by_length(8192))
    assert len(examples) == 9
    expected = [model.network(np.array([[*model.tokenizer.encode(text), 0, 0]])).numpy()[0] for text in texts]
    np.testing.assert_allclose(runner.outputs(examples), expected, rtol=0, atol=1e-4)
    assert sorted(np.concatenate(batches)) == list(range(9))


def test_classes_are_numbered_in_the_order_of_the_labels(model):
    corpus = LabelledCorpus.from_examples(["it was", "so", "is it"], ["猫", "no", "nö"])
    examples, classes = model.task.encode(corpus, model.tokenizer, model.network)
    assert classes.tolist() == [2, 0, 1]
    assert [examples.ids[a:b].tolist() for a, b in zip(examples.starts[:-1], examples.starts[1:], strict=True)] == [
        model.tokenizer.encode(text) for text in ("it was", "so", "is it")
    ]
