"""model.safetensors and what config.json says of it: what is written is read again, and errors come before training."""

import subprocess
import sys
from typing import ClassVar

import keras
import numpy as np
import pytest
import safetensors.numpy

import lmkeras
from lmkeras import InputError
from lmkeras.models.language_model import LanguageModel
from lmkeras.models.network_file import read_network, write_network
from lmkeras.models.text_classifier import TextClassifier
from lmkeras.networks.bodies.embedding import EmbeddingReader
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.weights import named_weights
from lmkeras.tasks.language import Language
from lmkeras.tokenizers import new_tokenizer
from tests.models.built import built
from tests.models.reviews import reviews
from tests.networks.made import new_network
from tests.security.hostile import little_memory

IDS = np.array([[1, 2, 3]])


def test_the_file_has_the_arrays_under_their_names(tmp_path):
    network = new_network("transformer", "writers", vocabulary_size=9, d_model=8, num_heads=2, num_layers=2)
    write_network(network, tmp_path / "model.safetensors")
    arrays = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    named = named_weights(network)
    assert arrays.keys() == named.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, named[name].numpy())
    again = read_network(tmp_path / "model.safetensors", network.get_config())
    np.testing.assert_array_equal(again(IDS), network(IDS))


def test_weights_in_bfloat16_are_written_and_read_in_it(tmp_path):
    config = new_network("bert", "readers", vocabulary_size=9, d_model=8, num_heads=2, num_layers=1).get_config()
    config["body"]["config"]["dtype"] = "bfloat16"
    network = Network.from_config(config)
    assert {weight.dtype for weight in network.body.weights} == {"bfloat16"}
    write_network(network, tmp_path / "model.safetensors")
    again = read_network(tmp_path / "model.safetensors", network.get_config())
    for one, other in zip(again.weights, network.weights, strict=True):
        assert one.dtype == other.dtype
    np.testing.assert_array_equal(again(IDS), network(IDS))


def test_who_may_read_the_other_files_may_read_the_weights(tmp_path):
    """Such as a server that runs as another user."""
    tokenizer = new_tokenizer("characters").fit(["abc"])
    network = built("lstm", Language(), vocabulary_size=tokenizer.vocabulary_size, embedding_dim=4, units=4)
    LanguageModel(network, tokenizer).save(tmp_path)
    (tmp_path / "new.txt").touch()
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_a_full_disk_is_an_error_of_the_system(tmp_path):
    program = f"""
import resource, signal
from lmkeras.models.network_file import write_network
from tests.networks.made import new_network
network = new_network("dense", "readers", vocabulary_size=1000)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_network(network, {str(tmp_path / "model.safetensors")!r})
except OSError as error:
    from lmkeras.arguments.running import _mendable
    print(error.filename)
    print(_mendable(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    filename, message = done.stdout.splitlines()[-2:]
    assert filename == str(tmp_path / "model.safetensors")
    assert message.endswith(f"File too large: '{filename}'"), "the command line says it in one line"


def test_a_context_may_be_longer_than_any_table_of_positions(tmp_path):
    tokenizer = new_tokenizer("characters").fit(["some text that is read"])
    sizes = {"d_model": 4, "num_heads": 1, "num_layers": 1, "context_length": 32768, "block": "post_norm"}
    model = LanguageModel("transformer", tokenizer, **sizes)
    texts = ["some text that is read " * 30]
    with little_memory(600):  # most of it is what TensorFlow compiles
        model.fit(texts, steps=1, batch_size=1, window_length=16, validation_fraction=0, verbose=0)
    model.save(tmp_path)
    with little_memory():
        again = lmkeras.load(tmp_path)
    assert again.network.body.context_length == 32768
    np.testing.assert_array_equal(again.network(IDS), model.network(IDS))
    assert again.generate("some", 5, seed=1) == model.generate("some", 5, seed=1)


# --- bodies of users ------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class Scaled(EmbeddingReader):
    """A body with a weight that has no name, and a size that a test chooses."""

    SIZES: ClassVar = {"embedding_dim": 4, "dropout": 0.0, "axis": 1}

    def build_layers(self, shape):
        self.scale = self.add_weight(shape=(4,), initializer="ones")

    def states(self, inputs, training=False):
        return super().states(inputs) * self.scale


def classifier(**sizes):
    tokenizer = new_tokenizer("words").fit([text for text, _ in reviews(20)])
    network = Network(Scaled(tokenizer.vocabulary_size, **sizes), ClassesHead(2))
    return TextClassifier(network, tokenizer, labels=["nö", "yes"])


def test_a_weight_without_a_name_is_found_whatever_was_made_before(tmp_path):
    model = classifier()
    model.fit(reviews(20), steps=2, verbose=0)
    model.save(tmp_path)
    keras.layers.Layer().add_weight(shape=(1,))  # Keras counts it
    again = lmkeras.load(tmp_path)
    assert not np.array_equal(again.network.body.scale, np.ones(4))
    np.testing.assert_array_equal(again.network(IDS), model.network(IDS))


@pytest.mark.parametrize(
    ("axis", "reason"),
    [
        (-1, "expected a size below"),
        (np.int64(1), "int64 is not JSON serializable"),
        ("x" * 1000, "expected a name"),
        ({"class_name": "Dense", "config": {"units": 4}}, "expected one of the dtypes"),
        (list(range(100)), "axis has 100 entries"),
    ],
    ids=repr,
)
def test_what_could_not_be_loaded_again_is_not_trained(tmp_path, axis, reason):
    model = classifier()
    model.network.body.axis = axis
    with pytest.raises(InputError, match=f"one of Scaled and ClassesHead cannot be made again .*{reason}"):
        model.fit(reviews(20), steps=1, run_folder=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run" / "model.safetensors").exists()
