"""Reading files: every format gives back what independent writers wrote, or says where the file is wrong."""

import contextlib
import csv
import gzip
import io
import json
import os
import tempfile
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora import characters, files, open_corpus
from lmkeras.errors import InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ENCODINGS = ["utf-8", "utf-16", "utf-16-le", "gb18030", "latin-1", "shift_jis", "utf-7"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


def universal(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write(path, content):
    content = content if isinstance(content, bytes) else content.encode("utf-8")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def table(texts, delimiter, header=("id", "text")):
    rows = io.StringIO()
    writer = csv.writer(rows, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows([number, text] for number, text in enumerate(texts))
    return rows.getvalue()


def read(path, **options):
    return list(open_corpus(path, **options))


def error_of(path, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path)), "an error begins with the file that it is about"
    assert "\n" not in message, "an error is one line"
    return message.removeprefix(str(path))


@given(text=TEXTS, packed=st.booleans(), marked=st.booleans())
def test_txt_is_one_text(folder, text, packed, marked):
    path = write(folder / ("a.txt.gz" if packed else "a.txt"), ("\ufeff" if marked else "") + text)
    expected = universal(text if marked else text.removeprefix("\ufeff"))
    if not expected.strip():
        assert "holds no text" in error_of(path)
    else:
        assert read(path) == [expected]


@given(texts=st.lists(TEXTS, min_size=1), suffix=st.sampled_from([".csv", ".tsv", ".csv.gz", ".tsv.gz"]))
def test_tables_give_back_what_the_csv_module_wrote(folder, texts, suffix):
    path = write(folder / f"a{suffix}", table(texts, "\t" if "tsv" in suffix else ","))
    if any(text.strip() for text in texts):
        assert read(path, quoting="on") == [universal(text) for text in texts]
    else:
        assert "holds no text" in error_of(path, quoting="on")


@given(texts=st.lists(TEXTS, min_size=1), bare=st.booleans(), escaped=st.booleans(), packed=st.booleans())
def test_jsonl_gives_back_what_the_json_module_wrote(folder, texts, bare, escaped, packed):
    records = texts if bare else [{"id": 1, "text": text} for text in texts]
    content = "\n \n".join(json.dumps(record, ensure_ascii=escaped) for record in records)
    path = write(folder / ("a.jsonl.gz" if packed else "a.jsonl"), content)
    if any(text.strip() for text in texts):
        assert read(path) == texts
    else:
        assert "holds no text" in error_of(path)


@given(
    data=st.one_of(
        st.binary(),
        TEXTS.map(lambda text: text.encode("utf-16")),
        st.binary().map(lambda data: b"id,text\n1," + data),
        st.binary().map(lambda data: b'{"text": "' + data),
        st.tuples(TEXTS, st.binary()).map(lambda pair: pair[0].encode("gb18030") + pair[1]),
        st.binary().map(lambda data: gzip.compress(b"text")[: -1 - len(data)] + data),
    ),
    name=st.sampled_from(files.SUFFIXES).map("a{}".format),
    encoding=st.sampled_from(ENCODINGS),
)
def test_any_bytes_are_texts_or_an_input_error(folder, data, name, encoding):
    path = folder / name
    path.write_bytes(data)
    texts, message = [], ""
    try:
        texts = read(path, encoding=encoding)
    except InputError as error:
        message = str(error)
    assert message.startswith(str(path)) or any(text.strip() for text in texts)
    assert not any("\0" in text for text in texts)
    "".join(texts).encode("utf-8")


@given(
    text=TEXTS, encoding=st.sampled_from(ENCODINGS), block_bytes=st.integers(4, 9)
)  # a byte order mark has up to four bytes
def test_blocks_leave_no_seams(folder, text, encoding, block_bytes):
    path = folder / "a.txt"
    path.write_bytes(text.encode(encoding, errors="ignore"))
    reference = path.read_text(encoding=encoding).removeprefix("\ufeff")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(characters, "_BLOCK_BYTES", block_bytes)
        if reference.strip() and "\0" not in reference:
            assert "".join(read(path, encoding=encoding)) == reference


@given(text=st.text("ab\n", min_size=1), longest=st.integers(1, 9), block_bytes=st.integers(4, 9))
def test_long_txt_is_cut_at_line_ends(folder, text, longest, block_bytes):
    path = write(folder / "a.txt", text + "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "LONGEST_TEXT", longest)
        patch.setattr(characters, "_BLOCK_BYTES", block_bytes)
        pieces = read(path)
    assert "".join(pieces) == text + "a"
    assert all(0 < len(piece) <= longest for piece in pieces)
    for piece in pieces[:-1]:
        assert piece.endswith("\n") or ("\n" not in piece and len(piece) == longest)
    for piece, following in pairwise(pieces):
        reach = (piece + following)[:longest]
        assert "\n" not in reach[len(piece) :], "cut at the last line end that fits"


def test_a_file_of_the_longest_length_is_one_text(folder):
    text = "ab\n" * (files.LONGEST_TEXT // 3)
    text += "c" * (files.LONGEST_TEXT - len(text))
    assert read(write(folder / "a.txt", text)) == [text]
    assert [len(piece) for piece in read(write(folder / "a.txt", text + "d"))] == [files.LONGEST_TEXT - 1, 2]


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl"])
def test_memory_stays_bounded(folder, suffix):
    line = "the quick brown fox jumps over the lazy dog; " * 20
    path = folder / f"a{suffix}.gz"
    head, record = {".csv": ("text\n", line), ".jsonl": ("", json.dumps(line)), ".txt": ("", line)}[suffix]
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(head)
        file.writelines([record + "\n"] * 33_000)  # 30 MB
    tracemalloc.start()
    characters = sum(len(text) for text in open_corpus(path))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert characters == 33_000 * (len(line) + (suffix == ".txt"))
    assert peak_bytes < 6_000_000


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "gb18030", "utf_8", "UTF-8-SIG"])
def test_encodings_by_name(folder, encoding):
    path = write(folder / "a.txt", "\ufeff日本語 and 中文\r\n".encode(encoding))
    assert read(path, encoding=encoding) == ["日本語 and 中文\n"]


@given(
    before=st.text(st.characters(codec="utf-8", exclude_characters="\0\r")),
    after=st.binary(),
    block_bytes=st.sampled_from([4, 5, 2**16]),
)
def test_undecodable_bytes_are_located(folder, before, after, block_bytes):
    path = write(folder / "a.txt", before.encode() + b"\xff" + after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(characters, "_BLOCK_BYTES", block_bytes)
        message = error_of(path)
    line, offset = before.count("\n") + 1, len(before.encode())
    assert message.startswith(f" line {line}: the byte at offset {offset} is not utf-8 (invalid start byte)")
    assert "--encoding" in message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", b"", "holds no text"),
        ("a.txt", b"\xef\xbb\xbf \n\t", "holds no text"),
        ("a.csv", "id,text\n", "holds no text"),
        ("a.txt", "two\nlines\0", " line 2: U+0000"),
        ("a.txt", "utf-16".encode("utf-16-le"), " line 1: U+0000"),
        ("a.txt", b"cut \xe4\xb8", " line 1: the byte at offset 4 is not utf-8 (unexpected end of data)"),
        ("a.csv", "id,review\n1,good\n", " line 1: column 'text' is missing; the columns are 'id', 'review'. Name one"),
        ("a.csv", "\n\n" + "x" * 99, f" line 3: column 'text' is missing; the columns are '{'x' * 40}'. Name"),
        ("a.csv", 'id,text\n1,"two\nlines"\n\n2\n', " line 5: expected 2 fields as in the header, got 1"),
        ("a.csv", "id,text\n1,so, so\n", " line 2: expected 2 fields as in the header, got 3"),
        ("a.csv", 'id,text\n1,fine\n2,"open\nand on\n', " line 3: not a row of a table"),
        ("a.csv", 'text,id\n"quoted" word,1\n', " line 2: not a row of a table"),
        ("a.jsonl", '"one"\n\n{"text": "two"', " line 3: not JSON ("),
        ("a.jsonl", "[" * 100_000, " line 1: not JSON ("),
        ("a.jsonl", "1" * 5_000, " line 1: "),
        (
            "a.jsonl",
            '{"review": "a", "id": 3}',
            " line 1: key 'text' is missing; the keys are 'review', 'id'. Name one",
        ),
        (
            "a.jsonl",
            '"a"\n{"text": null}',
            " line 2: expected a string or an object with a string under 'text', got null",
        ),
        ("a.jsonl", "[1]", " line 1: expected a string or an object with a string under 'text', got list"),
        ("a.jsonl", '"a"\n"\\ud800"', " line 2: U+D800"),
        ("a.jsonl", '"a"\n"b\\u0000"', " line 2: U+0000"),
    ],
)
def test_content_that_cannot_be_used(folder, name, content, expected):
    message = error_of(write(folder / name, content))
    assert message.lstrip().startswith(expected.lstrip())


def test_utf_16_needs_its_byte_order_mark(folder):
    path = write(folder / "a.txt", "some text".encode("utf-16-le"))
    assert "utf-16-le" in error_of(path, encoding="utf-16")
    assert read(path, encoding="utf-16-le") == ["some text"]
    half_a_pair = write(folder / "a.txt", "some text".encode("utf-16-le") + b"\x00\xdc")
    assert " line 1: the byte at offset 18 is not utf-16 (" in error_of(half_a_pair, encoding="utf-16")


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],
        lambda packed: b"plain text",
        lambda packed: packed[:20] + bytes([packed[20] ^ 255]) + packed[21:],
        lambda packed: packed + b"more",
    ],
    ids=["truncated", "never packed", "a bit flipped", "followed by others"],
)
def test_damaged_gzip(folder, damage):
    path = folder / "a.txt.gz"
    path.write_bytes(damage(gzip.compress(b"some text that is long enough to be damaged" * 9)))
    assert "is not a complete gzip file" in error_of(path)


def test_columns_and_keys_by_name(folder):
    assert read(write(folder / "a.csv", "id,text\n1,one\n"), text_column="id") == ["1"]
    assert read(write(folder / "a.jsonl", '{"a b": "one"}'), text_column="a b") == ["one"]


def test_only_line_feeds_end_lines(folder):
    text = "a\u2028b\x85c\x0bd\x1ce"
    assert read(write(folder / "a.jsonl", json.dumps(text, ensure_ascii=False))) == [text]
    assert read(write(folder / "a.csv", f"text\n{text}\n")) == [text]


@contextlib.contextmanager
def no_privileges():
    """Root may read everything: be somebody else for a while."""
    if os.geteuid() == 0:
        os.seteuid(1)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


def test_what_may_not_be_read():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = write(Path(folder, "a.txt"), "secret")
        inner = Path(folder, "inner")
        inner.mkdir()
        hidden = write(inner / "b.txt", "secret")
        path.chmod(0)
        inner.chmod(0)
        with no_privileges():
            for source in (path, inner, hidden):
                assert "cannot be read: Permission denied" in error_of(source)


def test_a_file_that_is_gone_since(folder):
    path = write(folder / "gone.txt", "text")
    corpus = open_corpus(path)
    path.unlink()
    with pytest.raises(InputError, match=r"gone\.txt cannot be read: No such file"):
        list(corpus)
