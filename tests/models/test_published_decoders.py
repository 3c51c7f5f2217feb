"""Published language models as users hold them: read, written with, scored, saved and exported."""

import collections
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors import safe_open
from safetensors.numpy import save_file

import lmkeras
from lmkeras import InputError, LanguageModel
from lmkeras.layers.grouped_attention import GroupedAttention
from lmkeras.layers.published_block import PublishedBlock
from lmkeras.pretrained.weight_files import SafetensorsFile
from tests.models.published_llama import END, START, TEXT_END, put_start_before_texts, write_llama

PROMPTS = ["the cat", "hello, how are you", "", "猫坐在"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("published") / "llama", "bfloat16")


@pytest.fixture(scope="module")
def model(folder):
    return LanguageModel.from_pretrained(folder)


def greedy(model, ids, count):
    """Ids that follow, by one full pass for each, until an end."""
    ids = list(ids)
    for _ in range(count):
        best = int(model.network(np.array([ids])).numpy()[0, -1].argmax())
        if best in (0, 2):
            break
        ids.append(best)
    return ids


def test_it_is_opened_by_every_name_for_it(folder, model):
    assert type(lmkeras.from_pretrained(folder)) is type(lmkeras.load(folder)) is type(model) is LanguageModel
    assert model.task.generation == {"max_new_tokens": 24, "temperature": 0.0}
    assert model.tokenizer.special.ends == (2, 0)
    assert model.network.body.vocabulary_size == model.tokenizer.vocabulary_size + 4


def test_texts_are_what_full_passes_give_and_what_each_is_alone(model):
    ids = [model.tokenizer.encode(prompt) or [1] for prompt in PROMPTS]
    expected = [model.tokenizer.decode_whole(greedy(model, one, 24)[len(one) :]) for one in ids]
    assert model.generate(PROMPTS) == expected
    assert [model.generate(prompt) for prompt in PROMPTS] == expected
    assert ["".join(model.stream(prompt)) for prompt in PROMPTS] == expected
    assert any(expected)


def test_what_the_user_says_counts_before_generation_config(model):
    assert model.generate("the cat", 3) == model.tokenizer.decode_whole(
        greedy(model, model.tokenizer.encode("the cat"), 3)[-3:]
    )
    warm = {model.generate("the cat", temperature=2.0, seed=seed) for seed in range(3)}
    assert len(warm) > 1


def test_special_tokens_in_prompts_are_read_where_they_are_asked_for(model):
    prompt = f"{START}user\nthe cat{END}\n"
    ids = model.tokenizer.encode_marked(prompt)
    assert {model.tokenizer.marks[START], model.tokenizer.marks[END]} <= {*ids}
    expected = model.tokenizer.decode_whole(greedy(model, ids, 24)[len(ids) :])
    assert model.generate(prompt, special_tokens=True) == expected
    assert "".join(model.stream(prompt, special_tokens=True)) == expected
    assert model.generate(prompt) != expected
    score = model.score(prompt, special_tokens=True)
    logits = tf.nn.log_softmax(model.network(np.array([ids]))).numpy()[0]
    wanted = [logits[i, ids[i + 1]] for i in range(len(ids) - 1)]
    np.testing.assert_allclose(score.token_log_probabilities, wanted, rtol=1e-4, atol=1e-5)
    assert "".join(score.tokens) == prompt.removeprefix(START)


def test_a_text_that_begins_with_its_start_gets_no_second_one(tmp_path):
    folder = write_llama(tmp_path / "llama")
    put_start_before_texts(folder)
    tokenizer = lmkeras.load(folder).tokenizer
    start = tokenizer.marks[START]
    assert (
        tokenizer.encode_alone(f"{START}cat", True)
        == tokenizer.encode_alone("cat")
        == [start, *tokenizer.encode("cat")]
    )
    assert tokenizer.encode_alone(f"{START}cat") == [start, *tokenizer.encode(f"{START}cat")]


def test_tokenizers_without_special_tokens_in_texts_say_so():
    model = LanguageModel("lstm", "characters", embedding_dim=4, units=4)
    model.fit(["the cat"] * 20, steps=1, verbose=0)
    for ask in (model.generate, model.stream, model.score):
        with pytest.raises(InputError, match="special_tokens is for"):
            ask("the <pad>", special_tokens=True)


def test_names_of_special_tokens_in_a_prompt_are_text(model):
    for mark in (START, END, TEXT_END):
        score = model.score(f"a{mark}b")
        assert "".join(score.tokens) == f"{mark}b"
    ids = model.tokenizer.encode(f"the{END}cat")
    expected = model.tokenizer.decode_whole(greedy(model, ids, 24)[len(ids) :])
    assert model.generate(f"the{END}cat") == expected


def test_scores_and_losses_are_those_of_a_full_pass(model):
    text = "the cat sat on the mat. 你好"
    ids = np.array([model.tokenizer.encode(text)])
    logits = tf.nn.log_softmax(model.network(ids)).numpy()[0]
    expected = [logits[i, ids[0, i + 1]] for i in range(ids.shape[1] - 1)]
    np.testing.assert_allclose(model.score(text).token_log_probabilities, expected, rtol=1e-4, atol=1e-5)
    judged = model.evaluate([text])
    assert judged["tokens"] == ids.shape[1] - 1
    assert judged["loss_nats"] == pytest.approx(-np.mean(expected), rel=1e-4)
    characters = len(text) - len(model.tokenizer.decode(ids[0, :1]))
    assert judged["characters"] == characters
    assert judged["bits_per_character"] == pytest.approx(-sum(expected) / np.log(2) / characters, rel=1e-4)


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("text", ["the cat sat on the mat.", "猫坐在垫子上。" * 40, "hello " * 200])
def test_evaluate_and_score_have_the_same_perplexity(tmp_path, begins, text):
    """Whether the tokenizer puts its start before a text or not, and for texts longer than the context."""
    folder = write_llama(tmp_path / "llama")
    if begins:
        put_start_before_texts(folder)
    model = lmkeras.load(folder)
    judged, score = model.evaluate([text]), model.score(text)
    assert judged["tokens"] == len(score.tokens) == len(model.tokenizer.encode(text)) - (not begins)
    assert judged["perplexity"] == pytest.approx(score.perplexity, rel=1e-5)


def test_texts_of_one_token_have_nothing_to_judge(model):
    with pytest.raises(InputError, match="every text is a single token"):
        model.evaluate(["a", "b"])
    assert model.evaluate(["a", "the cat"])["tokens"] == len(model.score("the cat").tokens)


def test_bfloat16_weights_are_held_in_half_the_memory_and_give_the_same(folder, model):
    half = LanguageModel.from_pretrained(folder, dtype="bfloat16")
    assert {weight.dtype for weight in half.network.weights} == {"bfloat16"}
    assert {weight.dtype for weight in model.network.weights} == {"float32"}
    assert half.generate(PROMPTS) == model.generate(PROMPTS)


def test_a_saved_decoder_is_held_in_the_dtype_that_is_asked_for(model, tmp_path):
    model.save(tmp_path / "saved")
    half = lmkeras.load(tmp_path / "saved", dtype="bfloat16")
    assert {weight.dtype for weight in half.network.weights} == {"bfloat16"}
    assert half.generate(PROMPTS) == model.generate(PROMPTS)
    with pytest.raises(InputError, match="dtype of weights"):
        lmkeras.load(tmp_path / "saved", dtype="int8")
    other = LanguageModel("lstm", "characters", embedding_dim=4, units=4)
    other.fit(["the cat"] * 20, steps=1, verbose=0)
    other.save(tmp_path / "lstm")
    with pytest.raises(InputError, match="is for published decoders"):
        lmkeras.load(tmp_path / "lstm", dtype="bfloat16")


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.1.self_attn.k_proj.weight"])
def test_values_beyond_float16_are_refused_by_the_name_of_the_tensor(tmp_path, name):
    folder = write_llama(tmp_path / "llama")
    with safe_open(folder / "model.safetensors", "numpy") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors[name] = tensors[name].copy()
    tensors[name].flat[3] = -1e5
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match=rf"{name} has values up to 100,000, and float16 ends at 65,504"):
        lmkeras.from_pretrained(folder, dtype="float16")
    whole = lmkeras.from_pretrained(folder)
    whole.save(tmp_path / "saved")
    with pytest.raises(InputError, match="float16 ends at 65,504") as refused:
        lmkeras.load(tmp_path / "saved", dtype="float16")
    assert "damaged" not in str(refused.value)
    for dtype in ("float32", "bfloat16"):
        held = lmkeras.from_pretrained(folder, dtype=dtype)
        assert all(np.isfinite(np.asarray(weight.value, "float32")).all() for weight in held.network.weights)


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"stop": 5}, "stop must be a text or several, got 5"),
        ({"stop": ["a", 5]}, "stop must be a text or several, got 5"),
        ({"temperature": "hot"}, "temperature must be a number, got 'hot'"),
        ({"top_k": 2.5}, "top_k must be a whole number, got 2.5"),
        ({"top_p": [0.5]}, "top_p must be a number"),
        ({"repetition_penalty": "1"}, "repetition_penalty must be a number"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"max_new_tokens": "9"}, "max_new_tokens must be a whole number"),
    ],
)
def test_arguments_of_wrong_types_are_named(model, how, complaint):
    for ask in (model.generate, model.chat, model.stream, model.stream_chat):
        with pytest.raises(InputError, match=complaint):
            ask("the cat", **how)


def test_what_is_no_text_is_named(model):
    for ask in (model.generate, model.stream, model.chat, model.stream_chat, model.score):
        with pytest.raises(InputError):
            ask(5)
    with pytest.raises(InputError, match="stream continues one text"):
        model.stream(["the cat", "the mat"])
    for ask in (model.generate, model.chat):
        with pytest.raises(InputError, match="num_samples must be a whole number"):
            ask("the cat", num_samples="2")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_saved_is_as_precise_as_what_was_published(folder, model, dtype, tmp_path):
    one = LanguageModel.from_pretrained(folder, dtype=dtype)
    one.save(tmp_path / "saved")
    one.save_pretrained(tmp_path / "published")
    for name in ("saved", "published"):
        with safe_open(tmp_path / name / "model.safetensors", "numpy") as file:
            assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"BF16"}  # noqa: SIM118
        again = lmkeras.load(tmp_path / name)
        assert again.task.generation == model.task.generation
        assert again.tokenizer.special == model.tokenizer.special
        assert again.generate(PROMPTS) == model.generate(PROMPTS)
        assert again.chat("hello") == model.chat("hello")
    config = json.loads((tmp_path / "published" / "generation_config.json").read_text())
    assert (config["eos_token_id"], config["do_sample"]) == ([2, 0], False)


def test_it_is_not_trained(model):
    with pytest.raises(InputError, match="cannot train it yet"):
        model.fit(["the cat"], steps=1, verbose=0)


def test_an_encoder_is_no_language_model(tmp_path):
    lmkeras.Bert(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    model = lmkeras.MaskedLanguageModel("bert", d_model=16, num_heads=2, num_layers=1, next_sentence=False)
    model.fit(["the cat sat."] * 4, steps=1, verbose=0)
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="not a language model"):
        LanguageModel.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="published decoders"):
        lmkeras.from_pretrained(tmp_path, dtype="bfloat16")


@pytest.mark.parametrize("layers", [2, 5])
def test_a_model_is_ready_after_one_pass_over_its_layers_and_tensors(tmp_path, monkeypatch, layers):
    """Each tensor is read once, each layer built once and each weight set once, however many there are."""
    folder = write_llama(tmp_path / "llama", num_hidden_layers=layers)
    done = collections.Counter()

    def counted(owner, name, key):
        method = getattr(owner, name)

        def noting(self, *given, **named):
            done[key, given[0] if key == "read" else ""] += 1
            return method(self, *given, **named)

        monkeypatch.setattr(owner, name, noting)

    counted(SafetensorsFile, "read", "read")
    counted(PublishedBlock, "build", "block")
    counted(GroupedAttention, "build", "attention")
    counted(keras.Variable, "assign", "weight")
    model = lmkeras.from_pretrained(folder)
    with safe_open(folder / "model.safetensors", "numpy") as file:
        names = set(file.keys())
    kinds = collections.Counter(kind for kind, _ in done.elements())
    assert {name: count for (kind, name), count in done.items() if kind == "read"} == dict.fromkeys(names, 1)
    assert kinds["block"] == kinds["attention"] == layers
    assert kinds["weight"] == len(model.network.weights)


def test_steps_outside_a_graph_are_traced_once(model):
    body = model.network.body
    state = body.initial_state(1, 32)
    body.step(np.array([[5]], np.int32), state)
    before = {key: one.experimental_get_tracing_count() for key, one in body._traces._functions.items()}
    for token in (7, 9, 5):
        _, state = body.step(np.array([[token]], np.int32), state)
    after = {key: one.experimental_get_tracing_count() for key, one in body._traces._functions.items()}
    assert after == before


@pytest.mark.parametrize("read", [lmkeras.from_pretrained, LanguageModel.from_pretrained, lmkeras.load])
def test_a_folder_without_a_model_is_named(read, tmp_path):
    with pytest.raises(InputError, match=r"config\.json is missing"):
        read(tmp_path)
