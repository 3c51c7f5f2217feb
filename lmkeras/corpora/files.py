"""Text files: bytes to characters to texts, one piece at a time."""

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice

from lmkeras.corpora.corpus import require_usable
from lmkeras.errors import InputError

#: Bytes read at once.
_BLOCK_BYTES = 2**16

#: A plain text file with more characters than this is streamed as several texts.
LONGEST_TEXT = 2**20


def has_known_suffix(path: str) -> bool:
    """Whether a file's name says that its format is one of those that `read_texts` reads."""
    return path.lower().endswith(SUFFIXES)


def require_encoding(encoding: str) -> None:
    """Refuses the name of an encoding that cannot be used for reading text, with an InputError."""
    try:
        " ".encode(encoding)  # refuses what is not a text encoding, such as "hex"
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        raise InputError(
            f"unknown encoding {encoding!r}: expected a name that Python knows, such as utf-8, utf-16, gb18030, "
            "shift_jis or latin-1"
        ) from error


def read_texts(path: str, text_column: str, encoding: str) -> Iterator[str]:
    """The texts of one file, in the file's order, in memory bounded by one text (one line of .jsonl, one row of .csv).

    Args:
        path: a file whose name ends in one of `SUFFIXES`.
        text_column: the column of .csv and .tsv, the key of .jsonl, that holds the text.
        encoding: name of the encoding. A byte order mark is dropped.

    Yields:
        Texts, in which every line end of the file is "\\n"; those that JSON spells as escapes stay what they are.

    Raises:
        InputError: the file cannot be read, is not what its suffix says, or holds no text.
    """
    name = path.lower().removesuffix(".gz")
    texts_of = _FORMATS[name[name.rindex(".") :]]
    blank = True
    for text in texts_of(path, _characters(path, encoding), text_column):
        blank = blank and (not text or text.isspace())
        yield text
    if blank:
        raise InputError(f"{path} holds no text, or nothing but white space: fill it or leave it out")


def _blocks(path: str) -> Iterator[bytes]:
    """The bytes of a file, unpacked, and after the last of them an empty block."""
    try:
        with (gzip.open if path.lower().endswith(".gz") else open)(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
        yield b""
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a complete gzip file ({error}): make or fetch it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _characters(path: str, encoding: str) -> Iterator[str]:
    """The characters of a file, block by block: decoded, without byte order mark, every line end "\\n"."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    offset, line = 0, 1
    for block in _blocks(path):
        state = decoder.getstate()
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeError as error:
            position, reason = offset, str(error)
            if isinstance(error, UnicodeDecodeError):
                # error.object may begin with bytes kept from the block before, but it ends where this block ends.
                position += len(block) - (len(error.object) - error.start)
                reason = error.reason
            decoder.setstate(state)
            with suppress(UnicodeError):  # without its byte order mark, no part of a utf-16 file can be decoded
                line += decoder.decode(block[: max(0, position - offset)]).count("\n")
            raise InputError(
                f"{path} line {line}: the byte at offset {position} is not {encoding} ({reason}). Name the file's "
                "encoding with encoding (--encoding), such as utf-8, utf-16-le, gb18030 or latin-1"
            ) from error
        if offset == 0:
            text = text.removeprefix("\ufeff")
        require_usable(text, path, first_line=line)
        yield text
        offset += len(block)
        line += text.count("\n")


def _lines(characters: Iterable[str]) -> Iterator[str]:
    """The lines, each with its "\\n"; no other character ends a line, as JSON and csv may hold U+2028 and its like."""
    pending = []  # joined once a line is whole, so that a long line costs no more than its length
    for block in characters:
        *whole, rest = block.split("\n")
        for line in whole:
            yield "".join([*pending, line, "\n"])
            pending.clear()
        pending.append(rest)
    if any(pending):
        yield "".join(pending)


def _plain_texts(path: str, characters: Iterable[str], text_column: str) -> Iterator[str]:
    """The whole file as one text; a long one in pieces, cut after a line where there is one to cut after."""
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


def _table_texts(path: str, characters: Iterable[str], text_column: str, delimiter: str) -> Iterator[str]:
    """One column of a table whose first row names the columns."""
    rows = _rows(path, characters, delimiter)
    line, header = next(rows, (1, [text_column]))  # without any row there is no text, which read_texts refuses
    if text_column not in header:
        raise _missing(f"{path} line {line}", "column", text_column, header)
    column = header.index(text_column)
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{path} line {line}: expected {len(header)} fields as in the header, got {len(row)}. "
                "Put a field that contains the separator between quotation marks"
            )
        yield row[column]


def _rows(path: str, characters: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of the line it begins in."""
    # strict, because the csv module otherwise guesses at a stray quotation mark and may swallow rows in silence
    reader = csv.reader(_lines(characters), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{path} line {line}: not a row of a table ({error}). Is a quotation mark left open, or not doubled "
                f"inside a quoted field? A field has at most {csv.field_size_limit()} characters; longer texts go "
                "into .jsonl or .txt files"
            ) from error
        if row is None:
            return
        if row:
            yield line, row


def _json_texts(path: str, characters: Iterable[str], text_column: str) -> Iterator[str]:
    """One text per line: a JSON string, or one key of a JSON object."""
    for number, line in enumerate(_lines(characters), 1):
        if line.isspace():
            continue
        place = f"{path} line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
            raise InputError(f"{place}: not JSON ({reason}). Every line holds one object or one string") from error
        if isinstance(value, dict):
            if text_column not in value:
                raise _missing(place, "key", text_column, value)
            value = value[text_column]
        if not isinstance(value, str):
            kind = "null" if value is None else type(value).__name__
            raise InputError(f"{place}: expected a string or an object with a string under {text_column!r}, got {kind}")
        require_usable(value, place)  # JSON's escapes spell every character
        yield value


def _missing(place: str, what: str, text_column: str, names: Iterable[str]) -> InputError:
    """The error for a column that is not there; names from a file without a header may be whole paragraphs."""
    listed = ", ".join(" ".join(name.split())[:40] for name in islice(names, 20))
    return InputError(
        f"{place}: {what} {text_column!r} is missing; the {what}s are {listed}. Name one with "
        "text_column (--text-column)"
    )


_FORMATS = {
    ".txt": _plain_texts,
    ".csv": partial(_table_texts, delimiter=","),
    ".tsv": partial(_table_texts, delimiter="\t"),
    ".jsonl": _json_texts,
}

#: What the name of a file may end in, in any case.
SUFFIXES = (*_FORMATS, *(suffix + ".gz" for suffix in _FORMATS))
