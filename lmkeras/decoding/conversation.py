"""Conversations as a published model reads them: written by its chat template, with early turns left out if need be."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lmkeras.errors import InputError
from lmkeras.tokenizers.chat import ChatTemplate, checked_messages
from lmkeras.tokenizers.published import PublishedTokenizer

_STAND_INS = range(0xF0000, 0xFFFFE)  # a block for private use
_RESERVED = 4  # early turns are left out until at least one part in so many is free for the reply


class FittedConversation(NamedTuple):
    """A conversation that a model has room for.

    Attributes:
        ids: what the model reads, up to where its reply begins.
        left_out: number of early messages that were left out.
        max_new_tokens: the most tokens that the reply may have.
    """

    ids: list[int]
    left_out: int
    max_new_tokens: int


class Conversations:
    """Writes conversations as a model reads them.

    Attributes:
        template: the model's chat template.
        marks: the names of special tokens.

    Args:
        tokenizer: the model's tokenizer.
        limit: the most tokens that the model can look at; None if there is no limit.

    Raises:
        InputError: the tokenizer has no chat template.
    """

    def __init__(self, tokenizer: PublishedTokenizer, limit: int | None):
        template = getattr(tokenizer, "chat_template", None)
        if template is None:
            raise InputError(
                "this model has no chat template, so it was not made for conversations: continue a text by generate"
            )
        self._tokenizer, self._limit, self.marks = tokenizer, limit, list(tokenizer.marks)
        self.template = ChatTemplate(template, tokenizer.special_names)
        self._names = re.compile("|".join(map(re.escape, sorted(tokenizer.marks, key=len, reverse=True))) or r"(?!)")

    def ids_of_text(self, text: str) -> list[int]:
        """The ids of a text in which the names of special tokens stand for these tokens."""
        return self._tokenizer.encode_marked(text)

    def ids(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The ids of a conversation, up to where the reply begins.

        Where the name of a special token is written out in a message, it is read as plain text, so that one message
        cannot pretend to be several; elsewhere, such as in a role, it is refused.
        """
        for message in messages:
            others = [text for name, text in message.items() if name != "content" and isinstance(text, str)]
            if any(map(self._names.search, others)):
                raise InputError(
                    "the name of a special token stands in the role of a message: only contents may have one"
                )
        written = {name for message in messages for name in self._names.findall(message["content"])}
        if not written:
            return self._tokenizer.encode_marked(self.template.render(messages))
        said = {*"".join(message["content"] for message in messages)}
        free = (chr(code) for code in _STAND_INS if chr(code) not in said)
        stand_ins = dict(zip(sorted(written), free, strict=False))
        hidden = [{**message, "content": _replaced(message["content"], stand_ins)} for message in messages]
        back = {stand_in: name for name, stand_in in stand_ins.items()}
        return [id for part in self._parts(self.template.render(hidden), back) for id in part]

    def _parts(self, text: str, back: Mapping[str, str]) -> Iterator[list[int]]:
        at = 0
        for mark in self._names.finditer(text):
            yield self._tokenizer.encode(_replaced(text[at : mark.start()], back))
            yield [self._tokenizer.marks[mark[0]]]
            at = mark.end()
        yield self._tokenizer.encode(_replaced(text[at:], back))

    def fitted(self, messages: str | Sequence[Mapping[str, str]], max_new_tokens: int) -> FittedConversation:
        """The conversation, without as many early turns as the model has no room for.

        A turn is a message of the user with all that follows it, up to the user's next one. System messages at the
        beginning and the last turn always stay. Turns are left out until there is room for the reply, or for a quarter
        of what the model looks at, if the reply may be longer than that.

        Args:
            messages: dictionaries of "role" and "content"; or the text of one message of the user.
            max_new_tokens: the most tokens of the reply. It has room for fewer if the last turn is long.

        Raises:
            InputError: these are no messages, or the last turn is longer than what the model can look at.
        """
        messages, left_out = checked_messages(messages), 0
        reserved = max_new_tokens if self._limit is None else min(max_new_tokens, self._limit // _RESERVED)
        first, turns = _turns(messages)
        while True:
            ids = self.ids([*messages[:first], *(message for turn in turns for message in turn)])
            if self._limit is None or len(ids) + reserved <= self._limit or len(turns) <= 1:
                break
            left_out += len(turns.pop(0))
        room = max_new_tokens if self._limit is None else min(max_new_tokens, self._limit - len(ids))
        if room < 1:
            raise InputError(
                f"the last message, with system messages before it, makes a conversation of {len(ids):,} tokens: the "
                f"model looks at {self._limit:,} at most; shorten it"
            )
        return FittedConversation(ids, left_out, room)


def _turns(messages: Sequence[Mapping[str, str]]) -> tuple[int, list[list[Mapping[str, str]]]]:
    """(The number of system messages at the beginning, the turns after them)."""
    first = next((i for i, message in enumerate(messages) if message["role"] != "system"), len(messages))
    turns = []
    for message in messages[first:]:
        if message["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return first, turns


def _replaced(text: str, by: Mapping[str, str]) -> str:
    if not by:
        return text
    return re.sub("|".join(map(re.escape, sorted(by, key=len, reverse=True))), lambda found: by[found[0]], text)
