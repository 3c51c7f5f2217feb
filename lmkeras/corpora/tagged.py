"""A tagged corpus: texts as words, and the spans of words that are named, such as persons and places."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from lmkeras.corpora.characters import require_encoding
from lmkeras.corpora.memory import sources_in
from lmkeras.corpora.paths import Reader, find_readers
from lmkeras.corpora.sources import builtin_reader
from lmkeras.corpora.spans import Place, Span, TaggedRow, TaggedText
from lmkeras.corpora.tables import Rows, split_rows
from lmkeras.corpora.tag_schemes import SchemeFinder, spans_of
from lmkeras.corpora.tagged_columns import write_conll
from lmkeras.corpora.tagged_docstrings import SOURCE, parts_without_common_names, python_entities
from lmkeras.corpora.tagged_files import path_readers, read_file
from lmkeras.corpora.tagged_memory import items_in
from lmkeras.corpora.tagged_records import Keys, required_names, row_of
from lmkeras.corpora.tfds import tfds_lists_reader
from lmkeras.errors import InputError

__all__ = [
    "Span",
    "TaggedCorpus",
    "TaggedText",
    "as_tagged_corpus",
    "open_tagged_corpus",
    "split_tagged",
    "write_conll",
]

#: the readers of `builtin:` corpora, by name
BUILTIN_TAGGED = {SOURCE.removeprefix("builtin:"): python_entities}

_MOSTLY = 0.9  # of the words, that are single characters, where text is cut into characters
_BLANK = re.compile(r"[ \t\n\r\f\v]")


class _Found(NamedTuple):
    """What a look at the whole corpus shows."""

    scheme: str
    splitting: str
    forms: tuple[str, ...]


class TaggedCorpus(Rows):
    """Texts as words and spans of them, each a TaggedText. Every iteration reads them anew, one in memory at a time.

    Args:
        *readers: functions without arguments, each of which starts reading its share from the beginning: TaggedRows,
            or TaggedTexts of `whole`.
        whole: the corpus of which this is a part; scheme and splitting are those of the whole.
        names_apart: whether `split_tagged` keeps each name in one part.

    Example:
        >>> corpus = as_tagged_corpus([(["Ada", "Lovelace"], ["B-PER", "I-PER"])])
        >>> list(corpus), corpus.scheme, corpus.splitting
        ([TaggedText(words=('Ada', 'Lovelace'), spans=(Span(start=0, end=2, type='PER'),))], 'IOB2', 'words')
    """

    without_examples = "there are no texts in it: give at least one with its tags or spans"

    def __init__(
        self, *readers: Callable[[], Iterator], whole: "TaggedCorpus | None" = None, names_apart: bool = False
    ):
        super().__init__(*readers)
        self._whole, self.names_apart = whole, names_apart

    def __iter__(self) -> Iterator[TaggedText]:
        """The texts from the first one on; InputError if there are none, or tags do not fit together."""
        if self._whole is not None:
            yield from super().__iter__()
            return
        scheme = self.scheme
        for row in super().__iter__():
            yield TaggedText(row.words, row.spans if row.tags is None else spans_of(row.tags, scheme, row.place))

    def part(self, *readers: Callable[[], Iterator]) -> "TaggedCorpus":
        """A corpus of some of the texts."""
        return TaggedCorpus(*readers, whole=self._whole or self, names_apart=self.names_apart)

    @property
    def scheme(self) -> str:
        """The scheme of the tags, one of `tag_schemes.SCHEMES`; "spans" where there are no tags."""
        return self._found.scheme

    @property
    def splitting(self) -> str:
        """How text must be cut into words to look like the corpus: "words", "signs" or "characters"."""
        return self._found.splitting

    @property
    def described(self) -> str:
        """How the corpus was read, for people."""
        return f"{', '.join(self._found.forms)}; scheme {self.scheme}, words as of {self.splitting!r}"

    @cached_property
    def _found(self) -> _Found:
        """The corpus is read for this once."""
        if self._whole is not None:
            return self._whole._found
        finder, tagged, splittings, forms, lengths = SchemeFinder(), False, Counter(), {}, Counter()
        for row in super().__iter__():
            _require_words(row)
            forms[row.form] = None
            splittings[row.splitting] += 1
            if row.splitting is None:
                lengths.update(len(word) == 1 for word in row.words)
            if row.tags is not None:
                tagged = True
                finder.add(row.tags, row.place)
        splitting = splittings.most_common(1)[0][0]
        if splitting is None:
            splitting = "characters" if lengths[True] > _MOSTLY * lengths.total() else "words"
        return _Found(finder.scheme() if tagged else "spans", splitting, tuple(forms))


def _require_words(row: TaggedRow) -> None:
    """InputError for a text without words, an empty word, a word with blanks, or an empty tag."""
    if not row.words:
        raise InputError(f"{row.place}: a text without words: leave it out")
    for index, word in enumerate(row.words):
        if not word or _BLANK.search(word):
            reason = "has a blank in it" if word else "is empty"
            raise InputError(f"{row.place.of_word(index)}: the word {word!r} {reason}: give each word its own tag")
        if row.tags is not None and not row.tags[index].strip():
            raise InputError(f"{row.place.of_word(index)}: expected the tag of {word!r}, got {row.tags[index]!r}")


def open_tagged_corpus(
    sources: str | Path | Sequence[str | Path],
    word_column: int | str | None = None,
    tag_column: int | str | None = None,
    text_column: str = "text",
    tag_names: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> TaggedCorpus:
    """The tagged corpus of one or several sources, in the order given.

    The format of a file is recognised by its content, whatever its name ends in; .gz is unpacked. It is one of

    - CoNLL columns: a word and its tags a line, separated by blanks or tabs, and a blank line between sentences;
    - lines of JSON, or one list: objects with words and tags, or with a text and spans of its characters.

    `tfds:name/config:split` is a data set of TensorFlow Datasets with a list of words and one of tags;
    `builtin:python-entities` are sentences of the docstrings of Python's standard library, in which functions, modules
    and exceptions are named.

    Args:
        sources: files, globs, folders or names.
        word_column: number of the column of words, from 0, or from the end if it is negative; or its name; of JSON, the
            key. None: the first column; one of the known keys.
        tag_column: the same for the tags, or the key of the spans. None: the last column; one of the known keys.
        text_column: of JSON with spans of characters, the key of the text.
        tag_names: the names of tags that are numbers.
        encoding: name of the files' encoding.

    Raises:
        InputError: a source does not exist, or the encoding is unknown. While iterating: a file is malformed.
    """
    require_encoding(encoding)
    keys = _keys(word_column, tag_column, text_column=text_column, tag_names=tag_names)
    read = partial(read_file, encoding=encoding, word_column=word_column, tag_column=tag_column, keys=keys)
    schemes = {
        "builtin": partial(builtin_reader, known=BUILTIN_TAGGED),
        "tfds": partial(_tfds_reader, keys=keys),
    }
    sources = [sources] if isinstance(sources, str | os.PathLike) else sources
    readers = find_readers(sources, schemes, partial(path_readers, read=read))
    return TaggedCorpus(*readers, names_apart=list(sources) == [SOURCE])


def _keys(word_column, tag_column, text_column: str, tag_names: Sequence[str] | None) -> Keys:
    names = (None if column is None else str(column) for column in (word_column, tag_column))
    return Keys(*names, text=text_column, tag_names=None if tag_names is None else tuple(tag_names))


def _tfds_reader(source: str, keys: Keys) -> Reader:
    read = tfds_lists_reader(source, lambda names: required_names(names, keys, source))
    return lambda: (row_of(lists, keys, Place(f"{source} {place}")) for place, lists in read())


def as_tagged_corpus(value: object, encoding: str = "utf-8", **columns) -> TaggedCorpus:
    """Turns the argument of a function that takes a tagged corpus into a TaggedCorpus.

    Args:
        value: a TaggedCorpus; a source, or a list of Paths; or examples in memory: a list of TaggedTexts, of pairs
            (words, tags) or (text, spans of characters), or of dictionaries; a table with a row a text; two columns
            (words, tags); or an iterator, which is read once here, into memory.
        encoding: as for `open_tagged_corpus`.
        columns: word_column and other options of `open_tagged_corpus`.

    Raises:
        InputError: the value is none of these.
    """
    if isinstance(value, TaggedCorpus):
        return value
    sources = sources_in(value)
    if sources is not None:
        return open_tagged_corpus(sources, encoding=encoding, **columns)
    options = {"word_column": None, "tag_column": None, "text_column": "text", "tag_names": None} | columns
    keys = _keys(**options)
    rows = [row_of(item, keys, Place(f"item {number}")) for number, item in enumerate(items_in(value, keys), 1)]
    return TaggedCorpus(partial(iter, rows))


def split_tagged(corpus: TaggedCorpus, validation_fraction: float, seed: int = 0) -> tuple[TaggedCorpus, TaggedCorpus]:
    """Cuts a tagged corpus in two at random, as `split_rows` does.

    Of `builtin:python-entities` no name is in both parts, so that validating shows what is learnt of names that were
    never seen; sentences with names of both parts are left out.

    Args:
        corpus: is read once here; each part reads it again whenever it is iterated.
        validation_fraction: share of the validation part, in (0, 1).
        seed: the same seed chooses the same texts.

    Returns:
        (train, validation), each in the order of the corpus.

    Raises:
        InputError: the fraction is outside (0, 1), or leaves one part empty.
    """
    if not corpus.names_apart or not 0 < validation_fraction < 1:
        return split_rows(corpus, validation_fraction, seed)
    parts = parts_without_common_names(list(corpus), validation_fraction, seed)
    train, held_out = (corpus.part(partial(compress, corpus, chosen)) for chosen in parts)
    return train, held_out
