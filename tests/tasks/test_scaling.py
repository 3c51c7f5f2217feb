"""What follows from the amount of text: more of it never brings a narrower network, nor more passes over the text."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.networks import registry
from lmkeras.tasks.language import Language
from lmkeras.tasks.scaling import TextAmount, language_defaults
from lmkeras.tokenizers import new_tokenizer
from lmkeras.training.settings import FitSettings

amounts = st.builds(TextAmount, size=st.integers(0, 10**12), different=st.integers(0, 2_000))


@given(st.lists(st.text()))
def test_text_is_counted_as_it_is_stored(texts):
    amount = TextAmount.of(iter(texts))
    assert amount == (len("".join(texts).encode()), len(set("".join(texts))))


@given(amounts)
def test_the_defaults_are_what_the_tokenizer_the_network_and_the_training_take(amount):
    found = language_defaults(amount)
    assert found.tokenizer in Language.tokenizers
    new_tokenizer(found.tokenizer, found.vocabulary_size)
    registry.check(Language.auto_networks[0], found.sizes, Language.bodies)
    assert found.sizes["d_model"] % found.sizes["num_heads"] == 0
    assert 0 <= found.sizes["dropout"] < 0.5
    assert FitSettings(**found.settings).most_steps(1) == found.settings["epochs"]


@given(amounts, st.floats(1, 100), st.integers(0, 2_000))
def test_more_text_never_brings_a_narrower_network_or_more_passes(amount, factor, more):
    less, more = (
        language_defaults(amount),
        language_defaults(TextAmount(int(factor * amount.size), amount.different + more)),
    )
    assert less.vocabulary_size <= more.vocabulary_size
    for name in ("d_model", "context_length"):
        assert less.sizes[name] <= more.sizes[name]
    assert less.sizes["dropout"] >= more.sizes["dropout"]
    assert less.settings["epochs"] >= more.settings["epochs"]
    assert less.settings["minutes"] >= more.settings["minutes"]


def test_a_little_more_text_changes_little():
    sizes = [int(10**power) for power in itertools.takewhile(lambda power: power < 9, itertools.count(3, 0.01))]
    for one, next_one in itertools.pairwise(language_defaults(TextAmount(size, 100)) for size in sizes):
        assert next_one.vocabulary_size - one.vocabulary_size <= max(64, 0.05 * one.vocabulary_size)
        assert one.sizes["dropout"] - next_one.sizes["dropout"] <= 0.011
        assert next_one.sizes["d_model"] <= 2 * one.sizes["d_model"]
        assert next_one.sizes["context_length"] <= 2 * one.sizes["context_length"]
        assert one.settings["epochs"] - next_one.settings["epochs"] <= 2


@pytest.mark.parametrize("megabytes", [0.1, 1, 10])
def test_training_leaves_time_for_the_rest_of_ten_minutes(megabytes):
    minutes = language_defaults(TextAmount(int(1e6 * megabytes), 100)).settings["minutes"]
    assert 7 <= minutes < 9.5


def test_a_script_of_thousands_of_characters_may_have_a_token_for_each():
    assert language_defaults(TextAmount(300_000, 2_500)).vocabulary_size >= 2_500
    assert language_defaults(TextAmount(300_000, 100)).vocabulary_size < 1_000
