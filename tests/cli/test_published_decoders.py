"""The command line takes a published language model wherever it takes a run."""

import json

import pytest

import lmkeras
from tests.cli.command import run
from tests.models.published_llama import write_llama


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("published") / "llama", "bfloat16")


@pytest.fixture(scope="module")
def model(folder):
    return lmkeras.load(folder)


def test_it_writes_by_its_own_defaults(folder, model, capsys):
    assert run(capsys, "generate", folder, "--prompt", "the cat")[:2] == (0, f"the cat{model.generate('the cat')}\n")
    warm = ["--temperature", 1.5, "--seed", 4, "--max-new-tokens", 9]
    expected = model.generate("the cat", 9, temperature=1.5, seed=4)
    assert run(capsys, "generate", folder, "--prompt", "the cat", *warm)[1] == f"the cat{expected}\n"


def test_it_scores_and_judges(folder, model, tmp_path, capsys):
    score = model.score("the cat sat")
    assert run(capsys, "score", folder, "the cat sat")[1].startswith(f"{score.log_probability:.4f}\t")
    (tmp_path / "text.txt").write_text("the cat sat on the mat.\n")
    code, out, _ = run(capsys, "evaluate", folder, "--text", tmp_path / "text.txt")
    assert code == 0
    loss = model.evaluate(["the cat sat on the mat.\n"])["loss_nats"]
    assert f"{loss:.4f}" in out


def test_it_is_described(folder, capsys):
    code, out, _ = run(capsys, "info", folder)
    said = json.loads(out)
    assert (code, said["model_type"], said["dtype"]) == (0, "llama", "bfloat16")
    assert said["parameters"] == sum(weight.shape.num_elements() for weight in lmkeras.load(folder).network.weights)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model_type": "mamba"}, "mamba"),
        ({"hidden_size": 64}, "other shapes than its config.json says"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, "longrope"),
        ({"attention_sinks": 4}, "attention_sinks"),
    ],
)
def test_what_it_cannot_be_is_said_in_one_line(folder, tmp_path, change, complaint, capsys):
    other = write_llama(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, **change}))
    code, _, err = run(capsys, "generate", other, "--prompt", "a")
    assert (code, err.count("\n")) == (2, 1)
    assert complaint in err
