"""The generation loop: one trace for all lengths, over a language network's cache.

All rows of a batch stand at the same position. Where a prompt is longer than another, its row is still being fed its
own ids while the other already takes what was drawn; so a row's text does not depend on the rows beside it.

Shape letters: B batch, P prompt length, T total length, V vocabulary.
"""

import contextlib
import dataclasses
import math

import tensorflow as tf

from lmkeras.decoding.samplers import penalize_repetition, sample
from lmkeras.errors import InputError
from lmkeras.layers.attention import compiled_steps
from lmkeras.networks.network import Network

# XLA compiles anew for every shape: lengths are rounded up to multiples, and what is beyond stays empty
_CACHE_MULTIPLE = 64
_TEXT_MULTIPLE = 512


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
        compiled: whether XLA compiles a transformer's steps, once for each number of texts and length of the cache;
            without it the loop is made of TensorFlow's plain operations, which any server has.
    """

    def __init__(self, network: Network, banned_ids: tuple[int, ...] = (), compiled: bool = True):
        self.network = network
        # not a recurrent network's: 16 texts of 512 units came at 3.1k tokens/s with XLA, 3.6k without
        self._compiled = compiled and network.body.context_length is not None
        self._stretch = tf.function(self._steps, autograph=False, jit_compile=True) if self._compiled else self._steps
        self._banned = tf.reduce_any(
            tf.one_hot(list(banned_ids), network.body.vocabulary_size, on_value=True, off_value=False), 0
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
        seen = tf.zeros([rows, self.network.body.vocabulary_size], tf.bool)
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
        limit = self.network.body.context_length
        length = tf.shape(ids)[1]
        first = tf.constant(0)
        if limit is not None:
            # where a text's context starts depends on the position alone, so it is the same in every batch
            half = limit // 2
            first = half * tf.maximum(0, (position - limit + half - 1) // half)
            length = tf.minimum(_rounded_up(length, _CACHE_MULTIPLE), limit)
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
        room = _rounded_up(length, _TEXT_MULTIPLE)
        uniform = self._uniform(sampling["seed"], room, state["samples"])
        state = {**state, "ids": tf.pad(state["ids"], [[0, 0], [0, room - length]])}

        def body(state):
            state = self._stretch(state, sampling, uniform, stop)
            return (
                tf.cond(self._going_on(state, stop), lambda: self._read_on(state, sampling, uniform), lambda: state),
            )

        state = tf.while_loop(lambda state: self._going_on(state, stop), body, (state,))[0]
        return {**state, "ids": state["ids"][:, :length]}

    @staticmethod
    def _going_on(state, stop):
        return (state["position"] < stop) & ~tf.reduce_all(state["finished"])

    def _has_room(self, cache):
        limit = self.network.body.context_length
        return True if limit is None else cache["length"] < limit

    def _steps(self, state, sampling, uniform, stop):
        """Token after token, until `stop` or until the cache is full."""

        def body(state):
            new, state = self._one_token(state, sampling, uniform)
            logits, cache = self.network.step(new[:, None], state["cache"])
            return ({**state, "logits": logits[:, -1], "cache": cache},)

        def going_on(state):
            return self._going_on(state, stop) & self._has_room(state["cache"])

        with compiled_steps() if self._compiled else contextlib.nullcontext():
            return tf.while_loop(going_on, body, (state,))[0]

    def _read_on(self, state, sampling, uniform):
        """One token where the cache is full: positions go up to the context length, so the later half is read anew."""
        _, state = self._one_token(state, sampling, uniform)
        logits, cache = self._read(state["ids"], state["position"])
        return {**state, "logits": logits, "cache": cache}

    @staticmethod
    def _uniform(seed, steps, samples):
        """Chance, [samples, steps]: a text's n-th draw depends on the seed, n and which sample of its prompt it is."""

        def draws(sample_index):
            return tf.random.stateless_uniform([steps], tf.stack([seed, sample_index]), alg="philox")

        return tf.map_fn(draws, tf.range(samples), fn_output_signature=tf.float32)

    def _one_token(self, state, sampling, uniform):
        """The next token [B] of every text, and the state with it but for the logits after it."""
        position, ids = state["position"], state["ids"]
        drawn = self._draw(state, sampling, uniform)
        in_prompt = position < state["prompt_lengths"]
        new = tf.where(in_prompt, ids[:, position], tf.where(state["finished"], 0, drawn))
        finished = state["finished"] | (~in_prompt & (new == 0)) | (position + 1 >= state["ends"])
        rows = tf.range(tf.shape(ids)[0])
        ids = tf.tensor_scatter_nd_update(ids, tf.stack([rows, tf.fill(tf.shape(rows), position)], -1), new)
        seen = tf.tensor_scatter_nd_update(state["seen"], tf.stack([rows, new], -1), tf.ones_like(rows, tf.bool))
        changed = {"ids": ids, "position": position + 1, "seen": seen, "finished": finished}
        return new, {**state, **changed}

    def _draw(self, state, sampling, uniform):
        # the end of a text (id 0) is neither repeated nor banned
        text = state["seen"] & (tf.range(self.network.body.vocabulary_size) > 0)
        logits = penalize_repetition(state["logits"], text, sampling["repetition_penalty"])
        logits = tf.where(self._banned, float("-inf"), logits)
        drawn_so_far = tf.maximum(0, state["position"] - state["prompt_lengths"])
        chance = tf.gather_nd(uniform, tf.stack([state["sample_index"], drawn_so_far], -1))
        return sample(logits, chance, sampling["temperature"], sampling["top_k"], sampling["top_p"])


def _rounded_up(length, multiple):
    return (length + multiple - 1) // multiple * multiple
