"""Folders that version 0.1 wrote are models like others: they answer as they did there, and go on from there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras import InputError, LanguageModel, TextClassifier
from tests.cli.command import run
from tests.security.hostile import change_keras_file, changed_h5, sign

FOLDER = Path(__file__).parent / "version_0_1"
#: what version 0.1 answered, in float32 on a CPU
SAID = json.loads((FOLDER / "outputs.json").read_text(encoding="utf-8"))
LANGUAGE = [name for name, said in SAID.items() if said["kind"] == "language_model"]
CLASSES = [name for name in SAID if name not in LANGUAGE]
TEXTS = [
    "the cat sat on the mat. ",
    "a dog ran in the park; it was fast! ",
    "the bird flew over the old house. ",
    "we saw a fox, 你好。 ",
]
SCORED, PROMPT, TOKENS = "the cat ran over a house", "the ", 12
CORPORA = {
    False: [
        ("good fine great film", "pos"),
        ("bad poor awful film", "neg"),
        ("great fun", "pos"),
        ("awful, boring", "neg"),
    ],
    True: [
        (("a cat", "a cat sat"), "yes"),
        (("a dog", "a bird"), "no"),
        (("the mat", "on the mat"), "yes"),
        (("we", "it"), "no"),
    ],
}


def corpus_of(model):
    return TEXTS if isinstance(model, LanguageModel) else CORPORA[model.pairs] * 4


def texts_of(said):
    return [text if isinstance(text, str) else tuple(text) for text in said["texts"]]


def answers(model, said) -> dict:
    """What outputs.json holds of a model."""
    if said["kind"] == "text_classifier":
        texts = texts_of(said)
        return {"texts": texts, "predictions": [answer.probabilities for answer in model.predict(texts)]}
    score = model.score(SCORED)
    return {
        "log_probability": score.log_probability,
        "tokens": score.tokens,
        "token_log_probabilities": score.token_log_probabilities,
        "greedy": model.generate(PROMPT, TOKENS, temperature=0),
        "sampled": model.generate(PROMPT, TOKENS, temperature=1, seed=3),
        "perplexity": model.evaluate(TEXTS)["perplexity"],
    }


def require_said(found: dict, said: dict) -> None:
    """Fails unless answers are those of version 0.1: texts and names as they were, numbers to five digits."""
    assert found.keys() == said.keys() - {"kind"}
    for name in found.keys() & {"tokens", "greedy", "sampled"}:
        assert list(found[name]) == list(said[name]), name
    for name in found.keys() & {"log_probability", "token_log_probabilities", "perplexity"}:
        assert found[name] == pytest.approx(said[name], rel=1e-5, abs=1e-5), name
    for one, other in zip(found.get("predictions", []), said.get("predictions", []), strict=True):
        assert list(one) == list(other), "the labels are in their order"
        assert one == pytest.approx(other, abs=1e-5)


def test_there_is_a_folder_of_every_network_of_version_0_1():
    networks = {json.loads((FOLDER / name / "config.json").read_text())["network"]["name"] for name in SAID}
    assert networks == {
        *("RecurrentLanguageNetwork", "TransformerLanguageNetwork", "DenseClassifier", "ConvolutionalClassifier"),
        *("RecurrentClassifier", "TransformerClassifier", "BertClassifier"),
    }
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == SAID.keys()


@pytest.fixture(scope="module", params=SAID)
def model(request):
    """A model of version 0.1 with its name; it is not to be changed."""
    return request.param, lmkeras.load(FOLDER / request.param)


def test_it_answers_what_it_answered_there(model):
    name, loaded = model
    assert type(loaded) is (LanguageModel if name in LANGUAGE else TextClassifier)
    require_said(answers(loaded, SAID[name]), SAID[name])


def test_it_trains_at_the_rate_that_version_0_1_would_take(model):
    name, loaded = model
    others = {"classifier-dense": 0.01, "classifier-bert-pairs": 0.0005}
    assert loaded.network.default_learning_rate == (None if name in LANGUAGE else others.get(name, 0.001))


def test_saved_in_todays_format_it_answers_the_same(model, tmp_path):
    name, loaded = model
    loaded.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    before = json.loads((FOLDER / name / "config.json").read_text(encoding="utf-8"))
    assert (before["format_version"], config["format_version"]) == (1, 3)
    assert config["network"]["parameters"] == before["network"]["parameters"]
    again = lmkeras.load(tmp_path)
    assert answers(again, SAID[name]) == answers(loaded, SAID[name])
    assert again.task == loaded.task


@pytest.mark.parametrize("name", ["lm-lstm", "classifier-cnn"])
def test_saved_over_itself_it_leaves_nothing_of_its_format(name, tmp_path):
    folder = shutil.copytree(FOLDER / name, tmp_path / "run")
    (folder / "note.txt").write_text("of the user")
    lmkeras.load(folder).save(folder)
    left = {path.name for path in folder.iterdir()}
    assert left == {"config.json", "model.safetensors", "tokenizer.json", "note.txt"}
    require_said(answers(lmkeras.load(folder), SAID[name]), SAID[name])


def test_exported_it_answers_the_same(model, tmp_path):
    (name, loaded), said = model, SAID[model[0]]
    loaded.export(tmp_path / "exported")
    signatures = tf.saved_model.load(str(tmp_path / "exported")).signatures
    if name in LANGUAGE:
        score = signatures["score"](text=tf.constant([SCORED]))
        assert float(score["log_probability"][0]) == pytest.approx(said["log_probability"], abs=1e-4)
        numbers = {
            "max_new_tokens": TOKENS,
            "temperature": 0.0,
            "top_k": 0,
            "top_p": 1.0,
            "repetition_penalty": 1.0,
            "seed": 0,
        }
        numbers = {key: tf.constant(value) for key, value in numbers.items()}
        written = signatures["generate"](prompt=tf.constant([PROMPT]), **numbers)["text"]
        assert written.numpy()[0].decode() == said["greedy"]
        return
    columns = zip(*texts_of(said), strict=True) if loaded.pairs else [said["texts"]]
    columns = dict(zip(("text", "pair"), map(list, columns), strict=False))
    found = signatures["classify"](**{key: tf.constant(texts) for key, texts in columns.items()})
    labels = [label.decode() for label in found["labels"].numpy()]
    for probabilities, expected in zip(found["probabilities"].numpy(), said["predictions"], strict=True):
        assert dict(zip(labels, probabilities.tolist(), strict=True)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", SAID)
def test_it_goes_on_training_from_where_it_stands(name):
    model = lmkeras.load(FOLDER / name)
    before = model.evaluate(corpus_of(model))["loss_nats"]
    how = {"batch_size": 16, "learning_rate": 0.01, "xla": "off", "precision": "float32", "verbose": 0}
    history = model.fit(corpus_of(model), corpus_of(model), steps=6, evaluate_every=6, **how)
    after = model.evaluate(corpus_of(model))["loss_nats"]
    assert history[-1]["val_loss"] == pytest.approx(after, abs=1e-5)
    assert before - 0.5 < after < before, "it goes on, and does not begin anew"


@pytest.mark.parametrize("name", ["lm-lstm", "classifier-bert-pairs"])
@pytest.mark.parametrize("file", ["config.json", "network.keras", "tokenizer.json"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "of another model"])
def test_a_damaged_one_is_refused_by_the_file(name, file, harm, tmp_path):
    folder = shutil.copytree(FOLDER / name, tmp_path / "run")
    if harm == "missing":
        (folder / file).unlink()
    elif harm == "truncated":
        (folder / file).write_bytes((folder / file).read_bytes()[:-100])
    else:
        shutil.copy(FOLDER / "classifier-cnn" / file, folder / file)
    expected = "network.keras" if (file, harm) == ("config.json", "of another model") else file
    with pytest.raises(InputError, match=expected):
        lmkeras.load(folder)


def test_a_changed_one_is_refused(tmp_path):
    folder = shutil.copytree(FOLDER / "classifier-cnn", tmp_path / "run")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["labels"].reverse()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=r"config.json is damaged or was changed"):
        lmkeras.load(folder)


@pytest.mark.parametrize("name", ["lm-lstm", "lm-transformer", "classifier-lstm", "classifier-bert-pairs"])
def test_arrays_in_other_places_are_refused(name, tmp_path):
    """Arrays of the right shapes under other names: none is taken for another."""
    folder = shutil.copytree(FOLDER / name, tmp_path / name)

    def moved(file):
        file.move("head" if "head" in file else "embedding", "elsewhere")

    change_keras_file(folder, members={"model.weights.h5": changed_h5(folder, moved)})
    with pytest.raises(InputError, match=r"network.keras is damaged"):
        lmkeras.load(folder)


@pytest.mark.parametrize("name", ["lm-lstm", "classifier-cnn"])
def test_the_first_ones_had_an_optimizer_and_no_digest(name, tmp_path):
    folder = shutil.copytree(FOLDER / name, tmp_path / name)

    def trained(file):
        for number in range(4):
            file[f"optimizer/vars/{number}"] = np.full((2, 3), 7, "float32")

    change_keras_file(folder, members={"model.weights.h5": changed_h5(folder, trained)})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["digest"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    expected = lmkeras.load(FOLDER / name).network.get_weights()
    for found, weight in zip(lmkeras.load(folder).network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, weight)


def test_a_network_that_version_0_1_did_not_have_is_refused(tmp_path):
    folder = shutil.copytree(FOLDER / "lm-lstm", tmp_path / "run")
    change_keras_file(folder, inner=lambda said: said.update(registered_name="lmkeras>OtherLanguageNetwork"))
    with pytest.raises(InputError, match=r"network.keras .* registered network of lmkeras, got 'lmkeras>Other"):
        lmkeras.load(folder)


def test_a_format_that_never_was_is_refused(tmp_path):
    folder = shutil.copytree(FOLDER / "lm-lstm", tmp_path / "run")
    for version in (0, 2, 4):
        sign(folder, lambda config, version=version: config.update(format_version=version))
        with pytest.raises(InputError, match=rf"has format {version}; this version of lmkeras reads format 3, or 1"):
            lmkeras.load(folder)


def test_the_command_line_reads_it(capsys):
    code, out, err = run(capsys, "info", FOLDER / "lm-lstm")
    assert (code, err) == (0, "")
    assert json.loads(out)["network"]["units"] == 8
    said = SAID["classifier-dense"]
    code, out, err = run(capsys, "predict", FOLDER / "classifier-dense", said["texts"][0])
    label, probability = max(said["predictions"][0].items(), key=lambda item: item[1])
    assert (code, out, err) == (0, f"{label}\t{probability:.4f}\t{said['texts'][0]}\n", "")
