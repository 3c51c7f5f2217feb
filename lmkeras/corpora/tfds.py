"""Reads texts and labels from TensorFlow Datasets, by names such as `tfds:name/config:split:feature`."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial, reduce
from operator import getitem
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from lmkeras.corpora.corpus import require_usable
from lmkeras.corpora.records import is_of_labels, named_columns
from lmkeras.errors import InputError, unknown_name

if TYPE_CHECKING:  # takes seconds to import, and most corpora are files
    import tensorflow as tf
    from tensorflow_datasets.core import DatasetBuilder
    from tensorflow_datasets.features import ClassLabel, FeaturesDict

#: Colons separate the parts of a source; the brackets of a split may contain colons of their own.
_SOURCE = re.compile(
    r"tfds:(?P<name>\w+(?:/[\w.-]+)?)(?P<version>:\d+\.\d+\.\d+)?"
    r":(?P<split>(?:[^:\[\]]|\[[^\[\]]*\])+)(?::(?P<feature>.+))?",
)


def tfds_reader(source: str) -> Callable[[], Iterator[str]]:
    """A reader of one text feature of a data set that TensorFlow Datasets has on disk or can download.

    Args:
        source: `tfds:name[/config][:version]:split[:feature]`, such as `tfds:imdb_reviews:train[:90%]:text`. A
            feature inside another is written `outer/inner`; the default feature is `text`. The data set is looked for
            in the folder TFDS_DATA_DIR, or in TensorFlow Datasets' default folder.

    Returns:
        A function that starts reading the texts, always in the order of the files.

    Raises:
        InputError: the source does not have this form; there is no such data set, split or text feature; or the data
            set is not on disk and cannot be downloaded.
    """
    read_rows = tfds_rows_reader(source, named_columns("text"))
    return lambda: (text for _, (text,) in read_rows())


def tfds_rows_reader(source: str, columns: Mapping[str, str]) -> Callable[[], Iterator[tuple[str, list]]]:
    """A reader of several features of each example (`tfds_reader` reads a single text).

    Args:
        source: as for `tfds_reader`; if it names a feature, this feature is read instead of columns["text_column"].
        columns: the wanted features, from `records.named_columns`. They must be texts, but a label may also be a
            class, an integer or a boolean.

    Returns:
        A function that starts reading rows (place, values); the place, such as "example 3", is for messages. The value
        of a class is the class' name, or None for an example without a class.

    Raises:
        InputError: as for `tfds_reader`.
    """
    parts, builder = _opened(source)
    if parts["feature"]:
        if "text_column" not in columns:
            options = " and ".join(f"{option} (--{option.replace('_', '-')})" for option in columns)
            raise InputError(f"{source}: leave out the feature {parts['feature']!r}; features are named by {options}")
        columns = {**columns, "text_column": parts["feature"]}
    known = dict(_single_features(builder.info.features))
    features = [
        _wanted(known, option=option, name=name, data_set=f"tfds:{parts['name']}") for option, name in columns.items()
    ]
    return _reader(builder, parts["split"], features=features, source=source)


def tfds_lists_reader(
    source: str, wanted: Callable[[list[str]], Iterable[str]]
) -> Callable[[], Iterator[tuple[str, list[list]]]]:
    """A reader of several features of each example that are lists of texts or of classes.

    Args:
        source: as for `tfds_reader`, without a feature.
        wanted: chooses from the names of all such features; InputError if it finds none.

    Returns:
        A function that starts reading rows (place, lists), as for `tfds_rows_reader`.

    Raises:
        InputError: as for `tfds_reader`.
    """
    parts, builder = _opened(source)
    known = dict(_list_features(builder.info.features))
    features = [known[name] for name in wanted(list(known))]
    return _reader(builder, parts["split"], features=features, source=source)


def _opened(source: str) -> tuple[re.Match, "DatasetBuilder"]:
    """The parts of a source, and its builder."""
    parts = _SOURCE.fullmatch(source)
    if parts is None:
        raise InputError(
            f"{source}: expected tfds:name/config:split:feature, where config and feature may be left out, such as "
            "tfds:imdb_reviews:train[:90%]:text"
        )
    return parts, _prepared_builder(parts["name"], parts["version"])


def _reader(
    builder: "DatasetBuilder", split: str, features: "list[_Feature]", source: str
) -> Callable[[], Iterator[tuple[str, list]]]:
    return partial(_rows, _values(builder, split, features=features, source=source), features=features, source=source)


def _prepared_builder(name: str, version: str | None) -> "DatasetBuilder":
    """The data set's builder, after its files have been downloaded if they were not on disk."""
    import tensorflow_datasets as tfds

    data_dir = os.environ.get("TFDS_DATA_DIR")  # read here, as tfds itself reads it only when it is imported
    try:
        # if a version is given, even "any", tfds prefers files on disk to the version that its own code would prepare
        builder = tfds.builder(name, version=version.lstrip(":") if version else "*.*.*", data_dir=data_dir)
    except ValueError as error:
        raise InputError(
            f"tfds:{name}: no such data set ({_first_line(error)}) The names are at "
            "https://www.tensorflow.org/datasets/catalog; one of your own is found in the folder TFDS_DATA_DIR"
        ) from error
    if not builder.is_prepared():
        try:
            _require_an_answer(builder.url_infos or {})
            builder.download_and_prepare()
        except Exception as error:  # a network, an archive or a missing package may raise anything
            raise InputError(
                f"tfds:{name} is not in {builder.data_dir} and could not be downloaded ({_first_line(error)}). Where "
                f"there is a network run: tfds build {name} --data_dir FOLDER; then set TFDS_DATA_DIR to that folder"
            ) from error
    return builder


def _require_an_answer(urls: Iterable[str]) -> None:
    """Raises an error if no host of the addresses answers: offline, tfds would try for more than three minutes."""
    import requests

    failure = None
    for url in {urlsplit(url).netloc: url for url in urls if url.startswith("http")}.values():
        try:
            requests.head(url, timeout=30)
            return
        except requests.RequestException as error:
            failure = error
    if failure is not None:
        raise failure


class _Feature(NamedTuple):
    """A feature with one value per example: the keys that lead to it, and a function (value, place) to decode it."""

    keys: tuple[str, ...]
    is_text: bool
    decode: Callable[[object, str], object]


def _single_features(features: "FeaturesDict", outer: tuple[str, ...] = ()) -> Iterator[tuple[str, _Feature]]:
    """The features that can be texts or labels, each with its name as it is written in a source, `outer/inner`."""
    import numpy as np
    import tensorflow_datasets as tfds

    for key, feature in sorted(features.items()):
        keys = (*outer, key)
        if isinstance(feature, tfds.features.FeaturesDict):
            yield from _single_features(feature, keys)
        elif isinstance(feature, tfds.features.ClassLabel):
            yield "/".join(keys), _Feature(keys, False, partial(_class_name, feature))
        elif feature.shape == () and feature.np_dtype == np.object_:
            yield "/".join(keys), _Feature(keys, True, _text)
        elif feature.shape == () and np.dtype(feature.np_dtype).kind in "iub":
            yield "/".join(keys), _Feature(keys, False, lambda value, place: value.item())


def _list_features(features: "FeaturesDict") -> Iterator[tuple[str, _Feature]]:
    """The features that are lists of texts or of classes, by name."""
    import tensorflow_datasets as tfds

    lists = {key: feature.feature for key, feature in features.items() if isinstance(feature, tfds.features.Sequence)}
    inner = {key: feature for key, feature in lists.items() if not isinstance(feature, tfds.features.FeaturesDict)}
    for name, feature in _single_features(inner):
        yield name, feature._replace(decode=partial(_each, feature.decode))


def _each(decode: Callable[[object, str], object], values: Iterable, place: str) -> list:
    return [decode(value, place) for value in values]


def _class_name(feature: "ClassLabel", value: object, place: str) -> str | None:
    return None if value < 0 else feature.int2str(value)  # in TensorFlow Datasets -1 means "not labelled"


def _text(value: bytes, place: str) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: not utf-8 ({error.reason}); choose a feature that holds text") from error
    require_usable(text, place)
    return text


def _wanted(known: Mapping[str, _Feature], option: str, name: str, data_set: str) -> _Feature:
    """The feature that an option names; InputError if it does not exist or is of the wrong kind."""
    kind = "label" if is_of_labels(option) else "text"
    usable = {name: feature for name, feature in known.items() if feature.is_text or kind == "label"}
    if not usable:
        raise InputError(
            f"{data_set} has no feature that is a {kind}; its features are {', '.join(known) or 'of other kinds'}"
        )
    if name not in usable:
        said = option.split()[0]  # of several columns of one option
        advice = "" if option == "text_column" else f"; name it with {said} (--{said.replace('_', '-')})"
        raise InputError(f"{unknown_name(f'{kind} feature of {data_set}', name, usable)}{advice}")
    return usable[name]


def _values(builder: "DatasetBuilder", split: str, features: Iterable[_Feature], source: str) -> "tf.data.Dataset":
    """The values of features in the examples of a split, in the order of the files."""
    import tensorflow_datasets as tfds

    try:
        # tfds would keep a small data set in memory, though reading it again costs little
        examples = builder.as_dataset(split=split, read_config=tfds.ReadConfig(try_autocache=False))
    except ValueError as error:
        raise InputError(
            f"{source}: split {split!r} cannot be read ({_first_line(error)}) The splits are "
            f"{', '.join(sorted(builder.info.splits))}; a part of one is written train[:90%] or train[100:200]"
        ) from error
    return examples.map(lambda example: tuple(reduce(getitem, feature.keys, example) for feature in features))


def _rows(values: "tf.data.Dataset", features: Iterable[_Feature], source: str) -> Iterator[tuple[str, list]]:
    import tensorflow as tf

    try:
        for number, row in enumerate(values.as_numpy_iterator(), 1):
            place = f"example {number}"
            where = f"{source} {place}"
            yield place, [feature.decode(value, where) for feature, value in zip(features, row, strict=True)]
    except tf.errors.OpError as error:
        raise InputError(f"{source}: its files are damaged or gone; delete and prepare them again") from error


def _first_line(error: Exception) -> str:
    """The first line of a TensorFlow Datasets error, as long lists and advice about its functions follow there."""
    return (str(error).splitlines() or [type(error).__name__])[0]
