"""Tagged texts as JSON: every known form gives the same texts, or the message says where the file is wrong."""

import json

import pytest

from lmkeras.corpora.spans import Place, Span, TaggedText
from lmkeras.corpora.tagged import open_tagged_corpus
from lmkeras.corpora.tagged_records import Keys, row_of
from lmkeras.errors import InputError

TEXT = "Ada Lovelace, London"
OF_SIGNS = TaggedText(("Ada", "Lovelace", ",", "London"), (Span(0, 2, "PER"), Span(3, 4, "LOC")))
NONE = TaggedText(("No", "names", "."))
TRIPLES = [[0, 12, "PER"], [14, 20, "LOC"]]
OBJECTS = [{"start": start, "end": end, "label": kind} for start, end, kind in TRIPLES]
OFFSETS = [{"id": 1, "start_offset": start, "end_offset": end, "label": kind} for start, end, kind in TRIPLES]
TAGS = ["B-PER", "I-PER", "O", "B-LOC"]

FORMS = {
    "doccano": [{"id": 1, "text": TEXT, "label": TRIPLES}, {"text": "No names.", "label": [], "Comments": []}],
    "doccano's older": [{"text": TEXT, "labels": TRIPLES, "meta": {}}, {"text": "No names.", "labels": []}],
    "doccano's relations": [
        {"text": TEXT, "entities": OFFSETS, "relations": []},
        {"text": "No names.", "entities": [], "relations": []},
    ],
    "prodigy": [
        {"text": TEXT, "spans": OBJECTS, "tokens": [{"text": "Ada", "start": 0}], "answer": "accept"},
        {"text": "wrong", "spans": OBJECTS, "answer": "reject"},
        {"text": "No names.", "spans": []},
        {"text": "wrong", "spans": OBJECTS, "answer": "ignore"},
    ],
    "doccano without spans": [{"id": 1, "text": TEXT, "label": TRIPLES}, {"id": 2, "text": "No names.", "label": None}],
    "doccano's older without spans": [{"text": TEXT, "labels": TRIPLES}, {"text": "No names.", "labels": None}],
    "prodigy without spans": [
        {"text": TEXT, "spans": OBJECTS, "_input_hash": 7, "answer": "accept"},
        {"text": "No names.", "tokens": [{"text": "No", "start": 0}], "_input_hash": 8},
    ],
    "prodigy, accepted without spans": [{"text": TEXT, "spans": OBJECTS}, {"text": "No names.", "answer": "accept"}],
    "spacy": [[TEXT, {"entities": TRIPLES}], ["No names.", {"entities": []}]],
    "pairs of a text": [[TEXT, TRIPLES], ["No names.", []]],
}


def write(folder, values, whole):
    lines = [json.dumps(value, ensure_ascii=number % 2 == 0) for number, value in enumerate(values)]
    path = folder / "any.name"
    path.write_text(json.dumps(values, indent=whole) if whole is not False else "\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("whole", [False, None, 2])
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_texts_with_spans(tmp_path, form, whole):
    corpus = open_tagged_corpus(write(tmp_path, FORMS[form], whole))
    assert list(corpus) == [OF_SIGNS, NONE]
    assert (corpus.scheme, corpus.splitting) == ("spans", "signs")


OF_WORDS = {
    "tokens": [{"tokens": [*OF_SIGNS.words], "tags": TAGS}, {"tokens": [*NONE.words], "tags": ["O"] * 3}],
    "words": [{"words": [*OF_SIGNS.words], "labels": TAGS}, {"words": [*NONE.words], "labels": ["O"] * 3}],
    "others too": [
        {"id": 1, "text": TEXT, "tokens": [*OF_SIGNS.words], "pos_tags": [1, 2, 3, 4], "ner_tags": TAGS},
        {"id": 2, "text": "", "tokens": [*NONE.words], "pos_tags": [1, 2, 3], "ner_tags": ["O"] * 3},
    ],
    "pairs": [[[*OF_SIGNS.words], TAGS], [[*NONE.words], ["O"] * 3]],
    "numbers": [{"tokens": [*OF_SIGNS.words], "tags": [1, 2, 0, 3]}, {"tokens": [*NONE.words], "tags": [0] * 3}],
}


@pytest.mark.parametrize("whole", [False, None, 2])
@pytest.mark.parametrize("form", OF_WORDS)
def test_forms_of_words_with_tags(tmp_path, form, whole):
    corpus = open_tagged_corpus(write(tmp_path, OF_WORDS[form], whole), tag_names=["O", "B-PER", "I-PER", "B-LOC"])
    assert list(corpus) == [OF_SIGNS, NONE]
    assert (corpus.scheme, corpus.splitting) == ("IOB2", "words")
    assert corpus.described == "words and tags; scheme IOB2, words as of 'words'"


def test_keys_that_the_user_names(tmp_path):
    rows = [{"w": ["Ada"], "t": ["B-PER"], "tokens": ["no"], "tags": ["O"], "s": TEXT, "e": TRIPLES}]
    path = write(tmp_path, rows, False)
    assert list(open_tagged_corpus(path, word_column="w", tag_column="t")) == [
        TaggedText(("Ada",), (Span(0, 1, "PER"),))
    ]
    rows = [{"s": TEXT, "e": TRIPLES, "label": []}]
    assert list(open_tagged_corpus(write(tmp_path, rows, False), text_column="s", tag_column="e")) == [OF_SIGNS]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"tokens": ["a"], "tags": ["O", "O"]}, "expected a tag for each word, got 1 words and 2 tags"),
        ({"tokens": "a", "tags": ["O"]}, "expected a span as"),
        ({"tokens": ["a", 1], "tags": ["O", "O"]}, "expected a list of words, or a text, got"),
        ({"tokens": ["a"], "tags": "O"}, "expected a list of tags, got 'O'"),
        ({"tokens": ["a"], "tags": [3]}, "word 1: expected a tag such as B-PER, got 3: give the names of numbers with"),
        ({"tokens": ["a"], "tags": [None]}, "word 1: expected a tag such as B-PER, got None"),
        ({"tokens": ["a"]}, r"expected words and tags \(such as tokens and tags\) or .*, got 'tokens'"),
        ({"text": "a", "answer": "b"}, "expected words and tags .*, got 'text', 'answer'"),
        ({"tokens": ["a"], "tags": None}, "expected a list of tags, got 'None'"),
        ({"text": "a", "spans": 7}, "expected a list of spans for the text 'a', got '7'"),
        ({"text": "a\0", "spans": []}, r"U\+0000 is not a character of text"),
        ({"tokens": ["\ud800"], "tags": ["O"]}, r"U\+D800 is not a character of text"),
        (["a"], r"expected \(words, tags\) or \(text, spans\)"),
        (7, r"expected \(words, tags\) or \(text, spans\), got 'int'"),
        (TaggedText(("a",), (Span(0, 2, "X"),)), r"span \[0, 2\) X is empty, .* or is outside of the 1 words"),
        (TaggedText(("a", "b"), (Span(0, 2, "X"), Span(1, 2, "Y"))), r"span \[1, 2\) Y is empty, overlaps another"),
    ],
)  # fmt: skip
def test_what_is_no_tagged_text(value, message):
    with pytest.raises(InputError, match=f"^item 3:? {message}"):
        row_of(value, Keys(), Place("item 3"))


def test_names_of_numbers():
    place, value = Place("item 3"), {"tokens": ["a"], "tags": [2]}
    assert row_of(value, Keys(tag_names=("O", "I-A", "I-B")), place).tags == ("I-B",)
    with pytest.raises(InputError, match="item 3 word 1: expected a tag such as B-PER, got 2: tag_names gives no name"):
        row_of(value, Keys(tag_names=("O",)), place)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"tokens": ["a"], "tags": ["O"]}\n{"tokens": ["a"\n', r"any\.name line 2: not JSON \(.* at column \d+\)"),
        ('[{"tokens": ["a"], "tags": ["O"]},\n{"tokens":', r"any\.name: not JSON \("),
        ('{"tokens": ["a"], "tags": ["O"]}\n\n{"tokens": [], "tags": []}\n', r"any\.name line 3: a text without words"),
        ('{"tokens": ["a b"], "tags": ["O"]}', r"any\.name line 1 word 1: the word 'a b' has a blank in it"),
        ('{"tokens": ["a"], "tags": ["B-A"]}\n{"tokens": ["x", "b"], "tags": ["O", "I-A"]}', "line 2 word 2: I-A b"),
        ('{"a": 1}', r"any\.name line 1: expected words and tags .*, got 'a'\. Name others with word_column"),
        ("[]", "there are no texts in it"),
        ("{\n", r"any\.name: not JSON"),
    ],
)  # fmt: skip
def test_files_that_are_wrong(tmp_path, content, message):
    path = tmp_path / "any.name"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        list(open_tagged_corpus(path))
    assert "\n" not in str(caught.value)
