import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.training.checkpoints import Checkpoints
from tests.training import killing

COUNTS = {"update": 4, "writing": 3, "syncing": 6, "renaming": 3, "pruning": 3, "evaluating": 2}


def moments(kind):
    """Seven moments to be killed at: five in training, in random order, then while saving and while exporting."""
    chance = random.Random(kind)
    names = chance.sample(sorted(COUNTS), 4)
    training = [f"{name}:{chance.randint(1, COUNTS[name])}" for name in names]
    training.append(f"after:{chance.uniform(0.5, 2.0):.2f}")
    chance.shuffle(training)
    return [*training, f"saving:{chance.randint(1, 3)}", "exporting:1"]


def run_children(folder, kind, moments):
    """The exit status of each child, by its moment."""
    command = [sys.executable, killing.__file__, str(folder), kind, *moments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(line.split()) for line in done.stdout.splitlines() if line.split()[-1].lstrip("-").isdigit()]


@pytest.mark.parametrize("kind", ["lstm", "transformer", "classifier"])
def test_a_run_killed_at_random_moments_ends_as_one_that_was_not(kind, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run_children(whole, kind, ["never"]) == [("never", "0")]
    at = moments(kind)
    statuses = run_children(killed, kind, [*at, "never"])
    assert [moment for moment, _ in statuses] == [*at, "never"]
    assert statuses[-1] == ("never", "0")
    # a clock may be slower or faster than training; all others must have struck
    assert all(status == "-9" for moment, status in statuses[:-1] if not moment.startswith("after"))

    expected, got = (Checkpoints(folder, 2).newest() for folder in (whole, killed))
    # the classifier's patience runs out before its last evaluation, and is in checkpoints too
    last = 55 if kind == "classifier" else 60
    assert got.path.name == expected.path.name == f"update-{last:08}.safetensors"
    assert set(got.arrays) == set(expected.arrays)
    kept = {"best", "last"} if kind == "transformer" else {"best"}
    assert {name.split(".")[0] for name in got.arrays} == {"network", "optimizer", *kept}
    for name, array in expected.arrays.items():
        assert got.arrays[name].tobytes() == array.tobytes(), name
    assert got.facts == expected.facts
    assert (killed / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert len((whole / "metrics.jsonl").read_text().splitlines()) == -(-last // 11)
    for ours, theirs in zip(*(lmkeras.load(f).network.get_weights() for f in (killed, whole)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert list(tf.saved_model.load(str(killed / "exported")).signatures)
    hidden = [path.name for path in killed.rglob(".*")]
    assert not hidden, "what killed processes were writing has been removed"


def test_the_file_of_metrics_has_no_clock(tmp_path):
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=4, units=4)
    model.fit(killing.TEXTS, steps=2, run_folder=tmp_path, verbose=0)
    line = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(line) == {"step", "learning_rate", "loss", "val_loss"}
