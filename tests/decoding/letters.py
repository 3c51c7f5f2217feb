"""A tokenizer of letters whose special ids are like those of published language models: id 0 is an ordinary token."""

import tensorflow as tf

from lmkeras.tokenizers.base import BaseTokenizer, EncodedText
from lmkeras.tokenizers.special import SpecialIds

# what is special is spelt out, so that a text which holds it is seen to
TOKENS = ["!", "a", "<start>", "b", "c", "<end>", "d", "<unknown>", "e", "<end of turn>", "f", " "]
SPECIAL = SpecialIds(start=2, ends=(5, 9), unknown=7)


class Letters(BaseTokenizer):
    """A token for each character that there is one for."""

    def __init__(self, special=SPECIAL):
        self._special = special

    vocabulary_size = property(lambda self: len(TOKENS))
    special = property(lambda self: self._special)

    def fit(self, texts):
        return self

    def encode(self, text):
        return [TOKENS.index(c) if c in TOKENS else self.special.unknown for c in text]

    def encode_batch_with_offsets(self, texts):
        return [EncodedText(self.encode(text), [(i, i + 1) for i in range(len(text))]) for text in texts]

    def decode(self, ids):
        return "".join(TOKENS[i] for i in ids)

    def to_json(self):
        raise NotImplementedError

    @classmethod
    def from_json(cls, text):
        raise NotImplementedError

    def in_graph(self):
        return InGraphLetters(self.special.unknown)


class InGraphLetters(tf.Module):
    """The twin of Letters."""

    def __init__(self, unknown):
        super().__init__()
        self._unknown = unknown

    def encode(self, texts):
        letters = tf.strings.unicode_split(texts, "UTF-8")
        equal = letters.flat_values[:, None] == tf.constant(TOKENS)
        ids = tf.where(tf.reduce_any(equal, axis=1), tf.argmax(equal, axis=1, output_type=tf.int32), self._unknown)
        return letters.with_flat_values(ids)

    def decode(self, ids):
        return tf.strings.reduce_join(tf.gather(tf.constant(TOKENS), ids), axis=-1)
