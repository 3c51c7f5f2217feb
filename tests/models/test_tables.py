import csv
import json
import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lmkeras import InputError
from lmkeras.corpora import open_examples
from lmkeras.corpora.unlabelled import text_row
from lmkeras.models.tables import as_json, require_writable_table, write_rows
from lmkeras.tasks.classification import Classification, Prediction

LABELS = ("no", 'nö, "not"', "猫")
TASK = Classification(labels=LABELS)
NAMES = TASK.row_names()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHARED_FOLDER = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def predictions_of(texts):
    return [Prediction.from_logits([len(text[0]), number % 3, 1.5], LABELS) for number, text in enumerate(texts)]


def rows_of(texts):
    predictions = zip(texts, predictions_of(texts), strict=True)
    return [(text_row(text).columns, TASK.row(prediction)) for text, prediction in predictions]


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@SHARED_FOLDER
@given(st.lists(TEXTS.map(lambda text: f"a{text}"), min_size=1, max_size=5))
@example(["a\rb", 'a "b",\nc'])
def test_rows_of_csv_are_what_was_written(tmp_path, texts):
    assert write_rows(tmp_path / "table.csv", rows_of(texts), NAMES) == len(texts)
    header, *rows = read_csv(tmp_path / "table.csv")
    assert header == ["text", "label", "probability_no", 'probability_nö,_"not"', "probability_猫"]
    for row, text, prediction in zip(rows, texts, predictions_of(texts), strict=True):
        assert row[:2] == [text, prediction.label]
        assert [float(cell) for cell in row[2:]] == pytest.approx([*prediction.probabilities.values()], rel=1e-5)


@SHARED_FOLDER
@given(st.lists(st.tuples(TEXTS.map(lambda text: f"a{text}"), TEXTS), min_size=1, max_size=5))
def test_lines_of_json_are_what_was_written(tmp_path, pairs):
    assert write_rows(tmp_path / "table.jsonl", rows_of(pairs), NAMES) == len(pairs)
    lines = (tmp_path / "table.jsonl").read_bytes().decode().split("\n")
    assert lines.pop() == ""
    for line, (first, second), prediction in zip(lines, pairs, predictions_of(pairs), strict=True):
        expected = {"text": first, "pair": second, "label": prediction.label, "probabilities": prediction.probabilities}
        assert json.loads(line) == expected


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_is_written_is_read_again_as_texts(suffix, tmp_path):
    pairs = [('one, "two"\nthree', "猫"), ("déjà\u2028vu", "x\ty")]
    path = tmp_path / f"table{suffix}"
    write_rows(path, rows_of(pairs), NAMES)
    assert list(open_examples(path, "text", "pair")) == pairs


def test_a_row_of_tsv_is_one_line_without_quotation_marks(tmp_path):
    assert write_rows(tmp_path / "table.tsv", rows_of(['say "猫",\tor\r\nelse', "b"]), NAMES) == 2
    header, first, _ = (tmp_path / "table.tsv").read_bytes().decode().split("\n")[:-1]
    assert header.split("\t")[:3] == ["text", "label", "probability_no"]
    assert first.split("\t")[0] == 'say "猫", or  else'


def test_all_columns_stay_and_a_name_that_is_there_already_gets_a_prefix(tmp_path):
    columns = {"": "7", "label": "no", "note": {"a": [1, None]}, "predicted_label": "x"}
    own = {"label": "yes", "nothing": None, "top": [{"label": "yes", "probability": 0.75}]}
    rows = [(columns, own), ({"label": "猫"}, own)]
    assert write_rows(tmp_path / "table.csv", rows, ["label", "nothing", "label_1", "probability_1"]) == 2
    assert read_csv(tmp_path / "table.csv") == [
        ["", "label", "note", "predicted_label", "predicted_label_2", "nothing", "label_1", "probability_1"],
        ["7", "no", '{"a": [1, null]}', "x", "yes", "", "yes", "0.75"],
        ["", "猫", "", "", "yes", "", "yes", "0.75"],
    ]
    write_rows(tmp_path / "table.jsonl", rows, [])
    assert json.loads((tmp_path / "table.jsonl").read_text(encoding="utf-8").splitlines()[0]) == {
        **columns,
        "predicted_label_2": "yes",
        "nothing": None,
        "top": own["top"],
    }


def test_a_column_that_comes_later_is_not_dropped_silently(tmp_path):
    rows = [({"text": "a"}, {"label": "x"}), ({"text": "b", "date": "today"}, {"label": "y"})]
    with pytest.raises(InputError, match=r"'date', which the first row lacks.*jsonl"):
        write_rows(tmp_path / "table.csv", rows, ["label"])
    assert not list(tmp_path.iterdir())
    assert write_rows(tmp_path / "table.jsonl", rows, ["label"]) == 2


def test_of_no_texts_the_table_has_its_header_alone(tmp_path):
    assert write_rows(tmp_path / "table.csv", [], NAMES) == 0
    assert read_csv(tmp_path / "table.csv") == [["text", *NAMES]]


def test_json_is_strict():
    assert json.loads(as_json({"a": [math.nan, (1, -math.inf)], "b": "猫"})) == {"a": [None, [1, None]], "b": "猫"}


def test_a_table_is_never_half_of_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("earlier")

    def broken():
        yield from rows_of(["a text"])
        assert path.read_text() == "earlier"
        raise InputError("the second text cannot be read")

    with pytest.raises(InputError, match="second text"):
        write_rows(path, broken(), NAMES)
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "earlier"


def test_where_no_table_can_be_written_is_known_before(tmp_path):
    (tmp_path / "there.csv").write_text("mine")
    for name, says in (
        ("x.txt", "as .csv, .tsv or .jsonl"),
        ("there.csv", "--overwrite"),
        ("no/x.csv", "is no folder"),
    ):
        with pytest.raises(InputError, match=says):
            require_writable_table(tmp_path / name, overwrite=False)
    require_writable_table(tmp_path / "there.csv", overwrite=True)
    require_writable_table(str(tmp_path / "new.jsonl"), overwrite=False)
    assert (tmp_path / "there.csv").read_text() == "mine"
