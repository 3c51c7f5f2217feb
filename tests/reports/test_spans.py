"""Scores of spans: those of seqeval and of scikit-learn's definition; confusions counted one by one; the picture."""

import json

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora.spans import Span
from lmkeras.corpora.tag_schemes import entities_of
from lmkeras.errors import InputError
from lmkeras.reports import SpanReport

TAGS = ["O", *(f"{letter}-{kind}" for letter in "BI" for kind in ("LOC", "PER"))]


@st.composite
def taggings(draw):
    """Two taggings of some texts, which need not fit together."""
    lengths = draw(st.lists(st.integers(1, 8), min_size=1, max_size=4))
    tags = st.sampled_from(TAGS)
    return tuple([draw(st.lists(tags, min_size=n, max_size=n)) for n in lengths] for _ in range(2))


@pytest.mark.filterwarnings("ignore")  # seqeval warns where a type is never predicted
@pytest.mark.parametrize("mode", ["default", "strict"])
@given(case=taggings())
def test_scores_are_seqevals(mode, case):
    seqeval = pytest.importorskip("seqeval.metrics")
    from seqeval.scheme import IOB2

    how = {} if mode == "default" else {"mode": "strict", "scheme": IOB2}
    true, predicted = ([entities_of(tags, mode, "IOB2") for tags in texts] for texts in case)
    report = SpanReport.from_spans(true, predicted)
    macro = seqeval.f1_score(*case, average="macro", **how) if report.types else 0.0
    micro = [
        score(*case, **how) if report.types else 0.0
        for score in (seqeval.precision_score, seqeval.recall_score, seqeval.f1_score)
    ]
    expected = dict(zip(("precision", "recall", "f1", "macro_f1"), (*micro, macro), strict=True))
    assert report.scores() == pytest.approx(expected)
    if report.types:
        theirs = seqeval.classification_report(*case, output_dict=True, **how)
        assert report.types == tuple(sorted(set(theirs) - {"micro avg", "macro avg", "weighted avg"}))
        for row in report.per_type():
            assert row[1:] == pytest.approx(tuple(theirs[row.type].values()))


TRUE = [[Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(5, 6, "ORG")], [], [Span(1, 2, "LOC")]]
PREDICTED = [[Span(0, 2, "PER"), Span(3, 4, "ORG"), Span(5, 7, "ORG")], [Span(0, 1, "MISC")], [Span(1, 2, "LOC")]]


def test_confusions():
    report = SpanReport.from_spans(TRUE, PREDICTED)
    assert report.types == ("LOC", "MISC", "ORG", "PER")
    counts = {(0, 0): 1, (0, 2): 1, (2, 4): 1, (3, 3): 1, (4, 1): 1, (4, 2): 1}
    expected = np.zeros((5, 5), int)
    for cell, count in counts.items():
        expected[cell] = count
    np.testing.assert_array_equal(report.confusion, expected)
    assert report.scores() == pytest.approx(
        {"precision": 2 / 5, "recall": 2 / 4, "f1": 4 / 9, "macro_f1": (2 / 3 + 1) / 4}
    )
    lines = [line.split() for line in report.confusion_table().splitlines()]
    assert lines[1] == ["LOC", "1", "0", "1", "0", "0"]
    assert lines[-1] == ["spurious", "0", "1", "1", "0"]


def test_reports_on_parts_are_together_that_on_all():
    whole = SpanReport.from_spans(TRUE, PREDICTED)
    parts = [SpanReport.from_spans(TRUE[part], PREDICTED[part]) for part in (slice(1), slice(1, 3))]
    together = SpanReport.together(parts)
    assert parts[0].types != parts[1].types != whole.types
    assert together.data() == whole.data()
    assert (together.texts, str(together)) == (3, str(whole))


def test_nothing_true_and_nothing_predicted():
    report = SpanReport.from_spans([[], []], [[], []])
    assert set(report.scores().values()) == {0.0}
    assert "all spans      0.000   0.000  0.000      0" in report.table()


def test_data_is_json_and_html_is_escaped():
    report = SpanReport.from_spans([[Span(0, 1, "<b>")]], [[Span(0, 1, "<b>")]])
    assert json.loads(json.dumps(report.data()))["scores"][0] == {
        "type": "<b>",
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
        "support": 1,
    }
    assert "<b>" not in report._repr_html_()
    assert (
        repr(report)
        == "SpanReport(precision=1.0000, recall=1.0000, f1=1.0000, macro_f1=1.0000, spans=1, texts=1, types=[<b>])"
    )


def test_texts_that_are_missing():
    with pytest.raises(InputError, match="expected spans for each of 3 texts, got those of 2"):
        SpanReport.from_spans(TRUE, PREDICTED[:2])


def test_the_picture_is_darkest_where_all_spans_of_a_type_are(tmp_path):
    right, wrong = tmp_path / "right.png", tmp_path / "wrong.png"
    SpanReport.from_spans(TRUE, TRUE).draw(right)
    SpanReport.from_spans(TRUE, [[]] * 3).draw(wrong)
    dark = [(matplotlib.image.imread(path)[..., 0] < 0.1).sum() for path in (right, wrong)]
    assert min(dark) > 1000
    assert not np.array_equal(matplotlib.image.imread(right), matplotlib.image.imread(wrong))
