"""Whatever bytes a file holds, in whatever encoding: it is read or refused by an InputError; nothing else happens."""

import contextlib
import encodings.aliases
import gzip
import io
import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmkeras import InputError
from lmkeras.cli import main
from lmkeras.corpora import open_corpus, open_examples, open_labelled_corpus

QUICK = {"derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}

# of each format a first line and others that mean something to it, or hardly a file would get past its first line
LINES = {
    "txt": ["yes\ta\n", "__label__no a\n", "no\t\n", "\n", "no\n", "no\tb\tc\r\n"],
    "csv": ["text,label,pair\n", "a,yes,b\n", '"a\r\n""",no,é\n', "a,b\n", ",,\n", '"a\n', "\n"],
    "tsv": ["text\tlabel\tpair\n", "a\tyes\tb\n", '"a\t"\tno\t猫\n', "a\tb\n", "\t\t\n"],
    "jsonl": [
        '{"text": "a", "label": 1, "pair": "b"}\n',
        '{"text": "", "label": null, "pair": "\\ud83d"}\n',
        "NaN\n",
        "[]\n",
    ],
}
PIECES = [*'text label , " \t \r { } [ : \\ 1e999 é 猫 \ufeff \0 \u2028 \x85'.split(" "), "\n", " "]
MARKS = [b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b\x08", b"+AGE-", b"\x1b$B", b"\xe9"]
ENCODINGS = st.one_of(
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "gb18030", "shift_jis", "utf-7"]),
    st.sampled_from(sorted(set(encodings.aliases.aliases.values()))),
    st.text(max_size=8).filter(lambda name: not name.startswith("-")),
)
ANY_BYTES = st.lists(st.sampled_from(MARKS) | st.binary(max_size=6), max_size=8).map(b"".join)


def encoded(text, encoding):
    """The text in that encoding, and in UTF-8 where there is no such encoding, or no such character in it."""
    try:
        return text.encode(encoding)
    except (LookupError, ValueError):
        return text.encode()


@st.composite
def files(draw):
    """A file's suffix, its bytes, and the name of an encoding; many are what they should be, but for a little."""
    kind, encoding = draw(st.sampled_from(list(LINES))), draw(ENCODINGS)
    others = st.sampled_from(LINES[kind]) | st.sampled_from(PIECES)
    text = LINES[kind][0] + "".join(draw(st.lists(others, max_size=5)))
    content = draw(st.sampled_from([encoded(text, encoding)] * 3 + [text.encode(), b""]))
    content += draw(st.just(b"") | ANY_BYTES)
    if draw(st.booleans()):
        return f".{kind}", content, encoding
    content = draw(st.sampled_from([gzip.compress(content, mtime=0)] * 3 + [content]))
    return f".{kind}.gz", content[: len(content) - draw(st.sampled_from([0, 0, 0, 1, 9]))], encoding


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python's, of escapes in the encoding unicode_escape
@pytest.mark.parametrize("pair_column", [None, "pair"])
@given(file=files())
@settings(max_examples=300, **QUICK)
def test_a_reader_reads_or_says_why_not(pair_column, tmp_path, file):
    suffix, content, encoding = file
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    for read in (
        lambda: open_corpus(path, encoding=encoding),
        lambda: open_examples(path, pair_column=pair_column, encoding=encoding),
        lambda: open_labelled_corpus(path, pair_column=pair_column, encoding=encoding),
    ):
        with contextlib.suppress(InputError):
            examples = list(read())
            assert examples, "what holds no text is refused"
            shown = json.dumps(examples, ensure_ascii=False).encode()  # fails on a lone surrogate
            assert shown.count(b"\\u0000") == shown.count(b"\\\\u0000"), "U+0000 is refused"


def require_works_or_one_line(arguments):
    """Fails unless the command ends with 0, or with 2 and one line; returns the code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    said = err.getvalue()
    one_line = said.startswith("lmkeras: ") and said.count("\n") == 1
    notes_unknown = one_line and "the model knows no token of" in said
    assert (code == 0 and (not said or notes_unknown)) or (code == 2 and one_line), said
    return code


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@given(file=files())
@settings(max_examples=15, **QUICK)
def test_the_command_line_reads_or_says_why_not(in_place, tmp_path, file):
    suffix, content, encoding = file
    path, table = tmp_path / f"file{suffix}", tmp_path / "table.csv"
    path.write_bytes(content)
    given_file = ["--text", path, "--encoding", encoding]
    require_works_or_one_line(["evaluate", "lm", *given_file])
    require_works_or_one_line(["evaluate", "classifier", *given_file])
    code = require_works_or_one_line(["predict", "classifier", *given_file, "--output", table, "--overwrite"])
    assert table.exists() == (code == 0)
    assert {file.name for file in tmp_path.iterdir()} <= {path.name, table.name}, "nothing half written"
    table.unlink(missing_ok=True)
    path.unlink()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "files", "format_version", "digest", "model.safetensors"]), inner)
    ),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@given(content=ANY_BYTES | JSON)
@settings(max_examples=60, **QUICK)
def test_a_saved_model_with_other_bytes_is_refused(name, in_place, content):
    if not (in_place / "new").exists():
        shutil.copytree(in_place / "classifier", in_place / "new")
    (in_place / "new" / name).write_bytes(content)
    assert require_works_or_one_line(["info", "new"]) == 2
