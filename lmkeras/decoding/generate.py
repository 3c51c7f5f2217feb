"""The generation loop: draws token after token from a language network, in a graph that is traced once for all lengths.

All prompts of a batch are read in one pass, whatever their lengths. After that, each step draws one token for every
row. A row counts its own positions and looks only at its own tokens, so its text does not depend on the other rows.

Shape letters: B rows, P prompt length, T total length, W width of what is read at once, V vocabulary.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import tensorflow as tf

from lmkeras.decoding.samplers import penalize_repetition, sample
from lmkeras.decoding.sampling import Sampling
from lmkeras.layers.cache import compiled_steps
from lmkeras.networks.network import Network
from lmkeras.tokenizers.special import SpecialIds

# XLA compiles anew for every shape, so lengths are rounded up to multiples of these; places beyond a text stay empty.
# A conversation grows from answer to answer: it is long, so that not every answer waits for a compilation
_CACHE_MULTIPLE, _LONG_CACHE = 64, 512
_TEXT_MULTIPLE = 512
_UNLIMITED = 1 << 30  # more tokens than any text has
# XLA takes seconds to compile the steps, in which TensorFlow's plain operations generate hundreds of tokens
_WORTH_COMPILING = 128


class GenerationLoop:
    """Continues ids with ids that a language network finds likely.

    A network that is not recurrent looks at no more than `context_length` tokens, so it sees a text through a window.
    The window begins at the text's first token and grows with the text. When it would grow beyond that length, its
    first half is dropped and the rest is read anew, with positions counted from the new beginning. Where the window
    begins depends only on the number of tokens of the text.

    Args:
        network: a built language network with logits at every position.
        special: the special ids of the tokenizer that the network was trained with. A text ends when one of the `ends`
            is drawn, which is not part of the text. `unknown` is never drawn, because it says nothing to a reader.
        compiled: whether XLA may compile single steps, for networks whose `steps_with_xla` says that this is faster. It
            compiles once for each number of texts and length of the cache. If False, the loop consists of TensorFlow's
            plain operations, which any server has.
        weights: makes a context in which the network reads other weights than its own; see `KeptWeights.converted`.

    Attributes:
        filler: the id after texts that are complete.
        ends: bool [V], which ids end a text.
        banned: bool [V], which ids are never drawn.
        limit: the most tokens of a window.
        state_signature: of the state that `start` returns.
    """

    def __init__(
        self,
        network: Network,
        special: SpecialIds,
        compiled: bool = True,
        weights: Callable[[], AbstractContextManager] = contextlib.nullcontext,
    ):
        self.network, self.weights = network, weights
        self.limit = self._most_tokens() or _UNLIMITED
        self.filler = special.filler
        self._compiled = compiled and network.body.steps_with_xla
        self._stretch = tf.function(self._compiled_steps, autograph=False, jit_compile=True)
        self.ends = _where(special.ends, network.body.vocabulary_size)
        self.banned = _where({special.unknown} - {None, *special.ends}, network.body.vocabulary_size)
        scalar = tf.TensorSpec([], tf.int32)
        self.start = tf.function(
            within(self.weights, self._start), autograph=False, input_signature=[*self._read_signature, scalar, scalar]
        )
        state = self.start.get_concrete_function().structured_outputs
        self.state_signature = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), state)
        sampling = tf.nest.map_structure(tf.TensorSpec.from_tensor, Sampling().tensors())
        self._signature, self._advance_functions = [self.state_signature, sampling, scalar], {}
        self.advance = self._advance_function(self._compiled, moves=self.limit != _UNLIMITED)

    def _most_tokens(self):
        return None if self.network.body.recurrent else self.network.body.context_length

    #: the signature of what `start` reads
    _read_signature = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32))

    def with_rows(self, state, rows, texts=None):
        """A network's state of some of its rows: row i is row rows[i], int32 [R], of before.

        Args:
            state: the network's state.
            rows: the rows; those of one text stand together.
            texts: int32 [B], which texts they are of, where not all texts stay.
        """
        return self.network.body.with_rows(state, rows)

    def _start(self, prompts, lengths, samples, max_new_tokens):
        """Reads the prompts, each `samples` times.

        Args:
            prompts: int32 [prompts, P], each beginning in the first column and filled up with any ids.
            lengths: int32 [prompts], ids of each prompt that count, at least 1.
            samples: texts to generate for each prompt.
            max_new_tokens: the most tokens to add to each.

        Returns:
            The state of generation for `advance`: a dictionary of tensors, B being prompts times samples. Among them:
            "ids", int32 [B, T]: each prompt, the tokens that were added to it, and then filler, which is not text.
            "lengths", int32 [B]: number of ids of each row that are text, those of the prompt included.
            "prompt_lengths", int32 [B]: number of ids of each row's prompt.
            "finished", bool [B]: which texts are complete.
            "logits", float32 [B, V]: of each text's next token.
        """
        return self._begun(prompts, lengths, samples=samples, max_new_tokens=max_new_tokens, read=self._read)

    def _begun(self, prompts, lengths, samples, max_new_tokens, read):
        """What `_start` returns; `read` gives logits and the network's state from the ids of all rows."""
        prompts, lengths = tf.repeat(prompts, samples, axis=0), tf.repeat(lengths, samples)
        rows, counts = tf.shape(prompts)[0], tf.sequence_mask(lengths, tf.shape(prompts)[1])
        ids = tf.where(counts, prompts, self.filler)
        ids = tf.pad(ids, [[0, 0], [0, max_new_tokens]], constant_values=self.filler)
        at = tf.cast(tf.where(counts), tf.int32)  # row and column of every id of the prompts
        at = tf.stack([at[:, 0], tf.gather_nd(prompts, at)], axis=-1)
        seen = tf.zeros([rows, self.network.body.vocabulary_size], tf.bool)
        return {
            "ids": ids,
            "lengths": lengths,
            "prompt_lengths": lengths,
            "finished": tf.fill([rows], max_new_tokens == 0),
            "seen": tf.tensor_scatter_nd_update(seen, at, tf.ones_like(at[:, 0], tf.bool)),
            "drawn": tf.constant(0),  # tokens drawn so far, the same number for all texts that are not complete
            "max_new_tokens": max_new_tokens,
            "samples": samples,
            "sample_index": tf.range(rows) % samples,
            "room": self._room(lengths, tf.zeros([rows], tf.bool)),
            **read(ids, lengths),
        }

    def _window_start(self, lengths):
        """int32 [B], where the window of a text with so many tokens begins."""
        half = self.limit // 2
        return half * tf.maximum(0, (lengths - self.limit + half - 1) // half)

    def _room(self, lengths, finished):
        """How many more tokens can be drawn before a window has to move; windows of complete texts never move."""
        return self.limit + 1 - tf.reduce_max(tf.where(finished, 0, lengths - self._window_start(lengths)))

    def _read(self, ids, lengths):
        """Reads the windows of rows in one pass. They end in the same column; before shorter ones stands filler.

        Returns:
            "logits" [B, V] after each row's last token; "network", the network's state.
        """
        first = self._window_start(lengths)
        width = tf.maximum(tf.reduce_max(lengths - first), 1)  # without any rows, the maximum is far below 0
        at = tf.range(width) + (lengths - width)[:, None]  # [B, W], which of the row's ids stands in each column
        window = tf.gather(ids, tf.maximum(at, 0), batch_dims=1)
        state = self.network.initial_state(tf.shape(ids)[0], slots_for(ids, self.limit))
        states, state = self.network.body.step(window, state, at >= first[:, None])
        return {"logits": self.network.head(states[:, -1:])[:, 0], "network": state}

    def continued(self, state, sampling, steps):
        """What `advance` gives, for a state that is at hand; a process that generates one short text begins sooner.

        Tracing leaves out how windows move, if these texts fit into one, and few tokens are not worth compiling for.
        """
        compiled = self._compiled and int(state["max_new_tokens"]) >= _WORTH_COMPILING
        return self._advance_function(compiled, moves=state["ids"].shape[1] > self.limit)(state, sampling, steps)

    def _advance_function(self, compiled: bool, moves: bool):
        known = self._advance_functions
        if (compiled, moves) not in known:
            advance = within(self.weights, functools.partial(self._advance, compiled=compiled, moves=moves))
            known[compiled, moves] = tf.function(advance, autograph=False, input_signature=self._signature)
        return known[compiled, moves]

    def _advance(self, state, sampling, steps, compiled=False, moves=True):
        """Adds at most `steps` tokens to every text.

        Args:
            state: what `start` or an earlier call returned.
            sampling: `Sampling.tensors()`.
            steps: int32 scalar.
            compiled: whether XLA compiles the steps.
            moves: whether a text may outgrow its window.

        Returns:
            The new state; generation is over when every entry of "finished" is True.
        """
        length = tf.shape(state["ids"])[1]
        stop = state["drawn"] + tf.minimum(steps, state["max_new_tokens"] - state["drawn"])
        padded = _rounded_up(length, _TEXT_MULTIPLE)
        uniform = _uniform(sampling["seed"], padded, state["samples"])
        state = {**state, "ids": tf.pad(state["ids"], [[0, 0], [0, padded - length]])}

        stretch = self._stretch if compiled else self._steps

        def body(state):
            state = stretch(state, sampling, uniform=uniform, stop=stop)
            moved = (state["room"] == 0) & ~tf.reduce_all(state["finished"])
            return (tf.cond(moved, lambda: self._read_anew(state), lambda: state),)

        if moves:
            state = tf.while_loop(lambda state: _going_on(state, stop), body, (state,))[0]
        else:
            state = stretch(state, sampling, uniform=uniform, stop=stop)
        return {**state, "ids": state["ids"][:, :length]}

    def _steps(self, state, sampling, uniform, stop):
        """Draws token after token, until `stop` of them are drawn, all texts are complete, or a window has to move."""

        def body(state):
            new, state = self._one_token(state, sampling, uniform)
            logits, network = self.network.step(new[:, None], state["network"])
            return ({**state, "logits": logits[:, -1], "network": network, "room": state["room"] - 1},)

        def going_on(state):
            return _going_on(state, stop) & (state["room"] > 0)

        return tf.while_loop(going_on, body, (state,))[0]

    def _compiled_steps(self, state, sampling, uniform, stop):
        with compiled_steps():
            return self._steps(state, sampling, uniform=uniform, stop=stop)

    def _read_anew(self, state):
        """Reads again the texts whose windows have moved with the last token; the other texts stay as they are."""
        lengths, finished = state["lengths"], state["finished"]
        moved = ~finished & (self._window_start(lengths) > self._window_start(lengths - 1))
        rows = tf.cast(tf.where(moved)[:, 0], tf.int32)
        read = self._read(tf.gather(state["ids"], rows), tf.gather(lengths, rows))
        return {
            **state,
            "logits": tf.tensor_scatter_nd_update(state["logits"], rows[:, None], read["logits"]),
            "network": self.network.replace_rows(state["network"], rows, read["network"]),
            "room": self._room(lengths, finished),
        }

    def _one_token(self, state, sampling, uniform):
        """Draws the next token [B] of every text; the new state contains it, but its logits are still the old ones."""
        ids, lengths = state["ids"], state["lengths"]
        drawn = _draw(state, sampling, uniform, ends=self.ends, banned=self.banned)
        finished = state["finished"] | tf.gather(self.ends, drawn)
        new = tf.where(finished, self.filler, drawn)
        rows, count = tf.range(tf.shape(ids)[0]), state["drawn"] + 1
        changed = {
            "ids": tf.tensor_scatter_nd_update(ids, tf.stack([rows, lengths], -1), new),
            "lengths": lengths + tf.cast(~finished, tf.int32),
            "finished": finished | (count >= state["max_new_tokens"]),
            "seen": tf.tensor_scatter_nd_update(state["seen"], tf.stack([rows, new], -1), tf.ones_like(rows, tf.bool)),
            "drawn": count,
        }
        return new, {**state, **changed}


def _draw(state, sampling, uniform, ends, banned):
    text = state["seen"] & ~ends  # the end of a text is never a repetition
    logits = penalize_repetition(state["logits"], text, sampling["repetition_penalty"])
    logits = tf.where(banned, float("-inf"), logits)
    chance = tf.gather(uniform[:, state["drawn"]], state["sample_index"])
    choice = {name: sampling[name] for name in ("temperature", "top_k", "top_p")}
    return sample(logits, uniform=chance, **choice)


def within(context: Callable[[], AbstractContextManager], function: Callable) -> Callable:
    """The function, run within a context that is made anew for every call."""

    @functools.wraps(function)  # tf.function reads the names of its arguments
    def inside(*arguments, **named):
        with context():
            return function(*arguments, **named)

    return inside


def slots_for(ids, limit):
    """How many slots caches have, at most `limit`, for ids [B, T] of which those of new tokens are filler yet."""
    length = tf.shape(ids)[1]
    return tf.minimum(_rounded_up(length, tf.where(length > _LONG_CACHE, _LONG_CACHE, _CACHE_MULTIPLE)), limit)


def _rounded_up(length, multiple):
    return (length + multiple - 1) // multiple * multiple


def _where(ids: Iterable[int], vocabulary_size: int) -> tf.Tensor:
    """bool [V], True at these ids."""
    return tf.reduce_any(tf.range(vocabulary_size) == tf.constant([*ids], tf.int32)[:, None], axis=0)


def _going_on(state, stop):
    return (state["drawn"] < stop) & ~tf.reduce_all(state["finished"])


def _uniform(seed, steps, samples):
    """Random numbers [samples, steps]: a text's n-th draw depends only on the seed, n and the sample's number."""

    def draws(sample_index):
        return tf.random.stateless_uniform([steps], tf.stack([seed, sample_index]), alg="philox")

    return tf.map_fn(draws, tf.range(samples), fn_output_signature=tf.float32)
