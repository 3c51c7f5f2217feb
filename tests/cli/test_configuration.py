"""settings.json: what a run keeps of its command, and --config, which repeats it."""

import json

import pytest

from lmkeras.arguments import Command
from lmkeras.arguments.options import options_of
from lmkeras.cli import verbs
from lmkeras.cli.configuration import entries_of, with_config
from lmkeras.errors import InputError
from tests.cli.command import require_one_line, run, run_line

OPTIONS = options_of(verbs()["train classifier"])
SMALL = "--tokenizer characters --d-model 16 --num-heads 2 --num-layers 1 --context-length 16 --steps 2"


@pytest.fixture
def kept(tmp_path):
    """A function that writes a settings.json with some settings, and returns its path."""

    def write(settings: object, verb: str = "train classifier") -> str:
        path = tmp_path / "settings.json"
        path.write_text(json.dumps({"verb": verb, "settings": settings}), encoding="utf-8")
        return str(path)

    return write


def test_what_is_kept_is_what_comes_back(kept):
    values = {option.name: option.default for option in OPTIONS}
    values |= {"text": ["数据.csv"], "output": "run", "widths": (3, 5), "class_weights": {"好": 2.0}, "overwrite": True}
    entries = entries_of(Command(["train", "classifier"], "train classifier", values))
    assert not {"output", "overwrite", "resume", "config"} & entries["settings"].keys()
    again = with_config("train classifier", {"config": kept(entries["settings"])}, OPTIONS)
    assert {**entries["settings"], "config": again["config"]} == again
    assert type(again["widths"]) is tuple


def test_what_is_typed_counts_more(kept, tmp_path):
    path = kept({"text": ["a.csv"], "epochs": 3, "weight_decay": 1})
    for config in (path, str(tmp_path)):
        values = with_config("train classifier", {"config": config, "epochs": 5}, OPTIONS)
        assert values == {"config": config, "text": ["a.csv"], "epochs": 5, "weight_decay": 1.0}


def test_files_are_those_of_the_run_wherever_it_is_repeated(kept, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for name in ("数据.csv", "b.csv"):
        (tmp_path / "data" / name).touch()
    names = ["数据.csv", "*.csv", "gone.csv", "builtin:python-docstrings"]
    values = {option.name: option.default for option in OPTIONS} | {"text": names, "validation": ["b.csv"]}
    monkeypatch.chdir(tmp_path / "data")
    entries = entries_of(Command(["train", "classifier"], "train classifier", values))
    (tmp_path / "settings.json").write_text(json.dumps(entries), encoding="utf-8")
    for folder, there in (("data", ""), ("", f"{tmp_path / 'data'}/")):
        monkeypatch.chdir(tmp_path / folder)
        again = with_config("train classifier", {"config": str(tmp_path)}, OPTIONS)
        assert again["text"] == [f"{there}数据.csv", f"{there}*.csv", "gone.csv", "builtin:python-docstrings"]
        assert again["validation"] == [f"{there}b.csv"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epoch": 3}, r"unknown setting in .*settings.json 'epoch': expected one of .*; did you mean 'epochs'"),
        ({"output": "run"}, "unknown setting in .* 'output'"),
        ({"epochs": "three"}, "settings.json: 'three' is no value of epochs"),
        ({"epochs": True}, "True is no value of epochs"),
        ({"network": "lstn"}, "'lstn' is no value of network"),
        ({"widths": [3, "4"]}, "is no value of widths"),
        ({"widths": 3}, "3 is no value of widths"),
        ({"text": None}, "None is no value of text"),
        ([], "damaged: expected an object with an object under 'settings'"),
    ],
)
def test_settings_that_cannot_be_used(kept, settings, says):
    with pytest.raises(InputError, match=says):
        with_config("train classifier", {"config": kept(settings)}, OPTIONS)


def test_files_that_cannot_be_used(kept, tmp_path, capsys):
    path = kept({}, "train lm")
    line = f"train classifier --output {tmp_path / 'new'} --config"
    require_one_line(*run_line(capsys, f"{line} {path}"), "has the settings of train lm, and this is train classifier")
    (tmp_path / "settings.json").write_text('{"settings": {', encoding="utf-8")
    require_one_line(*run_line(capsys, f"{line} {path}"), "settings.json is damaged: ")
    require_one_line(*run_line(capsys, f"{line} {tmp_path / 'none'}"), "none is missing; see lmkeras train classifier")
    assert not (tmp_path / "new").exists()


def test_output_must_be_given_anew(kept, capsys):
    require_one_line(*run(capsys, "train", "classifier", "--config", kept({"text": ["a.csv"]})), "needs --output; see")


def test_a_run_is_repeated(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. " * 60, encoding="utf-8")
    first, again, other = (str(tmp_path / name) for name in ("first", "again", "other"))
    assert run_line(capsys, f"train lm --text {text} --output {first} {SMALL}")[0] == 0
    assert run_line(capsys, f"train lm --config {first} --output {again}")[0] == 0
    assert run_line(capsys, f"train lm --config {first}/settings.json --output {other} --steps 3")[0] == 0
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("first", "again", "other")]
    assert lines[0] == lines[1]
    assert json.loads(lines[2].splitlines()[-1])["step"] == 3
    kept = [json.loads((tmp_path / name / "settings.json").read_text()) for name in ("first", "again")]
    assert kept[0]["settings"] == kept[1]["settings"]
    assert kept[0]["command"][:4] == ["train", "lm", "--text", str(text)]
    assert kept[0]["acting"]["learning_rate"] == 0.02
    assert kept[0]["acting"]["optimizer"] == "muon"
    assert kept[0]["seconds"] > 0
