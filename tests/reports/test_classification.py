import unicodedata

import matplotlib.image
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from lmkeras.errors import InputError
from lmkeras.reports import ClassificationReport


@st.composite
def predictions(draw):
    """True ids, predicted ids and the number of classes, of which some may not occur."""
    size = draw(st.integers(1, 7))
    pairs = draw(st.lists(st.tuples(*[st.integers(0, size - 1)] * 2), min_size=1, max_size=40))
    return *map(list, zip(*pairs, strict=True)), size


def report_of(true_ids, predicted_ids, labels):
    labels = [f"class {i}" for i in range(labels)] if isinstance(labels, int) else labels
    return ClassificationReport.from_predictions(true_ids, predicted_ids, labels)


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=150)
@given(predictions())
@example(([0, 0], [0, 0], 1))
@example(([0, 1], [1, 0], 4))
def test_scores_are_scikit_learns(case):
    true_ids, predicted_ids, size = case
    report = report_of(*case)
    everything = {"labels": range(size), "zero_division": 0.0}
    assert report.confusion.tolist() == metrics.confusion_matrix(true_ids, predicted_ids, labels=range(size)).tolist()
    assert report.accuracy == pytest.approx(metrics.accuracy_score(true_ids, predicted_ids))
    # without labels, scikit-learn takes the mean over those that occur on either side
    expected = metrics.f1_score(true_ids, predicted_ids, average="macro", zero_division=0.0)
    assert report.macro_f1 == pytest.approx(expected)
    rows = report.per_class()
    expected = metrics.precision_recall_fscore_support(true_ids, predicted_ids, **everything)
    np.testing.assert_allclose([row[1:] for row in rows], np.transpose(expected), rtol=1e-12)
    assert [row.label for row in rows] == list(report.labels)
    assert report.examples == len(true_ids)


def test_a_class_that_does_not_occur_leaves_the_macro_f1_alone():
    few, many = report_of([0, 1], [0, 1], 2), report_of([0, 1], [0, 1], 9)
    assert few.macro_f1 == many.macro_f1 == 1.0
    # but one that the examples lack and that was predicted does not
    assert report_of([0, 0], [0, 1], 2).macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_no_examples_score_zero():
    report = report_of([], [], ["a", "b"])
    assert (report.accuracy, report.macro_f1, report.examples) == (0.0, 0.0, 0)
    assert [row[1:] for row in report.per_class()] == [(0.0, 0.0, 0.0, 0)] * 2


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32])
def test_narrow_ids_do_not_overflow(kind):
    ids = np.arange(100, dtype=kind)  # 100 x 100 cells are more than a byte counts
    np.testing.assert_array_equal(report_of(ids, ids[::-1], 100).confusion, np.eye(100)[::-1])


@pytest.mark.parametrize(
    ("true_ids", "predicted_ids", "message"),
    [
        ([0, 1], [0], "got 1 predictions for 2 examples"),
        ([0, 2], [0, 1], "expected true_ids from 0 to 1, got 2"),
        ([0, 1], [0, -1], "expected predicted_ids from 0 to 1, got -1"),
        ([0, 1], [[0.2, 0.8], [0.5, 0.5]], "got float64 of shape .*argmax"),
        ([0, 1], [0.0, 1.0], "whole numbers"),
        ([True, False], [0, 1], "whole numbers"),
    ],
)
def test_what_is_no_prediction_is_refused(true_ids, predicted_ids, message):
    with pytest.raises(InputError, match=message):
        report_of(true_ids, predicted_ids, 2)


def test_the_tables_say_the_scores():
    report = report_of([0, 0, 1, 2], [0, 1, 1, 1], ["sport", "economy", "travel"])
    lines = [line.split() for line in report.table().splitlines()]
    assert lines[1:] == [
        ["sport", "1.000", "0.500", "0.667", "2"],
        ["economy", "0.333", "1.000", "0.500", "1"],
        ["travel", "0.000", "0.000", "0.000", "1"],
        ["accuracy", "0.500", "4"],
        ["macro", "F1", "0.389", "4"],
    ]
    rows = [line.split() for line in report.confusion_table().splitlines()]
    assert rows[0][3:] == ["sport", "economy", "travel"]
    assert rows[1:] == [["sport", "1", "1", "0"], ["economy", "0", "1", "0"], ["travel", "0", "1", "0"]]


def terminal_width(text):
    """Cells of a text without zero-width characters."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


labels = st.text(st.characters(exclude_categories=["Cs", "Mn", "Me", "Cf"]), max_size=40)


@given(st.lists(labels, min_size=1, max_size=5))
@example(["体育新闻", "財経", "sport"])
@example(["a\nb", "c\td\r\x1b[31m", "\u2028"])
@example(["x" * 500, "経" * 500])
def test_columns_are_aligned_whatever_the_names(names):
    report = report_of(range(len(names)), range(len(names)), names)
    for table, most_cells in ((report.table(), 24 + 40), (report.confusion_table(), 24 + 14 * len(names))):
        lines = table.split("\n")
        assert len({terminal_width(line) for line in lines}) == 1
        assert terminal_width(lines[0]) <= most_cells
        assert not any(unicodedata.category(character) == "Cc" for line in lines for character in line)


def test_combining_marks_take_no_cell():
    plain, marked = (report_of([0], [0], [name]).table() for name in ("cafe", unicodedata.normalize("NFD", "café")))
    assert marked.replace("\N{COMBINING ACUTE ACCENT}", "") == plain


def test_a_long_name_keeps_both_its_ends():
    table = report_of([0, 1], [0, 1], [f"comp.sys.ibm.pc.hardware.{i}" for i in range(2)]).table()
    names = [line.split()[0] for line in table.splitlines()[1:3]]
    assert names[0] != names[1]
    for i, name in enumerate(names):
        head, tail = name.split("…")
        assert f"comp.sys.ibm.pc.hardware.{i}".startswith(head)
        assert f"comp.sys.ibm.pc.hardware.{i}".endswith(tail)
        assert len(name) == 24


def dark_cells(picture, size):
    """Which cells of a drawn matrix are filled with the darkest blue, row by row."""
    pixels = (matplotlib.image.imread(picture)[..., :3] * 255).round().astype(int)
    dark = (pixels == (8, 48, 107)).all(axis=-1)  # the last colour of "Blues"
    # 1) the frame of the matrix: the pixels between the first two long black lines, to either side
    black = (pixels == 0).all(axis=-1)
    columns = np.flatnonzero(black.mean(axis=0) > 0.4)
    frame = [columns[0], columns[columns > columns[0] + 20][0]]
    rows = np.flatnonzero(black[:, frame[0]])
    # 2) the colour of a cell a quarter in from its upper left corner, away from its number
    places = (np.arange(size) + 0.2) / size
    down, across = (lo + places * (hi - lo) for lo, hi in ((rows[0], rows[-1]), frame))
    return dark[np.ix_(down.astype(int), across.astype(int))].tolist()


@pytest.mark.parametrize("size", [2, 3, 12])
def test_the_picture_shows_which_class_is_taken_for_which(tmp_path, size):
    taken_for = np.roll(np.arange(size), 1)
    report_of(np.arange(size), taken_for, size).draw(tmp_path / "confusion.png")
    expected = np.zeros((size, size), bool)
    expected[np.arange(size), taken_for] = True
    assert dark_cells(tmp_path / "confusion.png", size) == expected.tolist()


@pytest.mark.filterwarnings("error")
def test_the_picture_takes_any_name(tmp_path):
    names = ["体育", "한국어", r"$\frac", "a\x00b\n", "", "\N{CRAB}", "x" * 300]
    ids = range(len(names))
    report_of(ids, ids, names).draw(tmp_path / "confusion.png")
    assert dark_cells(tmp_path / "confusion.png", len(names)) == np.eye(len(names), dtype=bool).tolist()


def test_pictures_stay_of_a_size_that_can_be_shown(tmp_path):
    for size in (50, 300):
        report_of(range(size), range(size), size).draw(tmp_path / "confusion.png")
        height, width, _ = matplotlib.image.imread(tmp_path / "confusion.png").shape
        assert 1500 < height < width < 3500
