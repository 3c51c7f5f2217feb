"""Reads the texts of a file, one at a time."""

from collections.abc import Iterable, Iterator

from lmkeras.corpora import records
from lmkeras.corpora.characters import read_characters
from lmkeras.errors import InputError

#: A plain text file with more characters than this is read as several texts.
LONGEST_TEXT = 2**20

#: The endings of file names that lmkeras reads, in upper or lower case.
SUFFIXES = (".txt", ".txt.gz", *records.SUFFIXES)


def has_known_suffix(path: str) -> bool:
    """Whether the ending of a file's name stands for a format that lmkeras reads."""
    return path.lower().endswith(SUFFIXES)


def read_texts(path: str, text_column: str, encoding: str, quoting: str = "auto") -> Iterator[str]:
    """The texts of one file, in the file's order; only one text (line of .jsonl, row of .csv) is in memory at a time.

    Args:
        path: a file whose name ends in one of `SUFFIXES`.
        text_column: name of the column (.csv, .tsv) or key (.jsonl) that holds the text.
        encoding: name of the file's encoding. A byte order mark at its beginning is dropped.
        quoting: what quotation marks mean in a table, as for `table_files.read_table`.

    Yields:
        Texts, in which every line end of the file is "\\n"; line ends that JSON writes as escapes are kept as they are.

    Raises:
        InputError: the file cannot be read, is not in the format of its suffix, or holds no text.
    """
    if records.has_records(path):
        columns = records.named_columns(text_column)
        texts = (record.values[0] for record in records.read_records(path, columns, encoding, quoting=quoting))
    else:
        texts = _plain_texts(read_characters(path, encoding))
    blank = True
    for text in texts:
        blank = blank and (not text or text.isspace())
        yield text
    if blank:
        raise InputError(f"{path} holds no text, or nothing but white space: fill it or leave it out")


def _plain_texts(characters: Iterable[str]) -> Iterator[str]:
    """The whole file as one text; a long file in pieces, which end at a line end where there is one."""
    pending, length = [], 0
    for block in characters:
        pending.append(block)
        length += len(block)
        while length > LONGEST_TEXT:
            text = "".join(pending)
            cut = text.rfind("\n", 0, LONGEST_TEXT) + 1 or LONGEST_TEXT
            yield text[:cut]
            pending, length = [text[cut:]], length - cut
    if length:
        yield "".join(pending)
