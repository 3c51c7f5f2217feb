"""A task and a body that lmkeras has never heard of get all that it does by registering, in some sixty lines."""

import dataclasses
import json
from typing import ClassVar, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import lmkeras
from lmkeras.cli import main
from lmkeras.networks import registry as bodies
from lmkeras.networks.contract import Body, Head
from lmkeras.networks.registry import register_body
from lmkeras.tasks import register_task
from lmkeras.tasks import registry as task_registry
from lmkeras.tasks.base import Metric
from lmkeras.tasks.whole_texts import WholeTextTask

# --- a toy body: the mean of what a dense layer makes of every token ------------------------------------------------


@keras.saving.register_keras_serializable("toys")
class ToyBody(Body, keras.layers.Layer):
    default_learning_rate = 0.01

    def __init__(self, vocabulary_size, toy_width: int = 8, dropout: float = 0.0):
        super().__init__()
        self.vocabulary_size, self.toy_width, self.dropout = vocabulary_size, toy_width, dropout
        self.embedding = keras.layers.Embedding(vocabulary_size, toy_width, name="embedding")

    def build(self, shape):
        self.width = self.summary_size = self.toy_width
        self.dense = keras.layers.Dense(self.toy_width, "tanh", name="toy_dense")
        self.embedding.build(shape)
        self.dense.build((None, None, self.toy_width))

    def states(self, inputs, training=False):
        return self.dense(self.embedding(inputs["input_ids"]))

    def get_config(self):
        return {name: getattr(self, name) for name in ("vocabulary_size", "toy_width", "dropout")}


# --- a toy task: how many stars a text gives ------------------------------------------------------------------------


class Rated(NamedTuple):
    text: str
    stars: float


@keras.saving.register_keras_serializable("toys")
class StarsHead(Head):
    def build(self, shape):
        self.dense = keras.layers.Dense(1, name="stars")
        self.dense.build(shape)

    def call(self, summary, training=False):
        return ops.cast(self.dense(summary), "float32")

    def loss(self, outputs, targets, shares):
        return ops.sum(ops.square(outputs[:, 0] - targets) * shares)

    def get_config(self):
        return {}


@dataclasses.dataclass(frozen=True)
class Rating(WholeTextTask):
    kind: ClassVar[str] = "rating"
    title: ClassVar[str] = "a rater"
    command: ClassVar[str] = "rater"
    Example: ClassVar[type] = Rated
    auto_networks: ClassVar[tuple] = ("toy",)
    metrics: ClassVar[tuple] = (Metric("absolute_error", higher_is_better=False),)
    monitor: ClassVar[str] = "absolute_error"
    signatures: ClassVar[tuple] = ("rate",)

    def head(self, body, dropout=None):
        return StarsHead()

    def targets(self, values):
        return np.array(values, np.float32)

    def keras_metrics(self, network):
        return [keras.metrics.MeanAbsoluteError(name="absolute_error")]

    def answer(self, outputs):
        return float(outputs[0])

    def judged(self, outputs, targets):
        return {"absolute_error": float(np.abs(outputs[:, 0] - targets).mean()), "examples": len(targets)}, None

    def in_graph_answers(self, outputs):
        return {"stars": outputs[:, 0]}


# --- and what they get for it ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def registered():
    """All that there is to say; taken back afterwards, so that other tests find what lmkeras brings."""
    register_body("toy", "readers")(ToyBody)
    register_task(Rating)
    yield
    del bodies._bodies["readers"]["toy"], task_registry._tasks["rating"]


ROWS = [("good good film", 5.0), ("bad film", 1.0), ("good bad film", 3.0), ("film", 3.0)] * 10
TRAINING = {"epochs": 30, "batch_size": 8, "patience": "never", "verbose": 0}


@pytest.fixture(scope="module")
def model():
    model = lmkeras.Model(Rating(), toy_width=6)
    model.history = model.fit(ROWS, **TRAINING)
    return model


def test_fit_learns_and_reports_the_tasks_metric_by_which_the_best_weights_are_kept(model):
    assert set(model.history[-1]) == {"loss", "absolute_error", "val_loss", "val_absolute_error"}
    values = model.evaluate(ROWS)
    assert values["absolute_error"] < 0.5 < np.abs(np.array([stars for _, stars in ROWS]) - 3).mean()
    assert model.predict(["good good film", "bad film"])[0] > 4 > 2 > model.predict("bad film")


def test_examples_come_from_tables_in_memory_and_files_with_columns_of_other_names(model, tmp_path):
    texts, stars = zip(*ROWS, strict=True)
    (tmp_path / "a.csv").write_text("stars,review\n" + "".join(f"{given},{text}\n" for text, given in ROWS))
    expected = model.evaluate(ROWS)
    assert model.evaluate(np.array(texts), np.array(stars)) == expected
    assert model.evaluate({"review": texts, "stars": stars}, text_column="review") == expected
    assert model.evaluate(tmp_path / "a.csv", text_column="review") == expected


def test_a_run_that_is_cut_short_and_resumed_ends_with_the_same_weights(model, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lmkeras.Model(Rating(), toy_width=6).fit(ROWS, run_folder=tmp_path, callbacks=[Stop()], **TRAINING)
    resumed = lmkeras.Model(Rating(), toy_width=6)
    assert resumed.fit(ROWS, run_folder=tmp_path, resume=True, **TRAINING) == model.history
    for ours, theirs in zip(resumed.network.get_weights(), model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_saved_and_loaded_it_answers_the_same(model, tmp_path):
    model.save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["kind"] == "rating"
    again = lmkeras.load(tmp_path)
    assert type(again) is lmkeras.Model
    assert again.task == model.task
    assert again.predict("good film") == model.predict("good film")


def test_exported_it_takes_text(model, tmp_path):
    model.export(tmp_path / "exported")
    served = tf.saved_model.load(tmp_path / "exported").signatures["rate"]
    texts = ["good film", "bad", "never seen", ""]
    np.testing.assert_allclose(served(text=tf.constant(texts))["stars"], model.predict(texts), atol=1e-5)


def test_every_verb_of_the_command_line_serves_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "stars.csv"
    table.write_text("text,stars\n" + "".join(f"{text},{stars}\n" for text, stars in ROWS))

    def lmkeras_(*arguments):
        code = main([*arguments])
        out, err = capsys.readouterr()
        return code, out + err

    train = ("train", "rater", "--text", "stars.csv", "--toy-width", "6", "--epochs", "2", "--output", "run")
    code, out = lmkeras_(*train)
    assert code == 0
    assert "absolute_error" in out
    assert lmkeras_(*train)[0] == 2, "the run is there already"
    code, out = lmkeras_(*train, "--resume")
    assert code == 0, "resumed after its end, it has nothing left to do"
    assert "going on after update" in out
    assert lmkeras_(*train, "--overwrite", "--monitor", "val_loss", "--network", "dense")[0] == 2, "dense has no width"
    code, out = lmkeras_("evaluate", "run", "--text", "stars.csv")
    assert code == 0
    assert out.startswith("absolute_error ")
    code, out = lmkeras_("predict", "run", "good film")
    assert code == 0
    assert out.endswith("\tgood film\n")
    assert lmkeras_("predict", "run", "--text", "stars.csv", "--output", "answers.csv")[0] == 0
    assert (tmp_path / "answers.csv").read_text().splitlines()[0] == '"text","stars","answer","unknown_text"'
    assert lmkeras_("export", "run", "exported") == (0, "exported to exported: signature rate\n")
    code, out = lmkeras_("info", "run")
    assert code == 0
    assert json.loads(out)["kind"] == "rating"
    code, out = lmkeras_("generate", "run", "--prompt", "x")
    assert code == 2
    assert "run is a rater, and this is for a language model" in out
