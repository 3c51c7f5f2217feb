"""What a training shows: lines that say how far it is, and a bar only where one can be drawn over itself."""

import io
import re
import sys
import types

import pytest

from lmkeras.errors import InputError
from lmkeras.training.callbacks import Updates
from lmkeras.training.progress import Bar, Clock, Progress, duration, level_of


class Screen(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self):
        return True


def trained(level, losses=(3.0, 1.0, 2.0), done=0, interval=4, total=10):
    """The calls that Keras makes in a training of ten updates, four of which are a pass over the corpus."""
    updates, lines = Updates(total, interval), []
    updates.resume(done, ended=False)
    best = ("val_loss", False)
    with Progress(level, updates, lines, steps_per_epoch=4, best=best) as progress:
        progress.on_train_begin()
        while updates.done < total:
            progress.on_epoch_begin(0)
            while True:
                updates.done += 1
                progress.on_train_batch_end(0, {"loss": 0.5})
                if updates.at_evaluation:
                    break
            progress.on_test_begin()
            value = losses[len(lines)]
            lines.append({"step": updates.done, "learning_rate": 0.1, "loss": 0.51236, "val_loss": value})
            progress.on_epoch_end(0)


LINES = [
    "update 4/10  epoch 1/2.5  loss 0.5124  val_loss 3  best",
    "update 8/10  epoch 2/2.5  loss 0.5124  val_loss 1  best",
    "update 10/10  epoch 2.5/2.5  loss 0.5124  val_loss 2",
]


@pytest.mark.parametrize("level", [1, 2])
def test_a_line_an_evaluation_where_the_output_is_no_terminal(level, capsys):
    trained(level)
    assert capsys.readouterr().out.splitlines() == LINES


def test_nothing_is_shown_where_nothing_is_asked_for(capsys):
    trained(0)
    assert tuple(capsys.readouterr()) == ("", "")


def test_more_is_shown_where_more_is_asked_for(capsys):
    trained(3)
    within = [line for line in capsys.readouterr().out.splitlines() if line not in LINES]
    # ten updates less three evaluations; a tenth of an epoch of four updates is one update
    assert within == [f"update {n}/10  epoch {n / 4:.3g}/2.5  loss 0.5" for n in range(1, 11) if n not in (4, 8, 10)]


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    trained(1)
    shown = screen.getvalue()
    assert "\x1b" not in shown
    assert [line for line in re.split(r"[\r\n]+ *", shown) if line and "|" not in line] == LINES
    bars = re.findall(r"update (\d+)/10 +\d+%\|.{20}\|", shown)
    assert int(bars[0]) == 0 < int(bars[-1])
    assert shown.rpartition("\n")[2].strip(" \r").endswith("evaluating"), "then it is wiped out"
    assert re.search(r"\r +\r$", shown)


def test_a_bar_in_a_notebook_leaves_nothing_in_the_saved_cell(monkeypatch, capsys):
    states = []
    handle = types.SimpleNamespace(update=lambda data, raw: states.append(data["text/plain"]))
    ipython = types.SimpleNamespace(
        get_ipython=lambda: types.SimpleNamespace(kernel=None),
        display=types.SimpleNamespace(display=lambda data, raw, display_id: handle),
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    trained(1)
    assert capsys.readouterr().out.splitlines() == LINES
    assert states[0].startswith("update 0/10")
    assert states[-1] == ""


def test_where_a_training_goes_on_is_said(capsys):
    trained(2, done=4)
    assert capsys.readouterr().out.splitlines()[0] == "going on after update 4 of 10"


def test_time_left_counts_evaluations_and_leaves_out_what_is_traced():
    now = [0.0]
    clock = Clock(lambda: now[0])

    def pass_(*calls):
        for seconds, call in calls:
            now[0] += seconds
            call()

    clock.begin()
    pass_((60, clock.updated), (30, clock.updated))
    assert clock.left(5, 1) is None, "TensorFlow traces in the first two updates"
    pass_((2, clock.updated), (4, clock.updated))
    assert clock.left(5, 1) == 5 * 3
    pass_((1, clock.evaluating), (50, clock.begin), (3, clock.updated))
    assert clock.left(5, 1) == 5 * 3 + 50
    pass_((0, clock.evaluating), (10, clock.begin))
    assert clock.left(5, 2) == 5 * 3 + 2 * 10, "the first evaluation was traced"
    assert clock.timed == 9


def test_the_time_to_the_end_is_said_once_where_there_is_no_bar(monkeypatch, capsys):
    now = [0.0]

    def later():
        now[0] += 5.0
        return now[0]

    monkeypatch.setattr("lmkeras.training.progress.time.monotonic", later)
    monkeypatch.setattr("lmkeras.training.progress.Clock", lambda: Clock(later))
    trained(2)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("about")]
    assert said == ["about 35 s for the other 7 updates"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize("verbose", ["loud", 4, None, -1])
def test_an_unknown_verbosity(verbose):
    with pytest.raises(InputError, match="verbose must be 'auto', 0, 1, 2 or 3"):
        level_of(verbose)


def test_a_bar_fits_a_terminal_that_does_not_know_its_width(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "0")
    bar = Bar(3, 0, "batch")
    bar.close()
    assert "batch 0/3   0%|" in screen.getvalue()
