"""Columns: what was written comes back, whatever columns, separators and schemes, or the message says what is wrong."""

import gzip
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora.spans import Span, TaggedText
from lmkeras.corpora.tag_schemes import SCHEMES
from lmkeras.corpora.tagged import open_tagged_corpus, write_conll
from lmkeras.errors import InputError

EU = TaggedText(("EU", "rejects", "German", "call"), (Span(0, 1, "ORG"), Span(2, 3, "MISC")))
PETER = TaggedText(("Peter", "Blackburn"), (Span(0, 2, "PER"),))
IOB1 = "EU NNP I-ORG\nrejects VBZ O\nGerman JJ I-MISC\ncall NN O\n\nPeter NNP I-PER\nBlackburn NNP I-PER\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("columns")


def read(folder, content, name="a.conll", **options):
    content = content if isinstance(content, bytes) else content.encode("utf-8")
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
    return open_tagged_corpus(path, **options)


def error_of(folder, content, **options):
    with pytest.raises(InputError) as caught:
        list(read(folder, content, **options))
    assert "\n" not in str(caught.value), "an error is one line"
    return str(caught.value).replace(f"{folder}/", "")


WORDS = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=4)


@st.composite
def texts(draw):
    words = draw(st.lists(WORDS, min_size=1, max_size=6))
    starts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=len(words) + 1)))
    spans = [Span(*bounds, draw(st.sampled_from(["A", "B", "A B"]))) for bounds in pairwise(starts)]
    return TaggedText(tuple(words), tuple(span for span in spans if draw(st.booleans())))


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "tags"])
@given(written=st.lists(texts(), min_size=1, max_size=4))
def test_what_was_written_comes_back(folder, scheme, written):
    file = io.StringIO()
    write_conll([TaggedText(("x", "y"), (Span(0, 1, "A"), Span(1, 2, "A"))), *written], file, scheme)
    lines = file.getvalue().splitlines(keepends=True)
    assert lines[2] == "\n"
    assert list(read(folder, file.getvalue(), "b"))[1:] == written


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.jsonl", "a", "a.bmes.gz", "A.TSV.GZ"])
@pytest.mark.parametrize("change", [
    lambda text: text,
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace(" ", "\t"),
    lambda text: text.replace(" ", "   \t "),
    lambda text: text.replace("\n\n", "\n \n\n\n"),
    lambda text: "\ufeff\n\n-DOCSTART- -X- O\n\n" + text.replace("\n\n", "\n\n-DOCSTART- -X- O\n\n"),
    lambda text: text.replace("\n\n", "\n-DOCSTART- -X- O\n"),
    lambda text: text.replace("\n\n", " \n\n# another one of four\n"),
    lambda text: text.rstrip("\n"),
])  # fmt: skip
def test_how_columns_may_be_written(folder, name, change):
    corpus = read(folder, change(IOB1), name)
    assert list(corpus) == [EU, PETER]
    assert (corpus.scheme, corpus.splitting) == ("IOB1", "words")
    assert corpus.described == "columns (word 0, tag 2 of 3, counted from 0); scheme IOB1, words as of 'words'"


def test_characters_with_their_bmes_tags(folder):
    content = "王 B-PER\n明 E-PER\n在 O\n北 B-LOC\n京 M-LOC\n市 E-LOC\n\n\u3000 O\n我 S-PER\n# O\n"
    corpus = read(folder, content, "a.bmes")
    assert list(corpus) == [
        TaggedText(tuple("王明在北京市"), (Span(0, 2, "PER"), Span(3, 6, "LOC"))),
        TaggedText(("\u3000", "我", "#"), (Span(1, 2, "PER"),)),
    ]
    assert (corpus.scheme, corpus.splitting) == ("BMES", "characters")


def test_words_are_segments_where_tags_have_no_types(folder):
    corpus = read(folder, "今 B\n天 E\n好 S\n")
    assert list(corpus) == [TaggedText(tuple("今天好"), (Span(0, 2, "_"), Span(2, 3, "_")))]


@pytest.mark.parametrize("columns", [
    {"word_column": 1, "tag_column": 2}, {"word_column": "1", "tag_column": "-2"}, {"word_column": -3, "tag_column": -2}
])  # fmt: skip
def test_columns_by_number(folder, columns):
    content = "x EU B-ORG 1\nx rejects O 2\n"
    assert list(read(folder, content, **columns)) == [TaggedText(("EU", "rejects"), (Span(0, 1, "ORG"),))]


@pytest.mark.parametrize("header", ["# ner form pos\n", "# global.columns = ner form pos\n# x = y\n", "ner form pos\n"])
def test_columns_by_name(folder, header):
    content = header + "B-ORG EU NNP\nO rejects VBZ\n"
    corpus = read(folder, content, word_column="form", tag_column="ner")
    assert list(corpus) == [TaggedText(("EU", "rejects"), (Span(0, 1, "ORG"),))]


def test_a_usual_header_is_no_word(folder):
    assert list(read(folder, "Token\tPOS\tNER\nEU\tNNP\tB-ORG\n")) == [TaggedText(("EU",), (Span(0, 1, "ORG"),))]


UNIVERSAL = """# sent_id = 1
# text = Vámonos al mar
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_
3\ta\ta\tADP\t_\t_\t5\tcase\t_\t_
4\tel\tel\tDET\t_\t_\t5\tdet\t_\t_
5\tmar\tmar\tNOUN\t_\t_\t1\tobl\t_\t_
5.1\tfui\tir\tVERB\t_\t_\t_\t_\t_\t_

# newdoc
# text = Ya
1\tYa\tya\tADV\t_\t_\t0\troot\t_\tSpaceAfter=No
"""


def test_parts_of_speech_of_universal_dependencies(folder):
    corpus = read(folder, UNIVERSAL, "es.conllu")
    tags = ["VERB", "PRON", "ADP", "DET", "NOUN"]
    vamos = TaggedText(("Vamos", "nos", "a", "el", "mar"), tuple(Span(i, i + 1, tag) for i, tag in enumerate(tags)))
    assert list(corpus) == [vamos, TaggedText(("Ya",), (Span(0, 1, "ADV"),))]
    assert corpus.scheme == "tags"
    prose = UNIVERSAL.replace("Vámonos al mar\n", "one two three four five six seven eight\n# a b c d e f g h i j\n")
    assert list(read(folder, prose)) == list(corpus)
    relations = read(folder, UNIVERSAL, tag_column="DEPREL")
    assert [span.type for text in relations for span in text.spans] == ["root", "obj", "case", "det", "obl", "root"]


def test_numbered_words(folder):
    content = "# https://example.org\n1\tEU\tB-ORG\tO\n2\trejects\tO\tO\n\n# x\n1\tPeter\tB-PER\tO\n"
    corpus = read(folder, content, tag_column=2)
    assert [text.words for text in corpus] == [("EU", "rejects"), ("Peter",)]
    assert [span.type for text in corpus for span in text.spans] == ["ORG", "PER"]


def test_a_word_that_looks_like_a_comment(folder):
    content = "Room NN O\n# SYM O\n7 CD O\n\n# SYM O\n1 CD B-X\n"
    assert [text.words for text in read(folder, content)] == [("Room", "#", "7"), ("#", "1")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.conll holds no sentences: expected a word and its tag a line, or lines of JSON"),
        ("\n-DOCSTART- O\n\n", "a.conll holds no sentences"),
        ("EU B-ORG\nrejects\n", "a.conll line 2: expected 2 columns as in the first line, got 1: 'rejects'"),
        ("EU\nrejects\n", "a.conll line 1: expected a word and its tag, separated by blanks or a tab, got 'EU'"),
        ("EU\tB-ORG\nNew York\tB-LOC\n", "a.conll line 2: the word 'New York' has a blank in it"),
        ("EU\tB-ORG\n\tO\n", "a.conll line 2: the word '' is empty"),
        ("EU\tB-ORG\nx\t\n", "a.conll line 2: expected the tag of 'x', got ''"),
        ("E B-O\n\nx O\nhe I-PER\ny B-O\n", "a.conll line 4: I-PER begins a span, but 2 of 3 spans begin as in IOB2"),
        ("EU B-PER\nx I-LOC\n", "a.conll line 2: I-LOC begins a span, but 1 of 2 spans begin as in IOB2"),
        ("EU S-PER\n\nx B-LOC\ny O\n", "a.conll line 3: B-LOC does not fit the tags around it: BIOES has S-LOC here"),
        ("E S-X\nx NN\n", "a.conll line 2: tags of several schemes, 'NN' (a.conll line 2) and 'S-X' (a.conll line 1)"),
        ("EU B-X\n\0 O\n", "a.conll line 2: U+0000 is not a character of text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(folder, content, message):
    assert error_of(folder, content).startswith(message)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tag_column": 3}, "tag_column (--tag-column) 3 is missing; the columns are 0 'EU', 1 'NNP', 2 'I-ORG'"),
        ({"word_column": "-4"}, "word_column (--word-column) -4 is missing; the columns are 0 'EU'"),
        ({"tag_column": "ner"}, "tag_column (--tag-column) 'ner' is missing; the file names no columns: give a number"),
    ],
)  # fmt: skip
def test_columns_that_are_missing(folder, columns, message):
    assert error_of(folder, IOB1, **columns).startswith(f"a.conll line 1: {message}")


def test_a_name_that_a_header_does_not_have(folder):
    message = error_of(folder, "# form pos ner\nEU NNP O\n", tag_column="nerr")
    expected = "(--tag-column) 'nerr' is missing; the names are 'form', 'pos', 'ner'; did you mean 'ner'?"
    assert message == f"a.conll line 2: tag_column {expected}"
