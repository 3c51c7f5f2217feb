import json
import os
import signal
import threading

import keras
import numpy as np
import pytest

import lmkeras
from lmkeras.errors import InputError
from lmkeras.training.checkpoints import Checkpoints
from lmkeras.training.interruption import Interrupted, noting_signals
from tests.training.killing import TEXTS

OPTIONS = {"validation_fraction": 0.2, "steps": 20, "evaluate_every": 8, "batch_size": 4, "verbose": 0}


class Signal(keras.callbacks.Callback):
    """Sends the process a signal at an update, or while it evaluates."""

    def __init__(self, number, update=None):
        super().__init__()
        self.number, self.left = number, update

    def on_train_batch_end(self, batch, logs=None):
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), self.number)

    def on_test_begin(self, logs=None):
        if self.left is None:
            os.kill(os.getpid(), self.number)


def fit(folder, callbacks=(), **options):
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=4, units=4, dropout=0.3)
    return model, model.fit(TEXTS, run_folder=folder, callbacks=callbacks, **{**OPTIONS, **options})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("update", "stopped"), [(3, 3), (10, 10), (None, 8)])
def test_a_signal_leaves_a_checkpoint_to_go_on_from(number, update, stopped, tmp_path, capsys):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f"stopped at update {stopped}; the checkpoint is .*0{stopped}") as caught:
        fit(tmp_path / "stopped", [Signal(number, update)])
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) is before
    assert "once more to stop at once" in capsys.readouterr().err
    model, history = fit(tmp_path / "stopped", resume=True)
    whole, expected = fit(tmp_path / "whole")
    assert history == expected
    assert len(history) == 3
    for ours, theirs in zip(model.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_second_signal_does_what_it_does_elsewhere():
    with noting_signals() as note:
        os.kill(os.getpid(), signal.SIGINT)
        assert note.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_in_another_thread_nothing_is_noted():
    before, found = signal.getsignal(signal.SIGINT), []

    def look():
        with noting_signals() as note:
            found.append((note.number, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [(None, before)]


def test_a_run_that_has_ended_is_resumed_to_the_same_end(tmp_path):
    model, history = fit(tmp_path)
    again, same = fit(tmp_path, resume=True)
    assert same == history
    for ours, theirs in zip(again.network.get_weights(), model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_patience_that_has_run_out_is_remembered(tmp_path):
    options = {"learning_rate": 1e-12, "patience": 1}
    _, history = fit(tmp_path, **options)
    assert len(history) == 2
    assert fit(tmp_path, resume=True, **options)[1] == history


def test_without_resume_a_run_begins_anew(tmp_path):
    with pytest.raises(Interrupted):
        fit(tmp_path, [Signal(signal.SIGTERM, 3)])
    _, history = fit(tmp_path)
    assert len(history) == 3
    steps = [int(path.stem.removeprefix("update-")) for path in Checkpoints(tmp_path, 2).newest_first()]
    assert steps == [20, 16]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, r"another (seed|text): "),
        ({"batch_size": 5}, "another batch_size: 4 there, 5 now"),
        ({"window_length": 9}, "another window_length: None there, 9 now"),
    ],
)
def test_another_training_is_not_gone_on_with(changes, message, tmp_path):
    fit(tmp_path)
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=4, units=4, dropout=0.3)
    with pytest.raises(InputError, match=message):
        model.fit(TEXTS, run_folder=tmp_path, resume=True, **{**OPTIONS, **changes})


def test_other_text_or_another_network_is_not_gone_on_with(tmp_path):
    fit(tmp_path)
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=4, units=5)
    with pytest.raises(InputError) as refused:
        model.fit(TEXTS, run_folder=tmp_path, resume=True, **OPTIONS)
    assert "another network: body config units: 4 there, 5 now; network: body config dropout: 0.3 there" in str(
        refused.value
    )
    assert "embedding_dim" not in str(refused.value), "only what differs"
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=4, units=4, dropout=0.3)
    with pytest.raises(InputError, match=r"another (text|validation|tokenizer): "):
        model.fit(TEXTS[::-1], run_folder=tmp_path, resume=True, **OPTIONS)


def test_another_learning_rate_is_gone_on_with_and_reported(tmp_path, caplog):
    with pytest.raises(Interrupted):
        fit(tmp_path, [Signal(signal.SIGTERM, 3)])
    fit(tmp_path, resume=True, learning_rate=1e-4)
    assert "learning_rate was None and is 0.0001 from update 3 on" in caplog.text


def test_where_all_checkpoints_are_damaged_nothing_is_removed(tmp_path):
    fit(tmp_path)
    kept = list(Checkpoints(tmp_path, 2).newest_first())
    for path in kept:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="is intact: start anew"):
        fit(tmp_path, resume=True)
    assert list(Checkpoints(tmp_path, 2).newest_first()) == kept


def test_where_training_goes_on_is_said(tmp_path, capsys):
    with pytest.raises(Interrupted):
        fit(tmp_path, [Signal(signal.SIGTERM, 3)])
    fit(tmp_path, resume=True, verbose=2)
    assert "going on after update 3 of 20\n" in capsys.readouterr().out


def test_resume_needs_a_folder():
    with pytest.raises(InputError, match="name that folder"):
        fit(None, resume=True)


def test_a_validation_that_was_not_there_is_another_training(tmp_path):
    fit(tmp_path, validation_fraction=0)
    with pytest.raises(InputError, match="another validation: None there, '"):
        fit(tmp_path, resume=True, validation=TEXTS[:5], validation_fraction=0)


def test_the_loss_after_the_last_update_counts_too(tmp_path):
    with pytest.raises(InputError, match=r"(val_loss|loss) became (nan|inf) at update 1: .* no checkpoint before it"):
        fit(tmp_path, steps=1, learning_rate=1e38, warmup_steps=0, schedule="constant", clip_norm=None)
    assert list(Checkpoints(tmp_path, 2).newest_first()) == []
    line = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=pytest.fail)
    assert line["val_loss"] is None


def test_weights_after_the_last_update_count_too(tmp_path):
    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.set_weights([weight * np.inf for weight in self.model.get_weights()])

    with pytest.raises(InputError, match="a weight became NaN or infinite at update 1"):
        fit(tmp_path, [Break()], steps=1, validation_fraction=0)


def test_what_a_loss_that_is_no_number_ends_is_not_resumed_as_ended(tmp_path):
    class Break(keras.callbacks.Callback):
        """A loss that is no number, and weights that are: as where the scale of float16 losses skips an update."""

        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 10:
                self.model.mean_loss.update_state([np.nan], [1.0])

    with pytest.raises(InputError, match=r"nan at update 1[01]: .*update-00000008\.safetensors"):
        fit(tmp_path, [Break()])
    _, history = fit(tmp_path, resume=True)
    assert len(history) == 3


class Spoil(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 4 and int(self.model.optimizer.iterations) > 8:
            self.model.set_weights([weight * np.nan for weight in self.model.get_weights()])


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(tmp_path):
    with pytest.raises(InputError, match=r"nan at update 14: .*last good checkpoint is .*update-00000012\.safetensors"):
        fit(tmp_path, [Spoil()], checkpoint_every=1)
    newest = Checkpoints(tmp_path, 2).newest()
    assert newest.facts["step"] == 12
    assert all(np.isfinite(array).all() for array in newest.arrays.values())
