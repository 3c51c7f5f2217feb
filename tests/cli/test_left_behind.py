"""What is there when a command has ended: nothing half written, nothing of others changed, and a word on why."""

import fcntl
import io
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from lmkeras import LanguageModel, load
from lmkeras.cli import main
from tests.cli.command import contents, require_one_line, run, run_line
from tests.models.reviews import reviews


def type_in(monkeypatch, content: bytes):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


@pytest.mark.parametrize(
    "verb", ["generate lm", "score lm", "predict classifier", "predict classifier --output new.csv"]
)
def test_what_is_typed_is_not_utf_8(verb, in_place, capsys, monkeypatch):
    type_in(monkeypatch, b"caf\xe9\n")
    before = contents(in_place)
    require_one_line(*run_line(capsys, verb), "standard input is not utf-8")
    assert contents(in_place) == before


@pytest.mark.parametrize(
    ("verb", "typed", "printed"),
    [
        ("score lm", b"", ""),
        ("generate lm", b"", ""),
        ("predict classifier", b"", ""),
        ("score lm", b"\n", "0.0000\t0\t1.0000\t\n"),
    ],
)
def test_nothing_typed_is_no_error(verb, typed, printed, in_place, capsys, monkeypatch):
    type_in(monkeypatch, typed)
    assert run_line(capsys, verb) == (0, printed, "")


def test_a_prompt_longer_than_the_context_with_what_is_no_character(in_place, capsys):
    code, out, err = run_line(capsys, f"generate lm --max-new-tokens 1 --prompt '{'Ann has ' * 4}\0\udcff'")
    assert (code, err) == (0, "")
    assert out.startswith("Ann has " * 4 + "\0\\udcff")


def test_a_terminal_without_a_character_shows_its_number(in_place, monkeypatch):
    model = load(in_place / "classifier")
    text = next(text for text, _ in reviews(40) if model.predict(text).label == "nö")
    printed = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", printed)
    assert main(["predict", "classifier", text]) == 0
    assert printed.buffer.getvalue().startswith(b"n\\xf6\t")


NAN = "train lm --output new --text text.txt --network lstm --units 4 --embedding-dim 4 --tokenizer characters"


def test_a_loss_that_is_no_number_ends_training(in_place, capsys):
    before = contents(in_place)
    command = f"{NAN} --learning-rate 1e38 --warmup-steps 0 --precision float32 --xla off --steps 20"
    require_one_line(*run_line(capsys, command), "at update")
    new = {path.removeprefix(f"{in_place}/") for path in contents(in_place).keys() - before}
    assert not {"new/config.json", "new/model.safetensors", "new/tokenizer.json"} & new
    assert not [path for path in new if "/." in path], "nothing half written"
    shutil.rmtree(in_place / "new")
    assert contents(in_place) == before


def out_of(message):
    """TensorFlow's error for memory and disks alike."""
    return tf.errors.ResourceExhaustedError(None, None, message)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            out_of("OOM when allocating tensor with shape[8,9] and type float\non CPU:0"),
            "with shape[8,9]): make",
        ),
        (MemoryError("Unable to allocate 8.00 EiB for an array"), "not enough memory (Unable to allocate 8.00 EiB"),
        (out_of("new/variables; No space left on device"), "no space is left on the disk: free some"),
    ],
    ids=["tensorflow", "numpy", "disk"],
)
def test_too_little_memory_or_disk(error, says, in_place, capsys, monkeypatch):
    def fail(*_, **options):
        raise error

    monkeypatch.setattr(LanguageModel, "score", fail)
    require_one_line(*run_line(capsys, "score lm Ann"), says)


def test_what_nobody_can_mend_keeps_its_traceback(in_place, monkeypatch):
    monkeypatch.setattr(LanguageModel, "score", lambda *_, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["score", "lm", "Ann"])


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "command",
    [
        "predict classifier --text examples.csv --output new.csv",
        "predict classifier --text examples.csv --output mine.csv --overwrite",
        "evaluate classifier --text known.csv --picture mine.png --overwrite",
        "export lm new",
        "export lm exported --overwrite",
    ],
)
def test_ctrl_c_leaves_nothing_behind(command, in_place, capsys, monkeypatch):
    before = contents(in_place)
    monkeypatch.setattr("lmkeras.tasks.classification.Prediction.from_logits", interrupt)
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, file, **_: (file.write_bytes(b"half"), interrupt())
    )
    monkeypatch.setattr("tensorflow.saved_model.save", lambda _, folder, *__: (Path(folder).mkdir(), interrupt()))
    assert run_line(capsys, command)[::2] == (130, "lmkeras: stopped\n")
    assert contents(in_place) == before


def test_overwrite_replaces_a_picture(in_place, capsys):
    assert run_line(capsys, "evaluate classifier --text known.csv --picture new.png")[0] == 0
    (in_place / "new.png").write_bytes(b"an earlier one")
    assert run_line(capsys, "evaluate classifier --text known.csv --picture new.png --overwrite")[0] == 0
    assert (in_place / "new.png").read_bytes().startswith(b"\x89PNG")


def test_an_export_removes_what_a_killed_one_left(in_place, capsys):
    names = ["new-abcd1234", "new-abcd5678", "newer-abcd1234", "new-er-abcd1234", "new-mine", "abcd1234"]
    left, locked, *others = [in_place / f".exporting-{name}" for name in names]
    for folder in (left, locked, *others):
        (folder / "old").mkdir(parents=True)
    descriptor = os.open(locked, os.O_RDONLY)  # as if that export were going on
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert run_line(capsys, "export classifier new")[0] == 0
        found = {path for path in in_place.iterdir() if path.name.startswith(".exporting")}
        assert found == {locked, *others}
    finally:
        os.close(descriptor)
        for folder in in_place.glob(".exporting-*"):
            shutil.rmtree(folder)


def test_resuming_where_nothing_was_begun_leaves_the_folder_as_it_is(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 20)
    (tmp_path / "mine" / "logs").mkdir(parents=True)
    (tmp_path / "mine" / "logs" / "note.txt").write_text("mine")
    command = ["train", "lm", "--text", tmp_path / "text.txt", "--output", tmp_path / "mine", "--resume"]
    require_one_line(*run(capsys, *command), "holds logs already")
    assert (tmp_path / "mine" / "logs" / "note.txt").read_text() == "mine"


def test_a_run_that_was_stopped_goes_on_with_resume(tmp_path, capsys, monkeypatch):
    (tmp_path / "text.csv").write_text("text,label\n" + "fizzy,yes\nvague,no\n" * 10)
    command = ["train", "classifier", "--text", tmp_path / "text.csv", "--output", tmp_path / "run", "--steps", "3"]
    command += "--network dense --embedding-dim 4 --no-tensorboard".split()
    with monkeypatch.context() as patch:
        patch.setattr(
            "lmkeras.training.callbacks.Updates.on_train_begin", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
        )
        code, _, err = run(capsys, *command)
    assert code == 143
    assert "stopped at update 1" in err
    assert (tmp_path / "run" / "config.json").exists(), "the model is saved as far as it came"
    before = contents(tmp_path)
    require_one_line(*run(capsys, *command), "a run that did not end: say --resume, or --overwrite")
    assert contents(tmp_path) == before
    code, out, _ = run(capsys, *command, "--resume")
    assert code == 0
    assert "going on after update 1 of 3" in out
    require_one_line(*run(capsys, *command), "holds a model already: name another --output, or say --overwrite")


def test_ctrl_c_before_the_first_update_leaves_the_saved_model(tmp_path, capsys, monkeypatch):
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 20)
    command = ["train", "lm", "--text", tmp_path / "text.txt", "--output", tmp_path / "run", "--steps", "2"]
    command += "--network lstm --tokenizer characters --embedding-dim 4 --units 4".split()
    assert run(capsys, *command)[0] == 0
    before = (tmp_path / "run" / "model.safetensors").read_bytes()

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("lmkeras.training.checkpoints.Checkpoints.newest", interrupted)
    assert run(capsys, *command, "--resume")[0] == 130
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
