"""Sentences of the standard library's docstrings: names are what look-up says, and the parts share none of them."""

import builtins
import sys
from collections import Counter

import pytest

from lmkeras.corpora.spans import Span, TaggedText
from lmkeras.corpora.tagged import open_tagged_corpus, split_tagged
from lmkeras.corpora.tagged_docstrings import SOURCE, parts_without_common_names
from lmkeras.errors import InputError


@pytest.fixture(scope="module")
def corpus():
    return open_tagged_corpus(SOURCE)


def names(texts, kind=None):
    return {
        "".join(text.words[span.start : span.end]) for text in texts for span in text.spans if kind in (None, span.type)
    }


def test_what_is_labelled(corpus):
    texts = list(corpus)
    assert (corpus.scheme, corpus.splitting) == ("spans", "signs")
    counts = Counter(span.type for text in texts for span in text.spans)
    assert set(counts) == {"exception", "function", "module"}
    assert min(counts.values()) >= 100
    assert 1_000 < len(texts) == len(set(texts))
    assert 0.3 < sum(not text.spans for text in texts) / len(texts) < 0.7
    assert all(issubclass(getattr(builtins, name), BaseException) for name in names(texts, "exception"))
    assert {name.partition(".")[0] for name in names(texts, "module")} <= sys.stdlib_module_names
    assert "Exception" not in names(texts)
    assert {"len", "isinstance", "open"} <= names(texts, "function")
    for text in texts:
        for span in text.spans:
            assert span.type != "function" or text.words[span.end] == "("


@pytest.mark.parametrize("seed", [0, 1])
def test_the_parts_share_no_name(corpus, seed):
    train, held_out = split_tagged(corpus, 0.1, seed)
    assert not names(train) & names(held_out)
    texts, trained = list(corpus), set(train)
    assert list(train) == [text for text in texts if text in trained], "in the order of the corpus"
    assert not trained & set(held_out)
    assert sum(1 for _ in held_out) == pytest.approx(0.1 * len(texts), rel=0.1)
    assert sum(1 for _ in train) > 0.8 * len(texts)
    assert all(names(held_out, kind) for kind in ("exception", "function", "module"))
    assert (held_out.scheme, held_out.splitting) == ("spans", "signs")


def test_the_same_seed_draws_the_same_names(corpus):
    assert list(split_tagged(corpus, 0.1, 3)[1]) == list(split_tagged(corpus, 0.1, 3)[1])
    assert list(split_tagged(corpus, 0.1, 3)[1]) != list(split_tagged(corpus, 0.1, 4)[1])


def test_texts_with_names_of_both_parts_are_in_neither():
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 60)]
    pairs = [(one, letters[number - 7]) for number, one in enumerate(letters)]
    texts = [TaggedText(pair, (Span(0, 1, "X"), Span(1, 2, "X"))) for pair in pairs]
    texts += [TaggedText((one,), (Span(0, 1, "X"),)) for one in letters]
    trains, held_out = parts_without_common_names(texts, 0.3, seed=0)
    parts = [{text for text, chosen in zip(texts, part, strict=True) if chosen} for part in (trains, held_out)]
    assert parts[0]
    assert len(parts[1]) == pytest.approx(0.3 * len(texts), abs=2)
    assert not names(parts[0]) & names(parts[1])
    assert all(len(names([text])) == 2 for text in set(texts) - parts[0] - parts[1])
    assert set(texts) - parts[0] - parts[1]


def test_too_few_names():
    texts = [TaggedText(("a", "b"), (Span(0, 1, "X"),))] * 50
    with pytest.raises(InputError, match=r"50 texts have too few names to keep those of 0\.1 of them apart"):
        parts_without_common_names(texts, 0.1, seed=0)
