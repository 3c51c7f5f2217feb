"""Texts from TensorFlow Datasets: `tfds:name/config:split:feature`."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce
from operator import getitem
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lmkeras.corpora.corpus import require_usable
from lmkeras.errors import InputError, unknown_name

if TYPE_CHECKING:  # takes seconds to import, and most corpora are files
    import tensorflow as tf
    from tensorflow_datasets.core import DatasetBuilder
    from tensorflow_datasets.features import FeaturesDict

#: A colon may stand between the brackets of a split, and before a version.
_SOURCE = re.compile(
    r"tfds:(?P<name>\w+(?:/[\w.-]+)?)(?P<version>:\d+\.\d+\.\d+)?"
    r":(?P<split>(?:[^:\[\]]|\[[^\[\]]*\])+)(?::(?P<feature>.+))?",
)


def tfds_reader(source: str) -> Callable[[], Iterator[str]]:
    """A reader of one text feature of a data set that TensorFlow Datasets has on disk or can download.

    Args:
        source: `tfds:name[/config][:version]:split[:feature]`, such as `tfds:imdb_reviews:train[:90%]:text`. A
            feature inside another is written `outer/inner`; without a feature it is `text`.

    Returns:
        A function that starts reading the texts, always in the order of the files.

    Raises:
        InputError: the source is not spelled so, there is no such data set, split or text feature, or the data
            set is not on disk and cannot be downloaded. Its folder is TFDS_DATA_DIR, or TensorFlow Datasets' own.
    """
    parts = _SOURCE.fullmatch(source)
    if parts is None:
        raise InputError(
            f"{source}: expected tfds:name/config:split:feature, where config and feature may be left out, such as "
            "tfds:imdb_reviews:train[:90%]:text"
        )
    builder = _prepared_builder(parts["name"], parts["version"])
    text_features = dict(_text_features(builder.info.features))
    if not text_features:
        raise InputError(
            f"tfds:{parts['name']} has no feature that is a text; its features are {', '.join(builder.info.features)}"
        )
    feature = parts["feature"] or "text"
    if feature not in text_features:
        raise unknown_name(f"text feature of tfds:{parts['name']}", feature, text_features)
    values = _values(builder, parts["split"], text_features[feature], source)
    return partial(_texts, values, source)


def _prepared_builder(name: str, version: str | None) -> "DatasetBuilder":
    """The data set's builder, once its files are on disk."""
    import tensorflow_datasets as tfds

    data_dir = os.environ.get("TFDS_DATA_DIR")  # tfds looks at it only when imported
    try:
        # With a version, any will do, files on disk are preferred to the version that the library's code would make.
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
        except Exception as error:  # whatever networks, archives and missing extras raise
            raise InputError(
                f"tfds:{name} is not in {builder.data_dir} and could not be downloaded ({_first_line(error)}). Where "
                f"there is a network run: tfds build {name} --data_dir FOLDER; then set TFDS_DATA_DIR to that folder"
            ) from error
    return builder


def _require_an_answer(urls: Iterable[str]) -> None:
    """Fails where no host of the addresses answers: offline, tfds would keep trying for more than three minutes."""
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


def _text_features(features: "FeaturesDict", outer: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The features that hold one string per example: how a source names them, and the keys that lead to them."""
    import numpy as np
    import tensorflow_datasets as tfds

    for name, feature in sorted(features.items()):
        keys = (*outer, name)
        if isinstance(feature, tfds.features.FeaturesDict):
            yield from _text_features(feature, keys)
        elif feature.shape == () and feature.np_dtype == np.object_:
            yield "/".join(keys), keys


def _values(builder: "DatasetBuilder", split: str, keys: tuple[str, ...], source: str) -> "tf.data.Dataset":
    """The strings that `keys` lead to in the examples of a split, in the order of the files."""
    import tensorflow_datasets as tfds

    try:
        # tfds would keep a small data set in memory; reading it again costs little
        examples = builder.as_dataset(split=split, read_config=tfds.ReadConfig(try_autocache=False))
    except ValueError as error:
        raise InputError(
            f"{source}: split {split!r} cannot be read ({_first_line(error)}) The splits are "
            f"{', '.join(sorted(builder.info.splits))}; a part of one is written train[:90%] or train[100:200]"
        ) from error
    return examples.map(lambda example: reduce(getitem, keys, example))


def _texts(values: "tf.data.Dataset", source: str) -> Iterator[str]:
    """The texts of UTF-8 strings."""
    import tensorflow as tf

    try:
        for number, value in enumerate(values.as_numpy_iterator(), 1):
            place = f"{source} example {number}"
            try:
                text = value.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{place}: not utf-8 ({error.reason}); choose a feature that holds text") from error
            require_usable(text, place)
            yield text
    except tf.errors.OpError as error:
        raise InputError(f"{source}: its files are damaged or gone; delete and prepare them again") from error


def _first_line(error: Exception) -> str:
    """The gist of an error of the library, whose messages go on with catalogues and advice about its functions."""
    return (str(error).splitlines() or [type(error).__name__])[0]
