"""The command line takes a published language model wherever it takes a run."""

import io
import json

import pytest

import lmkeras
from lmkeras.models import loading
from lmkeras.pretrained.gguf import opening
from tests.cli.command import run
from tests.models.published_llama import END, START, write_llama
from tests.pretrained.gguf.files import TOKENIZER, write_gguf


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


@pytest.mark.parametrize("verb", ["generate", "chat", "score", "evaluate", "export"])
def test_weights_are_held_in_the_dtype_that_is_asked_for(folder, verb, tmp_path, monkeypatch, capsys):
    (tmp_path / "text.txt").write_text("the cat sat on the mat.\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("the cat\n"))
    beside = {"generate": ["--prompt", "a"], "score": ["a cat"], "evaluate": ["--text", tmp_path / "text.txt"]}
    beside["export"] = [tmp_path / "exported"]
    held, load = [], loading.load

    def noted(run, dtype=None):
        model = load(run, dtype)
        held.append({weight.dtype for weight in model.network.weights})
        return model

    monkeypatch.setattr(loading, "load", noted)
    assert run(capsys, verb, folder, *beside.get(verb, []), "--weights-dtype", "bfloat16")[0] == 0
    assert held == [{"bfloat16"}]


def test_special_tokens_are_read_where_they_are_asked_for(folder, model, capsys):
    prompt = f"{START}the cat{END}"
    expected = model.generate(prompt, 9, special_tokens=True)
    assert expected != model.generate(prompt, 9)
    how = ["--prompt", prompt, "--max-new-tokens", 9]
    assert run(capsys, "generate", folder, *how, "--special-tokens")[1] == f"{prompt}{expected}\n"
    score = model.score(prompt, special_tokens=True)
    found = json.loads(run(capsys, "score", folder, prompt, "--special-tokens", "--json")[1])
    assert found["log_probability"] == pytest.approx(score.log_probability)
    assert [one["token"] for one in found["tokens"]] == score.tokens
    assert score.tokens[-1] == END


def test_the_header_of_a_gguf_file_is_read_once(tmp_path, monkeypatch, capsys):
    file = write_gguf(tmp_path / "tiny.gguf", **TOKENIZER)
    read, times = opening.read_header, []
    monkeypatch.setattr(opening, "read_header", lambda *given: times.append(given) or read(*given))
    assert run(capsys, "generate", file, "--prompt", "ab", "--max-new-tokens", 2)[0] == 0
    assert len(times) == 1
    write_gguf(file, **{**TOKENIZER, "tokenizer.ggml.eos_token_id": 1})
    assert run(capsys, "info", file)[0] == 0
    assert len(times) == 2, "another file of the same name is read"


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
