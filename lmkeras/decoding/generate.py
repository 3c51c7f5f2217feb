"""The generation loop: one trace for all lengths, over a language network's cache.

All rows of a batch stand at the same position. Where a prompt is longer than another, its row is still being fed its
own ids while the other already takes what was drawn; so a row's text does not depend on the rows beside it.

Shape letters: B batch, P prompt length, T total length, V vocabulary.
"""

import dataclasses
import math

import tensorflow as tf

from lmkeras.decoding.samplers import penalize_repetition, sample
from lmkeras.errors import InputError
from lmkeras.networks.language import LanguageNetwork


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float = 1.0
    """0: always the likeliest token; below 1: safer than the model; 1: as the model has it; above 1: wilder."""
    top_k: int = 0
    """Draw from this many of the likeliest tokens only; 0: from all."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that reach this probability together; 1: from all."""
    repetition_penalty: float = 1.0
    """Tokens already in the text become less likely above 1; 1: no penalty."""
    seed: int = 0
    """The same seed gives the same text."""

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise InputError(f"temperature must be 0 or more, got {self.temperature}")
        if self.top_k < 0:
            raise InputError(f"top_k must be 0 (all) or more, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be greater than 0 and at most 1, got {self.top_p}")
        if not 0 < self.repetition_penalty < math.inf:
            raise InputError(f"repetition_penalty must be greater than 0, got {self.repetition_penalty}")
        if not -(2**31) <= self.seed < 2**31:
            raise InputError(f"seed must fit in 32 bits, got {self.seed}")

    def tensors(self) -> dict[str, tf.Tensor]:
        """The same as scalar tensors, so that another temperature needs no new trace."""
        return {
            field.name: tf.constant(getattr(self, field.name), tf.int32 if field.type is int else tf.float32)
            for field in dataclasses.fields(self)
        }


class GenerationLoop:
    """Generates ids from ids with a language network.

    Args:
        network: a built language network with logits at every position.
        banned_ids: ids never to be generated, such as the one that stands for unknown words.
    """

    def __init__(self, network: LanguageNetwork, banned_ids: tuple[int, ...] = ()):
        self.network = network
        self._banned = tf.reduce_any(
            tf.one_hot(list(banned_ids), network.vocabulary_size, on_value=True, off_value=False), 0
        )
        ids, scalar = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([], tf.int32)
        self.start = tf.function(
            self._start, autograph=False, input_signature=[ids, tf.TensorSpec([None], tf.int32), scalar, scalar]
        )
        state = self.start.get_concrete_function().structured_outputs
        state = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), state)
        sampling = tf.nest.map_structure(tf.TensorSpec.from_tensor, Sampling().tensors())
        self.advance = tf.function(self._advance, autograph=False, input_signature=[state, sampling, scalar])

    def _start(self, prompts, lengths, samples, max_new_tokens):
        """Reads the prompts, each `samples` times.

        Args:
            prompts: int32 [B, P], each starting with 0 (the start of a text) and filled up with any ids.
            lengths: int32 [B], ids of each prompt that count, at least 1.
            samples: texts to generate for each prompt.
            max_new_tokens: the most tokens to add to each.

        Returns:
            The state of generation for `advance`: a dictionary of tensors, among them "ids" int32 [B·samples, T].
        """
        rows = tf.shape(prompts)[0] * samples
        prompts, lengths = tf.repeat(prompts, samples, axis=0), tf.repeat(lengths, samples)
        # rows past their prompt hold nothing yet, whatever the prompts were filled up with
        prompts = tf.where(tf.sequence_mask(lengths, tf.shape(prompts)[1]), prompts, 0)
        ids = tf.pad(prompts, [[0, 0], [0, max_new_tokens]])
        position = tf.minimum(tf.reduce_min(lengths), tf.shape(prompts)[1])  # of no prompts the least is huge
        logits, cache = self._read(ids, position)
        seen = tf.zeros([rows, self.network.vocabulary_size], tf.bool)
        ones = tf.reshape(tf.tile(tf.range(rows)[:, None], [1, position]), [-1])
        where = tf.stack([ones, tf.reshape(ids[:, :position], [-1])], axis=-1)
        seen = tf.tensor_scatter_nd_update(seen, where, tf.ones([rows * position], tf.bool))
        return {
            "ids": ids,
            "position": position,
            "prompt_lengths": lengths,
            "ends": lengths + max_new_tokens,
            "sample_index": tf.range(rows) % samples,
            "samples": samples,
            "logits": logits,
            "seen": seen,
            "finished": tf.fill([rows], max_new_tokens == 0),
            "cache": cache,
        }

    def _read(self, ids, position):
        """Logits [B, V] after the first `position` ids, and the cache; of a long text only the last part is read."""
        limit = self.network.context_length
        length = tf.shape(ids)[1]
        first = tf.constant(0)
        if limit is not None:
            # where a text's context starts depends on the position alone, so it is the same in every batch
            half = limit // 2
            first = half * tf.maximum(0, (position - limit + half - 1) // half)
            length = tf.minimum(length, limit)
        state = self.network.initial_state(tf.shape(ids)[0], length)
        logits, cache = self.network.step(ids[:, first:position], state)
        return logits[:, -1], cache

    def _advance(self, state, sampling, steps):
        """Adds at most `steps` tokens to every text.

        Args:
            state: what `start` or an earlier call returned.
            sampling: `Sampling.tensors()`.
            steps: int32 scalar.

        Returns:
            The new state; generation is over when every entry of "finished" is True.
        """
        length = tf.shape(state["ids"])[1]
        stop = tf.minimum(state["position"] + steps, length)
        uniform = self._uniform(sampling["seed"], length, state["samples"])

        def unfinished(state):
            return (state["position"] < stop) & ~tf.reduce_all(state["finished"])

        def body(state):
            return (self._one_token(state, sampling, uniform),)

        return tf.while_loop(unfinished, body, (state,))[0]

    @staticmethod
    def _uniform(seed, steps, samples):
        """Chance, [samples, steps]: a text's n-th draw depends on the seed, n and which sample of its prompt it is."""

        def draws(sample_index):
            return tf.random.stateless_uniform([steps], tf.stack([seed, sample_index]), alg="philox")

        return tf.map_fn(draws, tf.range(samples), fn_output_signature=tf.float32)

    def _one_token(self, state, sampling, uniform):
        position, ids = state["position"], state["ids"]
        drawn = self._draw(state, sampling, uniform)
        in_prompt = position < state["prompt_lengths"]
        new = tf.where(in_prompt, ids[:, position], tf.where(state["finished"], 0, drawn))
        finished = state["finished"] | (~in_prompt & (new == 0)) | (position + 1 >= state["ends"])
        rows = tf.range(tf.shape(ids)[0])
        ids = tf.tensor_scatter_nd_update(ids, tf.stack([rows, tf.fill(tf.shape(rows), position)], -1), new)
        seen = tf.tensor_scatter_nd_update(state["seen"], tf.stack([rows, new], -1), tf.ones_like(rows, tf.bool))
        logits, cache = self._next(ids, position, new, state["cache"])
        changed = {"ids": ids, "position": position + 1, "logits": logits, "seen": seen, "finished": finished}
        return {**state, **changed, "cache": cache}

    def _draw(self, state, sampling, uniform):
        # the end of a text (id 0) is neither repeated nor banned
        text = state["seen"] & (tf.range(self.network.vocabulary_size) > 0)
        logits = penalize_repetition(state["logits"], text, sampling["repetition_penalty"])
        logits = tf.where(self._banned, float("-inf"), logits)
        drawn_so_far = tf.maximum(0, state["position"] - state["prompt_lengths"])
        chance = tf.gather_nd(uniform, tf.stack([state["sample_index"], drawn_so_far], -1))
        return sample(logits, chance, sampling["temperature"], sampling["top_k"], sampling["top_p"])

    def _next(self, ids, position, new, cache):
        """Logits after the token at `position`, and the cache with it."""

        def step():
            logits, new_cache = self.network.step(new[:, None], cache)
            return logits[:, -1], new_cache

        if self.network.context_length is None:
            return step()
        # a full cache: positions are learned up to the context length, so the later half is read anew from position 0
        full = cache["length"] >= self.network.context_length
        return tf.cond(full, lambda: self._read(ids, position + 1), step)
