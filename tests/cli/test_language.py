import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lmkeras
from lmkeras.cli import main
from tests.cli.command import filled_in, require_one_line, run

TEXT = "".join(f"Ann has {count} apples and {count} pears. " for count in range(40))
SMALL = (
    "--network transformer --tokenizer characters --d-model 16 --num-heads 2 --num-layers 1 --context-length 16".split()
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "apples.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    code = main(["train", "lm", "--text", str(text), "--output", str(folder), "--steps", "30", *SMALL, "--xla", "off"])
    assert code == 0
    return folder


def test_train_leaves_a_whole_run(trained):
    names = {path.name for path in trained.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "settings.json",
        "metrics.jsonl",
        "curves.png",
        "logs",
        "checkpoints",
    }
    assert json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 30
    kept = json.loads((trained / "settings.json").read_text())
    assert (kept["verb"], kept["settings"]["steps"], kept["settings"]["xla"]) == ("train lm", 30, "off")
    assert kept["acting"]["optimizer"] == "muon"
    assert kept["acting"]["learning_rate"] == 0.02
    assert kept["acting"]["parameters"] == json.loads((trained / "config.json").read_text())["network"]["parameters"]


@pytest.mark.parametrize("network", ["lstm", "gru", "simple_rnn", "transformer"])
@pytest.mark.parametrize("tokenizer", ["words", "characters", "byte_pair"])
def test_every_network_with_every_tokenizer(network, tokenizer, text, tmp_path, capsys):
    sizes = SMALL[4:] if network == "transformer" else ["--units", 4, "--embedding-dim", 4]
    choice = ["--network", network, "--tokenizer", tokenizer, "--epochs", 1, "--xla", "off", "--no-tensorboard"]
    code, out, err = run(capsys, "train", "lm", "--text", text, "--output", tmp_path / "run", *choice, *sizes)
    assert (code, err) == (0, "")
    values = dict(
        line.split(maxsplit=1) for line in out.splitlines() if line.startswith(("perplexity", "bits", "loss_"))
    )
    assert ("bits_per_character" in values) == (tokenizer != "words")
    held_out = lmkeras.split(lmkeras.open_corpus(text))[1]
    expected = lmkeras.load(tmp_path / "run").evaluate(held_out)
    assert float(values["loss_nats"]) == pytest.approx(expected["loss_nats"], abs=1e-3)
    assert "xz -9e" in out


def test_evaluate(trained, text, capsys):
    code, out, _ = run(capsys, "evaluate", trained, "--text", text)
    values = {name: float(value) for name, value in (line.split() for line in out.splitlines())}
    expected = lmkeras.load(trained).evaluate(text)
    assert code == 0
    assert values == {name: pytest.approx(value, abs=1e-3) for name, value in expected.items()}
    assert json.loads(run(capsys, "evaluate", trained, "--text", text, "--json")[1]) == pytest.approx(expected)


def test_score(trained, capsys, monkeypatch):
    code, out, _ = run(capsys, "score", trained, "Ann has", "pears", "--tokens")
    lines = out.splitlines()
    expected = lmkeras.load(trained).score("Ann has")
    number, tokens, perplexity, words = lines[0].split("\t")
    assert (code, int(tokens), words) == (0, 7, "Ann has")
    assert float(number) == pytest.approx(expected.log_probability, abs=1e-3)
    assert float(perplexity) == pytest.approx(expected.perplexity, abs=1e-3)
    assert lines[1].split("\t")[1] == "'A'"
    assert len(lines) == 2 + 7 + 5
    monkeypatch.setattr("sys.stdin", ["Ann has\n", "pears\n"])
    piped = run(capsys, "score", trained)[1].splitlines()
    assert piped == [lines[0], lines[8]]
    first, second = map(json.loads, run(capsys, "score", trained, "Ann has", "你好", "--json")[1].splitlines())
    assert (first["log_probability"], first["perplexity"]) == (expected.log_probability, expected.perplexity)
    assert [(one["token"], one["log_probability"]) for one in first["tokens"]] == list(
        zip(expected.tokens, expected.token_log_probabilities, strict=True)
    )
    assert (second["text"], len(second["tokens"])) == ("你好", 2)


def test_export_and_info(trained, tmp_path, capsys):
    assert run(capsys, "export", trained, tmp_path / "exported")[0] == 0
    assert (tmp_path / "exported" / "saved_model.pb").is_file()
    code, _, err = run(capsys, "export", trained, tmp_path / "exported")
    assert code == 2
    assert "--overwrite" in err
    assert run(capsys, "export", trained, tmp_path / "exported", "--overwrite")[0] == 0
    code, _, err = run(capsys, "export", trained, tmp_path / "other", "--dtype", "bfloat16")
    assert (code, (tmp_path / "other").exists()) == (2, False)
    assert "in its own precision" in err
    code, out, _ = run(capsys, "info", trained)
    network = json.loads(out)["network"]
    assert (network["name"], network["body"]["config"]["d_model"]) == ("TransformerDecoder", 16)
    assert network["parameters"] == lmkeras.load(trained).network.count_params()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tarin"], "evaluate"),
        (["train", "lm", "--text", "x.txt"], "--output"),
        (["train", "lm", "--text", "no-such.txt", "--output", "OUT"], "no such file"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--epoch", "3"], "did you mean --epochs?"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--epochs", "many"], "--epochs"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--epochs", "0"], "epochs must be at least 1"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--network", "lstn"], "lstm"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--network", "lstm", "--dff", "3"], "--dff is a size of"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--device", "tpu"], "gpu:N"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--device", "gpu:7"], "no device gpu:7"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--d-model", "30"], "multiple of --num-heads"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--window-length", "999"], "--context-length 128"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--validation-fraction", "1.5"], "--validation-fraction"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--vocabulary-size", "3"], "at least 257"),
        (["train", "lm", "--text", "TEXT", "--output", "TEXT"], "is a file"),
        (["train", "lm", "--text", "TEXT", "--output", "RUN"], "--overwrite"),
        (["train", "lm", "--text", "TEXT", "--output", "TEXT/run"], "is a file"),
        (["train", "lm", "--text", "TEXT", "--output", "/proc/run"], "/proc"),
        (["train", "lm", "--text", "TEXT", "--output", "OUT", "--monitor", "val_accuracy"], "expected one of val_loss"),
        (["evaluate", "RUN", "--text", "TEXT", "--stride", "9999"], "stride must be from 1 to 16"),
        (["export", "RUN", "TEXT/exported"], "apples.txt"),
        (["evaluate", "OUT", "--text", "TEXT"], "no saved model"),
        (["generate", "OUT"], "no saved model"),
        (["score", "OUT", "a"], "no saved model"),
        (["export", "OUT", "x"], "no saved model"),
        (["info", "OUT"], "no saved model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line_and_exit_2(arguments, says, text, trained, tmp_path, capsys):
    places = {"TEXT": text, "OUT": tmp_path / "out", "RUN": trained}
    require_one_line(*run(capsys, *filled_in(arguments, places)), says)
    assert not (tmp_path / "out").exists(), "nothing is left behind"


def test_ctrl_c_saves_and_says_where(text, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "lmkeras", "train", "lm", "--text", str(text), "--output", str(folder), *SMALL]
    environment = {**os.environ, "PYTHONPATH": str(Path(lmkeras.__file__).parents[1])}
    process = subprocess.Popen(
        [*command, "--steps", "100000", "--evaluate-every", "5", "--xla", "off"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    for _ in range(600):
        if (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").read_text():
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert str(folder) in out.splitlines()[-1]
    assert "Traceback" not in err
    assert lmkeras.load(folder).generate("Ann", 3)
