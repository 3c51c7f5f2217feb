"""The verb tune: a search that can be stopped, killed and gone on with, and whose best settings train takes."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

import lmkeras
from lmkeras.models.trials import Trials
from lmkeras.tasks import tasks
from tests.cli.command import require_one_line, run

WORDS = {"好": ["好看", "精彩"], "坏": ["难看", "无聊"]}
ROWS = [(f"很 {word} {number}", label) for label, words in WORDS.items() for word in words for number in range(10)]
SEARCH = ["--search", "learning-rate=0.01..0.2", "units=none,4", "--steps", 10, "--batch-size", 8]
FIXED = ["--label-column", "stars", "--network", "dense", "--embedding-dim", 4, "--tokenizer", "words"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "影评.csv"
    path.write_text("stars,text\n" + "".join(f"{label},{text}\n" for text, label in ROWS), encoding="utf-8")
    return path


def command(table, study, *others):
    return ["tune", "classifier", "--text", table, *FIXED, "--output", study, *SEARCH, *others]


def rows_of(study):
    """The rows of trials.csv, without how long trials took."""
    with (study / "trials.csv").open(encoding="utf-8") as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]


def values_of(run_folder):
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["val_accuracy"] for line in lines]


def test_train_takes_the_best_settings_and_reaches_the_same(table, tmp_path, capsys):
    code, out, err = run(capsys, *command(table, tmp_path / "study", "--trials", 2))
    assert (code, err.count("Traceback")) == (0, 0)
    names = {path.name for path in (tmp_path / "study").iterdir()}
    assert names == {"study.db", "trials.csv", "tune.png", "settings.json"}
    rows = rows_of(tmp_path / "study")
    assert [(row["trial"], row["state"], row["updates"]) for row in rows] == [
        ("1", "finished", "10"),
        ("2", "finished", "10"),
    ]
    best = max(float(row["value"]) for row in rows)
    told = [line for line in out.splitlines() if line.startswith("trial ") and "/" in line]
    assert [line.split()[1] for line in told] == ["1/2", "2/2"]
    expected = f"train with the best: lmkeras train classifier --config {tmp_path / 'study'} --output RUN"
    assert out.splitlines()[-1] == expected
    code, _, _ = run(capsys, *expected.split(": lmkeras ")[1].replace("RUN", str(tmp_path / "run")).split(), "--quiet")
    assert code == 0
    assert max(values_of(tmp_path / "run")) == best
    kept = json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8"))["settings"]
    assert str(kept["learning_rate"]) in {row["learning_rate"] for row in rows if float(row["value"]) == best}
    assert (kept["steps"], kept["batch_size"], kept["text"]) == (10, 8, [str(table)])


@pytest.fixture
def stopped_in(monkeypatch):
    """A function that makes the training of a trial end as Ctrl-C or SIGTERM would, or fail, instead of going on."""

    def stop(number, how):
        real = Trials.run

        def run_trial(self, trial, count, chosen):
            if count == number:
                how()
            return real(self, trial, count, chosen)

        monkeypatch.setattr(Trials, "run", run_trial)

    return stop


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_keeps_what_is_done(table, tmp_path, capsys, stopped_in, number, code, request):
    stopped_in(2, lambda: os.kill(os.getpid(), number) or time.sleep(5))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    got, _, err = run(capsys, *command(table, tmp_path / "study", "--trials", 3))
    assert got == code
    assert f"stopped in trial 2; the trials before it are kept in {tmp_path / 'study'}: go on with --resume" in err
    assert [row["trial"] for row in rows_of(tmp_path / "study")] == ["1"]
    assert (tmp_path / "study" / "tune.png").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_it_is_refused_or_goes_on_as_it_began(table, tmp_path, capsys, stopped_in):
    study = tmp_path / "study"
    whole = [str(word) for word in command(table, study, "--trials", 1)]
    assert run(capsys, *whole)[0] == 0
    require_one_line(*run(capsys, *whole), f"{study} holds a search already: say --resume to go on, --overwrite")
    require_one_line(*run(capsys, *whole, "--resume", "--batch-size", 4), "--batch-size 8 there, 4 now")
    require_one_line(
        *run(capsys, *whole, "--resume", "--search", "units=4,5"),
        "search --learning-rate 0.01..0.2:log there, none now",
    )
    require_one_line(*run(capsys, *whole, "--resume", "--no-prune"), "--prune true there, false now")
    first = rows_of(study)
    code, out, _ = run(capsys, *whole, "--resume", "--json")
    assert code == 0
    assert json.loads(out)["best"]["number"] == 1
    assert rows_of(study) == first
    stopped_in(1, lambda: (_ for _ in ()).throw(lmkeras.InputError("no")))
    require_one_line(*run(capsys, *whole, "--overwrite"), "no")
    assert not (study / "trials.csv").exists()


def test_what_cannot_be_searched_is_said_before_anything_is_made(table, tmp_path, capsys):
    start = ["tune", "classifier", "--text", table, *FIXED, "--output", tmp_path / "study"]
    for words, says in (
        (["lerning_rate=1..2"], "no setting 'lerning_rate'; did you mean 'learning_rate'?"),
        (["embedding_dim=4,8"], "--embedding-dim has a value and is searched as well: say one of them"),
        (["network=cnn,dense"], "--network has a value and is searched as well"),
        (["units=4..x"], "expected a whole number, got 'x'"),
        (["units"], "expected NAME=VALUES"),
        (["filters=3..5"], "--filters is a size of cnn"),
    ):
        require_one_line(*run(capsys, *start, "--search", *words), says)
    require_one_line(*run(capsys, *start, "--validation-fraction", 0), "trials are compared on a validation part")
    assert not (tmp_path / "study").exists()


def test_without_optuna_it_says_what_to_install(table, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    require_one_line(*run(capsys, *command(table, tmp_path / "study")), "pip install 'lmkeras[tune]'")


def test_every_task_has_it_with_the_options_of_train_and_its_help(capsys):
    listed = run(capsys, "tune")[1]
    for task in tasks().values():
        assert f"tune {task.command}" in listed
        out = run(capsys, "tune", task.command, "--help")[1]
        assert all(option in out for option in ("--trials", "--search", "--minutes-in-total", "--resume", "--dropout"))
        assert "--config" not in out
        assert "learning_rate=1e-4..1e-1" in out
        assert "by which trials are compared" in " ".join(out.split())
    offered = run(capsys, "--complete", "tune", "classifier", "--sea")[1]
    assert offered.split() == ["--search"]


@pytest.mark.parametrize("seconds", [0, 1.5])
def test_killed_it_goes_on_to_what_it_would_have_found(table, tmp_path, capsys, seconds):
    """The process is killed so many seconds after it has written its first trial."""
    study, whole = tmp_path / "study", tmp_path / "whole"
    words = [str(word) for word in command(table, study, "--trials", 4)]
    with subprocess.Popen([sys.executable, "-m", "lmkeras", *words], stdout=subprocess.DEVNULL) as process:
        while not (study / "trials.csv").exists():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(seconds)
        process.kill()
    assert 1 <= len(rows_of(study)) < 4
    assert run(capsys, *words, "--resume")[0] == 0
    assert run(capsys, *command(table, whole, "--trials", 4))[0] == 0
    assert rows_of(study) == rows_of(whole)
    assert len(rows_of(study)) == 4
