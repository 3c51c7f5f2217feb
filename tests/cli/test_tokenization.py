import json
import re

import pytest

import lmkeras
from lmkeras.cli import main
from lmkeras.corpora import open_corpus
from lmkeras.datasets import open_shards
from lmkeras.tasks.language import Language
from tests.cli.command import filled_in, require_one_line, run

TEXTS = [f"Ann has {count} apples and {count * count} pears. " * 3 for count in range(60)]
SMALL = "--network lstm --units 8 --embedding-dim 8 --steps 4 --xla off --no-tensorboard --text".split()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Text, tokens of it and a model trained on these."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "text.jsonl").write_text("".join(json.dumps(text) + "\n" for text in TEXTS))
    (folder / "other.txt").write_text("Bob has pears.\nAnn has none.\n")
    named = {name: folder / name for name in ("tokens", "run")} | {"TEXT": folder / "text.jsonl"}
    named |= {"OTHER": folder / "other.txt", "OUT": folder / "out"}
    tokenize = "tokenize --text TEXT --output tokens --vocabulary-size 300 --shard-tokens 500 --workers 1"
    assert main(filled_in(tokenize.split(), named)) == 0
    assert main(filled_in(["train", "lm", "--output", "run", *SMALL, "tokens"], named)) == 0
    return named


def test_tokenize_says_how_fast_it_was(places, tmp_path, capsys):
    command = ["tokenize", "--text", places["TEXT"], "--output", tmp_path / "new", "--workers", "1"]
    code, out, err = run(capsys, *command, "--tokenizer", "characters", "--shard-tokens", "2000")
    shards = open_shards(tmp_path / "new")
    characters = sum(map(len, TEXTS))
    assert (code, err) == (0, "")
    assert shards.num_tokens == characters, "every character is a token"
    assert out.splitlines()[0].startswith(f"tokenizer with {shards.tokenizer.vocabulary_size} ids")
    lines = out.splitlines()[1:-1]
    assert len(lines) == len(shards.parts) > 1
    for line, part in zip(lines, shards.parts, strict=True):
        name, tokens = part.shard["name"], part.shard["tokens"]
        assert re.fullmatch(rf"{name}  {tokens:,} tokens, \d+\.\d\d MB/s of text", line)
    assert out.splitlines()[-1].startswith(f"{characters:,} tokens of 60 texts in {tmp_path / 'new'}, ")


def test_tokenize_says_which_tokenizer_suits_the_text_and_why(tmp_path, capsys, caplog):
    (tmp_path / "chinese.txt").write_text("天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。" * 20)
    name = Language.default_tokenizer_without_spaces
    command = ["tokenize", "--text", tmp_path / "chinese.txt", "--workers", "1", "--output"]
    code, out, err = run(capsys, *command, tmp_path / "auto")
    assert (code, err) == (0, "")
    assert out.startswith(f"tokenizer {name}: ")
    fitted = lmkeras.new_tokenizer(name).fit(open_corpus(tmp_path / "chinese.txt"))
    assert open_shards(tmp_path / "auto").tokenizer.to_json() == fitted.to_json()
    assert not caplog.messages
    assert run(capsys, *command, tmp_path / "words", "--tokenizer", "words")[0] == 0
    assert [("whole sentences" in message) for message in caplog.messages] == [True]


def test_the_tokenizer_is_fitted_on_as_much_text_as_was_asked_for(places, tmp_path):
    fitted = {}
    for name, megabytes in (("words", 0.002), ("words", 12), ("characters", 0.002)):
        command = ["tokenize", "--text", str(places["TEXT"]), "--output", str(tmp_path / "new"), "--overwrite"]
        assert main([*command, "--tokenizer", name, "--fit-megabytes", str(megabytes), "--workers", "1"]) == 0
        fitted[name, megabytes] = open_shards(tmp_path / "new").tokenizer.to_json()
    for name in ("words", "characters"):
        whole = lmkeras.new_tokenizer(name).fit(TEXTS).to_json()
        assert fitted[name, 12 if name == "words" else 0.002] == whole
    assert fitted["words", 0.002] != fitted["words", 12]


def test_an_interrupted_run_is_resumed(places, tmp_path, monkeypatch, capsys):
    command = ["tokenize", "--text", str(places["TEXT"]), "--output", str(tmp_path / "new")]
    command += "--vocabulary-size 300 --shard-tokens 500 --workers 1".split()
    printed = []

    def interrupt(*args, **options):
        printed.append(args)
        if len(printed) == 4:  # why this tokenizer, that it is ready, a shard; the next shard stops it
            raise KeyboardInterrupt
        if "file" in options:  # what is said at the end
            options["file"].write(args[0])

    with monkeypatch.context() as patch:
        patch.setattr("builtins.print", interrupt)
        patch.setattr("lmkeras.datasets.encoding._BLOCK_CHARACTERS", 100)
        assert main(command) == 130
    assert "--resume" in capsys.readouterr().err
    assert "tokens-00001.tfrecord" in files(tmp_path / "new")
    assert "manifest.json" not in files(tmp_path / "new")
    assert main([*command, "--resume"]) == 0
    assert files(tmp_path / "new") == files(places["tokens"])


def test_training_on_tokens_validates_on_their_end(places, capsys, tmp_path):
    command = ["train", "lm", "--output", tmp_path / "run", *SMALL, places["tokens"]]
    code, out, err = run(capsys, *command, "--validation-fraction", "0.2")
    shards, model = open_shards(places["tokens"]), lmkeras.load(tmp_path / "run")
    held_out = TEXTS[shards.split(0.2)[0].num_texts :]
    assert (code, err) == (0, "")
    assert model.tokenizer.to_json() == shards.tokenizer.to_json()
    assert len(held_out) == pytest.approx(12, abs=2)
    printed = dict(line.split() for line in out.splitlines() if re.match(r"\w+ +[\d.]+$", line))
    expected = model.evaluate(held_out)
    assert {name: float(value) for name, value in printed.items()} == {
        name: pytest.approx(value, abs=1e-3) for name, value in expected.items()
    }
    assert "xz" not in out
    again = lmkeras.LanguageModel("lstm", units=8, embedding_dim=8)
    losses = again.fit(str(places["tokens"]), validation_fraction=0.2, steps=4, xla="off", verbose=0)
    assert losses[-1]["val_loss"] == pytest.approx(expected["loss_nats"], abs=1e-3)


def test_validation_text_is_tokenized_with_the_same_tokenizer(places, capsys, tmp_path):
    for source in ("tokens", "run"):
        command = ["tokenize", "--text", places["OTHER"], "--output", tmp_path / source, "--workers", "1"]
        assert run(capsys, *command, "--tokenizer-from", places[source])[0] == 0
    assert files(tmp_path / "tokens") == files(tmp_path / "run")
    model, tokens = lmkeras.load(places["run"]), open_shards(tmp_path / "run")
    assert model.evaluate(tmp_path / "run") == model.evaluate(places["OTHER"])
    assert tokens.stream().ids[1:].tolist() == model.tokenizer.encode(places["OTHER"].read_text())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("tokenize --text TEXT --output tokens", "holds a tokenized corpus already"),
        ("tokenize --text TEXT --output tokens --resume", "was begun with --vocabulary-size 300, and now it is None"),
        ("tokenize --text TEXT --output tokens --resume --overwrite", "say one of them"),
        ("tokenize --text TEXT --output run", "is not empty and holds no tokenized corpus"),
        ("tokenize --text TEXT --output run --overwrite", "no part of a tokenized corpus"),
        ("tokenize --text TEXT --output TEXT", "is a file"),
        ("tokenize --text TEXT --output nosuch://bucket/folder", "nosuch"),
        ("tokenize --text TEXT --output OUT --vocabulary-size 3", "at least 257"),
        ("tokenize --text TEXT --output OUT --shard-tokens 0", "--shard-tokens must be from 1"),
        ("tokenize --text TEXT --output OUT --workers 0", "workers must be at least 1"),
        ("tokenize --text TEXT --output OUT --fit-megabytes 0", "--fit-megabytes must be above 0"),
        ("tokenize --text TEXT --output OUT --encoding klingon", "unknown encoding"),
        ("tokenize --text missing.txt --output OUT", "no such file"),
        ("tokenize --text TEXT --output OUT --tokenizer-from OUT", "no saved model"),
        ("tokenize --text TEXT --output OUT --tokenizer-from run --tokenizer words", "leave out --tokenizer"),
        ("tokenize --text TEXT --output OUT --tokenizer-from run --vocabulary-size 300", "leave out --tokenizer"),
        ("train lm --text tokens --output OUT --tokenizer byte_pair", "has a tokenizer of its own"),
        ("train lm --text tokens --output OUT --vocabulary-size 300", "has a tokenizer of its own"),
        ("train lm --text tokens OTHER --output OUT", "do not mix with other text"),
        ("train lm --text TEXT --validation tokens OTHER --output OUT", "do not mix with other text"),
        ("train lm --text TEXT --validation tokens --output OUT", "by another tokenizer than the model's"),
        ("train lm --text tokens --validation-fraction 1 --output OUT", "--validation-fraction"),
    ],
)
def test_errors_are_one_line_and_exit_2(arguments, says, places, capsys):
    before = files(places["tokens"])
    require_one_line(*run(capsys, *filled_in(arguments.split(), places)), says)
    assert files(places["tokens"]) == before
    assert not places["OUT"].exists()
