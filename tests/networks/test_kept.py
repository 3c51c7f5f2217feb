"""An export that keeps weights in half the bytes, and reads them as the network that holds them in float32."""

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.decoding.sampling import Sampling
from lmkeras.decoding.score import TextScorer
from lmkeras.decoding.text import TextGenerator
from lmkeras.export.saved_model import write_saved_model
from lmkeras.tasks.language import Language
from tests.decoding.letters import SPECIAL, Letters
from tests.decoding.networks import build


@pytest.fixture(scope="module")
def network():
    """A network whose float32 weights have bfloat16's digits alone, as one that was published in bfloat16."""
    network = build("pre_norm")
    for weight in network.weights:
        weight.assign(tf.cast(tf.cast(weight.value, tf.bfloat16), tf.float32))
    network.body.published_dtype = "bfloat16"
    return network


def test_an_export_has_half_the_bytes_and_the_same_texts_and_scores(network, tmp_path):
    tokenizer, prompts = Letters(SPECIAL), ["abc", "fade a cab", ""]
    module, signatures = Language(generation={"temperature": 0.0, "max_new_tokens": 30}).exported(
        network, tokenizer, "float32"
    )
    write_saved_model(module, signatures, tmp_path / "kept")
    file = tf.train.load_checkpoint(str(tmp_path / "kept/variables/variables"))
    stored = {name: dtype for name, dtype in file.get_variable_to_dtype_map().items() if dtype.is_floating}
    assert len(stored) == len(network.weights)
    assert set(stored.values()) == {tf.bfloat16}
    exported = tf.saved_model.load(str(tmp_path / "kept")).signatures
    texts = [text.decode() for text in exported["serving_default"](prompt=tf.constant(prompts))["text"].numpy()]
    sampling = Sampling(temperature=0.0)
    expected = TextGenerator(network, tokenizer).generate(prompts, 30, sampling, (), 1)
    assert texts == [text for (text,) in expected]
    assert any(texts)
    scores = exported["score"](text=tf.constant(prompts))["log_probability"].numpy()
    scorer = TextScorer(network, tokenizer)
    np.testing.assert_allclose(scores, [scorer.score(text).log_probability for text in prompts], atol=1e-4)


def test_without_another_precision_every_weight_is_stored_once(tmp_path):
    network = build("pre_norm")
    module, signatures = Language().exported(network, Letters(SPECIAL), "float32")
    write_saved_model(module, signatures, tmp_path / "plain")
    file = tf.train.load_checkpoint(str(tmp_path / "plain/variables/variables"))
    sizes = [np.prod(shape) for name, shape in file.get_variable_to_shape_map().items() if "GRAPH" not in name]
    assert sum(sizes) == network.count_params()
