"""Makes a corpus of texts from the sources that a user names: files, globs, folders, `tfds:` and `builtin:` names."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from lmkeras.corpora.characters import require_encoding
from lmkeras.corpora.corpus import Corpus
from lmkeras.corpora.files import has_known_suffix, read_texts
from lmkeras.corpora.memory import kept_examples, sources_in
from lmkeras.corpora.paths import Reader, files_of, find_readers, quoted
from lmkeras.corpora.table_files import require_quoting
from lmkeras.corpora.tfds import tfds_reader
from lmkeras.errors import InputError, unknown_name


def open_corpus(
    sources: str | Path | Sequence[str | Path],
    text_column: str = "text",
    encoding: str = "utf-8",
    quoting: str = "auto",
) -> Corpus:
    """The corpus of one or several sources, in the order given.

    This function finds the files; they are read later, during iteration. A source is

    - a file: .txt is one text (or several, cut at line ends, if it has more than 2**20 characters), .csv and .tsv have
      a header and one text per row, .jsonl has one object or string per line; each may be packed as .gz;
    - a glob such as `data/**/*.txt`, or a folder with all its subfolders: the files with these suffixes, sorted by
      name, without hidden ones;
    - `tfds:name/config:split:feature`, from TensorFlow Datasets (config and feature may be left out);
    - `builtin:python-docs`, the help texts that come with Python.

    Line ends become "\\n" and byte order marks are dropped. Apart from that, a text is exactly what the file holds.

    Args:
        sources: one source or a sequence of them. A name that exists as a path is taken as that path, even if it looks
            like another kind of source.
        text_column: name of the column (.csv, .tsv) or key (.jsonl) that holds the text.
        encoding: name of the files' encoding.
        quoting: what a quotation mark means in .csv and .tsv. "on": a field that begins with one goes on to the closing
            one. "off": it is a character like others. "auto": on in .csv, but a row that is probably several is an
            error; off in .tsv.

    Returns:
        A Corpus. Iterating it raises InputError if a file turns out to be unreadable, malformed or empty.

    Raises:
        InputError: a source does not exist, or the encoding or quoting is unknown.

    Example:
        >>> texts, characters = open_corpus("builtin:python-docs").count()
        >>> texts > 70 and characters > 400_000
        True
    """
    require_encoding(encoding)
    require_quoting(quoting)
    how = {"text_column": text_column, "encoding": encoding, "quoting": quoting}
    return Corpus(
        *find_readers(sources, _SCHEMES, lambda path: [partial(read_texts, file, **how) for file in files_of(path)])
    )


def as_corpus(value: object, encoding: str = "utf-8", **columns) -> Corpus:
    """Turns the argument of a function that takes "a corpus" into a Corpus.

    A string or a Path names a source as for `open_corpus`, and so does each Path of a list. A list of strings is a
    list of texts. If every string of the list looks like a file name or a `tfds:` or `builtin:` name, the list is
    refused, because it could be meant either way.

    Args:
        value: a Corpus; a source, or a list of Paths; or texts in memory, see `memory.examples_in`: a list, a series,
            an array, a table with a text column, or an iterator, which is read once here, into memory.
        encoding: as for `open_corpus`.
        columns: text_column and other options of `open_corpus`.

    Returns:
        `value` itself if it is a Corpus, otherwise a new Corpus.

    Raises:
        InputError: `value` is none of these, or it is a list of strings that look like sources.

    Example:
        >>> list(as_corpus(["one text", "another"]))
        ['one text', 'another']
    """
    if isinstance(value, Corpus):
        return value
    sources = sources_in(value)
    if sources is not None:
        return open_corpus(sources, encoding=encoding, **columns)
    texts = [text for (text,) in kept_examples(value, {"text_column": columns.get("text_column", "text")})]
    if isinstance(value, list | tuple) and all(isinstance(one, str) and _reads_like_a_source(one) for one in texts):
        raise InputError(
            f"a list of strings is a list of texts, but {quoted(texts[0])} reads like a source: for the sources' "
            "content use open_corpus(list), for these very strings Corpus.from_texts(list)"
        )
    return Corpus.from_texts(texts)


def _reads_like_a_source(text: str) -> bool:
    return text.startswith(tuple(f"{scheme}:" for scheme in _SCHEMES)) or (has_known_suffix(text) and "\n" not in text)


def builtin_reader(source: str, known: Mapping[str, Reader]) -> Reader:
    """The reader of a source `builtin:name`; InputError for a name that is not in `known`."""
    name = source.removeprefix("builtin:")
    if name not in known:
        raise unknown_name("builtin corpus", name, known)
    return known[name]


def _python_docs() -> Iterator[str]:
    from pydoc_data.topics import topics

    return (topics[name] for name in sorted(topics))


#: The readers of `builtin:` texts, by name.
BUILTIN_TEXTS = {"python-docs": _python_docs}

_SCHEMES = {"builtin": partial(builtin_reader, known=BUILTIN_TEXTS), "tfds": tfds_reader}
