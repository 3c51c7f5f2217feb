"""The decoder of published large language models: GPT-2, Llama, Mistral, Qwen, SmolLM and Gemma differ in settings.

Shape letters: B batch, T tokens, L cache length in slots, D width, V vocabulary.
"""

import dataclasses
from typing import ClassVar

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.cache import place_of, rows_of, visible, with_texts_of
from lmkeras.layers.grouped_attention import BlockSettings
from lmkeras.layers.norm import Norm, Unset
from lmkeras.layers.published_block import PublishedBlock
from lmkeras.layers.rotary import Rotary
from lmkeras.networks.bodies.decoder.sharing import SharedTraces
from lmkeras.networks.bodies.embedding import Sized
from lmkeras.networks.contract import Writer

_SIZES = {
    "d_model": 64,
    "num_layers": 2,
    "num_heads": 4,
    "num_key_value_heads": None,
    "key_dim": None,
    "dff": 128,
    "context_length": 128,
    "norm": "rms",
    "norm_epsilon": 1e-6,
    "norm_shift": 0.0,
    "norms_after": False,
    "normalize_qk": False,
    "qkv_bias": False,
    "output_bias": False,
    "feed_forward_bias": False,
    "gated": True,
    "activation": "silu",
    "attention_scalar": None,
    "scaled_embeddings": False,
    "learned_positions": False,
    "rotary": None,
    "window_rotary": None,
    "rotated": None,
    "windows": None,
    "tie_embeddings": True,
    "weights_dtype": "float32",
    "published_dtype": None,
    "family": "llama",
}


@keras.saving.register_keras_serializable("lmkeras")
class PublishedDecoder(Sized, Writer, keras.layers.Layer):
    """Embedding, blocks of attention and feed-forward networks, and a last norm, without weights until they are read.

    All is computed in float32, from weights that are held in `weights_dtype`.

    Args:
        vocabulary_size: V.
        d_model: D.
        num_layers: number of blocks.
        num_heads: heads of queries.
        num_key_value_heads: heads of keys and values, which divide num_heads; None for num_heads.
        key_dim: size of one head; None for D / num_heads.
        dff: inner width of the feed-forward networks.
        context_length: the most tokens that one pass looks at.
        norm, norm_epsilon, norm_shift, norms_after, normalize_qk: see `BlockSettings`.
        qkv_bias, output_bias, feed_forward_bias, gated, activation: see `BlockSettings`.
        attention_scalar: products of queries and keys are divided by its square root; None for key_dim.
        scaled_embeddings: whether embeddings are multiplied by sqrt(D).
        learned_positions: whether each position has a vector of its own, which is added to the embedding.
        rotary: the fields of a `Rotary` without key_dim; None if nothing is turned.
        window_rotary: the same for blocks with a window; None for that of the other blocks.
        rotated: for each block, whether its queries and keys are turned; None for all.
        windows: for each block, how many tokens a token looks at, 0 for all before it; None for 0 in all blocks.
        tie_embeddings: whether the embedding, transposed, is also the last matrix.
        weights_dtype: "float32", "bfloat16" or "float16".
        published_dtype: one of these, in which the weights are written to files; None for weights_dtype.
        family: the name that checkpoints of this kind have in config.json, as model_type.
    """

    # SmolLM2 on two cores: 60 tokens a second with XLA and 34 without for one text, 363 and 293 for 16 at once
    steps_with_xla = True
    dropout = 0.0
    untrainable = "a published decoder is used as it is: lmkeras cannot train it yet"

    SIZES: ClassVar = _SIZES

    def __init__(self, vocabulary_size: int, **sizes):
        super().__init__(autocast=False)
        self._set_sizes(vocabulary_size, sizes)
        self.embedding = self._embedding(vocabulary_size, "embedding")

    def _embedding(self, rows: int, name: str) -> keras.layers.Embedding:
        return keras.layers.Embedding(
            rows, self.d_model, embeddings_initializer=Unset(), dtype=self.weights_dtype, name=name
        )

    def settle_sizes(self):
        """Fills in what follows from other sizes; InputError where two do not go together."""
        self.num_key_value_heads = self.num_key_value_heads or self.num_heads
        self.key_dim = self.key_dim or self.d_model // self.num_heads
        self.attention_scale = (self.attention_scalar or self.key_dim) ** -0.5
        if self.num_heads % self.num_key_value_heads:
            raise InputError(
                f"num_heads {self.num_heads} must be a multiple of num_key_value_heads {self.num_key_value_heads}"
            )
        if self.rotary is not None and self.key_dim % 2:
            raise InputError(f"rotary positions need an even key size, got {self.key_dim}")

    def build(self, input_shape):
        """Makes all layers, on [B, T], with weights that are to be read."""
        self.width = self.summary_size = self.d_model
        settings = BlockSettings(
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(BlockSettings)}
        )
        self.windows_of_blocks = [window or None for window in self.windows or [0] * self.num_layers]
        self.blocks = [
            PublishedBlock(settings, window, name=f"block_{i}") for i, window in enumerate(self.windows_of_blocks)
        ]
        self.norm_layer = Norm(self.norm, self.norm_epsilon, self.norm_shift, dtype=self.weights_dtype, name="norm")
        self.position_embedding = None
        if self.learned_positions:
            self.position_embedding = self._embedding(self.context_length, "position_embedding")
            self.position_embedding.build(input_shape)
        self.embedding.build(input_shape)
        for layer in (*self.blocks, self.norm_layer):
            layer.build((*input_shape, self.d_model))
        self._traces = SharedTraces(self.blocks)
        self.built = True

    def call(self, inputs, training=False):
        """The states [B, T, D]."""
        return self.states(self.inputs(inputs), training)

    def summary(self, inputs, training=False):
        """The state after the last token, [B, D]."""
        return self.states(inputs, training)[:, -1]

    def _embed(self, ids, positions):
        """The vectors of all tokens, [B·T, D], from ids and positions [B, T]."""
        x = ops.cast(tf.gather(self.embedding.embeddings.value, tf.reshape(ids, (-1,))), "float32")
        if self.scaled_embeddings:
            x = x * self.d_model**0.5
        if self.position_embedding is None:
            return x
        positions = tf.clip_by_value(tf.reshape(positions, (-1,)), 0, self.context_length - 1)  # filler's are below 0
        return x + ops.cast(tf.gather(self.position_embedding.embeddings.value, positions), "float32")

    def _angles(self, positions, lengths) -> list:
        """The angles for each block, None where nothing is turned; they are computed once for all blocks alike."""
        computed = {}

        def of(window):
            fields = self.window_rotary if window and self.window_rotary is not None else self.rotary
            if fields is None:
                return None
            rotary = Rotary(self.key_dim, **fields)
            if rotary not in computed:
                computed[rotary] = rotary.angles(positions, lengths)
            return computed[rotary]

        rotated = self.rotated or [True] * self.num_layers
        return [of(window) if turn else None for window, turn in zip(self.windows_of_blocks, rotated, strict=True)]

    def states(self, inputs, training=False):
        """The states [B, T, D] after every token, T <= context_length."""
        ids = ops.cast(inputs["input_ids"], "int32")
        if ids.shape[1] is not None and ids.shape[1] > self.context_length:
            raise InputError(f"got {ids.shape[1]} tokens: the network's context_length is {self.context_length}")
        rows, length = ops.shape(ids)
        lengths = tf.fill([rows], length)
        return self._whole(ids, tf.zeros_like(ids) + tf.range(length), lengths=lengths)[0]

    def _whole(self, ids, positions, lengths, first=None):
        """The states of texts that are read from their start, and the keys and values of each block."""
        length, x, read = ops.shape(ids)[1], self._embed(ids, positions), []
        for block, angles in zip(self.blocks, self._angles(positions, lengths), strict=True):
            x, new = self._traces.call(block, "whole", x=x, length=length, angles=angles, first=first)
            read.append(new)
        return self._ended(x, length), read

    def _ended(self, x, length):
        """The states [B, T, D] from the last block's output [B·T, D]."""
        return tf.reshape(self.norm_layer(x), (-1, length, self.d_model))

    def initial_state(self, rows, max_length=None):
        """Empty key/value caches of max_length slots; of context_length slots if it is None.

        Returns:
            A dictionary: "positions", int32 [B], number of tokens of each row; "slots", int32 scalar, number of slots
            in use, the same for all rows (a row's tokens are in the last of them); "caches", those of the blocks.
        """
        length = self.context_length if max_length is None else max_length
        caches = [block.attention.initial_cache(rows, length) for block in self.blocks]
        return {"positions": ops.zeros((rows,), "int32"), "slots": ops.zeros((), "int32"), "caches": caches}

    def step(self, ids, state, mask=None):
        """The states [B, T, D] of the next tokens and the new state; see `Writer.step`."""
        start, length = state["slots"], ops.shape(ids)[1]
        tokens = length if mask is None else ops.sum(ops.cast(mask, "int32"), axis=1)
        lengths = state["positions"] + tokens
        positions = (lengths - length)[:, None] + tf.range(length)
        if _is_zero(start):  # nothing is in the cache: there is no need to look into it
            first = None if mask is None else length - lengths
            x, read = self._whole(ids, positions, lengths=lengths, first=first)
            filled = zip(self.blocks, state["caches"], read, strict=True)
            caches = [block.attention.filled(cache, new) for block, cache, new in filled]
        else:
            x, caches = self._next(ids, state, positions=positions, lengths=lengths)
        return x, {"positions": lengths, "slots": start + length, "caches": caches}

    def _next(self, ids, state, positions, lengths):
        """The states of the next tokens after those in the caches, and the new caches."""
        x, caches, start, length = self._embed(ids, positions), [], state["slots"], ops.shape(ids)[1]
        one = state["caches"][0]["keys"]  # all caches have one shape
        ends = tf.repeat(lengths, self.num_key_value_heads)[:, None, None, None]
        allowed, distance = visible(start, ops.shape(one)[1], length=length, lengths=ends)
        windows, place = {*self.windows_of_blocks}, place_of(one, start, length)
        within = {window: allowed if window is None else allowed & (distance < window) for window in windows}
        steps = zip(self.blocks, state["caches"], self._angles(positions, lengths), strict=True)
        for block, cache, angles in steps:
            seen = {"cache": cache, "place": place, "allowed": within[block.attention.window]}
            x, cache = self._traces.call(block, "step", x=x, length=length, angles=angles, **seen)
            caches.append(cache)
        return self._ended(x, length), caches

    def replace_rows(self, state, rows, other):
        """The state with some rows of another one; see `Writer.replace_rows`."""
        return with_texts_of(state, rows, other=other, layers=[block.attention for block in self.blocks])

    def with_rows(self, state, rows):
        """The state of other rows; see `Writer.with_rows`."""
        caches = rows_of(state["caches"], rows, self.num_key_value_heads)
        return {"positions": tf.gather(state["positions"], rows), "slots": state["slots"], "caches": caches}


def _is_zero(scalar) -> bool:
    """Whether a tensor is known to be 0 while the graph is made."""
    value = tf.get_static_value(scalar)
    return value is not None and value == 0
