"""`lmkeras chat`: messages from standard input, commands, and what an interrupt leaves."""

import io
import json

import pytest

import lmkeras
from lmkeras.cli.chatting import _Conversation
from tests.cli.command import require_one_line, run
from tests.models.published_llama import write_llama


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_llama(tmp_path_factory.mktemp("chat") / "llama")


@pytest.fixture(scope="module")
def model(folder):
    return lmkeras.load(folder)


def talk(monkeypatch, capsys, folder, lines, *options):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    return run(capsys, "chat", folder, "--max-new-tokens", 8, *options)


def said(*contents, system=None):
    messages = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    return [*messages, *({"role": roles[i % 2], "content": one} for i, one in enumerate(contents))]


def test_every_line_is_answered_with_all_that_was_said(monkeypatch, capsys, folder, model):
    first = model.chat(said("the cat"), 8)
    second = model.chat(said("the cat", first, "你好"), 8)
    code, out, err = talk(monkeypatch, capsys, folder, ["the cat", "", "你好"])
    assert (code, out, err) == (0, f"{first}\n{second}\n", "")


def test_a_line_that_goes_on_and_a_system_message(monkeypatch, capsys, folder, model):
    expected = model.chat(said("the cat\nsat", system="user"), 8)
    assert talk(monkeypatch, capsys, folder, ["the cat\\", "sat"], "--system", "user")[1] == f"{expected}\n"
    lines = ["/system user", "the cat\\", "sat", "/quit", "never read"]
    _, out, err = talk(monkeypatch, capsys, folder, lines)
    assert (out, err) == (f"{expected}\n", "lmkeras: a new conversation begins, with this system message\n")
    err = talk(monkeypatch, capsys, folder, ["/reset", "/system"], "--system", "user")[2].splitlines()
    assert err[0].endswith("the conversation is forgotten; the system message stays")
    assert err[1].endswith("a new conversation begins, with what the model's template begins with")


def test_reset_forgets_and_save_keeps(monkeypatch, capsys, folder, model, tmp_path):
    answer = model.chat(said("hello"), 8)
    file = tmp_path / "talk.json"
    lines = ["the cat", "/reset", "hello", f"/save {file}", "/nonsense", "/help"]
    code, out, err = talk(monkeypatch, capsys, folder, lines)
    assert code == 0
    assert out.split("\n")[1] == answer
    assert "/reset" in out
    assert json.loads(file.read_text(encoding="utf-8")) == said("hello", answer)
    assert "2 messages saved" in err
    assert "lmkeras: the conversation is forgotten\n" in err
    assert "no command /nonsense" in err
    assert "exists" in talk(monkeypatch, capsys, folder, [f"/save {file}"])[2]


def test_an_interrupt_ends_the_answer_alone(model, capsys, monkeypatch):
    conversation = _Conversation(model, None, {"max_new_tokens": 8})
    whole = model.chat(said("the cat"), 8)

    def interrupted(messages, **options):
        yield whole[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "stream_chat", interrupted, raising=False)
    conversation.take("the cat")
    assert conversation.messages == said("the cat", whole[:2])
    monkeypatch.undo()
    conversation.take("and then")
    assert conversation.messages[-1]["content"] == model.chat(said("the cat", whole[:2], "and then"), 8)
    assert capsys.readouterr().out.startswith(f"{whole[:2]}\n")


def test_a_message_that_is_too_long_is_refused_and_forgotten(monkeypatch, capsys, folder, model):
    code, out, err = talk(monkeypatch, capsys, folder, ["猫" * 200, "the cat"])
    assert (code, out) == (0, f"{model.chat(said('the cat'), 8)}\n")
    assert "makes a conversation of" in err


def test_what_is_no_model_is_told_of_published_ones(monkeypatch, capsys):
    code, out, err = talk(monkeypatch, capsys, "nosuch", ["hello"])
    require_one_line(code, out, err, "its .gguf file or its two-part name on the Hugging Face hub")


def test_a_model_that_cannot_talk_says_so(monkeypatch, capsys, tmp_path):
    bare = write_llama(tmp_path / "bare", template=None)
    code, out, err = talk(monkeypatch, capsys, bare, ["hello"])
    require_one_line(code, out, err, "no chat template")
