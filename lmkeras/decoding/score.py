"""log P(w1..wn) by the chain rule, for texts of any length in bounded memory.

The first token of a text is scored given the id that the tokenizer puts before every text. If the tokenizer has no such
id, the first token cannot be scored, and scores begin with the second token.

Shape letters: B batch, T tokens, D width of a token's state, V vocabulary.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import tensorflow as tf

from lmkeras.display import Described, html_table, number
from lmkeras.metrics import perplexity
from lmkeras.networks.network import Network
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training import policy

_PIECE = 256  # tokens a recurrent network reads at once


class ScoringLoop:
    """Scores ids with a language network.

    Args:
        network: a built language network with logits at every position.
        weights: makes a context in which the network reads other weights than its own; see `KeptWeights.converted`.
    """

    def __init__(self, network: Network, weights: Callable[[], AbstractContextManager] = contextlib.nullcontext):
        self.network, self._weights = network, weights
        ids = tf.TensorSpec([None, None], tf.int32)
        self.token_log_probabilities = tf.function(self._score, autograph=False, input_signature=[ids])

    def _score(self, ids):
        """log P(w_i | w_1 .. w_{i-1}) of every token.

        A recurrent network carries its state from the first token to the last. Any other network sees the text in
        windows of its context length, each without the windows before it; if it has no limit, it sees the whole text.

        Args:
            ids: int32 [B, T + 1]. The first id of each row is not scored: it is the id that stands before a text, or
                the text's first token.

        Returns:
            float32 [B, T], in nats, <= 0. The scores of ids that only fill up a shorter row have no meaning.
        """
        network = self.network
        rows, length = tf.shape(ids)[0], tf.maximum(0, tf.shape(ids)[1] - 1)
        # the longest piece, None for the whole text. A short text is not filled up to a long context; recurrent bodies
        # get pieces of one length, so that their states keep their shapes
        recurrent = network.body.recurrent
        size = _PIECE if recurrent else network.body.context_length
        limit = tf.maximum(1, length) if size is None else size if recurrent else tf.clip_by_value(length, 1, size)
        known = size if recurrent else None
        pieces = tf.maximum(1, (length + limit - 1) // limit)  # at least one, so that there is something to stack
        # the last piece is filled up with zeros, whose scores are cut off at the end
        ids = tf.pad(ids, [[0, 0], [0, pieces * limit + 1 - tf.shape(ids)[1]]])
        state = network.initial_state(rows, limit) if recurrent else ()
        results = tf.TensorArray(tf.float32, size=pieces, element_shape=[None, known])

        def body(piece, state, results):
            window = ids[:, piece * limit : (piece + 1) * limit + 1]
            inputs, targets = tf.ensure_shape(window[:, :-1], [None, known]), window[:, 1:]
            if recurrent:
                states, state = network.body.step(inputs, state)
            else:
                states = network.features(inputs)
            return piece + 1, state, results.write(piece, self._scores_of(states, targets))

        start = (0, state, results)
        with self._weights():  # one piece at a time, for the memory
            results = tf.while_loop(lambda piece, *_: piece < pieces, body, start, parallel_iterations=1)[2]
        scores = tf.transpose(results.stack(), [1, 0, 2])  # [pieces, B, limit] → [B, pieces, limit]
        return tf.reshape(scores, [rows, pieces * limit])[:, :length]

    def _scores_of(self, states, targets):
        """log P of targets, int32 [B, T], given states [B, T, D]; the logits of a few tokens are held at a time."""
        head, shape = self.network.head, tf.shape(targets)
        at_once = max(1, policy.device_in_use().logits_bytes // (4 * head.vocabulary_size))
        states, targets = tf.reshape(states, (-1, self.network.body.width)), tf.reshape(targets, (-1,))
        pieces = tf.maximum(1, (tf.size(targets) + at_once - 1) // at_once)
        results = tf.TensorArray(tf.float32, size=pieces, infer_shape=False, element_shape=[None])

        def body(piece, results):
            some = slice(piece * at_once, (piece + 1) * at_once)
            logits = head(states[None, some], training=False)[0]
            scores = -tf.nn.sparse_softmax_cross_entropy_with_logits(targets[some], logits)
            return piece + 1, results.write(piece, scores)

        results = tf.while_loop(lambda piece, _: piece < pieces, body, (0, results), parallel_iterations=1)[1]
        return tf.reshape(results.concat(), shape)


@dataclasses.dataclass(frozen=True, repr=False)
class TextScore(Described):
    """The score of a text: log P(w1..wn) = sum of log P(wi | w1..wi-1)."""

    log_probability: float
    """Log probability of all scored tokens together, in nats, <= 0."""
    tokens: list[str]
    """The tokens that were scored: all of the text, or all but the first if no id stands before a text. Special tokens
    have their names."""
    token_log_probabilities: list[float]
    """Log probability of each of these tokens, given all tokens before it, in nats, <= 0."""

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log probability of a token; 1 if no token was scored."""
        return perplexity(-self.log_probability / len(self.tokens)) if self.tokens else 1.0

    def _facts(self):
        return {"log_probability": self.log_probability, "tokens": len(self.tokens), "perplexity": self.perplexity}

    def _repr_html_(self) -> str:
        pairs = zip(self.tokens, self.token_log_probabilities, strict=True)
        rows = [[repr(token), number(value)] for token, value in pairs]
        return html_table([["token", "log probability"], *rows], caption=repr(self))


class TextScorer:
    """Scores texts.

    Args:
        network: a built language network with logits at every position.
        tokenizer: the tokenizer it was trained with.
    """

    def __init__(self, network: Network, tokenizer: BaseTokenizer):
        self.tokenizer = tokenizer
        self.loop = ScoringLoop(network)
        self._names = {id: name for name, id in tokenizer.marks.items()}

    def score(self, text: str, special_tokens: bool = False) -> TextScore:
        """log P of a text and of each of its tokens.

        Args:
            text: the text.
            special_tokens: whether the names of special tokens in it stand for these tokens.

        Raises:
            InputError: special tokens are asked for, and the tokenizer does not find them.
        """
        ids = self.tokenizer.encode_alone(text, special_tokens)
        scores = self.loop.token_log_probabilities(tf.constant([ids], tf.int32)).numpy()[0].tolist()
        tokens = [self._names[i] if i in self._names else self.tokenizer.decode([i]) for i in ids[1:]]
        return TextScore(math.fsum(scores), tokens, scores)
