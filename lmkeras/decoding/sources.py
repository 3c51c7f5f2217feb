"""The generation loop of networks that read one text and write another.

Shape letters: B sources, S tokens of a source, R rows, T tokens of a row.
"""

import functools

import tensorflow as tf

from lmkeras.decoding.generate import GenerationLoop, slots_for
from lmkeras.networks.network import Network
from lmkeras.tokenizers.special import SpecialIds


class SourceLoop(GenerationLoop):
    """Writes, for each source that an encoder has read, ids that a decoder finds likely.

    Its `start` reads sources instead of prompts: a dictionary of input_ids and attention_mask, int32 [B, S] both, then
    `samples` and `max_new_tokens` as GenerationLoop has them.

    Args:
        network: a network whose body is an EncoderDecoder.
        special: the special ids of the tokenizer of the texts that are written.
        others: as for GenerationLoop.
    """

    _read_signature = (dict.fromkeys(("input_ids", "attention_mask"), tf.TensorSpec([None, None], tf.int32)),)

    def __init__(self, network: Network, special: SpecialIds, **others):
        self._first = special.before_text
        super().__init__(network, special, **others)

    def _most_tokens(self):
        return self.network.body.max_target_length

    def with_rows(self, state, rows, texts=None):
        """A network's state of some of its rows; see `EncoderDecoder.with_rows`."""
        return self.network.body.with_rows(state, rows, texts)

    def _start(self, sources, samples, max_new_tokens):
        """Reads the sources; the state that it returns is that of GenerationLoop, whose prompts are empty."""
        count = tf.shape(sources["input_ids"])[0]
        prompts, lengths = tf.fill([count, 1], self._first), tf.fill([count], 1)
        read = functools.partial(self._read_sources, sources, samples)
        return self._begun(prompts, lengths, samples=samples, max_new_tokens=max_new_tokens, read=read)

    def _read_sources(self, sources, samples, ids, lengths):
        """Logits after the first id of each row, and the network's state, with `samples` rows for each source."""
        body = self.network.body
        state = body.begin_targets(sources, slots_for(ids, self.limit))
        state = body.with_rows(state, tf.repeat(tf.range(tf.shape(sources["input_ids"])[0]), samples))
        states, state = body.step(ids[:, :1], state)
        return {"logits": self.network.head(states)[:, 0], "network": state}
