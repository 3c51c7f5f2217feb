import keras
import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.training.optimizers import WarmupSchedule, build_optimizer


@pytest.mark.parametrize("shape", ["linear", "cosine", "inverse_sqrt", "constant"])
def test_schedules_are_their_formulas(shape):
    peak, warmup, total = 0.3, 10, 50
    schedule = WarmupSchedule(shape, peak, warmup, total)
    for step in range(60):
        progress = min(1, max(0, (step - warmup) / (total - warmup)))
        falls = {"linear": 1 - progress, "cosine": (1 + np.cos(np.pi * progress)) / 2, "constant": 1}
        fall = (falls | {"inverse_sqrt": min(1, np.sqrt(warmup / (step + 1)))})[shape]
        assert float(schedule(step)) == pytest.approx(peak * min(1, (step + 1) / warmup) * fall, abs=1e-7)


def test_no_warmup():
    assert float(WarmupSchedule("linear", 1.0, 0, 10)(0)) == 1.0
    falling = WarmupSchedule("inverse_sqrt", 1.0, 0, 10)
    assert [float(falling(step)) for step in (0, 3, 99)] == pytest.approx([1, 1 / 2, 1 / 10])


def test_inverse_sqrt_is_the_formula_of_its_source():
    width, warmup = 512, 4000
    schedule = WarmupSchedule("inverse_sqrt", (width * warmup) ** -0.5, warmup, 100_000)
    for update in (1, 100, 3999, 4000, 4001, 16_000, 100_000):
        expected = width**-0.5 * min(update**-0.5, update * warmup**-1.5)
        assert float(schedule(update - 1)) == pytest.approx(expected, rel=1e-5)


def test_a_schedule_survives_its_config():
    schedule = WarmupSchedule("cosine", 0.1, 5, 20)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert [float(again(step)) for step in range(20)] == [float(schedule(step)) for step in range(20)]


def test_unknown_names():
    with pytest.raises(InputError, match=r"unknown optimizer 'adan': .*did you mean 'adam'"):
        build_optimizer("adan", "linear", 10)
    with pytest.raises(InputError, match="unknown schedule 'liner'"):
        build_optimizer("adam", "liner", 10)


def updated(optimizer, weights, gradient, path):
    variable = keras.Variable(weights, name=path)
    optimizer.build([variable])
    optimizer.apply([gradient], [variable])
    return variable.numpy()


def test_adamw_is_its_formula():
    weights, gradient = np.array([1.0, -2.0, 0.5], "float32"), np.array([0.2, -0.1, 0.0], "float32")
    optimizer = build_optimizer("adamw", "constant", 10, learning_rate=0.1, warmup_steps=0, weight_decay=0.5)
    # the first update's moments, corrected for their start at zero, are the gradient and its square
    expected = weights - 0.1 * 0.5 * weights - 0.1 * gradient / (np.abs(gradient) + 1e-7)
    np.testing.assert_allclose(updated(optimizer, weights, gradient, "w"), expected, atol=1e-4)


def test_clipping_bounds_the_gradient_over_all_weights():
    optimizer = build_optimizer("adam", "constant", 10, clip_norm=1.0)
    assert optimizer.global_clipnorm == 1.0
    clipped = optimizer._clip_gradients([np.full(4, 3.0, "float32"), np.full(4, 4.0, "float32")])
    total = np.sqrt(sum(float(np.sum(np.square(g))) for g in clipped))
    assert total == pytest.approx(1.0, rel=1e-5)
