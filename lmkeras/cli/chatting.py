"""The verb that talks with a published language model: chat."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from lmkeras.arguments import Shown
from lmkeras.cli.language import Chance
from lmkeras.cli.runs import HeldDtype, Run, loaded, require_task, typed_text
from lmkeras.decoding.sampling import require_counts, stop_texts
from lmkeras.durable import replacing
from lmkeras.errors import InputError
from lmkeras.tasks.language import Language

_HELP = """\
/reset          forget the conversation, except the system message
/system TEXT    begin anew, with this system message; without TEXT, as the template begins
/save FILE      write the conversation as JSON
/help           show this
/quit           end, as Ctrl-D does
A line that ends with \\ goes on in the next one. Ctrl-C stops an answer."""


def chat(
    model: Run,
    system: str | None = None,
    max_new_tokens: int = 1000,
    sampling: Chance = Chance(),  # noqa: B008
    stop: Annotated[list[str], Shown("TEXT")] = [],  # noqa: B006
    weights_dtype: HeldDtype = None,
    device: str = "auto",
) -> None:
    """Talk with a published language model that has a chat template; /help names commands. Tools are not called.

    Messages come from standard input, one a line.

    Args:
        model: a folder or .gguf file of a published model, its name on the Hugging Face hub, or where it was saved.
        system: a system message, which tells the model how to answer; None: what the model's template begins with.
        max_new_tokens: the most tokens of an answer.
        stop: stop texts; an answer ends before the first of them.
        device: where to compute: auto, cpu, gpu or gpu:N.
    """
    require_counts(max_new_tokens, 1)
    stops, seed = stop_texts(stop), 0 if isinstance(sampling.seed, str) else sampling.seed
    options = {"max_new_tokens": max_new_tokens, "stop": stops, **sampling.of_seed(seed)}
    require_task(model, Language)
    with loaded(model, device, Language, weights_dtype=weights_dtype) as talking:
        from lmkeras.decoding.conversation import Conversations

        Conversations(talking.tokenizer, None)  # raises InputError for a model that cannot talk, before any message
        conversation = _Conversation(talking, system, options)
        for line in _messages():
            conversation.take(line)


class _Conversation:
    """What was said, and what is done with a line that is typed."""

    def __init__(self, model, system: str | None, options: dict):
        self._model, self._options = model, options
        self._saved = set()
        self._begin(system)

    def _begin(self, system: str | None) -> None:
        self._system = system
        self.messages = [] if system is None else [{"role": "system", "content": system}]

    def take(self, line: str) -> None:
        """Obeys a command, or answers a message."""
        word, _, rest = line.partition(" ")
        if word == "/reset":
            self._begin(self._system)
            _note("the conversation is forgotten" + ("; the system message stays" if self._system else ""))
        elif word == "/system":
            self._begin(rest.strip() or None)
            begins = "this system message" if self._system else "what the model's template begins with"
            _note(f"a new conversation begins, with {begins}")
        elif word == "/save":
            self._save(rest.strip())
        elif word == "/help":
            print(_HELP)
        elif word.startswith("/") and word[1:].isalpha():
            _note(f"no command {word}: /help names all of them")
        elif line.strip():
            self._answer(line)

    def _answer(self, line: str) -> None:
        asked, pieces = [*self.messages, {"role": "user", "content": line}], []
        try:
            for piece in self._model.stream_chat(asked, **self._options):
                print(piece, end="", flush=True)
                pieces.append(piece)
        except KeyboardInterrupt:
            if not pieces:
                print(flush=True)
                return
            # else what came so far stays in the conversation
        except InputError as error:
            _note(str(error))
            return
        print(flush=True)
        self.messages = [*asked, {"role": "assistant", "content": "".join(pieces)}]

    def _save(self, file: str) -> None:
        if not file or (Path(file).exists() and file not in self._saved):
            _note(f"{file} exists: name another file" if file else "/save takes the name of a file")
            return
        try:
            with replacing(Path(file)) as aside:
                text = json.dumps(self.messages, ensure_ascii=False, indent=2)
                Path(aside).write_text(text + "\n", encoding="utf-8")
        except (InputError, OSError) as error:
            _note(f"not saved: {error}")
        else:
            self._saved.add(file)
            _note(f"{len(self.messages)} messages saved in {file}")


def _messages() -> Iterator[str]:
    """What is typed, message by message, until the end of the input or /quit."""
    asked, lines = sys.stdin.isatty(), []
    with typed_text():
        while True:
            try:
                line = input("... " if lines and asked else "> " if asked else "")
            except EOFError:
                break
            except KeyboardInterrupt:
                print("\n(Ctrl-D or /quit ends)")
                lines = []
                continue
            if line.endswith("\\"):
                lines.append(line[:-1])
                continue
            if line.strip() == "/quit":
                return
            yield "\n".join([*lines, line])
            lines = []
    if lines:
        yield "\n".join(lines)


def _note(text: str) -> None:
    print(f"lmkeras: {text}", file=sys.stderr, flush=True)
