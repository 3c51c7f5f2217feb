"""What a search tries: ranges and choices, as typed and from Python, and which settings there are."""

from typing import Literal

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.models.search_defaults import check_space, default_space, read_space, types_of_settings
from lmkeras.models.search_space import Choices, Range, read_values, words_by_name
from lmkeras.networks import registry
from lmkeras.networks.settings import FROM_ELSEWHERE
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language

NUMBER, WHOLE, NAMES = float | None, int | None, Literal["max", "mean"] | None


@pytest.mark.parametrize(
    ("given", "type_", "expected"),
    [
        ("1e-4..1e-1", NUMBER, Range(1e-4, 0.1, log=True)),
        ("0.1..0.6", NUMBER, Range(0.1, 0.6)),
        ("1..10", NUMBER, Range(1.0, 10.0)),  # one power of ten is not more than one
        ("1..10.1", NUMBER, Range(1.0, 10.1, log=True)),
        ("1e-4..1e-1:linear", NUMBER, Range(1e-4, 0.1)),
        ("32..64:log", WHOLE, Range(32, 64, log=True)),
        ("0..100", NUMBER, Range(0.0, 100.0)),  # which has no logarithm
        ("2..5", int | Literal["auto", "never"], Range(2, 5)),
        ((32, 64), WHOLE, Range(32, 64)),
        ((np.float64(0.5), 1), NUMBER, Range(0.5, 1.0)),
        ((1, 2, "log"), NUMBER, Range(1.0, 2.0, log=True)),
        ("max, mean", NAMES, Choices(("max", "mean"))),
        ("none,64", WHOLE, Choices((None, 64))),
        ("none,balanced", Literal["none", "balanced"], Choices(("none", "balanced"))),
        ("3 4,5", tuple[int, ...] | None, Choices(((3, 4), (5,)))),
        ([(3, 4), (5,)], tuple[int, ...] | None, Choices(((3, 4), (5,)))),
        (np.array([32, 64]), WHOLE, Choices((32, 64))),
        ("true,no", bool | None, Choices((True, False))),
    ],
)
def test_values_are_read(given, type_, expected):
    found = read_values("units", given, type_)
    assert found == expected
    assert [type(value) for value in found.examples()] == [type(value) for value in expected.examples()]
    assert read_values("units", str(found), type_) == found


@pytest.mark.parametrize(
    ("given", "type_", "says"),
    [
        ("maxx,mean", NAMES, "did you mean 'max'?"),
        ("1..3", NAMES, "pooling is no number, so it has no range: name choices, such as pooling=max,mean"),
        ("1..3", bool | None, "such as pooling=true,false"),
        ("1.5..7", WHOLE, "expected a whole number, got '1.5'"),
        ((1, 2.5), WHOLE, "expected N, got 2.5"),
        ("7..3", WHOLE, "from a lower to a higher number, got 7..3"),
        ("1..inf", NUMBER, "from a lower to a higher number"),
        ("0..1:log", NUMBER, "begins above 0"),
        ("1..2:lg", NUMBER, "expected log or linear as the scale, got 'lg'"),
        ("3,3", WHOLE, "the same choice is there twice"),
        ([], WHOLE, "has no choices"),
        (["x"], WHOLE, "expected N, got 'x'"),
        ((1, 2, 3, 4), WHOLE, "expected (low, high), (low, high, 'log') or a list"),
        (5, WHOLE, "expected a tuple (low, high) or a list of choices, got 5"),
        ({1: 2}, WHOLE, "expected a tuple (low, high) or a list of choices"),
    ],
)
def test_what_is_no_value_is_refused(given, type_, says):
    with pytest.raises(InputError) as refused:
        read_values("pooling", given, type_)
    assert says in str(refused.value)


def test_what_is_typed_has_a_name():
    assert words_by_name(["batch-size=16,32", "dropout = 0..1"]) == {"batch_size": "16,32", "dropout": "0..1"}
    for wrong, says in ((["units"], "NAME=VALUES"), (["=3"], "NAME=VALUES"), (["a=1", "a=2"], "a is there twice")):
        with pytest.raises(InputError, match=says):
            words_by_name(wrong)


def test_everything_that_networks_and_settings_have_can_be_searched():
    for task in (Classification(), Language()):
        known = types_of_settings(task)
        for network in registry.names(task.bodies):
            assert set(registry.sizes_of(network, task.bodies)) - set(FROM_ELSEWHERE) <= set(known)
        assert {"network", "tokenizer", "learning_rate", "batch_size", "warmup_steps", "schedule"} <= set(known)
        assert not {"seed", "monitor", "device", "text"} & set(known)
    assert {"max_length", "long_texts", "class_weights"} <= set(types_of_settings(Classification()))
    assert "window_length" in types_of_settings(Language())


@pytest.mark.parametrize(
    ("task", "search", "says"),
    [
        (Classification(), {"lerning_rate": (1, 2)}, "no setting 'lerning_rate'; did you mean 'learning_rate'?"),
        (Classification(), {"seed": [1, 2]}, "seed cannot be searched"),
        (Classification(), {"dropout": (0, 0.5)}, "dropout has a value and is searched as well"),
        (Language(), {"vocabulary_size": [100, 200]}, "vocabulary_size decides what a token is"),
        (Classification(), {"network": ["dnse"]}, "did you mean 'dense'?"),
        (Classification(), {"filters": [3]}, "filters is a size of cnn"),
        (Classification(), {"learning_rate": (-1, 1)}, "learning_rate must be greater than 0"),
        (Classification(), {"batch_size": [0, 8]}, "batch_size must be at least 1"),
        (Classification(), {"epochs": [2, 3], "steps": [5]}, "steps say how long to train"),
        (Classification(), {"max_length": [0]}, "max_length must be at least"),
    ],
)
def test_a_search_is_checked_before_anything_is_trained(task, search, says):
    network = "dense" if task.bodies == "readers" else "lstm"
    with pytest.raises(InputError) as refused:
        check_space(read_space(search, task, {"dropout"}), network, task=task, settings=task.Settings())
    assert says in str(refused.value)


@pytest.mark.parametrize("task", [Classification(), Language()], ids=["classifier", "lm"])
def test_by_default_what_the_network_has_is_searched_around_its_own_numbers(task):
    for network in ("transformer", "lstm"):
        own = registry.parameters_of(registry.family(network, task.bodies).new)
        sizes = {name: size.default for name, size in own.items()}
        how = {"fixed": {"dropout"}, "learning_rate": 0.02, "own_sizes": sizes, "pretrained": False}
        space = default_space(network, task, task.Settings(), **how)
        assert space["learning_rate"] == Range(0.002, 0.2, log=True)
        searched = set(space) - {"learning_rate", "batch_size", "weight_decay"}
        assert searched
        assert searched <= set(own) - {"dropout"}
        for name in searched:
            assert space[name].values[-2:] == (sizes[name], 2 * sizes[name])
        check_space(space, network, task=task, settings=task.Settings())
        assert set(default_space(network, task, task.Settings(optimizer="adam"), **how)) == set(space) - {
            "weight_decay"
        }
        assert not searched & set(default_space(network, task, task.Settings(), **{**how, "pretrained": True}))
