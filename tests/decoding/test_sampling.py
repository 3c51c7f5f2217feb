"""Defaults of generation: what a user says, what a published model says, what lmkeras says."""

import numpy as np
import pytest

from lmkeras.decoding.sampling import MAX_NEW_TOKENS, Beams, Sampling, chosen, published_defaults, require_counts
from lmkeras.errors import InputError


def test_what_is_said_counts_before_the_models_own_and_that_before_ours():
    assert chosen(None, {}) == (MAX_NEW_TOKENS, Sampling())
    own = {"temperature": 0.6, "top_p": 0.9, "max_new_tokens": 64}
    assert chosen(own, {"temperature": None}) == (64, Sampling(temperature=0.6, top_p=0.9))
    given = {"temperature": 0.0, "max_new_tokens": 8, "seed": 3, "top_k": None}
    assert chosen(own, given) == (8, Sampling(temperature=0.0, top_p=0.9, seed=3))


def test_a_generation_config_without_sampling_takes_the_likeliest_token():
    assert published_defaults({"eos_token_id": 2, "temperature": 0.6}, "m") == {"temperature": 0.0}
    warm = published_defaults({"temperature": 0.6, "top_k": 20, "top_p": 0.9}, "m")
    assert chosen(warm, {"temperature": 0.7}).sampling == Sampling(temperature=0.7, top_k=20, top_p=0.9)
    assert published_defaults({"do_sample": False, "repetition_penalty": 1.1}, "m") == {
        "temperature": 0.0,
        "repetition_penalty": 1.1,
    }


def test_a_generation_config_that_samples():
    said = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "max_new_tokens": 512}
    assert published_defaults(said, "m") == {name: value for name, value in said.items() if name != "do_sample"}
    assert published_defaults({"do_sample": True}, "m") == {"temperature": 1.0, "top_k": 50, "top_p": 1.0}


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"do_sample": True, "temperature": "hot"}, "says temperature 'hot': expected a number"),
        ({"do_sample": True, "top_k": 2.5}, "says top_k 2.5: expected a whole number"),
        ({"do_sample": True, "top_p": 3.0}, "top_p must be greater than 0 and at most 1, got 3.0"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1"),
        ({"repetition_penalty": True}, "says repetition_penalty True"),
    ],
)
def test_impossible_defaults_name_the_file(config, complaint):
    with pytest.raises(InputError, match=r"generation_config\.json of m") as error:
        published_defaults(config, "m")
    assert complaint in str(error.value)


def test_counts_may_be_integers_of_numpy_and_are_no_truth_values():
    require_counts(np.int64(3), np.int32(2))
    tensors = Beams(np.int64(3)).tensors(np.int64(2))
    assert {tensors[name].dtype.name for name in ("num_beams", "num_best")} == {"int32"}
    for ask in (lambda: require_counts(True, 1), lambda: require_counts(1, True), lambda: Beams(True)):
        with pytest.raises(InputError, match="must be a whole number, got True"):
            ask()
    with pytest.raises(InputError, match="got True"):
        Beams(2).require(True)
