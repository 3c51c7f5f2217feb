"""Reads the characters and lines of a file, one block of bytes at a time."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import suppress

from lmkeras.corpora.corpus import require_usable
from lmkeras.errors import InputError

#: Bytes read at once.
_BLOCK_BYTES = 2**16

#: The most characters that a line may have: a small .gz file may unpack to one line that would fill the memory.
LONGEST_LINE = 2**27


def require_encoding(encoding: str) -> None:
    """Raises InputError for a name that is not an encoding of text that Python knows."""
    try:
        " ".encode(encoding)  # refuses what is not a text encoding, such as "hex"
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        raise InputError(
            f"unknown encoding {encoding!r}: expected a name that Python knows, such as utf-8, utf-16, gb18030, "
            "shift_jis or latin-1"
        ) from error


def read_characters(path: str, encoding: str) -> Iterator[str]:
    """The characters of a file, block by block: without its byte order mark, and with "\\n" for every line end.

    Args:
        path: a file; it is unpacked if its name ends in .gz.
        encoding: name of an encoding that `require_encoding` accepts.

    Raises:
        InputError: the file cannot be read, or has bytes that are not text in this encoding.
    """
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    offset, line = 0, 1
    for block in _blocks(path):
        state = decoder.getstate()
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeError as error:
            position, reason = offset, str(error)
            if isinstance(error, UnicodeDecodeError):
                # error.object may begin with bytes of the block before, so the position is counted from its end,
                # which is the end of this block
                position += len(block) - (len(error.object) - error.start)
                reason = error.reason
            decoder.setstate(state)
            with suppress(UnicodeError):  # a utf-16 file without a byte order mark cannot be decoded at all
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


def read_lines(path: str, encoding: str) -> Iterator[str]:
    """The lines of a file, each with its "\\n".

    Only line ends of files end a line: U+2028 and similar characters do not, as JSON and csv may contain them.

    Args:
        path: as for `read_characters`.
        encoding: as for `read_characters`.

    Raises:
        InputError: as for `read_characters`, or a line has more than LONGEST_LINE characters.
    """
    number, pending, length = 1, [], 0  # pieces are joined once the line is complete: linear time
    for block in read_characters(path, encoding):
        *whole, rest = block.split("\n")
        for line in whole:
            yield "".join([*pending, line, "\n"])
            number, pending, length = number + 1, [], 0
        pending.append(rest)
        length += len(rest)
        if length > LONGEST_LINE:
            raise InputError(f"{path} line {number} has more than {LONGEST_LINE} characters: put line ends into it")
    if any(pending):
        yield "".join(pending)


def _blocks(path: str) -> Iterator[bytes]:
    """The bytes of a file, unpacked, in blocks; the last block is empty and marks the end."""
    try:
        with (gzip.open if path.lower().endswith(".gz") else open)(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
        yield b""
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a complete gzip file ({error}): make or fetch it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
