"""What `lmkeras compare` says of runs, from the files in their folders."""

import json

import pytest

import lmkeras
from tests.cli.command import require_one_line, run
from tests.models.published_llama import write_llama

LINES = [
    {"step": 5, "learning_rate": 0.1, "loss": 2.0, "val_loss": 1.0, "val_accuracy": 0.5},
    {"step": 10, "learning_rate": 0.1, "loss": 1.0, "val_loss": 3.0, "val_accuracy": 0.75},
    {"step": 1500, "learning_rate": 0.0, "loss": 1.5, "val_loss": None, "val_accuracy": 0.7},
]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs: one that ended its training without being saved, and one of which only the metrics are left."""
    monkeypatch.chdir(tmp_path)
    for name, settings in (("a", {"steps": 9, "seed": 0, "text": ["x", "y"]}), ("长", {"steps": 8, "seed": 0})):
        (tmp_path / name).mkdir()
        entries = {"verb": "train classifier", "settings": settings, "acting": {"parameters": 1234}, "seconds": 2.5}
        (tmp_path / name / "settings.json").write_text(json.dumps(entries), encoding="utf-8")
    (tmp_path / "a" / "metrics.jsonl").write_text("\n".join(map(json.dumps, LINES)), encoding="utf-8")


def test_the_table(runs, capsys):
    code, out, err = run(capsys, "compare", "a", "长")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
    assert out.splitlines()[0].split() == ["a", "长"]
    assert rows["state"] == ["running", "or", "killed"] * 2
    assert rows["steps"] == ["9", "8"]
    assert rows["text"] == ["x", "y"]
    assert "seed" not in rows, "it is the same in both"
    assert rows["parameters"] == ["1,234", "1,234"]
    assert rows["updates"] == ["1,500", "0"]
    assert rows["seconds"] == ["2.5", "2.5"]
    assert rows["loss"] == ["1.0000", "at", "10"]
    assert rows["val_loss"] == ["1.0000", "at", "5"]
    assert rows["val_accuracy"] == ["0.7500", "at", "10"]


def test_json(runs, capsys):
    found = json.loads(run(capsys, "compare", "a", "长", "--json")[1])
    assert list(found) == ["a", "长"]
    assert found["a"]["best"]["val_accuracy"] == {"value": 0.75, "update": 10}
    assert found["长"]["best"] == {}


def test_what_is_damaged_is_said(runs, tmp_path, capsys):
    (tmp_path / "a" / "config.json").write_text("{", encoding="utf-8")
    with (tmp_path / "a" / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"step": 15')
    (tmp_path / "长" / "settings.json").write_text("[]", encoding="utf-8")
    code, out, _ = run(capsys, "compare", "a", "长")
    assert code == 0
    assert out.splitlines()[1].split() == ["state", "damaged", "damaged"]
    assert "a: a/config.json is damaged or was changed" in out
    assert "a: a/metrics.jsonl line 4 is damaged" in out
    assert "长: 长/settings.json is damaged" in out
    assert "0.7500 at 10" in out


def test_published_models_stand_beside_runs(runs, tmp_path, capsys):
    write_llama(tmp_path / "llama")
    code, out, err = run(capsys, "compare", "a", "llama")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["state", "running", "or", "killed", "published"]
    count = lmkeras.load("llama").network.count_params()
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
    assert rows["parameters"] == ["1,234", f"{count:,}"]
    assert out.splitlines()[-1].startswith("llama: a published model, of whose training nothing is known")
    assert "damaged" not in out
    found = json.loads(run(capsys, "compare", "llama", "--json")[1])["llama"]
    assert (found["state"], found["parameters"], found["best"]) == ("published", count, {})


def test_no_run(runs, capsys):
    require_one_line(*run(capsys, "compare", "a", "nothing"), "no run in nothing: it has neither config.json nor")
