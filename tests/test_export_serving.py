"""What a server offers with an exported language model: defaults, every setting, and bounds."""

import pytest
import tensorflow as tf

from lmkeras import LanguageModel
from tests.test_export import PROMPTS, TEXTS


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = LanguageModel("lstm", "characters", embedding_dim=8, units=16)
    model.fit(TEXTS, steps=20, verbose=0)
    folder = tmp_path_factory.mktemp("exported") / "model"
    model.export(folder)
    return model, folder


def test_a_prompt_alone_is_served_by_the_defaults(exported):
    model, folder = exported
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    assert list(served.structured_input_signature[1]) == ["prompt"]
    assert [text.decode() for text in served(prompt=tf.constant(PROMPTS))["text"].numpy()] == model.generate(PROMPTS)


def generated(folder, prompts, **chosen):
    """The texts that the signature `generate` gives: greedy ones, where nothing else is chosen."""
    settings = {
        "max_new_tokens": 30,
        "temperature": 0.0,
        "top_k": 0,
        "top_p": 1.0,
        "repetition_penalty": 1.0,
        "seed": 0,
    }
    arguments = {name: tf.constant(value) for name, value in {**settings, **chosen}.items()}
    generate = tf.saved_model.load(str(folder)).signatures["generate"]
    return [text.decode() for text in generate(prompt=tf.constant(prompts), **arguments)["text"].numpy()]


def test_a_repetition_penalty_is_what_it_is_in_python(exported):
    model, folder = exported
    expected = model.generate(PROMPTS, 30, temperature=0, repetition_penalty=3.0)
    found = generated(folder, PROMPTS, repetition_penalty=3.0)
    assert found == expected != model.generate(PROMPTS, 30, temperature=0)


@pytest.mark.parametrize("count", [-1, 16_385])
def test_one_request_cannot_ask_for_any_number_of_tokens(exported, count):
    with pytest.raises(tf.errors.InvalidArgumentError, match="max_new_tokens must be from 0 to 16384"):
        generated(exported[1], ["a"], max_new_tokens=count)
