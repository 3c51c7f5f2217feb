"""Data sets that TensorFlow Datasets' own tools have prepared in a folder; the network stays out of it."""

import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from lmkeras.corpora import open_corpus, open_examples, open_labelled_corpus
from lmkeras.corpora.pair_files import open_pairs
from lmkeras.errors import InputError


def examples(count, mark=""):
    return [
        (
            number,
            {
                "text": f"text {number}{mark}: 日本語",
                "label": number % 2,
                "title": {"long": f"title {number}", "length": number},
                "words": ["a", "b"],
                "latin": b"caf\xe9",
                "binary": "a\0b",
                "empty": "",
            },
        )
        for number in range(count)
    ]


def store(folder, name, splits, version="1.0.0", config=None, features=None):
    text = tfds.features.Text
    features = features or {
        "text": text(),
        "label": tfds.features.ClassLabel(num_classes=2),
        "title": {"long": text(), "length": tfds.features.Scalar(np.int64)},
        "words": tfds.features.Sequence(text()),
        "latin": text(),
        "binary": text(),
        "empty": text(),
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=version,
        config=config,
        features=features if isinstance(features, tfds.features.FeaturesDict) else tfds.features.FeaturesDict(features),
        split_datasets=splits,
        data_dir=folder,
        disable_shuffling=True,
    )


LABELLED = [
    (0, {"text": "a", "second": "b", "label": 1, "stars": 10, "seen": True, "score": 0.5, "kind": {"name": "x"}}),
    (1, {"text": "", "second": "d", "label": 0, "stars": 2, "seen": False, "score": 0.5, "kind": {"name": "y"}}),
]

TRANSLATED = [{"en": "good night", "zh": "晚安"}, {"en": "two", "zh": "二"}]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    store(folder, "reviews", {"train": examples(20), "test": examples(5, "!")})
    store(folder, "sized", {"train": examples(3, "?")}, config="small")
    store(folder, "sized", {"train": examples(6, "?")}, config="large")
    store(folder, "revised", {"train": examples(2, " (first)")}, version="9.0.0")
    store(folder, "revised", {"train": examples(2, " (second)")}, version="10.0.0")
    # a data set that the library knows, in a version that its code would not make
    store(folder, "imdb_reviews", {"train": examples(4)}, version="0.0.1", config="plain_text")
    labelled = {
        "text": tfds.features.Text(),
        "second": tfds.features.Text(),
        "label": tfds.features.ClassLabel(names=["bad", "good"]),
        "stars": tfds.features.Scalar(np.int64),
        "seen": tfds.features.Scalar(np.bool_),
        "score": tfds.features.Scalar(np.float32),
        "kind": {"name": tfds.features.Text()},
    }
    store(folder, "labelled", {"train": LABELLED, "test": [(0, {**LABELLED[0][1], "label": -1})]}, features=labelled)
    translation = tfds.features.Translation(languages=["en", "zh"])
    store(folder, "translated", {"train": list(enumerate(TRANSLATED))}, features=translation)
    store(folder, "numbers", {"train": [(0, {"x": 1})]}, features={"x": tfds.features.Scalar(np.int64)})
    return folder


class LocallyMade(tfds.core.GeneratorBasedBuilder):
    """A data set that the library makes itself when it is asked for first; nothing has to be fetched."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"text": tfds.features.Text()}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"text": "made here"}


@pytest.fixture(autouse=True)
def _offline(prepared, monkeypatch):
    def offline(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    monkeypatch.setattr("socket.getaddrinfo", offline)
    monkeypatch.setattr("socket.socket.connect", offline)


def texts(count, mark="", first=0):
    return [f"text {number}{mark}: 日本語" for number in range(first, count)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("tfds:reviews:train", texts(20)),
        ("tfds:reviews:train:text", texts(20)),
        ("tfds:reviews:test:text", texts(5, "!")),
        ("tfds:reviews:train[:90%]", texts(18)),
        ("tfds:reviews:train[90%:]:text", texts(20, first=18)),
        ("tfds:reviews:train[2:4]+test[:1]", texts(4, first=2) + texts(1, "!")),
        ("tfds:sized/small:train", texts(3, "?")),
        ("tfds:sized/large:train", texts(6, "?")),
        ("tfds:reviews:train[:3]:title/long", ["title 0", "title 1", "title 2"]),
        ("tfds:reviews:train[:3]:empty", ["", "", ""]),
        ("tfds:revised:train", texts(2, " (second)")),
        ("tfds:revised:9.0.0:train:text", texts(2, " (first)")),
        ("tfds:imdb_reviews:train:text", texts(4)),
        ("tfds:imdb_reviews/plain_text:0.0.1:train", texts(4)),
    ],
)
def test_texts_in_the_order_of_the_files(source, expected):
    corpus = open_corpus(source)
    assert list(corpus) == list(corpus) == expected


def test_a_data_set_is_prepared_when_first_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert list(open_corpus("tfds:locally_made:train")) == ["made here"]
    monkeypatch.delattr(LocallyMade, "_generate_examples")
    assert list(open_corpus("tfds:locally_made:train")) == ["made here"], "prepared by now"


def test_a_download_that_breaks_off(monkeypatch):
    def breaks_off(builder):
        raise TimeoutError("no answer\nmore about it")

    monkeypatch.setattr("requests.head", lambda url, timeout: None)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", breaks_off)
    with pytest.raises(InputError, match=r"could not be downloaded \(no answer\)\. Where there is a network run"):
        open_corpus("tfds:glue/sst2:train:sentence")


def test_beside_other_sources(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a file", encoding="utf-8")
    assert list(open_corpus([path, "tfds:reviews:test"])) == ["a file", *texts(5, "!")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("tfds:reviews", "expected tfds:name/config:split:feature"),
        ("tfds:reviews:", "expected tfds:name/config:split:feature"),
        ("tfds:re views:train", "expected tfds:name/config:split:feature"),
        ("tfds:huggingface:x/y:train", "no such data set"),
        ("tfds:no_such:train", "tfds:no_such: no such data set (Dataset no_such not found.)"),
        ("tfds:reviews/large:train", "no such data set"),
        ("tfds:reviews:2.0.0:train", "no such data set"),
        ("tfds:reviews:valid", "The splits are test, train; a part of one is written train[:90%]"),
        ("tfds:reviews:train[:x]", "split 'train[:x]' cannot be read"),
        ("tfds:reviews:train[30:]", "split 'train[30:]' cannot be read"),
        ("tfds:reviews:train[:0]", "split 'train[:0]' cannot be read"),
        ("tfds:reviews:train:txt", "expected one of binary, empty, latin, text, title/long; did you mean 'text'?"),
        ("tfds:reviews:train:label", "unknown text feature of tfds:reviews 'label'"),
        ("tfds:reviews:train:words", "unknown text feature of tfds:reviews 'words'"),
        ("tfds:reviews:train:title", "unknown text feature of tfds:reviews 'title'"),
        ("tfds:numbers:train", "tfds:numbers has no feature that is a text; its features are x"),
        ("tfds:glue/sst2:train:sentence", "Network is unreachable"),
        ("tfds:glue/sst2:train:sentence", "Where there is a network run: tfds build glue/sst2 --data_dir FOLDER"),
    ],
)
def test_sources_that_cannot_be_opened(source, message):
    with pytest.raises(InputError) as caught:
        open_corpus(source)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("feature", "message"),
    [("latin", r"example 1: not utf-8"), ("binary", r"example 1: U\+0000")],
)
def test_texts_that_cannot_be_used(feature, message):
    with pytest.raises(InputError, match=message):
        list(open_corpus(f"tfds:reviews:train:{feature}"))


def test_damaged_files(prepared, tmp_path, monkeypatch):
    shutil.copytree(prepared / "reviews", tmp_path / "reviews")
    records = next((tmp_path / "reviews" / "1.0.0").glob("*train*tfrecord*"))
    records.write_bytes(records.read_bytes()[:-7])
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match="its files are damaged"):
        list(open_corpus("tfds:reviews:train"))
    records.unlink()
    with pytest.raises(InputError, match="its files are damaged"):
        list(open_corpus("tfds:reviews:train"))


@pytest.mark.parametrize(
    ("source", "columns", "expected"),
    [
        ("tfds:labelled:train", {}, [("a", "good"), ("", "bad")]),
        ("tfds:labelled:train", {"label_column": "stars"}, [("a", "10"), ("", "2")]),
        ("tfds:labelled:train", {"label_column": "seen"}, [("a", "True"), ("", "False")]),
        ("tfds:labelled:train", {"label_column": "kind/name"}, [("a", "x"), ("", "y")]),
        ("tfds:labelled:train", {"text_column": "second", "label_column": "text"}, None),
        ("tfds:labelled:train:second", {}, [("b", "good"), ("d", "bad")]),
        ("tfds:labelled:train[1:]", {"text_column": "second", "pair_column": "text"}, [(("d", ""), "bad")]),
        ("tfds:reviews:train[:2]", {"text_column": "title/long"}, [("title 0", "0"), ("title 1", "1")]),
    ],
)
def test_labelled_examples(source, columns, expected):
    corpus = open_labelled_corpus(source, **columns)
    if expected is None:
        with pytest.raises(InputError, match=r"1 of 2 examples have no label \(first: example 2\)"):
            list(corpus)
    else:
        assert list(corpus) == list(corpus) == expected


def test_examples_to_judge():
    assert list(open_examples("tfds:labelled:train")) == ["a", ""]
    assert list(open_examples("tfds:labelled:train:second")) == ["b", "d"]
    assert list(open_examples("tfds:labelled:train", "second", pair_column="text")) == [("b", "a"), ("d", "")]


def test_examples_without_a_class():
    message = r"tfds:labelled:test: 1 of 1 examples have no label \(first: example 1\).*--label-column"
    with pytest.raises(InputError, match=message):
        list(open_labelled_corpus("tfds:labelled:test"))


@pytest.mark.parametrize(
    ("source", "columns", "message"),
    [
        (
            "tfds:labelled:train",
            {"label_column": "lable"},
            "unknown label feature of tfds:labelled 'lable': expected one of kind/name, label, second, seen, stars, "
            "text; did you mean 'label'?; name it with label_column (--label-column)",
        ),
        ("tfds:labelled:train", {"label_column": "score"}, "unknown label feature of tfds:labelled 'score'"),
        ("tfds:labelled:train", {"pair_column": "stars"}, "name it with pair_column (--pair-column)"),
        ("tfds:labelled:train", {"text_column": "stars"}, "expected one of kind/name, second, text"),
        ("tfds:numbers:train", {"label_column": "x"}, "has no feature that is a text; its features are x"),
    ],
)
def test_features_that_cannot_be_used(source, columns, message):
    with pytest.raises(InputError) as caught:
        open_labelled_corpus(source, **columns)
    assert message in str(caught.value)


def test_pairs_of_translations():
    names, expected = {"source_column": "en", "target_column": "zh"}, [tuple(one.values()) for one in TRANSLATED]
    corpus = open_pairs("tfds:translated:train", **names)
    assert list(corpus) == list(corpus) == expected
    assert list(open_pairs("tfds:translated:train[1:]", **names, reverse=True)) == [expected[1][::-1]]
    with pytest.raises(InputError, match=r"unknown text feature of tfds:translated 'source'.*\(--source-column\)"):
        open_pairs("tfds:translated:train")
    message = r"leave out the feature 'en'; features are named by source_column \(--source-column\) and"
    with pytest.raises(InputError, match=message):
        open_pairs("tfds:translated:train:en", **names)
