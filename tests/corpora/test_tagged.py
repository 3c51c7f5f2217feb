"""Tagged corpora: files, folders, names and what is in memory give the same texts; parts keep the corpus' scheme."""

import pytest
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.corpora.spans import Span, TaggedText
from lmkeras.corpora.tables import fold_rows
from lmkeras.corpora.tagged import TaggedCorpus, as_tagged_corpus, open_tagged_corpus, split_tagged
from lmkeras.errors import InputError
from tests.corpora.test_memory import ListsOfClasses, Table

TEXTS = [
    TaggedText(("Ada", "Lovelace", "wrote"), (Span(0, 2, "PER"),)),
    TaggedText(("Hi",)),
    TaggedText(("London",), (Span(0, 1, "LOC"),)),
]
WORDS = [list(text.words) for text in TEXTS]
TAGS = [["B-PER", "I-PER", "O"], ["O"], ["B-LOC"]]
COLUMNS = "Ada B-PER\nLovelace I-PER\nwrote O\n\nHi O\n\nLondon B-LOC\n"

HELD = {
    "tagged texts": TEXTS,
    "pairs": list(zip(WORDS, TAGS, strict=True)),
    "pairs of spans": [tuple(text) for text in TEXTS],
    "columns": (WORDS, TAGS),
    "dictionaries": [{"tokens": words, "tags": tags} for words, tags in zip(WORDS, TAGS, strict=True)],
    "dictionary of columns": {"id": [1, 2, 3], "tokens": WORDS, "ner_tags": TAGS},
    "table": Table(tokens=WORDS, ner_tags=TAGS),
    "mixed": [TEXTS[0], (WORDS[1], TAGS[1]), TEXTS[2]],
}


@pytest.mark.parametrize("kind", HELD)
def test_what_is_in_memory(kind):
    corpus = as_tagged_corpus(HELD[kind])
    assert list(corpus) == list(corpus) == TEXTS
    assert as_tagged_corpus(corpus) is corpus
    assert corpus.scheme == ("spans" if kind in ("tagged texts", "pairs of spans") else "IOB2")


def test_an_iterator_is_read_once_and_says_so(caplog):
    for items in (HELD["pairs"], HELD["dictionaries"]):
        corpus = as_tagged_corpus(iter(items))
        assert list(corpus) == list(corpus) == TEXTS
        assert "3 examples are in memory now" in caplog.records[-1].message


def test_data_frames():
    pandas, numpy = pytest.importorskip("pandas"), pytest.importorskip("numpy")
    arrays = {"tokens": map(numpy.array, WORDS), "tags": map(numpy.array, TAGS)}
    for columns in ({"tokens": WORDS, "tags": TAGS}, arrays):
        assert (
            list(as_tagged_corpus(pandas.DataFrame({name: list(column) for name, column in columns.items()}))) == TEXTS
        )
    texts = pandas.DataFrame({"text": ["Ada!", "x"], "spans": [[(0, 3, "PER")], []]})
    corpus = as_tagged_corpus(texts)
    assert list(corpus) == [TaggedText(("Ada", "!"), (Span(0, 1, "PER"),)), TaggedText(("x",))]
    assert corpus.splitting == "signs"


def test_a_data_set_whose_numbers_have_names():
    """ListsOfClasses is a column of a datasets.Dataset with the names no and yes."""
    table = Table(names="column_names", make=list, tokens=WORDS)
    table._columns["tags"] = ListsOfClasses([[1, 0, 0], [0], [1]])
    table.column_names.append("tags")
    corpus = as_tagged_corpus(table)
    assert corpus.scheme == "tags"
    assert [span.type for text in corpus for span in text.spans] == ["yes", "no", "no", "no", "yes"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"expected at least one text and its tags, got an empty list"),
        (7, r"expected a file, a corpus, or examples"),
        (["a text"], r"item 1 of the list: expected text, tags, got 'a text'"),
        ({"tokens": WORDS}, r"the dict: expected words and tags \(such as tokens and tags\)"),
        ([("Ada", ["B-PER"])], r"item 1: expected a span as \[start, end, type\]"),
        ([(["Ada"], ["B-PER", "O"])], r"item 1: expected a tag for each word, got 1 words and 2 tags"),
        ([(["a"], ["O"]), ([], [])], r"item 2: a text without words: leave it out"),
        ([(["a b"], ["O"])], r"item 1 word 1: the word 'a b' has a blank in it: give each word its own tag"),
        ([(["a", "b"], ["B-X", "I-Y"])], r"item 1 word 2: I-Y begins a span, but 1 of 2 spans begin as in IOB2"),
    ],
)
def test_what_cannot_be_used(value, message):
    with pytest.raises(InputError, match=message) as caught:
        list(as_tagged_corpus(value))
    assert "\n" not in str(caught.value)


def test_several_files_are_one_corpus(tmp_path):
    (tmp_path / "a.conll").write_text(COLUMNS, encoding="utf-8")
    (tmp_path / "b.jsonl").write_text('{"text": "Hi London", "spans": [[3, 9, "LOC"]]}\n', encoding="utf-8")
    (tmp_path / "notes.md").write_text("no corpus", encoding="utf-8")
    expected = [*TEXTS, TaggedText(("Hi", "London"), (Span(1, 2, "LOC"),))]
    for sources in (tmp_path, str(tmp_path), f"{tmp_path}/*", [tmp_path / "a.conll", tmp_path / "b.jsonl"]):
        corpus = as_tagged_corpus(sources)
        assert list(corpus) == expected
        assert (corpus.scheme, corpus.splitting) == ("IOB2", "words"), "as of most texts"
    assert corpus.described.startswith("columns (word 0, tag 1 of 2, counted from 0), text and spans of characters;")


def test_schemes_of_two_files_must_be_one(tmp_path):
    (tmp_path / "a.conll").write_text("Ada S-PER\n", encoding="utf-8")
    (tmp_path / "b.conll").write_text("Hi O\nAda U-PER\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.conll line 1: tags of several schemes, 'S-PER' .*/b\.conll line 2\)"):
        list(open_tagged_corpus(tmp_path))


def test_a_corpus_is_read_anew_every_time(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text(COLUMNS, encoding="utf-8")
    corpus = open_tagged_corpus(path)
    assert list(corpus) == TEXTS
    path.write_text("London B-LOC\n", encoding="utf-8")
    assert list(corpus) == TEXTS[2:]


def test_parts_have_the_scheme_of_the_whole():
    plain = [([f"word{i}"], ["I-X" if i == 7 else "O"]) for i in range(40)]
    corpus = as_tagged_corpus(plain)
    for train, held_out in (split_tagged(corpus, 0.25, seed=1), *fold_rows(corpus, 4, seed=1)):
        assert isinstance(train, TaggedCorpus)
        assert (train.scheme, held_out.scheme) == ("IOB1", "IOB1")
        assert len(list(held_out)) == 10
        assert sorted([*train, *held_out]) == sorted(corpus)
        assert list(train.column(0)) == [text.words for text in train]
        again, _ = split_tagged(train, 0.5)
        assert again.scheme == "IOB1"
    with pytest.raises(InputError, match="validation_fraction: expected a number between 0 and 1, got 2"):
        split_tagged(open_tagged_corpus("builtin:python-entities"), 2)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    features = {
        "id": tfds.features.Text(),
        "tokens": tfds.features.Sequence(tfds.features.Text()),
        "ner": tfds.features.Sequence(tfds.features.ClassLabel(names=["O", "B-PER", "I-PER", "B-LOC"])),
        "chunks": tfds.features.Sequence(tfds.features.Text()),
    }
    rows = [
        (i, {"id": str(i), "tokens": words, "ner": tags, "chunks": ["X"] * len(words)})
        for i, (words, tags) in enumerate(zip(WORDS, TAGS, strict=True))
    ]
    tfds.dataset_builders.store_as_tfds_dataset(
        name="named",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={"train": rows},
        data_dir=folder,
        disable_shuffling=True,
    )
    return folder


def test_data_sets_of_tensorflow(data_set, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_set))
    assert list(open_tagged_corpus("tfds:named:train")) == TEXTS
    assert list(open_tagged_corpus("tfds:named:train[:1]")) == TEXTS[:1]
    assert open_tagged_corpus("tfds:named:train", tag_column="chunks").scheme == "tags"
    with pytest.raises(InputError, match=r"tfds:named:train: 'x' is missing; .* got 'chunks', 'ner', 'tokens'"):
        open_tagged_corpus("tfds:named:train", tag_column="x")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("builtin:python-entitis", "did you mean 'python-entities'"),
        ("nowhere.conll", "no such file or folder"),
        ("tfds:named", "expected tfds:name/config:split"),
    ],
)
def test_sources_that_are_not_there(source, message):
    with pytest.raises(InputError, match=message):
        open_tagged_corpus(source)


def test_an_encoding(tmp_path):
    path = tmp_path / "a.conll"
    path.write_bytes("王 S-PER\n".encode("gb18030"))
    assert list(open_tagged_corpus(path, encoding="gb18030")) == [TaggedText(("王",), (Span(0, 1, "PER"),))]
    with pytest.raises(InputError, match=r"a\.conll line 1: the byte at offset 0 is not utf-8"):
        list(open_tagged_corpus(path))


PIECES = [
    *'\n \t#[]{}",:',
    "\n\n",
    "-DOCSTART-",
    "B-X",
    "I-X",
    "O",
    "E-X",
    "NN",
    "1",
    "1-2",
    "text",
    "tokens",
    "\u3000",
    "null",
]
PIECES += ['{"text": "a b", "label": [[0, 1, "X"]]}', '{"tokens": ["a"], "tags": ["O"]}', '["a", {"entities": []}]']


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_whatever_a_file_holds_the_message_is_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_text(content, encoding="utf-8")
    texts, message = [], ""
    try:
        texts = list(open_tagged_corpus(path))
    except InputError as error:
        message = str(error)
    assert bool(texts) != bool(message)
    assert "\n" not in message
    assert all(len(text.words) >= max((span.end for span in text.spans), default=1) for text in texts)
