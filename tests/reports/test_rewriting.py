import json

import matplotlib.image
import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.overlap import bleu_chrf, rouge
from lmkeras.reports.rewriting import RewritingReport

ROWS = [
    ("Guten Morgen", "good morning", "good morning"),
    ("Wie geht es dir?", "how goes it you?", "how are you doing?"),
    ("Das ist <b>gut</b>.", "", "that is <b>good</b>."),
    ("Bis morgen und bis bald", "Bis morgen und bis bald", "see you tomorrow and see you soon"),
    ("nein", " \n", "no"),
]
CHINESE = [
    ("good morning", "早上好", "早上好"),
    ("I like reading a lot", "我爱书", "我非常喜欢看书"),
    ("no", "不", "没有"),
]


def report_of(rows, **how):
    return RewritingReport.of(*zip(*rows, strict=True), **how)


def test_values_and_signatures_are_those_of_both_metrics():
    for rows in (ROWS, CHINESE):
        report, (_, outputs, references) = report_of(rows), zip(*rows, strict=True)
        both = bleu_chrf(outputs, references), rouge(outputs, references)
        assert report.scores() == {**both[0].values, **both[1].values}
        assert set(report.scores()) == {"bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"}
        for found in both:
            for name, signature in found.signatures.items():
                assert report.data()["signatures"][name] == signature
                assert signature in report.text()
    assert "tok:zh" in report.text()
    assert "tok:words+characters" in report.text()
    assert "tok:char|" in report_of(CHINESE, language="ja").text()


def test_what_is_counted():
    report = report_of(ROWS)
    assert (report.copies, report.empty) == (1, 2)
    assert report.length_ratio == (2 + 4 + 0 + 5 + 0) / (2 + 4 + 5 + 7 + 1)
    assert report_of(CHINESE).length_ratio == (3 + 3 + 1) / (3 + 7 + 2)
    lines = [line.split() for line in report.table().splitlines()]
    assert ["length", "ratio", "0.5789"] in lines
    assert ["copies", "1"] in lines
    assert ["empty", "2"] in lines
    assert ["examples", "5"] in lines


@pytest.mark.parametrize("ranked_by", ["chrf", "rouge_1", "rouge_l"])
def test_the_best_and_the_worst_are_ordered_by_their_own_scores(ranked_by):
    report = report_of(ROWS, ranked_by=ranked_by)
    scores = report.overlap.examples[ranked_by]
    ordered = report.best(5)
    assert [one.score for one in ordered] == sorted(scores, reverse=True)
    assert [one.score for one in report.worst(5)] == sorted(scores)
    for one in ordered:
        assert (one.source, one.output, one.reference) == ROWS[one.number - 1]
        assert one.score == scores[one.number - 1]
    assert ordered[0][2:] == ROWS[0]
    assert report.worst(5) == ordered[::-1]
    assert {3, 5} < {one.number for one in report.worst(3)}


@pytest.mark.parametrize(("count", "best", "worst"), [(1, 1, 0), (2, 1, 1), (5, 3, 2), (10, 5, 5), (40, 5, 5)])
def test_an_example_is_shown_once(count, best, worst):
    data = report_of([(f"source {n}", "a" * (n // 2), "a" * 20) for n in range(count)]).data()
    assert (len(data["best"]), len(data["worst"])) == (best, worst)
    shown = [one["number"] for one in (*data["best"], *data["worst"])]
    assert len(set(shown)) == len(shown)


def test_the_table_of_examples():
    long = ("s" * 300, "o\tx" * 100, "r\n" * 200)
    lines = report_of([ROWS[0], long]).examples_table().splitlines()
    assert lines[:4] == [
        "best by chrf",
        " 100.0  source     Guten Morgen",
        "        output     good morning",
        "        reference  good morning",
    ]
    assert lines[4] == "worst by chrf"
    assert len(lines) == 8
    assert all(len(line) <= 120 for line in lines)
    assert "best by rouge_l\n 1.000  source     Guten" in report_of(ROWS, ranked_by="rouge_l").text()


def test_reports_on_parts_are_together_that_on_all():
    together = RewritingReport.together([report_of(ROWS[:2]), report_of(ROWS[2:])])
    assert together.data() == report_of(ROWS).data()
    assert str(together) == str(report_of(ROWS))


def test_data_is_json_and_html_is_escaped():
    report = report_of(ROWS)
    data = json.loads(json.dumps(report.data()))
    assert data["bleu"] == report.scores()["bleu"]
    assert data["best"][0] == {
        "number": 1,
        "score": 100.0,
        **dict(zip(("source", "output", "reference"), ROWS[0], strict=True)),
    }
    assert "<b>gut" not in report._repr_html_()
    assert "Guten Morgen" in report._repr_html_()
    assert "copies=1, empty=2, examples=5" in repr(report)


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match="expected an output for each of 2 sources, got 1"):
        RewritingReport.of(["a", "b"], ["a"], ["a"])
    with pytest.raises(InputError, match="got 2 for 1"):
        RewritingReport.of(["a", "b"], ["a", "b"], ["a"])
    with pytest.raises(InputError, match="unknown metric of single texts 'bleu'"):
        report_of(ROWS, ranked_by="bleu")


def test_the_picture_has_its_bars_where_the_scores_are(tmp_path):
    columns = []
    for name, output in (("right", "good morning"), ("wrong", "xyz")):
        report_of([("a", output, "good morning")] * 9).draw(tmp_path / f"{name}.png")
        red, _, blue = np.moveaxis(matplotlib.image.imread(tmp_path / f"{name}.png")[..., :3], 2, 0)
        columns.append(np.flatnonzero((blue - red > 0.4).sum(axis=0) > 50))
    right, wrong = columns
    assert wrong.max() < 200 < 700 < right.min(), "of 840 points"
    report_of(CHINESE, ranked_by="rouge_1").draw(tmp_path / "shares.png")
