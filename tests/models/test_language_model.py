import ast
import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest

import lmkeras
from lmkeras import InputError, LanguageModel
from lmkeras.datasets import text_windows, tokenize
from lmkeras.networks.bodies.dense import dense_classifier
from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.networks.weights import named_weights
from lmkeras.tokenizers import new_tokenizer

TEXTS = [
    f"{name} has {count} {thing}. " for name in ("Ann", "Bob") for count in "12345" for thing in ("apples", "pears")
]
SIZES = {
    "transformer": {"d_model": 16, "num_heads": 2, "num_layers": 1, "context_length": 16},
    "lstm": {"embedding_dim": 8, "units": 16},
}


@pytest.fixture(scope="module", params=SIZES)
def model(request):
    model = LanguageModel(request.param, "characters", **SIZES[request.param])
    model.fit(TEXTS, steps=250, batch_size=4, window_length=16, learning_rate=0.01, verbose=0, xla="off")
    return model


def test_it_learns_to_write_like_its_texts(model):
    assert model.evaluate(TEXTS)["bits_per_character"] < 1.5
    assert "has" in model.generate("Ann ", 8, temperature=0)


@pytest.mark.parametrize("stride", [None, 3])
def test_evaluation_is_the_chain_rule_over_windows(model, stride):
    """The loss of `evaluate` is the mean of what full passes over the same windows say, token by token."""
    texts = ["Ann has 3 apples. Bob has 4 pears and a kiwi.", "x", "Bob has 1 pears"]
    values = model.evaluate(texts, stride)
    stream = tokenize(texts, model.tokenizer)
    length = model.network.body.context_length or 512
    nats = []
    for ids, judged in text_windows(stream, length, stride):
        logits = model.network(np.array(ids[None, :-1], np.int32)).numpy()[0].astype(float)
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        nats += (-log_p[np.arange(len(ids) - 1), ids[1:]])[-judged:].tolist()
    assert values["tokens"] == len(nats) == sum(map(len, texts))
    assert values["loss_nats"] == pytest.approx(np.mean(nats), abs=1e-5)
    assert values["perplexity"] == pytest.approx(math.exp(np.mean(nats)), rel=1e-5)
    unknown = values["unknown_tokens"]
    assert unknown == sum(character not in "".join(TEXTS) for text in texts for character in text) > 0
    bits = (sum(nats) / math.log(2) + unknown * math.log2(0x110000)) / values["characters"]
    assert values["bits_per_character"] == pytest.approx(bits, rel=1e-5)


def test_evaluation_and_score_agree(model):
    texts = ["Ann has 3 apples. ", "Bob has 2 pears. Ann has 5 apples. "]
    total = sum(score.log_probability for score in model.score(texts))
    values = model.evaluate(texts)
    assert -values["loss_nats"] * values["tokens"] == pytest.approx(total, rel=1e-4)


def test_generate_returns_what_it_is_asked_in(model):
    assert isinstance(model.generate("Ann", 3), str)
    assert [type(t) for t in model.generate("Ann", 3, num_samples=2)] == [str, str]
    assert model.generate(["Ann", "Bob"], 3) == [model.generate("Ann", 3), model.generate("Bob", 3)]
    assert model.generate(["Ann"], 3, num_samples=2) == [model.generate("Ann", 3, num_samples=2)]
    assert model.generate([], 3) == []
    assert "".join(model.stream("Ann", 9, seed=3)) == model.generate("Ann", 9, seed=3)
    texts = {"name": np.array(["Ann", "Bob"])}
    assert model.generate(texts, 3, text_column="name") == model.generate(["Ann", "Bob"], 3)
    assert model.score(texts["name"]) == model.score(["Ann", "Bob"])
    with pytest.raises(InputError, match="takes no y"):
        model.evaluate(["Ann"], y=["Bob"])


def test_predict_names_the_likeliest_next_tokens(model):
    prompts = ["Ann has ", "", "Bob has 3 "]
    for prompt, likeliest in zip(prompts, model.predict(prompts, top_k=4), strict=True):
        ids = [0, *model.tokenizer.encode(prompt)]
        logits = model.network(np.array([ids])).numpy()[0, -1].astype(float)
        expected = np.exp(logits) / np.exp(logits).sum()
        assert [p for _, p in likeliest] == pytest.approx(sorted(expected, reverse=True)[:4], rel=1e-3)
        assert likeliest[0][0] == model.tokenizer.decode([int(logits.argmax())])
        assert likeliest == model.predict(prompt, top_k=4) == model.predict({"text": [prompt]}, top_k=4)[0]
    assert sum(p for _, p in model.predict("Ann", top_k=10**6)) == pytest.approx(1, rel=1e-5)
    assert model.predict([]) == []


def test_one_sample_is_the_first_of_several(model):
    assert model.generate("Ann", 9, seed=3) == model.generate("Ann", 9, seed=3, num_samples=3)[0]


def test_a_fit_that_fails_leaves_nothing_behind(tmp_path):
    model = LanguageModel("lstm", "characters", **SIZES["lstm"])
    (tmp_path / "a.txt").write_text("abc " * 50)
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match=r"b\.txt"):
        model.fit(tmp_path)
    with pytest.raises(InputError, match="unknown device"):
        model.fit(TEXTS, device="tpu")
    assert model.tokenizer is None
    assert model.network is None
    model.fit(["xyz" * 30], steps=1, verbose=0)
    assert set(model.tokenizer.word_counts) == set("xyz")


def test_characters_that_are_dropped_have_no_bits_per_character():
    tokenizer = lmkeras.Tokenizer(char_level=True, lower=False).fit(TEXTS)
    model = LanguageModel(lstm_language_model(tokenizer.vocabulary_size, 4, 4), tokenizer)
    assert "bits_per_character" not in model.evaluate(["A" + "ж" * 99])


@pytest.mark.parametrize("stride", [0, -1, 9999])
def test_an_impossible_stride_is_refused(model, stride):
    with pytest.raises(InputError, match="stride must be from 1 to"):
        model.evaluate(TEXTS, stride)


def test_saved_and_loaded_it_is_the_same_model(model, tmp_path):
    model.save(tmp_path / "run")
    again = lmkeras.load(tmp_path / "run")
    assert isinstance(again, LanguageModel)
    assert again.score("Bob has").log_probability == model.score("Bob has").log_probability
    assert again.generate("Bob", 20, seed=5) == model.generate("Bob", 20, seed=5)
    assert again.evaluate(TEXTS) == model.evaluate(TEXTS)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_the_saved_weights_are_plain_arrays(model, tmp_path):
    """In a fresh process that knows nothing but their file's format."""
    model.save(tmp_path)
    program = (
        f"import safetensors.numpy\n"
        f"arrays = safetensors.numpy.load_file({str(tmp_path / 'model.safetensors')!r})\n"
        "print({name: (str(array.dtype), list(array.shape), float(array.sum())) for name, array in arrays.items()})"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    weights = {name: weight.numpy() for name, weight in named_weights(model.network).items()}
    assert len(weights) == len(model.network.weights), "a saved model holds no optimizer's state"
    assert ast.literal_eval(out) == {
        name: ("float32", list(weight.shape), float(weight.sum())) for name, weight in weights.items()
    }


def test_the_saved_network_is_plain_keras(model, tmp_path):
    """In a fresh process, which knows the network's classes from the body's module alone."""
    model.save(tmp_path)
    lmkeras.load(tmp_path).network.save(tmp_path / "network.keras")
    ids = [[0, 3, 1]]
    program = (
        f"import keras, {type(model.network.body).__module__}\n"
        f"network = keras.saving.load_model({str(tmp_path / 'network.keras')!r})\n"
        f"print(getattr(network, 'optimizer', None), network(keras.ops.convert_to_tensor({ids})).numpy().tolist())"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    optimizer, logits = out.split(" ", 1)
    assert optimizer == "None", "a saved model holds no optimizer's state"
    np.testing.assert_allclose(json.loads(logits), model.network(np.array(ids)), atol=1e-6)


def test_it_goes_on_training_from_where_it_stands(tmp_path):
    model = LanguageModel("lstm", "characters", **SIZES["lstm"])
    first = model.fit(TEXTS, epochs=10, batch_size=4, verbose=0)
    model.save(tmp_path)
    second = lmkeras.load(tmp_path).fit(TEXTS, steps=1, batch_size=4, verbose=0, learning_rate=1e-6)
    assert second[0]["val_loss"] == pytest.approx(min(h["val_loss"] for h in first), abs=0.01)


def test_words_have_no_bits_per_character():
    model = LanguageModel("simple_rnn", "words", vocabulary_size=20, embedding_dim=4, units=4)
    model.fit(TEXTS, steps=1, verbose=0)
    assert "bits_per_character" not in model.evaluate(TEXTS)
    assert model.generate("Ann", 3).startswith(" ")


def test_everything_needs_a_trained_network(tmp_path):
    model = LanguageModel()
    for call in (
        lambda: model.generate("a"),
        lambda: model.score("a"),
        lambda: model.evaluate(["a"]),
        lambda: model.save(tmp_path / "run"),
        lambda: model.export(tmp_path / "exported"),
    ):
        with pytest.raises(InputError, match="not been trained"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_wrong_names_and_sizes_are_refused_at_once():
    with pytest.raises(InputError, match=r"unknown network 'lstn'.*did you mean 'lstm'"):
        LanguageModel("lstn")
    with pytest.raises(InputError, match=r"unknown tokenizer 'bytepair'.*did you mean 'byte_pair'"):
        LanguageModel(tokenizer="bytepair")
    with pytest.raises(InputError, match="num_heads is a size of transformer; lstm has "):
        LanguageModel("lstm", num_heads=2)
    with pytest.raises(InputError, match="tokenizer must be a name or a fitted tokenizer, got int"):
        LanguageModel("lstm", 3)
    with pytest.raises(InputError, match="fit has no argument 'epoch'; did you mean 'epochs'"):
        LanguageModel("lstm").fit(TEXTS, epoch=3)


def test_a_network_and_a_tokenizer_that_differ_are_refused():
    tokenizer = new_tokenizer("characters").fit(TEXTS)
    with pytest.raises(InputError, match="vocabulary of 7"):
        LanguageModel(lstm_language_model(7), tokenizer)
    with pytest.raises(InputError, match="fitted tokenizer"):
        LanguageModel(lstm_language_model(7), "characters")
    with pytest.raises(InputError, match="vocabulary_size is for a tokenizer's name"):
        LanguageModel("lstm", tokenizer, vocabulary_size=5)
    with pytest.raises(InputError, match="units: for a network's name"):
        LanguageModel(lstm_language_model(tokenizer.vocabulary_size), tokenizer, units=3)
    with pytest.raises(InputError, match="a name or a network that lmkeras built, got Tokenizer"):
        LanguageModel(tokenizer, tokenizer)
    classes = dense_classifier(tokenizer.vocabulary_size, 2)
    with pytest.raises(InputError, match="a language network, got one of MeanEmbedding and ClassesHead"):
        LanguageModel(classes, tokenizer)
    with pytest.raises(InputError, match="return_sequences=True"):
        LanguageModel(lstm_language_model(tokenizer.vocabulary_size, return_sequences=False), tokenizer)


def test_a_window_longer_than_the_context_is_refused():
    model = LanguageModel("transformer", "characters", **SIZES["transformer"])
    with pytest.raises(InputError, match="window_length 17 is longer than the network's context_length 16"):
        model.fit(TEXTS, window_length=17, steps=1)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "from another model"])
def test_a_damaged_folder_is_refused_by_the_file(model, tmp_path, name, harm):
    folder, other = tmp_path / "run", tmp_path / "other"
    model.save(folder)
    if harm == "missing":
        (folder / name).unlink()
    elif harm == "truncated":
        (folder / name).write_bytes((folder / name).read_bytes()[:-200])
    else:
        another = LanguageModel("lstm", "characters", embedding_dim=3, units=3)
        another.fit(["some other text, with other letters"], steps=1, verbose=0, validation_fraction=0)
        another.save(other)
        shutil.copy(other / name, folder / name)
    # where config.json is another's, the first file that it does not describe is named
    expected = "model.safetensors" if (name, harm) == ("config.json", "from another model") else name
    with pytest.raises(InputError, match=expected):
        lmkeras.load(folder)


def test_a_folder_from_the_future_is_refused(model, tmp_path):
    model.save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"format_version": 3', '"format_version": 99'))
    with pytest.raises(InputError, match="format 99"):
        lmkeras.load(tmp_path)


def test_saving_leaves_the_earlier_model_when_it_fails(model, tmp_path, monkeypatch):
    model.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(model.tokenizer, "to_json", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


BEAMS = {"num_beams": 4, "max_new_tokens": 6}


def test_beams_find_likely_texts(model):
    several = model.generate(["Ann", "Bob has"], num_samples=3, **BEAMS)
    assert several == [model.generate(prompt, num_samples=3, **BEAMS) for prompt in ("Ann", "Bob has")]
    assert [len(set(texts)) for texts in several] == [3, 3]
    scores = [model.score(f"Ann{text}").log_probability for text in several[0]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] >= model.score(f"Ann{model.generate('Ann', 6, temperature=0)}").log_probability - 1e-4
    assert model.generate("Ann", stop="as", **BEAMS) == " h"
    assert model.generate([], **BEAMS) == []


def test_beams_do_not_draw_and_find_no_more_texts_than_there_are_beams(model):
    with pytest.raises(InputError, match="temperature"):
        model.generate("Ann", temperature=0.5, **BEAMS)
    with pytest.raises(InputError, match="num_beams"):
        model.generate("Ann", num_samples=5, **BEAMS)
    if not model.network.body.recurrent:
        with pytest.raises(InputError, match="looks at 16"):
            model.generate("Ann", 14, num_beams=2)
