import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from lmkeras import InputError, LanguageModel
from lmkeras.training import policy
from tests.models.reviews import drawn, learnt, reviews

TEXTS = [f"Ann saw {count} cats, 猫 and déjà vu. " for count in range(20)]
PROMPTS = ["Ann ", "", "猫 and"]
SIZES = {
    ("transformer", "byte_pair"): {"d_model": 16, "num_heads": 2, "num_layers": 1, "context_length": 16},
    ("lstm", "characters"): {"embedding_dim": 8, "units": 16},
    ("gru", "words"): {"embedding_dim": 8, "units": 16},
}
# what another process does with the folder; it must not need lmkeras or even find it
PROGRAM = """
import json, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
prompts, texts = json.loads(sys.argv[2])
arguments = dict(max_new_tokens=30, top_k=0, top_p=1.0, repetition_penalty=1.0)
arguments = {name: tf.constant(value) for name, value in arguments.items()}
prompts = tf.constant(prompts)
greedy = model.signatures["generate"](prompt=prompts, temperature=tf.constant(0.0), seed=tf.constant(0), **arguments)
drawn = model.signatures["generate"](prompt=prompts, temperature=tf.constant(1.0), seed=tf.constant(3), **arguments)
scores = model.signatures["score"](text=tf.constant(texts))
assert not any(name.startswith("lmkeras") for name in sys.modules)
print(json.dumps({
    "greedy": [text.decode() for text in greedy["text"].numpy()],
    "drawn": [text.decode() for text in drawn["text"].numpy()],
    "log_probability": scores["log_probability"].numpy().tolist(),
    "token_count": scores["token_count"].numpy().tolist(),
}))
"""


@pytest.fixture(scope="module", params=SIZES, ids="-".join)
def exported(request, tmp_path_factory):
    network, tokenizer = request.param
    model = LanguageModel(network, tokenizer, vocabulary_size=300, **SIZES[request.param])
    model.fit(TEXTS, steps=60, batch_size=4, learning_rate=0.01, verbose=0, xla="off")
    folder = tmp_path_factory.mktemp("exported") / "model"
    model.export(folder)
    return model, folder


def test_another_process_without_lmkeras_gets_the_same(exported, tmp_path):
    model, folder = exported
    texts = ["", "Ann saw 3 cats", "".join(TEXTS), "a word unseen: zebra"]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), json.dumps([PROMPTS, texts])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["greedy"] == model.generate(PROMPTS, 30, temperature=0)
    assert result["drawn"] == model.generate(PROMPTS, 30, temperature=1, seed=3)
    scores = model.score(texts)
    assert result["token_count"] == [len(score.tokens) for score in scores]
    np.testing.assert_allclose(
        result["log_probability"], [score.log_probability for score in scores], rtol=0, atol=1e-4
    )


def test_signatures_are_what_the_readme_says(exported):
    _, folder = exported
    model = tf.saved_model.load(str(folder))
    generate, score = model.signatures["generate"], model.signatures["score"]
    assert {
        name: (spec.dtype.name, spec.shape.rank) for name, spec in generate.structured_input_signature[1].items()
    } == {
        "prompt": ("string", 1),
        "max_new_tokens": ("int32", 0),
        "temperature": ("float32", 0),
        "top_k": ("int32", 0),
        "top_p": ("float32", 0),
        "repetition_penalty": ("float32", 0),
        "seed": ("int32", 0),
    }
    assert {name: spec.dtype.name for name, spec in generate.structured_outputs.items()} == {"text": "string"}
    assert {name: spec.dtype.name for name, spec in score.structured_outputs.items()} == {
        "log_probability": "float64",
        "token_count": "int32",
    }


def test_saved_model_cli_runs_it(exported):
    model, folder = exported
    tool = os.path.join(os.path.dirname(sys.executable), "saved_model_cli")
    values = 'prompt=["Ann "];max_new_tokens=12;temperature=0.0;top_k=0;top_p=1.0;repetition_penalty=1.0;seed=0'
    flags = {"--dir": folder, "--tag_set": "serve", "--signature_def": "generate", "--input_exprs": values}
    command = [tool, "run", *(str(word) for flag in flags.items() for word in flag)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert run.returncode == 0, run.stderr[-2000:]
    assert repr([model.generate("Ann ", 12, temperature=0).encode()]) in run.stdout


def operations(folder):
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    definition = saved.meta_graphs[0].graph_def
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    return {node.op for node in nodes}


def test_plain_tensorflow_operations_alone(exported):
    _, folder = exported
    found = operations(folder)
    assert not {name for name in found if "Cudnn" in name or "PyFunc" in name}
    unknown = {name for name in found if not hasattr(tf.raw_ops, name)}
    assert not unknown


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_gpu_host_bakes_in_no_kernel_of_its_own(cell, tmp_path, monkeypatch):
    """As on a host with a GPU, all are told that cuDNN may serve; training may use it, an export must not."""
    keras_rnn, traced = sys.modules["keras.src.backend.tensorflow.rnn"], []
    monkeypatch.setattr(keras_rnn, "_is_gpu_available", lambda: True)
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", lambda **given: traced.append(1) or 1 / 0)
    model = LanguageModel(cell, "characters", embedding_dim=4, units=4)
    with policy.working_on(policy.cpu()):
        model.fit(TEXTS, steps=1, verbose=0)
    with policy.working_on(policy.Device(True)):
        with pytest.raises(ZeroDivisionError):
            model.network(np.zeros((1, 3), int))  # outside an export the fast kernel is taken
        traced.clear()
        model.export(tmp_path / "exported")
    assert not traced


def test_a_used_folder_is_not_overwritten(exported, tmp_path):
    model, _ = exported
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "saved_model.pb").write_text("of another one")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=str(tmp_path)):
            model.export(tmp_path, overwrite)
    with pytest.raises(InputError, match="is a file"):
        model.export(tmp_path / "mine.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "saved_model.pb"]


def test_a_saved_model_is_replaced_when_asked(exported, tmp_path):
    model, _ = exported
    model.export(tmp_path / "model")
    with pytest.raises(InputError, match="overwrite"):
        model.export(tmp_path / "model")
    model.export(tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "saved_model.pb").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


CLASSIFIERS = {
    "dense words": {"max_length": 9},
    "cnn characters": {"max_length": 9, "long_texts": "both"},
    "lstm byte_pair": {"max_length": 8, "long_texts": "end"},
    "transformer words": {},
    "bert word_piece": {"max_length": 12, "long_texts": "both"},
    "dense byte_pair pairs": {"max_length": 12},
    "bert word_piece pairs": {"max_length": 12},
}
STRINGS = [
    "so fizzy",
    "",
    "it was Vague, DÉJÀ VU",
    "猫 and 犬",
    "the film is so vague " * 30,
    "x",
    "[SEP] the [PAD] film [CLS]",
    " ",
]
# what another process does with the folders; it must not need lmkeras or even find it
CLASSIFY = """
import json, sys
import tensorflow as tf
results = []
for folder, columns in json.loads(sys.argv[1]):
    columns = {name: tf.constant(texts) for name, texts in columns.items()}
    result = tf.saved_model.load(folder).signatures["classify"](**columns)
    texts = {name: [text.decode() for text in result[name].numpy()] for name in ("label", "labels")}
    results.append({**texts, "probabilities": result["probabilities"].numpy().tolist()})
assert not any(name.startswith("lmkeras") for name in sys.modules)
print(json.dumps(results))
"""


def as_columns(texts, pairs):
    first, second = zip(*texts, strict=True) if pairs and texts else (texts, [])
    return {"text": list(first), "pair": list(second)} if pairs else {"text": list(texts)}


def texts_for(model):
    return list(zip(STRINGS, STRINGS[::-1], strict=True)) if model.pairs else STRINGS


def require_same(result, predictions, labels):
    assert (list(result["labels"]), list(result["label"])) == (list(labels), [p.label for p in predictions])
    expected = np.array([list(prediction.probabilities.values()) for prediction in predictions])
    np.testing.assert_allclose(result["probabilities"], expected.reshape(-1, len(labels)), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    """Each model with its exported folder, and what another process says that knows the folder alone."""
    root, models = tmp_path_factory.mktemp("classifiers"), {}
    for name, options in CLASSIFIERS.items():
        network, tokenizer, *pairs = name.split()
        models[name] = drawn(network, tokenizer, bool(pairs), **options)
        models[name].export(root / name)
    tasks = [(str(root / name), as_columns(texts_for(model), model.pairs)) for name, model in models.items()]
    run = subprocess.run(
        [sys.executable, "-c", CLASSIFY, json.dumps(tasks)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    answers = json.loads(run.stdout)
    return {name: (models[name], root / name, answer) for name, answer in zip(models, answers, strict=True)}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_another_process_without_lmkeras_labels_the_same(name, classifiers):
    model, folder, answer = classifiers[name]
    predictions = model.predict(texts_for(model))
    require_same(answer, predictions, model.labels)
    spread = np.ptp([list(prediction.probabilities.values()) for prediction in predictions], axis=0).max()
    assert spread > 0.01, "texts that all look the same would show nothing"
    found = operations(folder)
    assert not {name for name in found if "Cudnn" in name or "PyFunc" in name or not hasattr(tf.raw_ops, name)}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_this_process_labels_batches_of_any_size(name, classifiers):
    """Several texts, one alone, none but empty ones, none at all; by the signatures that the docstring names."""
    model, folder, _ = classifiers[name]
    signatures = tf.saved_model.load(str(folder)).signatures
    assert set(signatures) == {"classify", "serving_default"}
    blank = ("", "") if model.pairs else ""
    for texts in (texts_for(model), texts_for(model)[2:3], [blank], [blank, blank], []):
        columns = as_columns(texts, model.pairs)
        result = signatures["serving_default"](**{key: tf.constant(of, tf.string) for key, of in columns.items()})
        assert [result[key].dtype.name for key in ("label", "labels", "probabilities")] == ["string"] * 2 + ["float32"]
        decoded = {key: [text.decode() for text in result[key].numpy()] for key in ("label", "labels")}
        require_same({**decoded, "probabilities": result["probabilities"]}, model.predict(texts), model.labels)


def test_bert_in_bfloat16_keeps_labels_and_two_digits(tmp_path):
    model = learnt("bert", "word_piece")
    texts = [text for text, _ in reviews(60, seed=5)]
    model.export(tmp_path / "model", dtype="bfloat16")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    result = loaded.classify(tf.constant(texts))
    predictions = model.predict(texts)
    assert [label.decode() for label in result["label"].numpy()] == [prediction.label for prediction in predictions]
    expected = np.array([list(prediction.probabilities.values()) for prediction in predictions])
    assert 0 < np.abs(result["probabilities"].numpy() - expected).max() < 0.01
    for other, dtype, message in ((model, "float16", "bfloat16"), (learnt(), "bfloat16", "is exported in its own")):
        with pytest.raises(InputError, match=message):
            other.export(tmp_path / "other", dtype=dtype)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("kind", ["dense words", "bert word_piece"])
def test_a_trained_classifier_leaves_its_optimizer_behind(kind, tmp_path):
    model = learnt(*kind.split())
    model.export(tmp_path / "model")
    variables = tf.train.list_variables(str(tmp_path / "model" / "variables" / "variables"))
    stored = sorted(shape for name, shape in variables if ".ATTRIBUTES" in name)
    assert stored == sorted(list(weight.shape) for weight in model.network.weights)


def test_a_classifier_takes_no_folder_that_is_in_use(tmp_path):
    model = drawn("dense", "words")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="mine"):
            model.export(tmp_path / "mine", overwrite)
    model.export(tmp_path / "model")
    with pytest.raises(InputError, match="overwrite"):
        model.export(tmp_path / "model")
    learnt().export(tmp_path / "model", overwrite=True)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    result = loaded.classify(tf.constant(["so fizzy", "vague"]))
    assert [label.decode() for label in result["label"].numpy()] == ["yes", "nö"]
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "model"}
