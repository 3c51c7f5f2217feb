import numpy as np
import pytest

from lmkeras.training.spans import SpanAccuracy


def test_the_share_of_texts_with_both_places_right_over_batches_of_any_length():
    rng = np.random.default_rng(0)
    metric, right, seen = SpanAccuracy(), 0.0, 0.0
    assert float(metric.result()) == 0
    for texts, tokens, weighted in ((5, 3, True), (40, 2, False), (7, 4, True)):
        logits = rng.normal(size=(texts, tokens, 2)).astype("float32")
        targets = rng.integers(0, tokens, (texts, 2)).astype("int32")
        weights = rng.integers(0, 2, texts).astype("float32") if weighted else None
        metric.update_state(targets, logits, None if weights is None else weights[:, None].repeat(2, axis=1))
        for row in range(texts):
            both = all(
                max(range(tokens), key=lambda place, i=i: logits[row, place, i]) == targets[row, i] for i in (0, 1)
            )
            weight = 1 if weights is None else weights[row]
            right, seen = right + both * weight, seen + weight
    assert float(metric.result()) == pytest.approx(right / seen)
    assert 0 < right < seen
