"""Tables as they are found: quotation marks, separators, names with blanks, long fields; no rows merge silently."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora.characters import LONGEST_LINE
from lmkeras.corpora.table_files import read_table
from lmkeras.errors import InputError

COLUMNS = {"text_column": "text", "label_column": "label"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def read(folder, name, content, columns=COLUMNS, **options):
    path = folder / name
    path.write_bytes(content.encode())
    return [tuple(row.values) for row in read_table(str(path), columns=columns, encoding="utf-8", **options)]


def error_of(*args, **options):
    with pytest.raises(InputError) as caught:
        read(*args, **options)
    assert "\n" not in str(caught.value), "an error is one line"
    return str(caught.value)


def test_in_tsv_a_quotation_mark_is_a_character_like_others(folder):
    content = 'text\tlabel\n"hello world\t1\nbye"\t0\nok\t1\n"No," he said\t1\n\n说“好”"\t0\n'
    expected = [('"hello world', "1"), ('bye"', "0"), ("ok", "1"), ('"No," he said', "1"), ('说“好”"', "0")]
    assert read(folder, "a.tsv", content) == expected
    assert read(folder, "a.csv", content.replace(",", "").replace("\t", ","), quoting="off") == [
        (text.replace(",", ""), label) for text, label in expected
    ]
    assert read(folder, "a.tsv", content.split('"No')[0], quoting="on") == [("hello world\t1\nbye", "0"), ("ok", "1")]


FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\t"))


@given(st.lists(st.tuples(FIELDS, FIELDS).filter(any), min_size=1))
def test_without_quoting_any_characters_but_separators_are_fields(folder, rows):
    content = "".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows])
    assert read(folder, "a.tsv", content) == rows


MERGED = [
    'text,label\n"hello world,1\nbye",0\nok,1\n',
    'text,label\nok,good\n"hello,good\nfine,bad\nbye",bad\n',
    'text,label\nok,bad\n"hello,good\nbye",bad\n再见,good\n',
    'text,label\n"hello,1\nbye",0\n',
    'label,text\n好,ok\n坏,"hello\n好,bye"\n',
    "text,label\n" + '"so,ham\nlong",spam\n' + "x,eggs\n" * 5 + "a,ham\n",
]


@pytest.mark.parametrize("content", MERGED)
def test_rows_are_never_merged_silently(folder, content):
    message = error_of(folder, "a.csv", content)
    opens = 1 + next(at for at, line in enumerate(content.split("\n")) if '"' in line)
    for part in (
        f"a.csv line {opens}: a quotation mark",
        "say quoting on (--quoting on)",
        "say quoting off (--quoting",
    ):
        assert part in message
    assert len(read(folder, "a.csv", content, quoting="off")) == content.count("\n") - 1
    expected = list(csv.DictReader(io.StringIO(content)))
    assert read(folder, "a.csv", content, quoting="on") == [(row["text"], row["label"]) for row in expected]


@pytest.mark.parametrize(
    "content",
    [
        'text,label\nok,1\n"No," he said,1\n',
        'text,label\nok,1\n"left open,0\nbye,1\n',
        'text,label\nok,1\n"left open,0\nso ""they"" say,1\n"fine",0\n',
    ],
)
def test_quotation_marks_that_do_not_belong_together_are_refused(folder, content):
    assert "a.csv line 3: not a row of a table" in error_of(folder, "a.csv", content)
    assert "say quoting off" in error_of(folder, "a.csv", content)


def test_texts_of_several_lines_are_read_where_they_are_quoted(folder):
    rows = [
        ("Yes, of course\nno", "1"),
        ("one\n\nthree, four\nfive", "0"),
        ('价格便宜,很好\n"下次"再来', "1"),
        ("a, 1\nb, 0", "1"),
        ("first\n,\nlast", "0"),
    ]
    content = io.StringIO()
    csv.writer(content).writerows([("text", "label"), *rows])
    assert read(folder, "a.csv", content.getvalue()) == rows
    assert "expected 2 fields as in the header, got" in error_of(folder, "a.csv", content.getvalue(), quoting="off")


def test_what_a_sentence_may_leave_over_is_no_sign_of_several_rows(folder):
    rows = [("Dear Ann,\nat noon, .\nThanks,\nBob", "lunch"), ("x", ""), ("y", "."), ("Hi,\nno,\nBob", "re: lunch")]
    content = io.StringIO()
    csv.writer(content).writerows([("text", "label"), *rows])
    assert read(folder, "a.csv", content.getvalue()) == rows


def test_a_field_may_be_as_long_as_a_line(folder):
    long = "很长 text " * 20_000
    assert read(folder, "a.csv", f"text,label\n{long},1\n") == [(long, "1")]
    assert read(folder, "a.csv", f'text,label\n"{long}\n{long}",1\n') == [(f"{long}\n{long}", "1")]
    assert read(folder, "a.tsv", f"text\tlabel\n{long}\t1\n") == [(long, "1")]
    assert csv.field_size_limit() == LONGEST_LINE


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "，"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_another_separator_is_used_where_it_is_beyond_doubt(folder, name, separator):
    rows = [("text", "label"), ("so good", "1"), ("很好", "0")] + [("x", "1")] * 200
    content = "".join(f"{text}{separator}{label}\n" for text, label in rows)
    assert read(folder, name, content) == rows[1:]
    doubtful = content.replace("so good", f"so{separator} good")
    message = error_of(folder, name, doubtful)
    if separator == {"a.csv": ",", "a.tsv": "\t"}[name]:
        assert f"{name} line 2: expected 2 fields" in message
    else:
        assert f"{name} line 1: column 'text' is missing; the columns are 'text" in message
        assert f"{separator!r} seems to separate them, but then line 2 has 3 fields, and the header 2" in message
    late = error_of(folder, name, f"{content}x{separator}x{separator}1\n")
    assert f"{name} line 204: expected 2 fields as in the header, got 3" in late


def test_an_export_with_semicolons_keeps_its_commas(folder):
    content = 'text;label\n"so; good, or not";1,5\ngood, bad;0\n'
    assert read(folder, "a.csv", content) == [("so; good, or not", "1,5"), ("good, bad", "0")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "review;stars\na;1\n",
            "the columns are 'review;stars'. If ';' separates them, they are 'review', 'stars'. Name",
        ),
        ("text;x|label\na;1|2\n", "column 'text' is missing; the columns are 'text;x|label'. If ';' separates them"),
        ("Text, Label\na,1\n", "column 'text' is missing; the columns are 'Text', ' Label'. Name one with text_column"),
        ("text,label\tx\na,1\n", "column 'label' is missing; the columns are 'text', 'label\\tx'. Name one with"),
        ('text;label\n"a;1\nb\n', "';' seems to separate them, but then "),
    ],
)
def test_names_are_quoted_and_the_likely_separator_is_named(folder, content, message):
    assert f"a.csv line 1: {message}" in error_of(folder, "a.csv", content) or message in error_of(
        folder, "a.csv", content
    )


def test_names_between_quotation_marks_want_quoting(folder):
    content = '"text"\t"label"\n"a ""b"""\t"1"\n'
    assert "say quoting on (--quoting on)" in error_of(folder, "a.tsv", content)
    assert read(folder, "a.tsv", content, quoting="on") == [('a "b"', "1")]


@pytest.mark.parametrize(
    "header", ["text, label", " text ,label ", "\ufefftext,label", "\ufefftext ,\ufefflabel", '"text","label"']
)
def test_blanks_and_byte_order_marks_around_names_are_no_part_of_them(folder, header):
    assert read(folder, "a.csv", f"{header}\na, 1\n") == [("a", " 1")]
    assert read(folder, "a.csv", f"\ufeff{header}\na,1\n") == [("a", "1")]


def test_blanks_tell_names_apart_if_nothing_else_does(folder):
    assert read(folder, "a.csv", "text, label,label\na,1,2\n") == [("a", "2")]
    assert read(folder, "a.csv", "text, label,label\na,1,2\n", {"text_column": "text", "b": " label"}) == [("a", "1")]
    assert "2 columns are called 'label'" in error_of(folder, "a.csv", "text, label,label \na,1,2\n")
