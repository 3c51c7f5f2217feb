"""Conversations in a graph: roles and contents to the ids that a model with a chat template reads.

Shape letters: N messages, T tokens.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from lmkeras.decoding.conversation import Conversations
from lmkeras.tokenizers.chat import ChatForm

#: conversations on which the graph must agree with the template; the first messages are those of probes
_PROBES = (
    [("user", "Hello")],
    [("user", " two  blanks \n\nand lines\n"), ("assistant", "你好，世界！"), ("user", "Ça va ? 😀 <|im_end|> [INST]")],
    [("system", "Be brief."), ("user", "1234567 it's"), ("assistant", ""), ("user", "\tx")],
)


class InGraphConversation(tf.Module):
    """Writes conversations as ids, for templates that put constant text around the content of each role.

    Args:
        form: what the template writes around contents.
        ids_of: the ids of a text in which special tokens are written out.
        encode: the twin of the tokenizer: strings [N] → ragged int32 ids [N, T].
        marks: the names of special tokens, at which texts are cut before they become tokens.
    """

    def __init__(
        self,
        form: ChatForm,
        ids_of: Callable[[str], list[int]],
        encode: Callable[[tf.Tensor], tf.RaggedTensor],
        marks: Sequence[str],
    ):
        super().__init__()
        self._encode, self._names = encode, list(form.around)
        befores, heads, tails, afters = [], [], [], []
        for prefix, suffix in form.around.values():
            end = max((prefix.rfind(mark) + len(mark) for mark in marks if mark in prefix), default=0)
            begin = min((suffix.find(mark) for mark in marks if mark in suffix), default=len(suffix))
            befores.append(ids_of(prefix[:end]))
            heads.append(prefix[end:])
            tails.append(suffix[:begin])
            afters.append(ids_of(suffix[begin:]))
        self._befores, self._afters = (tf.ragged.constant(ids, tf.int32, ragged_rank=1) for ids in (befores, afters))
        self._heads, self._tails = tf.constant(heads), tf.constant(tails)
        self._beginning, self._prompt = (
            tf.constant(ids_of(text), tf.int32) for text in (form.beginning, form.generation_prompt)
        )
        self._strips = form.strips

    def ids(self, roles: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
        """The ids, int32 [T], of a conversation, strings [N] and [N], up to where the reply begins."""
        same = roles[:, None] == tf.constant(self._names)
        known = tf.debugging.Assert(
            tf.reduce_all(tf.reduce_any(same, axis=1)), ["roles must be of " + ", ".join(self._names), roles]
        )
        some = tf.debugging.assert_positive(tf.size(roles), "a conversation has at least one message")
        with tf.control_dependencies([known, some]):
            role, roles = tf.argmax(same, axis=1), tf.identity(roles)
        contents = _stripped(contents) if self._strips else contents
        texts = tf.strings.join([tf.gather(self._heads, role), contents, tf.gather(self._tails, role)])
        parts = [tf.gather(self._befores, role), self._encode(texts), tf.gather(self._afters, role)]
        beginning = tf.cond(roles[0] == "system", lambda: self._beginning[:0], lambda: self._beginning)
        return tf.concat([beginning, tf.concat(parts, axis=1).flat_values, self._prompt], axis=0)


def in_graph_conversation(conversations: Conversations, encode) -> InGraphConversation | None:
    """The conversation in a graph; None where its ids are not those of the template.

    Args:
        conversations: the model's conversations.
        encode: the twin of the tokenizer.
    """
    form = conversations.template.probed()
    if form is None:
        return None
    found = InGraphConversation(form, ids_of=conversations.ids_of_text, encode=encode, marks=conversations.marks)
    probes = [probe for probe in _PROBES if all(role in form.around for role, _ in probe)]
    for probe in probes:
        ids = found.ids(*(tf.constant(column) for column in zip(*probe, strict=True))).numpy().tolist()
        if ids != conversations.ids([{"role": role, "content": content} for role, content in probe]):
            return None
    return found if probes else None


def _stripped(texts: tf.Tensor) -> tf.Tensor:
    """Texts without white space at both ends, as Python's str.strip leaves it out."""
    white = f"[{''.join(chr(code) for code in range(0x3001) if chr(code).isspace())}]+"
    return tf.strings.regex_replace(tf.strings.regex_replace(texts, f"^{white}", ""), f"{white}$", "")
