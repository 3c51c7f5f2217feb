import matplotlib.image
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from lmkeras.errors import InputError
from lmkeras.reports import MultiLabelReport


@st.composite
def decisions(draw):
    """True and predicted labels of some texts, of which some labels may not occur."""
    size, texts = draw(st.integers(2, 6)), draw(st.integers(1, 12))
    row = st.lists(st.integers(0, 1), min_size=size, max_size=size)
    return tuple(np.array(draw(st.lists(row, min_size=texts, max_size=texts))) for _ in range(2))


@settings(max_examples=100)
@given(decisions())
def test_scores_are_scikit_learns(case):
    true, predicted = case
    names = [f"label {number}" for number in range(true.shape[1])]
    report = MultiLabelReport.from_predictions(true, predicted, names)
    assert report.scores() == pytest.approx(
        {
            "micro_f1": metrics.f1_score(true, predicted, average="micro", zero_division=0.0),
            "macro_f1": metrics.f1_score(true, predicted, average="macro", zero_division=0.0),
            "subset_accuracy": metrics.accuracy_score(true, predicted),
        }
    )
    theirs = metrics.precision_recall_fscore_support(true, predicted, zero_division=0.0)
    np.testing.assert_allclose(np.array([row[1:5] for row in report.per_label()]).T, theirs)
    assert [row.label for row in report.per_label()] == names


def test_reports_on_parts_are_together_that_on_all():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 2, (2, 30, 4))
    whole = MultiLabelReport.from_predictions(true, predicted, "abcd", thresholds=[0.5] * 4)
    parts = [
        MultiLabelReport.from_predictions(true[part], predicted[part], "abcd", thresholds=[0.1] * 4)
        for part in (slice(0, 10), slice(10, 30))
    ]
    together = MultiLabelReport.together(parts)
    assert together.scores() == whole.scores()
    assert together.per_label()[2][:5] == whole.per_label()[2][:5]
    assert together.per_label()[2].threshold is None
    assert "threshold" in whole.table()
    assert "threshold" not in together.table()


def test_arrays_that_are_not_of_the_labels():
    with pytest.raises(InputError, match=r"with 2 columns, one for each label, got \(1, 3\) and \(1, 3\)"):
        MultiLabelReport.from_predictions([[0, 1, 0]], [[0, 1, 1]], ["a", "b"])


@pytest.mark.parametrize("size", [1, 150])
def test_the_picture_has_a_bar_for_each_label(tmp_path, size):
    rng = np.random.default_rng(1)
    true, predicted = rng.integers(0, 2, (2, 9, size))
    names = [f"好 $x$ {number}" for number in range(size)]
    MultiLabelReport.from_predictions(true, predicted, names).draw(tmp_path / "a.png")
    pixels = matplotlib.image.imread(tmp_path / "a.png")
    bar = np.abs(pixels[..., :3] - np.array([0x9E, 0xCA, 0xE1]) / 255).max(axis=2) < 0.01
    starts = np.flatnonzero(np.diff(bar.any(axis=1).astype(int)) == 1)
    drawn = sorted(MultiLabelReport.from_predictions(true, predicted, names).per_label(), key=lambda row: -row.support)
    # one more is the square that explains the colour
    assert len(starts) == sum(row.f1 > 0 for row in drawn[:100]) + 1
