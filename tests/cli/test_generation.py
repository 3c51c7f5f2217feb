"""generate: prompts from everywhere, samples apart, seeds that can be repeated."""

import csv
import json
import sys

import pytest

import lmkeras
from lmkeras.decoding.sampling import Sampling
from tests.cli.command import filled_in, require_one_line, run

TEXT = "Ann has apples. 小猫 坐 在 垫子 上。 " * 30
LINE = "-" * 40 + "\n"


@pytest.fixture(scope="module")
def model():
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=8, units=16)
    model.fit([TEXT], validation_fraction=0, steps=40, learning_rate=0.02, xla="off", verbose=0)
    return model


@pytest.fixture(scope="module")
def trained(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    model.save(folder)
    return folder


def test_a_prompt_and_samples_apart(trained, model, capsys):
    command = ["generate", trained, "--prompt", "小猫", "--max-new-tokens", 20, "--seed", 3]
    assert run(capsys, *command)[:2] == (0, f"小猫{model.generate('小猫', 20, seed=3)}\n")
    samples = model.generate("小猫", 20, seed=3, num_samples=3)
    assert len(set(samples)) > 1
    out = run(capsys, *command, "--num-samples", 3)[1]
    assert out.split(LINE) == [f"小猫{sample}\n" for sample in samples]


def test_the_default_temperature_is_one_for_all(trained, model, capsys):
    assert Sampling().temperature == 0.8
    expected = model.generate("Ann", 30, temperature=0.8)
    assert expected not in (model.generate("Ann", 30, temperature=0), model.generate("Ann", 30, temperature=1))
    assert model.generate("Ann", 30) == "".join(model.stream("Ann", 30)) == expected
    assert run(capsys, "generate", trained, "--prompt", "Ann", "--max-new-tokens", 30)[1] == f"Ann{expected}\n"


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_prompts_from_a_file(suffix, trained, model, tmp_path, capsys):
    prompts, path = ["Ann", "小猫", "has a"], tmp_path / f"prompts.{suffix}"
    column = [] if suffix == "txt" else ["--text-column", "q"]
    if suffix == "txt":
        path.write_text("".join(f"{prompt}\n" for prompt in prompts), encoding="utf-8")
    elif suffix == "csv":
        path.write_text("n,q\n" + "".join(f"{n},{prompt}\n" for n, prompt in enumerate(prompts)), encoding="utf-8")
    else:
        lines = (json.dumps({"n": str(n), "q": prompt}) + "\n" for n, prompt in enumerate(prompts))
        path.write_text("".join(lines), encoding="utf-8")
    command = ["generate", trained, "--prompts", path, *column, "--max-new-tokens", 9]
    expected = [model.generate(prompt, 9) for prompt in prompts]
    code, out, err = run(capsys, *command)
    assert (code, err) == (0, "")
    assert out.split(LINE) == [f"{p}{text}\n" for p, text in zip(prompts, expected, strict=True)]
    rows = [json.loads(line) for line in run(capsys, *command, "--json", "--num-samples", 2)[1].splitlines()]
    assert [row["generated"] for row in rows if row["sample"] == 1] == expected
    assert [row["sample"] for row in rows] == [1, 2] * 3
    names = ["text"] if suffix == "txt" else ["n", "q"]
    assert list(rows[0]) == [*names, "generated", "sample", "seed"]
    assert run(capsys, *command, "--output", tmp_path / "x.csv")[1] == f"3 texts generated in {tmp_path / 'x.csv'}\n"
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [(row[names[-1]], row["generated"]) for row in cells] == list(zip(prompts, expected, strict=True))


def typed(monkeypatch, prompts, terminal):
    left = iter(prompts)
    monkeypatch.setattr("builtins.input", lambda text: next(left, None) or (_ for _ in ()).throw(EOFError))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal, raising=False)


def test_prompts_from_a_pipe(trained, model, capsys, monkeypatch):
    typed(monkeypatch, ["Ann", "小猫"], terminal=False)
    code, out, err = run(capsys, "generate", trained, "--max-new-tokens", 5)
    assert (code, err) == (0, "")
    assert out.split(LINE) == [f"{prompt}{model.generate(prompt, 5)}\n" for prompt in ("Ann", "小猫")]


def test_who_is_asked_for_prompts_gets_another_text_each_time_and_its_seed(trained, model, capsys, monkeypatch):
    typed(monkeypatch, ["Ann"] * 4, terminal=True)
    code, out, err = run(capsys, "generate", trained, "--max-new-tokens", 12, "--temperature", 3)
    seeds = [int(line.removeprefix("seed ")) for line in err.splitlines()]
    assert code == 0
    assert len(set(seeds)) == 4
    assert out == "".join(f"Ann{model.generate('Ann', 12, temperature=3, seed=seed)}\n" for seed in seeds)
    typed(monkeypatch, ["Ann"] * 2, terminal=True)
    code, out, err = run(capsys, "generate", trained, "--max-new-tokens", 12, "--seed", 7)
    assert (out, err) == (f"Ann{model.generate('Ann', 12, seed=7)}\n" * 2, "")


def test_a_random_seed_is_one_for_all_and_printed(trained, model, tmp_path, capsys):
    (tmp_path / "p.txt").write_text("Ann\n小猫\n", encoding="utf-8")
    command = ["generate", trained, "--prompts", tmp_path / "p.txt", "--max-new-tokens", 9, "--json"]
    _, out, err = run(capsys, *command, "--seed", "random")
    seed = int(err.removeprefix("seed "))
    assert {json.loads(line)["seed"] for line in out.splitlines()} == {seed}
    assert run(capsys, *command, "--seed", seed) == (0, out, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--max-new-tokens", "99999999999"], "--max-new-tokens must be"),
        (["--temperature", "inf"], "temperature must be"),
        (["--temperature", "-1"], "temperature must be 0 or more"),
        (["--num-samples", "0"], "--num-samples must be at least 1"),
        (["--top-p", "2"], "--top-p must be greater than 0 and at most 1, got 2.0"),
        (["--top-k", "-1"], "--top-k must be 0 (all) or more"),
        (["--repetition-penalty", "0"], "--repetition-penalty must be greater than 0"),
        (["--seed", "4294967296"], "seed must fit in 32 bits"),
        (["--stop", ""], "a stop text must not be empty"),
        (["--prompt", "a", "--prompts", "NO/x.txt"], "not both"),
        (["--prompts", "NO/x.txt"], "x.txt"),
        (["--output", "x.csv", "--json"], "say one of them"),
        (["--output", "x.txt"], ".csv, .tsv or .jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_come_before_a_prompt_is_asked_for(arguments, says, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda text: pytest.fail("asked for a prompt"))
    places = {"NO": tmp_path / "no"}
    require_one_line(*run(capsys, "generate", trained, *filled_in(arguments, places)), says)
