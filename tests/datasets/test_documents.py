"""Documents of ids: letters are tokens, so that what is read can be compared with the text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.datasets.documents import Documents
from lmkeras.datasets.windows import tokenize
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer

LETTERS = new_tokenizer("characters").fit(["abcdefgh"])
SENTENCES = st.lists(st.lists(st.text("abcdefgh", max_size=9), min_size=1, max_size=6), min_size=1, max_size=6)


def text_of(documents, start, end):
    return LETTERS.decode(np.asarray(documents.ids[start:end]))


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(2, 12))
def test_pieces_are_whole_sentences_of_one_document_as_many_as_fit(texts, most):
    if not any(map("".join, texts)):
        with pytest.raises(InputError, match="the corpus has no tokens"):
            Documents.tokenize(texts, LETTERS)
        return
    documents = Documents.tokenize(texts, LETTERS)
    pieces = documents.pieces(most)
    read = {}
    for number, (start, end) in enumerate(zip(pieces.starts, pieces.ends, strict=True)):
        read.setdefault(int(pieces.documents[number]), []).append(text_of(documents, start, end))
    assert {number: "".join(parts) for number, parts in read.items()} == {
        number: "".join(text) for number, text in enumerate(texts) if "".join(text)
    }
    for number, parts in read.items():
        sentences = [one for one in texts[number] if one]
        if all(len(one) <= most for one in sentences):
            expected, piece = [], ""  # greedy packing, by strings
            for sentence in sentences:
                if piece and len(piece + sentence) > most:
                    expected, piece = [*expected, piece], ""
                piece += sentence
            assert parts == [*expected, piece]
        assert max(map(len, parts)) <= most


def test_boundaries_are_where_sentences_begin_or_every_id_of_a_single_one():
    documents = Documents.tokenize([["abc", "de", "f"], ["abcd"]], LETTERS)
    pieces = documents.pieces(8)
    assert [list(pieces.boundaries(0)), list(pieces.boundaries(1))] == [[3, 5], [7, 8, 9]]
    assert len(documents.pieces(8, 5)) == 1


def test_another_document_is_drawn_from_all_others_alike():
    pieces = Documents.tokenize([["abc", "def"], ["ab"], ["cde", "fgh"]], LETTERS).pieces(3)
    assert pieces.documents.tolist() == [0, 0, 1, 2, 2]
    random = np.random.default_rng(0)
    counts = np.bincount([pieces.of_another_document(2, random) for _ in range(4000)], minlength=5)
    assert counts[2] == 0
    assert np.abs(counts[[0, 1, 3, 4]] - 1000).max() < 5 * np.sqrt(4000 * 0.25 * 0.75)


@pytest.mark.parametrize("name", ["characters", "byte_pair"])
def test_texts_of_a_stream_are_documents_without_the_ids_around_them(name):
    tokenizer = new_tokenizer(name).fit(["abcdefgh", "gh"])
    stream = tokenize(["abc", "", "defg"], tokenizer)
    documents = Documents.of_stream(stream)
    read = [tokenizer.decode(documents.ids[a:b]) for a, b in zip(documents.starts, documents.ends, strict=True)]
    assert (read, documents.documents.tolist()) == (["abc", "defg"], [0, 1])


def test_equal_documents_are_noted_and_have_equal_digests():
    documents = Documents.tokenize([["ab", "c"], ["abc"], ["abd"]], LETTERS)
    assert len(np.unique(documents.notes.digests)) == 2
    assert (documents.notes.texts, documents.notes.tokens) == (3, 9)
    assert documents.digest() == Documents.tokenize([["ab", "c"], ["abc"], ["abd"]], LETTERS).digest()
    assert documents.digest() != Documents.tokenize([["abc"], ["abc"], ["abd"]], LETTERS).digest()
