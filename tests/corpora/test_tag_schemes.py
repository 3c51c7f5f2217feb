"""Tag schemes: spans are seqeval's in both modes, and every scheme gives back the spans that it was made from."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora.spans import Place, Span
from lmkeras.corpora.tag_schemes import SCHEMES, SchemeFinder, entities_of, spans_of, tags_of
from lmkeras.errors import InputError

WITH_LETTERS = [scheme for scheme in SCHEMES if scheme != "tags"]
TYPES = ["PER", "LOC", "B-x"]


@st.composite
def spans(draw, types=tuple(TYPES)):
    """Spans of a text, in order, often side by side; and the number of its words."""
    found, at = [], 0
    for gap, length, kind in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(types)))):
        found.append(Span(at + gap, at + gap + length, kind))
        at += gap + length
    return found, at + draw(st.integers(0, 2))


def tags_with(letters, types=("A", "B")):
    """Tags in any order, those of one scheme's letters; they need not fit together."""
    tags = ["O", *(f"{letter}-{kind}" for letter in letters for kind in types)]
    return st.lists(st.sampled_from(tags), max_size=8)


@given(tags_with("BIES"))
def test_default_mode_is_seqevals(tags):
    seqeval = pytest.importorskip("seqeval.metrics.sequence_labeling")
    theirs = [Span(start, end + 1, kind) for kind, start, end in seqeval.get_entities(tags)]
    assert entities_of(tags) == theirs


@given(st.lists(st.sampled_from("OBIES"), max_size=8))
def test_default_mode_of_tags_without_types_is_seqevals(tags):
    seqeval = pytest.importorskip("seqeval.metrics.sequence_labeling")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = [Span(start, end + 1, kind) for kind, start, end in seqeval.get_entities(tags)]
    assert entities_of(tags) == theirs


@pytest.mark.parametrize(
    ("scheme", "name"), [("IOB1", "IOB1"), ("IOB2", "IOB2"), ("BIOES", "IOBES"), ("BILOU", "BILOU")]
)
@given(data=st.data())
def test_strict_mode_is_seqevals(scheme, name, data):
    seqeval = pytest.importorskip("seqeval.scheme")
    letters = {"IOB1": "BI", "IOB2": "BI", "BIOES": "BIES", "BILOU": "BILU"}[scheme]
    tags = data.draw(tags_with(letters))
    theirs = seqeval.Tokens(tags, getattr(seqeval, name)).entities if tags else []
    found = [Span(entity.start, entity.end, entity.tag) for entity in theirs]
    assert entities_of(tags, mode="strict", scheme=scheme) == found


@given(tags_with("BMES"))
def test_bmes_is_bioes_with_another_letter(tags):
    other = [tag.replace("M-", "I-") for tag in tags]
    for mode in ("default", "strict"):
        assert entities_of(tags, mode, "BMES") == entities_of(other, mode, "BIOES")


@pytest.mark.parametrize("scheme", WITH_LETTERS)
@given(case=spans())
def test_spans_come_back_from_their_tags(scheme, case):
    found, words = case
    tags = tags_of(found, words, scheme)
    assert len(tags) == words
    assert list(spans_of(tags, scheme, Place("a"))) == found
    assert entities_of(tags, "default", scheme) == found
    if scheme != "IOB1":  # seqeval's strict IOB1 has no span of one B before a B of another type
        assert entities_of(tags, "strict", scheme) == found


@pytest.mark.parametrize("scheme", WITH_LETTERS)
def test_schemes_are_recognised(scheme):
    finder = SchemeFinder()
    for found, words in [([Span(0, 1, "A"), Span(1, 4, "A")], 5), ([Span(1, 3, "B")], 3)]:
        finder.add(tags_of(found, words, scheme), Place("a"))
    assert finder.scheme() == scheme


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "O"], "IOB2"),
        (["I-A", "O"], "IOB1"),
        (["B-A", "O"], "IOB2"),
        (["B", "M", "E", "S"], "BMES"),
        (["NN", "S", "VB"], "tags"),
        (["PER", "O"], "tags"),
        (["B-A", "E-A"], "BIOES"),
        (["B_A", "M_A", "E_A"], "BMES"),
    ],
)
def test_schemes_of_few_tags(tags, scheme):
    finder = SchemeFinder()
    finder.add(tags, Place("a"))
    assert finder.scheme() == scheme


def test_plain_tags_are_spans_of_one_word():
    assert spans_of(["NN", "O", "NN"], "tags", Place("a")) == (Span(0, 1, "NN"), Span(2, 3, "NN"))
    assert tags_of([Span(0, 1, "NN"), Span(2, 3, "NN")], 3, "tags") == ["NN", "O", "NN"]


def test_tags_without_types_have_one_type():
    assert spans_of(["B", "M", "E", "S"], "BMES", Place("a")) == (Span(0, 3, "_"), Span(3, 4, "_"))
    assert tags_of([Span(0, 3, "_"), Span(3, 4, "_")], 4, "BMES") == ["B", "M", "E", "S"]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["B-A", "I-A", "L-A", "E-A"], r"a line 3: tags of several schemes, 'L-A' \(a line 3\) and 'E-A'|a line 4: .*"),
        (["B-A", "I-A", "M-A"], "one tag has the letter I, another M"),
        (["S-A", "U-A"], "one tag has the letter S, another U"),
        (["B-A", "NN"], r"a line 2: tags of several schemes, 'NN' \(a line 2\) and 'B-A' \(a line 1\): a tag without"),
        (["B-A", "B"], "a tag without a type"),
        (["O", "PER-B", "PER-I"], "a line 2: 'PER-B' has its letter last: put it first, as in B-PER"),
        (["o", "b-PER", "i-PER"], "a line 2: 'b-PER' has its letter in lower case: put it in upper case, B-PER, and O"),
        (["B-A", "O", "B-A", "O", "I-B"], "a line 5: I-B begins a span, but 2 of 3 spans begin as in IOB2, .* put B-B"),
        (["B-PER", "I-LOC"], "a line 2: I-LOC begins a span, but 1 of 2 spans begin as in IOB2"),
        (["I-A", "O", "I-A", "B-B"], "a line 4: B-B begins a span, but 2 of 3 spans begin as in IOB1, .* put I-B"),
    ],
)
def test_mixed_schemes(tags, message):
    finder = SchemeFinder()
    finder.add(tags, Place("a", tuple(range(1, 9))))
    with pytest.raises(InputError, match=message):
        finder.scheme()


@pytest.mark.parametrize(
    ("scheme", "tags", "message"),
    [
        ("IOB2", ["O", "I-A"], "line 2: I-A does not fit the tags around it: IOB2 has B-A here"),
        ("IOB1", ["B-A", "O"], "line 1: B-A does not fit the tags around it: IOB1 has I-A here"),
        ("BIOES", ["B-A", "I-A", "O"], "line 2: I-A does not fit the tags around it: BIOES has E-A here"),
        ("BMES", ["O", "M-A", "E-A"], "line 2: M-A does not fit the tags around it: BMES has B-A here"),
        ("BILOU", ["L-A", "O"], "line 1: L-A does not fit the tags around it: BILOU has U-A here"),
        ("BIOES", ["B-A", "NN"], "expected a tag such as B-PER or O, got 'NN'"),
    ],
)
def test_tags_that_do_not_fit_together(scheme, tags, message):
    with pytest.raises(InputError, match=message):
        spans_of(tags, scheme, Place("a.conll", (1, 2, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": "BIO"}, "unknown tag scheme 'BIO'"),
        ({"mode": "strong"}, "unknown mode 'strong': expected one of default, strict"),
        ({"mode": "strict", "scheme": "IOB2"}, "tag 'E-A' is none of IOB2"),
    ],
)
def test_what_entities_of_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        entities_of(["E-A"], **arguments)
