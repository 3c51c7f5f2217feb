"""Chat templates: the text that a published model was trained to see for a conversation."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence

from lmkeras.archives import MEGABYTE, shortened
from lmkeras.errors import InputError, unknown_name
from lmkeras.tokenizers.chat_budget import RaisedError, TooMuchError, spending

_LARGEST_TEMPLATE = MEGABYTE // 4
_LONGEST_TEXT = 8 * MEGABYTE  # characters that are written; a longer conversation may be of eight times its length
_WORK = 8 * MEGABYTE  # see chat_budget.Budget: 260,000 steps, or so many characters; and more for long conversations
Messages = str | Sequence[Mapping]


class ChatTemplate:
    """The Jinja template of a published model, which writes a conversation as one text.

    It is rendered as transformers renders it, with the same names and filters, in a sandbox. A template that loops for
    long, or makes texts without end, is stopped.

    Args:
        template: the template, such as `PublishedTokenizer.chat_template`.
        special_names: what the template may name, such as {"bos_token": "<s>"}.

    Raises:
        InputError: the template is no Jinja, or is too long.

    Example:
        >>> template = ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}",
        ...                         {"eos_token": "</s>"})
        >>> template.render("Hello")
        'user: Hello</s>'
    """

    def __init__(self, template: str, special_names: Mapping[str, str] | None = None):
        if not isinstance(template, str) or len(template) > _LARGEST_TEMPLATE:
            raise InputError(f"a chat template must be a text of at most {_LARGEST_TEMPLATE:,} characters")
        self.template, self.special_names = template, dict(special_names or {})
        self._compiled = self._compile()

    def render(self, messages: Messages, add_generation_prompt: bool = True) -> str:
        """The text of a conversation.

        Args:
            messages: {"role": …, "content": …} of each message in turn; or a text, which a user says.
            add_generation_prompt: whether the text ends with what stands before an answer of the assistant.

        Raises:
            InputError: the messages are none, the template refuses them, or it cannot be rendered.
        """
        messages = checked_messages(messages)
        length = sum(64 + len(message["content"]) for message in messages)
        names = {**self.special_names, "messages": messages, "tools": None, "documents": None}
        with _Naming("the chat template cannot be rendered"), spending(_WORK + 64 * length):
            pieces = self._compiled.generate(**names, add_generation_prompt=add_generation_prompt)
            return _joined(pieces, max(_LONGEST_TEXT, 8 * length))

    def probed(self) -> "ChatForm | None":
        """The template as a form that holds for every conversation; None where it has none.

        Conversations with marks in the place of what is said show what stands around it; others, of contents that
        templates are known to change, show whether that is all.
        """
        return next(filter(None, (_form(self, strips) for strips in (False, True))), None)

    def _compile(self):
        from lmkeras.tokenizers.chat_sandbox import ChatEnvironment

        with _Naming("the chat template is damaged or no Jinja"), spending(_WORK):
            return ChatEnvironment().from_string(self.template)


def checked_messages(messages: Messages) -> list[dict]:
    """A copy of the messages; a text becomes the message of a user.

    Raises:
        InputError: they are no list of messages that each have a role and a content, which are texts.
    """
    expected = 'expected a text, or a list of messages such as {"role": "user", "content": "Hello"}'
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if not isinstance(messages, list | tuple) or not messages:
        raise InputError(f"{expected}; got {shortened(repr(messages))}")
    for message in messages:
        if not isinstance(message, Mapping) or not all(
            isinstance(message.get(name), str) for name in ("role", "content")
        ):
            raise InputError(f"{expected}; got the message {shortened(repr(message))}")
    try:  # what a template sees is plain, without methods of other classes
        return json.loads(json.dumps([dict(message) for message in messages]))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{expected}; a message holds what is neither text, number nor list ({error})") from None


@dataclasses.dataclass(frozen=True)
class ChatForm:
    """A chat template as constant texts around what is said: a system's message may come first, then others in turn."""

    beginning: str
    """What stands before a conversation that begins without a system's message."""
    around: dict[str, tuple[str, str]]
    """What stands before and after a message, by its role; no "system" where the template takes none."""
    generation_prompt: str
    """What stands before an answer."""
    strips: bool
    """Whether contents lose the white space around them (`str.strip`)."""

    def render(self, messages: Messages, add_generation_prompt: bool = True) -> str:
        """The text of a conversation, as `ChatTemplate.render` gives it.

        Example:
            >>> ChatForm("<s>", {"user": ("[", "]")}, "->", strips=True).render(" Hello ")
            '<s>[Hello]->'
        """
        messages = checked_messages(messages)
        for message in messages:
            if message["role"] not in self.around:
                raise unknown_name("role", message["role"], self.around)
        text = "" if messages[0]["role"] == "system" else self.beginning
        for message in messages:
            before, after = self.around[message["role"]]
            text += before + (message["content"].strip() if self.strips else message["content"]) + after
        return text + (self.generation_prompt if add_generation_prompt else "")


def _form(template: ChatTemplate, strips: bool) -> ChatForm | None:
    """The form of a template, if it is one in which contents are stripped or are not, as told."""
    try:
        return _checked_form(template, strips)
    except (InputError, _OtherFormError):
        return None


class _OtherFormError(Exception):
    """A template that is not texts around contents."""


def _checked_form(template: ChatTemplate, strips: bool) -> ChatForm:
    asked = _parts(template, ("user", "assistant", "user"))
    _, after_assistant = _parts(template, ("user", "assistant"))[-2:]
    after_user = asked[-1]
    before_assistant, before_user = _without_start(asked[1], after_user), _without_start(asked[2], after_assistant)
    around = {"user": (before_user, after_user), "assistant": (before_assistant, after_assistant)}
    beginning = _without_end(asked[0], before_user)
    prompt = _without_start(template.render(_conversation(("user",))), template.render(_conversation(("user",)), False))
    try:
        before_system, between, _ = _parts(template, ("system", "user"))
        around["system"] = (before_system, _without_end(between, before_user))
    except InputError:  # the template takes no system's messages
        pass
    form = ChatForm(beginning, around, generation_prompt=prompt, strips=strips)
    if "strftime_now" in template.template or not all(_agree(template, form, one) for one in _trials(form)):
        raise _OtherFormError
    return form


def _conversation(roles: Sequence[str]) -> list[dict]:
    return [{"role": role, "content": f"mark{place}mark"} for place, role in enumerate(roles)]


def _parts(template: ChatTemplate, roles: Sequence[str]) -> list[str]:
    """What stands before, between and after the contents of a conversation."""
    text, parts = template.render(_conversation(roles), add_generation_prompt=False), []
    for message in _conversation(roles):
        part, mark, text = text.partition(message["content"])
        if not mark:
            raise _OtherFormError
        parts.append(part)
    return [*parts, text]


def _without_start(text: str, start: str) -> str:
    if not text.startswith(start):
        raise _OtherFormError
    return text[len(start) :]


def _without_end(text: str, end: str) -> str:
    if not text.endswith(end):
        raise _OtherFormError
    return text[: len(text) - len(end)]


# contents that some templates change: white space, thoughts, marks of their own, what looks like calls of tools
_CONTENTS = (
    "Hello",
    "  two lines\n\nand white space \t\n",
    "",
    "<think>\nfirst a thought\n</think>\n\nthen an answer",
    "<|im_end|> [INST] {{ content }} {% raw %} </s> <tool_response>x</tool_response>",
    "\u3000全角\u00a0",
    "<tool_call>{}</tool_call>",
    '{"a": [1, 2]}',
)


def _trials(form: ChatForm) -> list[list[dict]]:
    """Conversations of one to six messages in turn, with and without a system's."""
    trials, contents = [], itertools.cycle(_CONTENTS)
    for length, shift in itertools.product(range(1, 7), range(len(_CONTENTS))):
        for first in [("system",)] * ("system" in form.around) + [()]:
            roles = [*first, *itertools.islice(itertools.cycle(("user", "assistant")), length)]
            trials.append([{"role": role, "content": next(contents)} for role in roles])
        for _ in range(shift % 3):
            next(contents)
    return trials


def _agree(template: ChatTemplate, form: ChatForm, messages: list[dict]) -> bool:
    return all(template.render(messages, asks) == form.render(messages, asks) for asks in (True, False))


def _joined(pieces, longest: int) -> str:
    found, length = [], 0
    for piece in pieces:
        length += len(piece)
        if length > longest:
            raise TooMuchError
        found.append(piece)
    return "".join(found)


class _Naming:
    """A context in which every error of a template becomes an InputError of one line."""

    def __init__(self, what: str):
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, _) -> None:
        if isinstance(error, TooMuchError):
            raise InputError(f"{self._what}: it loops, or makes texts, beyond what a chat needs") from None
        if isinstance(error, RaisedError):
            raise InputError(f"the chat template refuses the conversation: {shortened(error)}") from None
        if isinstance(error, Exception):
            raise InputError(f"{self._what}: {type(error).__name__}: {shortened(error)}") from None
