"""Models whose tokenizer has no padding id, two end ids, neither of them 0, and for which id 0 is a letter."""

import collections
import random

import numpy as np
import pytest
import tensorflow as tf

from lmkeras import InputError, LanguageModel, TextClassifier
from lmkeras.tokenizers.special import SpecialIds
from tests.decoding.letters import SPECIAL, TOKENS, Letters

SIZES = {
    "transformer": {"d_model": 16, "num_heads": 2, "num_layers": 1, "context_length": 16},
    "lstm": {"embedding_dim": 8, "units": 16},
}
BOTH = ["!abc!", "!fed!"]
TEXTS = random.Random(0).choices(BOTH, k=64)  # nothing before a text says which one it is
TRAINING = {"steps": 300, "batch_size": 4, "window_length": 12, "learning_rate": 0.01, "verbose": 0, "xla": "off"}
TRAINING["patience"] = "never"  # the last updates make the choice between both texts sharper


@pytest.fixture(scope="module", params=SIZES)
def model(request):
    model = LanguageModel(request.param, Letters(), **SIZES[request.param])
    model.fit(TEXTS, precision="float32", **TRAINING)
    return model


def test_training_learns_where_texts_end(model):
    """Of two texts, equally often, the first letter is shared and the second decides all that follows."""
    assert model.generate("!a", 20, temperature=0) == "bc!"
    assert model.generate("!f", 20, temperature=0) == "ed!"
    assert_both(model)


def assert_both(model):
    """From nothing the model writes either text, and hardly anything else."""
    written = collections.Counter(model.generate("", 20, temperature=1, num_samples=32, seed=1))
    assert min(written[text] for text in BOTH) > 5
    assert sum(written[text] for text in BOTH) > 27


def test_scores_are_the_chain_rule_and_leave_the_end_out(model):
    score = model.score("!abc!")
    assert score.tokens == list("!abc!")
    assert np.log(0.2) < score.log_probability < np.log(0.8), "one choice between two, all else certain"
    ids = [SPECIAL.start, *model.tokenizer.encode("!abc!")]
    logits = tf.nn.log_softmax(model.network(np.array([ids[:-1]]))).numpy()[0]
    assert score.log_probability == pytest.approx(sum(logits[i, ids[i + 1]] for i in range(5)), abs=1e-4)
    values = model.evaluate(TEXTS)
    assert values["tokens"] == sum(map(len, TEXTS))
    total = sum(one.log_probability for one in model.score(TEXTS))
    assert -values["loss_nats"] * values["tokens"] == pytest.approx(total, rel=1e-4)


def test_an_exported_model_writes_and_scores_the_same(model, tmp_path):
    model.export(tmp_path / "exported")
    signatures, prompts = tf.saved_model.load(str(tmp_path / "exported")).signatures, ["!a", "", "!fe"]
    arguments = {
        "max_new_tokens": 20,
        "temperature": 0.0,
        "top_k": 0,
        "top_p": 1.0,
        "repetition_penalty": 1.0,
        "seed": 0,
    }
    arguments = {name: tf.constant(value) for name, value in arguments.items()}
    texts = signatures["generate"](prompt=tf.constant(prompts), **arguments)["text"].numpy().tolist()
    assert [text.decode() for text in texts] == model.generate(prompts, 20, temperature=0)
    scores = signatures["score"](text=tf.constant(TEXTS[:2]))
    expected = [score.log_probability for score in model.score(TEXTS[:2])]
    np.testing.assert_allclose(scores["log_probability"], expected, atol=1e-4)


def test_a_tokenizer_without_a_start_begins_texts_with_an_end():
    model = LanguageModel("lstm", Letters(SpecialIds(ends=(5, 9), unknown=7)), **SIZES["lstm"])
    model.fit(TEXTS, precision="float32", **TRAINING)
    assert_both(model)


def test_a_language_model_needs_an_id_between_texts():
    with pytest.raises(InputError, match="no id for the start of a text and none for its end"):
        LanguageModel("lstm", Letters(SpecialIds(unknown=7)), **SIZES["lstm"]).fit(TEXTS, **TRAINING)


@pytest.mark.parametrize("network", ["ngrams", "dense", "cnn", "lstm", "transformer", "bert"])
def test_a_classifier_reads_id_0_as_a_token_and_pads_with_what_is_masked(network, tmp_path):
    texts, labels = ["!!", "a", "!a!", "b!", "!", "ab"] * 6, ["odd", "even", "odd", "even", "odd", "even"] * 6
    sizes = {"d_model": 8, "num_heads": 2, "dff": 8, "num_layers": 1} if network in ("transformer", "bert") else {}
    model = TextClassifier(network, Letters(SpecialIds(unknown=7)), max_length=16, **sizes)
    model.fit((texts, labels), epochs=2, validation_fraction=0, verbose=0, precision="float32")
    assert len(TOKENS) < model.network.body.vocabulary_size, "and one id between two texts of a pair"
    together = ["!a", "a", "!!!!", "", "!a b c!"]
    alone = [list(model.predict(text).probabilities.values()) for text in together]
    rows = [list(prediction.probabilities.values()) for prediction in model.predict(together)]
    np.testing.assert_allclose(rows, alone, atol=1e-5)
    assert rows[0] != rows[1], "id 0 is looked at"
    model.export(tmp_path / "exported")
    served = tf.saved_model.load(str(tmp_path / "exported")).signatures["classify"](text=tf.constant(together))
    np.testing.assert_allclose(served["probabilities"], rows, atol=1e-5)
