import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.networks.contract import Body
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.training.rate_finder import RateFinding, find_learning_rate
from lmkeras.training.settings import FitSettings

CLASSES = 3


class Features(Body, keras.layers.Layer):
    """Numbers as they are, in the place of what a body makes of a text."""

    vocabulary_size, dropout = 1, 0.0

    def __init__(self, size):
        super().__init__()
        self.summary_size = size

    def inputs(self, inputs):
        return inputs

    def summary(self, inputs, training=False):
        return inputs["features"]


class NoBias(ClassesHead):
    """A matrix alone."""

    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.dense = keras.layers.Dense(num_classes, use_bias=False, name="logits")


def softmax(weights, head=NoBias):
    """Softmax regression, whose gradients are known in closed form."""
    network = Network(Features(len(weights)), head(CLASSES))
    network.set_weights([weights])
    return network


def softmax_examples(seed=0, features=4, examples=64):
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(examples, features)).astype("float32")
    targets = (inputs @ random.normal(size=(features, CLASSES))).argmax(axis=1)
    weights = 0.1 * random.normal(size=(features, CLASSES)).astype("float32")
    return inputs, targets, weights


def repeated(features, *others):
    return tf.data.Dataset.from_tensors(({"features": features}, *others)).repeat()


def adamw_losses(weights, inputs, targets, sample_weights, rates, weight_decay, clip_norm):
    """The loss before each AdamW update of softmax regression, in float64 and from the papers."""
    weights, mean, square, losses = weights.astype("float64"), 0.0, 0.0, []
    for step, rate in enumerate(rates, start=1):
        logits = inputs @ weights
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses.append(-(sample_weights * logs[np.arange(len(targets)), targets]).sum() / sample_weights.sum())
        errors = (np.exp(logs) - np.eye(CLASSES)[targets]) * sample_weights[:, None]
        gradient = inputs.T @ errors / sample_weights.sum()
        gradient *= min(1, clip_norm / np.linalg.norm(gradient))
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        direction = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-7)
        weights = weights * (1 - rate * weight_decay) - rate * direction
    return losses


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_those_of_an_adamw_whose_rate_grows_geometrically(weighted):
    inputs, targets, weights = softmax_examples()
    sample_weights = np.linspace(0.0, 3.0, len(targets)) if weighted else np.ones(len(targets))
    batch = (inputs, targets, sample_weights.astype("float32")) if weighted else (inputs, targets)
    choices = FitSettings(optimizer="adamw", weight_decay=0.1, clip_norm=0.05)
    finding = find_learning_rate(softmax(weights), repeated(*batch), choices, 1e-4, 1.0, steps=40)
    rates = np.geomspace(1e-4, 1.0, 40)
    np.testing.assert_allclose(finding.learning_rates, rates, rtol=1e-4)
    expected = adamw_losses(weights, inputs, targets, sample_weights, rates, 0.1, 0.05)
    np.testing.assert_allclose(finding.losses, expected, rtol=2e-3)


def descent_on_a_quadratic(curvatures, steps, noise, seed=0):
    """Losses of gradient descent on half the sum of curvature * weight ** 2, with rates from 1e-7 to 1."""
    random = np.random.default_rng(seed)
    rates, losses, weights = np.geomspace(1e-7, 1, steps), [], random.normal(size=len(curvatures))
    for rate in rates:
        losses.append(0.5 * np.sum(curvatures * weights**2))
        if losses[-1] > 4 * losses[0]:
            break
        weights = weights - rate * curvatures * (weights + noise * random.normal(size=len(curvatures)))
    return RateFinding(tuple(rates[: len(losses)]), tuple(losses))


@settings(max_examples=60)
@given(st.floats(2, 5), st.floats(0, 3), st.integers(100, 400), st.integers(0, 99))
def test_the_suggestion_for_a_noisy_quadratic_is_stable_and_not_timid(exponent, spread, steps, seed):
    steepest = 10.0**exponent
    finding = descent_on_a_quadratic(np.geomspace(steepest, steepest / 10**spread, 10), steps, 0.1, seed)
    largest_stable_rate = 2 / steepest  # of gradient descent
    assert largest_stable_rate / 100 < finding.suggestion < largest_stable_rate


@pytest.mark.parametrize("steps", [60, 400])
def test_with_one_curvature_the_suggestion_is_a_third_of_the_largest_stable_rate(steps):
    finding = descent_on_a_quadratic(np.array([50.0]), steps, noise=0.0)
    assert finding.suggestion == pytest.approx(2 / 50 / 3, rel=0.3 if steps == 60 else 0.1)
    assert finding.fall > 10


def test_losses_around_are_averaged_without_lag():
    rates = tuple(np.geomspace(1e-5, 1, 121))
    losses = (np.log10(rates) + 2) ** 2 + 1  # symmetric about 1e-2, as the mean of neighbours is
    finding = RateFinding(rates, tuple(losses))
    assert finding.suggestion == pytest.approx(1e-2 / 3)
    # four neighbours on either side of 60
    np.testing.assert_allclose(finding.smoothed[60], losses[56:65].mean())
    np.testing.assert_allclose(finding.smoothed[1], losses[:6].mean())


def test_one_lucky_batch_is_not_the_lowest_place():
    losses = np.concatenate([np.linspace(2, 1, 80), np.linspace(1, 3, 20)])
    losses[15] = 0.9
    finding = RateFinding(tuple(np.geomspace(1e-7, 1, 100)), tuple(losses))
    assert finding.learning_rates[74] < 3 * finding.suggestion < finding.learning_rates[82]


def test_the_fall_is_measured_in_what_batches_differ_by():
    noise = 0.1 * np.random.default_rng(0).normal(size=1000)
    falling = np.linspace(3, 2, 1000) + noise
    finding = RateFinding(tuple(np.geomspace(1e-7, 1, 1000)), tuple(falling))
    assert finding.fall == pytest.approx(1 / 0.1, rel=0.1)
    assert RateFinding(finding.learning_rates, tuple(2 + noise)).fall < 1.5
    assert RateFinding(finding.learning_rates, tuple(2 - falling)).fall < 1.5


def test_a_sweep_ends_where_the_loss_has_grown_to_four_times_its_lowest():
    inputs, targets, weights = softmax_examples()
    finding = find_learning_rate(
        softmax(weights), repeated(inputs, targets), FitSettings(optimizer="adam"), 1e-4, 1e6, steps=100
    )
    assert len(finding.losses) < 100
    recent = [np.mean(finding.losses[max(0, i - 4) : i + 1]) for i in range(len(finding.losses))]
    assert recent[-1] > 4 * min(recent)
    assert all(now <= max(4 * min(recent[: i + 1]), recent[0]) for i, now in enumerate(recent[:-1]))


def test_losses_that_are_no_numbers_are_left_out():
    class Fragile(NoBias):
        def call(self, summary, training=False):
            largest = keras.ops.max(keras.ops.abs(self.dense.kernel))
            return super().call(summary, training) + keras.ops.where(largest > 3, float("nan"), 0.0)

    inputs, targets, weights = softmax_examples()
    finding = find_learning_rate(
        softmax(weights, Fragile), repeated(inputs, targets), FitSettings(), 1e-4, 1e3, steps=60
    )
    assert len(finding.losses) < 60
    assert np.isfinite(finding.losses).all()


@pytest.mark.parametrize("case", ["no number", "unstable", "nothing to learn"])
def test_a_loss_that_falls_nowhere_is_said_to(case):
    inputs, targets, weights = softmax_examples()
    lowest, highest = (1e3, 1e6) if case == "unstable" else (1e-6, 1.0)
    if case == "no number":
        weights = weights * np.nan
    if case == "nothing to learn":
        inputs = inputs * 0
    with pytest.raises(InputError, match="fell at no learning rate"):
        find_learning_rate(softmax(weights), repeated(inputs, targets), FitSettings(), lowest, highest, steps=40)


def test_the_picture_marks_the_suggestion(tmp_path):
    columns = {}
    for lowest in (1e-4, 1e-2):
        rates = np.geomspace(1e-6, 1, 100)
        losses = np.minimum(2, 1 + np.log10(rates / lowest) ** 2 / 10)
        RateFinding(tuple(rates), tuple(losses)).draw(tmp_path / "rates.png")
        pixels = (matplotlib.image.imread(tmp_path / "rates.png")[..., :3] * 255).round().astype(int)
        orange = (pixels == (255, 127, 14)).all(axis=-1)
        columns[lowest] = orange.sum(axis=0).argmax() / pixels.shape[1]
    # two decades of about six that fill most of the picture's width
    assert 0.2 < columns[1e-2] - columns[1e-4] < 0.35
