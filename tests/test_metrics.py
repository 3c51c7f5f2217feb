import lzma
import math
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.metrics import bits_per_character, perplexity, xz_bits_per_character


@given(st.integers(1, 10**6))
def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(size):
    assert perplexity(math.log(size)) == pytest.approx(size, rel=1e-12)


def test_a_hopeless_loss_has_infinite_perplexity():
    assert perplexity(1e6) == math.inf


@given(st.integers(2, 100), st.integers(1, 1000))
def test_bits_per_character_of_a_uniform_code(size, length):
    assert bits_per_character(math.log(size), tokens=length, characters=length) == pytest.approx(math.log2(size))


def test_bits_do_not_depend_on_how_characters_are_grouped_into_tokens():
    nats = [0.3, 1.2, 2.0, 0.5]
    one_each = bits_per_character(sum(nats) / 4, tokens=4, characters=4)
    in_pairs = bits_per_character(sum(nats) / 2, tokens=2, characters=4)
    assert one_each == pytest.approx(in_pairs) == pytest.approx(sum(nats) / math.log(2) / 4)


def test_an_unknown_character_is_charged_what_it_takes_to_spell_it():
    known = bits_per_character(1.0, tokens=10, characters=10)
    assert bits_per_character(1.0, 10, 10, unknown_tokens=1) - known == pytest.approx(math.log2(0x110000) / 10)


def test_xz_is_what_the_program_needs(tmp_path):
    texts = ["the quick brown fox " * 40, "jumps over the lazy dog " * 30]
    text = "\n".join(texts)
    expected = len(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)) * 8 / len(text)
    if shutil.which("xz"):
        written = subprocess.run(["xz", "-9e", "-c"], input=text.encode(), capture_output=True, check=True).stdout
        assert abs(len(written) * 8 / len(text) - expected) < 0.05  # headers may differ by a few bytes
    assert xz_bits_per_character(texts) == expected


def test_xz_needs_less_for_what_it_has_seen():
    texts = ["a sentence that stands in both of them, word for word, and so costs next to nothing the second time"]
    assert xz_bits_per_character(texts, given=texts) < xz_bits_per_character(texts) / 2
