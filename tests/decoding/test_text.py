import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.decoding.sampling import Sampling
from lmkeras.decoding.text import TextGenerator, _first, _safe_length
from lmkeras.errors import InputError
from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.tokenizers import new_tokenizer

TEXTS = ["the cat sat on the mat", "猫坐在垫子上 😀", "ça et là, déjà vu"]
WILD = Sampling(temperature=1.0, seed=1)


@pytest.fixture(scope="module", params=["words", "characters", "byte_pair"])
def generator(request):
    tokenizer = new_tokenizer(request.param, 400).fit(TEXTS)
    return TextGenerator(lstm_language_model(tokenizer.vocabulary_size, 8, 8), tokenizer)


def test_what_is_new_follows_the_prompt(generator):
    prompts = ["the cat", "", "猫"]
    for prompt, (text,) in zip(prompts, generator.generate(prompts, 12, WILD, (), 1), strict=True):
        ids = [0, *generator.tokenizer.encode(prompt)]
        state = generator._start([ids], 1, 12)
        while not state["finished"].numpy()[0]:
            state = generator.loop.advance(state, WILD.tensors(), 100)
        whole = generator.tokenizer.decode_whole(state["ids"].numpy()[0].tolist())
        assert generator.tokenizer.decode(ids) + text == whole


def test_a_stream_is_the_same_text_in_whole_characters(generator):
    for seed in range(5):
        sampling = Sampling(temperature=1.0, seed=seed)
        pieces = list(generator.stream("the ", 40, sampling, ()))
        (text,) = generator.generate(["the "], 40, sampling, (), 1)[0]
        assert "".join(pieces) == text
        assert all(pieces)
        # random bytes are mostly no characters; what is replaced in the end may be, but no piece ends in half of one
        assert not any(piece.endswith("\ufffd") for piece in pieces[:-1])


def test_stop_texts_end_a_text_and_are_not_in_it(generator):
    (text,) = generator.generate(["the "], 60, WILD, (), 1)[0]
    for stop in {text[5:8], text[11:12], text[3:20]} - {""}:
        expected = text[: text.index(stop)]
        assert generator.generate(["the "], 60, WILD, stop, 1) == [[expected]]
        assert "".join(generator.stream("the ", 60, WILD, ["nowhere in it", stop])) == expected


def test_each_row_has_its_own_stop(generator):
    rows = generator.generate(["the ", ""], 60, WILD, (), 2)
    stop = max((text for row in rows for text in row), key=len)[4:6]
    stopped = generator.generate(["the ", ""], 60, WILD, stop, 2)
    assert stopped == [[text.split(stop)[0] for text in row] for row in rows]


@pytest.mark.parametrize(("samples", "tokens", "name"), [(0, 5, "num_samples"), (1, 0, "max_new_tokens")])
def test_impossible_counts_are_refused(generator, samples, tokens, name):
    with pytest.raises(InputError, match=f"{name} must be at least 1 and less than 16777216, got 0"):
        generator.generate(["a"], tokens, WILD, (), samples)


def test_an_empty_stop_text_is_refused(generator):
    with pytest.raises(InputError, match="must not be empty"):
        generator.generate(["a"], 5, WILD, ["x", ""], 1)


def test_what_has_no_id_is_never_written():
    tokenizer = new_tokenizer("words", 5).fit(TEXTS)
    assert tokenizer.special.unknown is not None
    generator = TextGenerator(lstm_language_model(tokenizer.vocabulary_size, 4, 4), tokenizer)
    assert "<OOV>" not in "".join(generator.generate([""], 50, WILD, (), 8)[0])


words = st.text("ab", max_size=12)


@settings(max_examples=300)
@given(words, st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), words)
def test_what_is_given_out_stays_whatever_comes(text, stops, rest):
    """No stop text can begin within what was given out, and no more is held back than could begin one."""
    if _first(text, stops) is not None:
        return
    length = _safe_length(text, stops)
    end = _first(text + rest, stops)
    assert end is None or end >= length
    assert length == len(text) or any(stop.startswith(text[length:]) for stop in stops)


def test_half_a_character_is_waited_for():
    """A stop text that stands at the end of an unfinished text may be half of another character."""
    tokenizer = new_tokenizer("byte_pair", 257).fit(["a"])  # bytes: every character beyond ASCII takes several tokens
    generator = TextGenerator(lstm_language_model(tokenizer.vocabulary_size, 4, 4), tokenizer)
    ids = [0, *tokenizer.encode("猫")]
    generator.loop = Scripted(ids, tokenizer)
    assert generator.generate([""], 3, WILD, "\ufffd", 1) == [["猫"]]
    generator.loop = Scripted(ids, tokenizer)
    assert list(generator.stream("", 3, WILD, "\ufffd")) == ["猫"]


PARTS = {"猫".encode()[:2]: "", "😀".encode()[:3]: "", b"\xff": "\ufffd", "\ufffd".encode(): "\ufffd"}


@pytest.mark.parametrize("end", PARTS, ids=str)
def test_a_text_that_is_cut_within_a_character_ends_before_it(end):
    """What the model really wrote stays: bytes that begin no character, and U+FFFD itself."""
    tokenizer = new_tokenizer("byte_pair", 257).fit(["a"])
    generator = TextGenerator(lstm_language_model(tokenizer.vocabulary_size, 4, 4), tokenizer)
    ids = [0, *tokenizer.encode("a"), *(byte + 1 for byte in end)]
    generator.loop = Scripted(ids, tokenizer)
    assert generator.generate([""], len(ids) - 1, WILD, (), 1) == [[f"a{PARTS[end]}"]]
    generator.loop = Scripted(ids, tokenizer)
    assert "".join(generator.stream("", len(ids) - 1, WILD, ())) == f"a{PARTS[end]}"


class Scripted:
    """A loop that writes given ids, one at a time."""

    def __init__(self, ids, tokenizer):
        self.ids = ids

    def start(self, prompts, lengths, samples, max_new_tokens):
        return self.at(1)

    def at(self, count):
        shown = self.ids[:count] + [0] * (len(self.ids) - count)
        lengths = {"prompt_lengths": tf.constant([1]), "lengths": tf.constant([count])}
        return {"ids": tf.constant([shown]), **lengths, "finished": tf.constant([count == len(self.ids)])}

    def continued(self, state, sampling, steps):
        return self.at(int(state["lengths"][0]) + 1)
