"""Tables as named tuples: what independent writers wrote comes back, or the message says where the file is wrong."""

import csv
import gzip
import io
import json
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora.corpus import Text
from lmkeras.corpora.tables import Rows, as_rows, fold_rows, open_rows, split_rows
from lmkeras.errors import InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))


class Question(NamedTuple):
    question: str
    answer: str


class Rated(NamedTuple):
    text: str
    stars: int
    weight: float


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def write(path, content):
    content = content if isinstance(content, bytes) else content.encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def error_of(function, *args):
    with pytest.raises(InputError) as caught:
        list(function(*args))
    assert "\n" not in str(caught.value), "an error is one line"
    return str(caught.value)


examples_of_text = st.lists(st.tuples(TEXTS, TEXTS).map(lambda pair: Question(*pair)), min_size=1)


@given(examples_of_text, st.sampled_from([".csv", ".tsv", ".csv.gz", ".TSV.gz"]))
def test_tables_give_back_what_the_csv_module_wrote(folder, examples, suffix):
    rows = io.StringIO()
    writer = csv.writer(rows, delimiter="\t" if "tsv" in suffix.lower() else ",")
    writer.writerow(["answer", "id", "question"])
    writer.writerows([one.answer, number, one.question] for number, one in enumerate(examples))
    corpus = open_rows(write(folder / f"a{suffix}", rows.getvalue()), Question, {"quoting": "on"})
    assert list(corpus) == list(corpus) == examples
    assert {type(one) for one in corpus} == {Question}


@given(examples_of_text, st.booleans(), st.sampled_from([".jsonl", ".jsonl.gz"]))
def test_jsonl_gives_back_what_the_json_module_wrote(folder, examples, escaped, suffix):
    lines = [json.dumps({"id": 1, **one._asdict()}, ensure_ascii=escaped) for one in examples]
    assert list(open_rows(write(folder / f"a{suffix}", "\n\n".join(lines)), Question, {})) == examples


def test_columns_may_have_other_names(folder):
    path = write(folder / "named.csv", "question,q,a\nno,who?,me\n")
    columns = {"question_column": "q", "answer_column": "a", "text_column": "unused"}
    assert list(open_rows(path, Question, columns)) == [("who?", "me")]
    assert list(open_rows(path, Question, {"question_column": None, "answer_column": "a"})) == [("no", "me")]


def test_a_folder_is_all_of_its_tables_in_order(tmp_path):
    write(tmp_path / "b" / "2.jsonl", '{"question": "3", "answer": "c"}')
    write(tmp_path / "b" / "1.tsv.gz", "answer\tquestion\nb\t2\n")
    write(tmp_path / "a.csv", "question,answer\n1,a\n")
    expected = [("1", "a"), ("2", "b"), ("3", "c")]
    assert list(open_rows(tmp_path, Question, {})) == expected
    assert list(open_rows([tmp_path / "b", str(tmp_path / "*.csv")], Question, {})) == [*expected[1:], expected[0]]
    assert list(open_rows(tmp_path, Question, {}).column(1)) == ["a", "b", "c"]


def test_values_are_of_their_fields_types(folder):
    table = write(folder / "rated.csv", "weight,stars,text\n0.5,3, a b\n1e3,-2,007\n")
    lines = [
        '{"weight": 0.5, "stars": 3, "text": " a b"}',
        '{"weight": 1000, "stars": "-2", "text": "007"}',
    ]
    for path in (table, write(folder / "rated.jsonl", "\n".join(lines))):
        rows = list(open_rows(path, Rated, {}))
        assert rows == [(" a b", 3, 0.5), ("007", -2, 1000.0)]
        assert [[type(value) for value in row] for row in rows] == [[str, int, float]] * 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,stars,weight\nx,1,1\ny,many,1\n", " line 3: expected stars as a whole number, got 'many'"),
        (
            "a.csv",
            'text,stars,weight\n"x\ny",1,1\ny,1,heavy\n',
            " line 4: expected weight as a finite number, got 'heavy'",
        ),
        ("a.tsv", "text\tstars\tweight\nx\t1.5\t1\n", " line 2: expected stars as a whole number, got '1.5'"),
        ("a.csv", "text,stars\nx,1\n", " line 1: column 'weight' is missing; the columns are 'text', 'stars'."),
        ("a.csv", "text,stars,weight,text\nx,1,1,y\n", " line 1: 2 columns are called 'text'"),
        ("a.csv", "text,stars,weight\nx,1,1\ny,2\n", " line 3: expected 3 fields as in the header, got 2"),
        ("a.csv", "text,stars,weight\nx\0,1,1\n", " line 2: U+0000 is not a character of text"),
        ("a.jsonl", '\n{"text": "x", "weight": 1}', " line 2: key 'stars' is missing; the keys are 'text', 'weight'."),
        ("a.jsonl", '{"text": "x", "stars": 1, "weight": 1}\n{"text"', " line 2: not JSON"),
        ("a.jsonl", '{"text": "x", "stars": 1.5, "weight": 1}', " line 1: expected stars as a whole number, got 1.5"),
        ("a.jsonl", '{"text": "x", "stars": 1e999, "weight": 1}', " line 1: expected stars as a whole number, got inf"),
        (
            "a.jsonl",
            '{"text": "x", "stars": "1.5", "weight": 1}',
            " line 1: expected stars as a whole number, got '1.5'",
        ),
        (
            "a.jsonl",
            '{"text": "x", "stars": null, "weight": 1}',
            " line 1: expected an object with a number under 'stars', got null",
        ),
        (
            "a.jsonl",
            '{"text": "x", "stars": 1, "weight": true}',
            " line 1: expected an object with a number under 'weight', got bool",
        ),
        (
            "a.jsonl",
            '{"text": 3, "stars": 1, "weight": 1}',
            " line 1: expected an object with a string under 'text', got int",
        ),
        ("a.jsonl", '["x", 1, 1]', " line 1: expected an object with a string under 'text', got list"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(name, content, message, folder):
    path = write(folder / name, content)
    assert error_of(open_rows, path, Rated, {}).startswith(f"{path}{message}")


def test_files_that_are_no_tables_are_refused(folder):
    path = write(folder / "plain.txt", "text\n")
    message = error_of(open_rows, path, Question, {})
    assert message == f"'{path}': expected .csv, .tsv or .jsonl files with the columns question, answer"
    assert "no such file or folder" in error_of(open_rows, folder / "nowhere.csv", Question, {})
    assert "unknown encoding" in error_of(open_rows, path, Question, {}, "utf-99")
    latin = write(folder / "latin.csv", "question,answer\né,è\n".encode("latin-1"))
    assert list(open_rows(latin, Question, {}, "latin-1")) == [("é", "è")]


def test_examples_in_memory_are_taken_as_they_are():
    given_as = [("a", 1, 0.5), Rated("b", 2, 1.0), ["c", "3", 2]]
    rows = as_rows(given_as, Rated)
    given_as.clear()
    assert list(rows) == list(rows) == [("a", 1, 0.5), ("b", 2, 1.0), ("c", 3, 2.0)]
    assert [(type(row), type(row.stars), type(row.weight)) for row in rows] == [(Rated, int, float)] * 3
    assert as_rows(rows, Rated) is rows
    of_numpy = as_rows([("a", np.int64(1), np.float32(0.5))], Rated)  # as DataFrames have them
    assert list(of_numpy) == [("a", 1, 0.5)]
    assert list(rows.column(0)) == ["a", "b", "c"]


def test_a_source_is_opened(folder):
    path = write(folder / "source.csv", "question,answer\n1,a\n")
    assert list(as_rows(path, Question)) == list(as_rows(str(path), Question)) == [("1", "a")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"expected at least one text and its stars and its weight, got an empty list"),
        (3, r"expected a file, a corpus, or examples \(text, stars, weight\) in memory \(a list, a table, .* got int"),
        ([("a", 1, 1.0), ("b", 1)], r"item 2 of the list: expected text, stars, weight, got \('b', 1\)"),
        (["abc"], "item 1 of the list: expected text, stars, weight, got 'abc'"),
        ([("a", "many", 1.0)], "item 1 of the list: expected stars as a whole number, got 'many'"),
        ([("a", None, 1.0)], "item 1 of the list: expected stars as a whole number, got None"),
        ([("a", 1.5, 1.0)], "item 1 of the list: expected stars as a whole number, got 1.5"),
        ([(None, 1, 1.0)], r"text 1 is missing \(it is None\): leave such examples out, or put an empty text"),
        ([(3, 1, 1.0)], "item 1 of the list: expected text as a text, got 3"),
        ([("a", True, 1.0)], "item 1 of the list: expected stars as a whole number, got True"),
        ([("a\ud800", 1, 1.0)], r"item 1 of the list: U\+D800 is not a character of text"),
    ],
)
def test_what_is_wrong_in_memory_is_named_with_its_place(value, message):
    with pytest.raises(InputError, match=message):
        as_rows(value, Rated)


NUMBERED = as_rows([(str(number), "") for number in range(50)], Question)


def test_a_split_is_a_function_of_the_seed():
    train, validation = split_rows(NUMBERED, 0.3, seed=1)
    first, second = list(train), list(validation)
    assert isinstance(train, Rows)
    assert isinstance(validation, Rows)
    assert (len(first), len(second)) == (35, 15)
    assert sorted(first + second) == sorted(NUMBERED)
    assert first == [one for one in NUMBERED if one in set(first)], "in the order of the corpus"
    assert second == [one for one in NUMBERED if one in set(second)]
    assert [list(part) for part in split_rows(NUMBERED, 0.3, seed=1)] == [first, second]
    assert list(split_rows(NUMBERED, 0.3, seed=2)[1]) != second
    assert second != list(NUMBERED)[-15:], "at random"
    assert [list(part) for part in (train, validation)] == [first, second], "every pass is the same"


@given(st.integers(2, 40), st.integers(1, 99), st.integers(0, 5))
def test_the_share_of_a_split_is_rounded_to_whole_examples(count, percent, seed):
    corpus = as_rows([(str(number), "") for number in range(count)], Question)
    held_out = (2 * count * percent + 100) // 200  # halves up
    if 0 < held_out < count:
        train, validation = split_rows(corpus, percent / 100, seed)
        assert len(list(validation)) == held_out
        assert sorted([*train, *validation]) == sorted(corpus)
    else:
        assert "too few" in error_of(split_rows, corpus, percent / 100, seed)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_a_fraction_that_is_none_is_refused(fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        split_rows(NUMBERED, fraction)


class Compared(NamedTuple):
    text: Text
    likeness: float


def test_a_text_may_be_a_pair(folder):
    rows = [Compared(("天 地", "玄"), 1.0), Compared(("a", "b"), 0.5)]
    path = write(folder / "pairs.csv", "second,likeness,text\n玄,1,天 地\nb,0.5,a\n")
    assert list(open_rows(path, Compared, {"pair_column": "second"})) == rows
    assert list(open_rows(path, Compared, {"pair_column": None})) == [row._replace(text=row.text[0]) for row in rows]
    assert list(as_rows([(["天 地", "玄"], 1), rows[1]], Compared)) == rows


@pytest.mark.parametrize("wrong", [(("a", 1), 1.0), (("a", "b", "c"), 1.0), (5, 1.0)])
def test_what_is_no_text_and_no_pair_is_refused(wrong):
    assert "expected text as a text or a pair of texts, got" in error_of(as_rows, [wrong], Compared)


def test_a_second_text_is_refused_where_there_are_no_pairs(folder):
    path = write(folder / "rated.csv", "text,stars,weight,second\na,1,1,b\n")
    message = error_of(open_rows, path, Rated, {"pair_column": "second"})
    assert message == "text is a single text here: leave out pair_column (--pair-column)"


@pytest.mark.parametrize("value", ["nan", "inf", "-Infinity"])
def test_numbers_are_finite(folder, value):
    path = write(folder / "a.csv", f"text,stars,weight\nx,1,{value}\n")
    assert error_of(open_rows, path, Rated, {}).endswith(f"line 2: expected weight as a finite number, got '{value}'")
    assert "expected weight as a finite number" in error_of(as_rows, [("x", 1, float(value))], Rated)


def test_no_rows_are_no_corpus(folder):
    assert error_of(as_rows, [], Rated) == "expected at least one text and its stars and its weight, got an empty list"
    path = write(folder / "a.csv", "text,stars,weight\n")
    assert (
        error_of(open_rows, path, Rated, {})
        == "there are no examples: the table has no rows below its names of columns"
    )


def test_folds_hold_every_row_out_once():
    rows = as_rows([(f"text {number}", number, 1.0) for number in range(11)], Rated)
    parts = list(fold_rows(rows, 4, seed=1))
    held_out = [list(held) for _, held in parts]
    assert sorted(map(len, held_out)) == [2, 3, 3, 3]
    assert sorted(row for part in held_out for row in part) == sorted(rows)
    assert all(sorted([*train, *held]) == sorted(rows) for train, held in parts)
    assert (
        held_out
        == [list(held) for _, held in fold_rows(rows, 4, seed=1)]
        != [list(held) for _, held in fold_rows(rows, 4, seed=2)]
    )
    for number in (1, 12):
        with pytest.raises(InputError, match="expected 2 to 11"):
            fold_rows(rows, number)
