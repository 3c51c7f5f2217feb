"""The blocks that transformers are stacked from: the original post-norm block, and the pre-norm block of new decoders.

Shape letters: B batch, T tokens, D width.
"""

import keras
from keras import ops

from lmkeras.layers.attention import SelfAttention, fresh, token_mask
from lmkeras.layers.dropout import dropout
from lmkeras.layers.fused import add_norm, dense, fuses, gelu, product, relu_squared, rms_norm


class _Block(keras.layers.Layer):
    """Attention and a feed-forward network, each with a residual connection; subclasses say where the norms stand.

    The sum that is passed on from block to block is at least float32. Only what attention and the feed-forward network
    add to it may have a lower precision.
    """

    def __init__(self, d_model: int, num_heads: int, dff: int, rate: float, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.d_model = d_model
        self.num_heads = num_heads
        self.dff = dff
        self.rate = rate
        self._attention_dropout = keras.layers.Dropout(rate, dtype=self.dtype_policy)
        self._feed_forward_dropout = keras.layers.Dropout(rate, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Builds the sublayers, all of them on [B, T, D] except the second matrix of the feed-forward network."""
        for layer in (self._attention, self._attention_norm, self._expand, self._feed_forward_norm):
            layer.build(input_shape)
        self._contract.build((*input_shape[:-1], self.dff))

    def call(self, x, mask=None, training=False):
        """The block over a whole text: [B, T, D] → [B, T, D]."""
        x = ops.cast(x, self._residual_dtype)
        return self._apply(x, lambda y: self._attention(y, mask=mask, training=training), training)

    def _apply(self, x, attention, training, between=None):
        """Both halves of the block; `between`, a function of [B, T, D], is what a subclass has between them."""
        x = self._added(x, attention, norm=self._attention_norm, rate=self._attention_dropout, training=training)
        x = x if between is None else between(x)
        rate = self._feed_forward_dropout
        return self._added(x, self._fed_forward, norm=self._feed_forward_norm, rate=rate, training=training)

    def _added(self, x, sublayer, norm, rate, training):
        """x and what a sublayer adds to it, [B, T, D]; `rate` is the Dropout layer for what is added."""
        raise NotImplementedError

    def _fed_forward(self, x):
        """What the feed-forward network gives, [B, T, D]."""
        raise NotImplementedError

    @property
    def _residual_dtype(self):
        return "float32" if self.compute_dtype in ("bfloat16", "float16") else self.compute_dtype

    def compute_mask(self, x, previous_mask=None):
        """The mask for later layers, see `token_mask`."""
        return token_mask(previous_mask)

    def initial_cache(self, batch_size, max_length):
        """An empty key/value cache of `max_length` slots."""
        return self._attention.initial_cache(batch_size, max_length)

    def step(self, x, cache, start, lengths=None, between=None):
        """The block over the next tokens: ([B, T, D], the cache with them added); see `SelfAttention.step`."""
        caches = []

        def attention(y):
            y, new_cache = self._attention.step(y, cache, start=start, lengths=lengths)
            caches.append(new_cache)
            return y

        x = ops.cast(x, self._residual_dtype)
        return self._apply(x, attention, training=False, between=between), caches[0]

    def replace_rows(self, cache, rows, other, turn):
        """A cache with some rows of another one; see `SelfAttention.replace_rows`."""
        return self._attention.replace_rows(cache, rows=rows, other=other, turn=turn)

    def get_config(self):
        """The constructor's arguments."""
        sizes = {"d_model": self.d_model, "num_heads": self.num_heads, "dff": self.dff, "rate": self.rate}
        return {**super().get_config(), **sizes}


@keras.saving.register_keras_serializable("lmkeras")
class TransformerBlock(_Block):
    """The original, post-norm encoder block: x = norm(x + attention(x)); x = norm(x + relu(x W1) W2).

    Args:
        d_model: width D.
        num_heads: attention heads.
        dff: inner width of the feed-forward network.
        rate: dropout after attention and after the feed-forward network, in [0, 1).
        key_dim: size of one head; None for D / num_heads.
        causal: whether a token sees only itself and earlier tokens, as a language model must.
        activation: activation of the feed-forward network, a name or a function; with "gelu" this is BERT's block.
        epsilon: small number that the norms add to variances.
        attention_dropout: share of attention weights dropped in training, in [0, 1).
        kernel_initializer: Keras initializer of the matrices; None for the uniform one of Glorot and Bengio.

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        dff: int,
        rate: float = 0.1,
        key_dim: int | None = None,
        causal: bool = False,
        activation="relu",
        epsilon: float = 1e-6,
        attention_dropout: float = 0.0,
        kernel_initializer=None,
        **kwargs,
    ):
        super().__init__(d_model, num_heads, dff=dff, rate=rate, **kwargs)
        self.key_dim = key_dim
        self.causal = causal
        self.activation = keras.activations.get(activation)
        self.epsilon = epsilon
        self.attention_dropout = attention_dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        attention = {"dropout": attention_dropout, "kernel_initializer": fresh(self.kernel_initializer)}
        self._attention = SelfAttention(
            num_heads, key_dim, causal, dtype=self.dtype_policy, name="attention", **attention
        )
        self._attention_norm = keras.layers.LayerNormalization(epsilon=epsilon, dtype=self.dtype_policy)
        self._expand = self._dense(dff, "expand", self.activation)
        self._contract = self._dense(d_model, "contract")
        self._feed_forward_norm = keras.layers.LayerNormalization(epsilon=epsilon, dtype=self.dtype_policy)

    def _dense(self, units, name, activation=None):
        initializer = fresh(self.kernel_initializer) or "glorot_uniform"
        return keras.layers.Dense(units, activation, kernel_initializer=initializer, dtype=self.dtype_policy, name=name)

    def attention_weights(self, x, mask=None):
        """How much each token of x [B, T, D] looks at each other: float32 [B, H, T, T]; see `SelfAttention`."""
        return self._attention.attention_weights(x, mask)

    def _added(self, x, sublayer, norm, rate, training):
        y, precision = sublayer(x), {"dtype": self._residual_dtype, "within": self.compute_dtype}
        return add_norm(x, dropout(rate, y, training), norm.gamma, norm.beta, epsilon=norm.epsilon, **precision)

    def _fed_forward(self, x):
        return dense(self._contract, self._expanded(x))

    def _expanded(self, x):
        if self.activation is keras.activations.gelu and fuses(self.compute_dtype):
            return gelu(
                product(x, self._expand.kernel, self.compute_dtype), self._expand.bias, dtype=self.compute_dtype
            )
        return self.activation(dense(self._expand, x))

    def get_config(self):
        """The constructor's arguments."""
        names = ("key_dim", "causal", "epsilon", "attention_dropout")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": self.kernel_initializer and keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("lmkeras")
class DecoderBlock(_Block):
    """A pre-norm block: x += attention(norm(x)); x += relu(norm(x) W1)² W2. Rotary positions, no biases.

    Args:
        d_model: width D.
        num_heads: attention heads.
        dff: inner width of the feed-forward network.
        rate: dropout after attention and after the feed-forward network, in [0, 1).
        causal: whether a token sees only itself and earlier tokens, as what writes must.

    Source: pre-norm: Xiong et al. 2020; RMSNorm: Zhang and Sennrich 2019; squared ReLU: So et al. 2021.
    """

    def __init__(self, d_model, num_heads, dff, rate=0.0, causal=True, **kwargs):
        super().__init__(d_model, num_heads, dff=dff, rate=rate, **kwargs)
        self.causal = causal
        self._attention = SelfAttention(
            num_heads,
            causal=causal,
            rotary=True,
            normalize_qk=True,
            use_bias=False,
            dtype=self.dtype_policy,
            name="attention",
        )
        self._attention_norm = keras.layers.RMSNormalization(dtype=self.dtype_policy)
        self._expand = keras.layers.Dense(dff, use_bias=False, dtype=self.dtype_policy, name="expand")
        self._contract = keras.layers.Dense(d_model, use_bias=False, dtype=self.dtype_policy, name="contract")
        self._feed_forward_norm = keras.layers.RMSNormalization(dtype=self.dtype_policy)
        for norm in (self._attention_norm, self._feed_forward_norm):
            norm.supports_masking = True  # else Keras warns that the mask is lost; attention gets it from the block

    def _added(self, x, sublayer, norm, rate, training):
        y = sublayer(rms_norm(x, norm.scale, epsilon=norm.epsilon, dtype=self.compute_dtype))
        return x + ops.cast(dropout(rate, y, training), x.dtype)

    def _fed_forward(self, x):
        return dense(self._contract, relu_squared(dense(self._expand, x), dtype=self.compute_dtype))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "causal": self.causal}
