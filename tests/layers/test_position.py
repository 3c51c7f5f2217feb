import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.layers.position import SinusoidalPositionEncoding, rotate, sinusoids
from tests.layers.formulas import rotated, sinusoid, sinusoidal_positions


@given(length=st.integers(1, 300), half_width=st.integers(1, 64), data=st.data())
def test_sinusoids_are_their_formula(length, half_width, data):
    table = sinusoids(length, 2 * half_width)
    assert table.shape == (length, 2 * half_width)
    position = data.draw(st.integers(0, length - 1))
    for column in range(2 * half_width):
        assert table[position, column] == pytest.approx(sinusoid(position, column, 2 * half_width), abs=1e-12)


@pytest.mark.parametrize("start", [0, 1, 7])
def test_positions_are_added_to_scaled_embeddings(start):
    x = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    layer = SinusoidalPositionEncoding(12)
    np.testing.assert_allclose(layer(x, start=start), sinusoidal_positions(x.astype("float64"), start), atol=1e-5)
    assert layer.weights == []


def test_each_row_may_start_at_a_position_of_its_own():
    x = np.random.default_rng(0).normal(size=(3, 5, 6)).astype("float32")
    actual = SinusoidalPositionEncoding(12)(x, start=np.array([7, 0, -2], "int32"))
    for row, start in enumerate([7, 0]):
        expected = sinusoidal_positions(x[row : row + 1].astype("float64"), start)
        np.testing.assert_allclose(actual[row : row + 1], expected, atol=1e-5)
    # two tokens of filler at position 0, then the row's own positions
    np.testing.assert_allclose(actual[2:, 2:], sinusoidal_positions(x[2:, 2:].astype("float64")), atol=1e-5)
    for filler in (0, 1):
        one = x[2:, filler : filler + 1].astype("float64")
        np.testing.assert_allclose(actual[2:, filler : filler + 1], sinusoidal_positions(one), atol=1e-5)
    past_the_end = SinusoidalPositionEncoding(12)(x[:, :1], start=np.array([11, 12, 40], "int32"))
    np.testing.assert_allclose(past_the_end, sinusoidal_positions(x[:, :1].astype("float64"), 11), atol=1e-5)


def test_sinusoids_need_an_even_width():
    with pytest.raises(InputError, match="even width, got d_model=5"):
        SinusoidalPositionEncoding(4).build((None, None, 5))


@settings(deadline=None, max_examples=50)
@given(length=st.integers(1, 9), half=st.integers(1, 16), start=st.integers(0, 500), seed=st.integers(0, 99))
def test_rotations_turn_complex_numbers(length, half, start, seed):
    x = np.random.default_rng(seed).normal(size=(2, 3, length, 2 * half)).astype("float32")
    # an angle of t radians carries float32's rounding of t
    np.testing.assert_allclose(rotate(x, start), rotated(x.astype("float64"), start), atol=1e-5 + 1e-6 * start)


@settings(deadline=None, max_examples=25)
@given(starts=st.lists(st.integers(0, 500), min_size=2, max_size=2), length=st.integers(1, 9))
def test_rotations_begin_at_a_position_of_each_row(starts, length):
    x = np.random.default_rng(length).normal(size=(2, 3, length, 8)).astype("float32")
    actual = rotate(x, np.array(starts, "int32"))
    for row, start in enumerate(starts):
        np.testing.assert_allclose(actual[row], rotate(x[row : row + 1], start)[0], atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(start=st.integers(0, 1000), distance=st.integers(0, 50), seed=st.integers(0, 99))
def test_scores_depend_on_distances_alone(start, distance, seed):
    query, key = np.random.default_rng(seed).normal(size=(2, 1, 1, 1, 8)).astype("float32")
    here = float(np.sum(rotate(query, start + distance) * rotate(key, start)))
    there = float(np.sum(rotate(query, distance) * rotate(key, 0)))
    assert here == pytest.approx(there, abs=2e-3)


def test_scores_depend_on_distances():
    ones = np.ones((1, 1, 1, 2), "float32")  # at 45 degrees, turned by one radian a position
    scores = [float(np.sum(rotate(ones, 5 + distance) * rotate(ones, 5))) for distance in range(4)]
    assert scores == pytest.approx([2 * math.cos(distance) for distance in range(4)], abs=1e-5)
