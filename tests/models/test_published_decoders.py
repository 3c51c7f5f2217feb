"""Published language models as users hold them: read, written with, scored, saved and exported."""

import json

import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras import InputError, LanguageModel
from tests.models.published_llama import END, START, TEXT_END, write_llama

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
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "add_bos_token": True}))
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
    assert model.generate(f"the{END}cat") == model.generate(f"the{END}cat")


def test_scores_and_losses_are_those_of_a_full_pass(model):
    text = "the cat sat on the mat. 你好"
    ids = np.array([model.tokenizer.encode(text)])
    logits = tf.nn.log_softmax(model.network(ids)).numpy()[0]
    expected = [logits[i, ids[0, i + 1]] for i in range(ids.shape[1] - 1)]
    np.testing.assert_allclose(model.score(text).token_log_probabilities, expected, rtol=1e-4, atol=1e-5)
    before = np.array([[1, *ids[0]]])  # where texts follow one another, each has its first token predicted too
    logits = tf.nn.log_softmax(model.network(before)).numpy()[0]
    losses = [-logits[i, before[0, i + 1]] for i in range(before.shape[1] - 1)]
    judged = model.evaluate([text])
    assert judged["tokens"] == ids.shape[1]
    assert judged["loss_nats"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_bfloat16_weights_are_held_in_half_the_memory_and_give_the_same(folder, model):
    half = LanguageModel.from_pretrained(folder, dtype="bfloat16")
    assert {weight.dtype for weight in half.network.weights} == {"bfloat16"}
    assert {weight.dtype for weight in model.network.weights} == {"float32"}
    assert half.generate(PROMPTS) == model.generate(PROMPTS)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_saved_is_as_precise_as_what_was_published(folder, model, dtype, tmp_path):
    from safetensors import safe_open

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
