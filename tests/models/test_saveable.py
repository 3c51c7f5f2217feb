"""What could not be loaded again is refused: before training where it can be known, else before a file is written."""

import dataclasses

import keras
import pytest

from lmkeras import InputError, Model, TextClassifier
from lmkeras.networks.bodies.dense import MeanEmbedding
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.tasks.classification import Classification
from lmkeras.tokenizers import new_tokenizer

EXAMPLES = [("good film", "pos"), ("bad film", "neg")] * 5
TOKENIZER = new_tokenizer("words").fit(text for text, _ in EXAMPLES)


class Unregistered(MeanEmbedding):
    """A body of a user who forgot to register it."""


@keras.saving.register_keras_serializable("tests")
class Forgetful(MeanEmbedding):
    """A body whose config lacks a size."""

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "embedding_dim"}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            Unregistered,
            "one of Unregistered and ClassesHead cannot be made again .*: expected a registered body",
        ),
        (Forgetful, "get_config of one of Forgetful and ClassesHead must give all arguments"),
    ],
)
def test_a_network_that_could_not_be_loaded_is_refused_before_it_is_trained(body, complaint):
    network = Network(body(9, embedding_dim=7), ClassesHead(2))
    updates = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: updates.append(batch))
    with pytest.raises(InputError, match=complaint):
        TextClassifier(network, TOKENIZER, labels=["pos", "neg"]).fit(EXAMPLES, verbose=0, callbacks=[watch])
    assert not updates


def test_a_task_that_is_not_registered_is_not_saved(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Mine(Classification):
        pass

    model = Model(Mine(), "dense")
    model.fit(EXAMPLES, steps=1, verbose=0)
    with pytest.raises(InputError, match="the task Mine is not registered"):
        model.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
