"""The layers' formulas in NumPy float64, with loops where loops are plainest: what the layers are compared with.

Shape letters: B batch, T tokens, D width, H heads, K key size of one head.
"""

import math

import numpy as np


def fill(layer, seed=0):
    """Gives every weight that is no table, biases and norms included, values of its own; returns the layer."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        if not weight.dtype.startswith("float"):
            continue  # a table, such as that of what tokens are
        if len(weight.shape) == 1:
            middle = 1.0 if weight.name in ("gamma", "scale") else 0.0
            weight.assign(middle + 0.3 * rng.normal(size=weight.shape))
        else:
            scale = 1.0 if weight.name == "embeddings" else weight.shape[0] ** -0.5
            weight.assign(scale * rng.normal(size=weight.shape))
    return layer


def weights_of(layer):
    return [np.asarray(value, "float64") for value in layer.get_weights()]


def dense(x, layer):
    kernel, *bias = weights_of(layer)
    return x @ kernel + (bias[0] if bias else 0.0)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x, layer, epsilon=1e-6):
    gamma, beta = weights_of(layer)
    deviation = x - x.mean(axis=-1, keepdims=True)
    return gamma * deviation / np.sqrt((deviation**2).mean(axis=-1, keepdims=True) + epsilon) + beta


def relu(x):
    return np.maximum(x, 0)


@np.vectorize
def gelu(x):
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def rms_norm(x, scale=1.0, epsilon=1e-7):
    return scale * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon)


def rms_norm_layer(x, layer):
    return rms_norm(x, weights_of(layer)[0], 1e-6)


def sinusoid(position, column, d_model):
    angle = position / 10_000 ** ((column - column % 2) / d_model)
    return np.cos(angle) if column % 2 else np.sin(angle)


def sinusoidal_positions(x, start=0):
    """[B, T, D]: sqrt(D) times the embeddings, plus the sinusoids of positions start, start + 1, …"""
    length, d_model = x.shape[1:]
    table = [[sinusoid(start + t, column, d_model) for column in range(d_model)] for t in range(length)]
    return x * np.sqrt(d_model) + np.array(table)


def rotated(x, start=0):
    """[…, T, K]: halves are the real and the imaginary parts of numbers that position t turns by t · 10000^(-2i/K)."""
    length, half = x.shape[-2], x.shape[-1] // 2
    angles = (start + np.arange(length))[:, None] * 10_000.0 ** (-np.arange(half) / half)
    turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag], axis=-1)


def self_attention(x, layer, mask=None):
    """[B, T, D] → [B, T, D]; see `may_look` for padding."""
    _, _, values = project(x, layer)
    heads = attention_weights(x, layer, mask) @ values  # [B, H, T, K]
    return dense(heads.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1), layer._output)


def attention_weights(x, layer, mask=None):
    """[B, T, D] → [B, H, T, T], one query of one head at a time; mask [B, T] or [B, T, T]."""
    queries, keys, _ = project(x, layer)
    batch, num_heads, length, key_dim = keys.shape
    weights = np.zeros((batch, num_heads, length, length))
    for b, h, t in np.ndindex(weights.shape[:3]):
        real = np.ones(length, bool) if mask is None else mask[b] if mask.ndim == 2 else mask[b, t]
        seen = [s for s in range(length) if real[s] and (s <= t or not layer.causal)]
        if seen:
            weights[b, h, t, seen] = softmax(keys[b, h, seen] @ queries[b, h, t] / np.sqrt(key_dim))
    return weights


def project(x, layer):
    """[B, T, D] → queries, keys and values, each [B, H, T, K]."""
    projected = dense(x, layer._qkv).reshape(*x.shape[:2], 3, layer.num_heads, -1)
    queries, keys, values = projected.transpose(2, 0, 3, 1, 4)
    if layer.normalize_qk:
        queries, keys = rms_norm(queries), rms_norm(keys)
    if layer.rotary:
        queries, keys = rotated(queries), rotated(keys)
    return queries, keys, values


def may_look(mask, causal):
    """bool [B, T]: which queries have a key to look at. Those without are padding, whose outputs mean nothing."""
    if mask.ndim == 3:
        length = mask.shape[1]
        return (mask & np.tri(length, dtype=bool) if causal else mask).any(axis=2)
    if causal:
        return np.logical_or.accumulate(mask, axis=1)
    return np.broadcast_to(mask.any(axis=1, keepdims=True), mask.shape)


def transformer_block(x, block, mask=None, activation=relu, epsilon=1e-6):
    x = layer_norm(x + self_attention(x, block._attention, mask), block._attention_norm, epsilon)
    y = dense(activation(dense(x, block._expand)), block._contract)
    return layer_norm(x + y, block._feed_forward_norm, epsilon)


def decoder_block(x, block, mask=None):
    x = x + self_attention(rms_norm_layer(x, block._attention_norm), block._attention, mask)
    y = dense(rms_norm_layer(x, block._feed_forward_norm), block._expand)
    return x + dense(np.maximum(y, 0) ** 2, block._contract)


def cross_attention(x, memory, layer, mask=None):
    """[M, T, D] and [M, S, E] → [M, T, D], one query of one head at a time; mask [M, S]."""
    rows, length = x.shape[:2]
    values = dense(memory, layer._key_value).reshape(*memory.shape[:2], 2, layer.num_heads, -1)[:, :, 1]
    weights, heads = cross_weights(x, memory, layer, mask), np.zeros((rows, length, *values.shape[2:]))
    for m, t, h in np.ndindex(*heads.shape[:3]):
        heads[m, t, h] = weights[m, h, t] @ values[m, :, h]
    return dense(heads.reshape(rows, length, -1), layer._output)


def cross_weights(x, memory, layer, mask=None):
    """[M, T, D] and [M, S, E] → [M, H, T, S], one query of one head at a time; mask [M, S]."""
    queries = dense(x, layer._query).reshape(*x.shape[:2], layer.num_heads, -1)
    keys = dense(memory, layer._key_value).reshape(*memory.shape[:2], 2, layer.num_heads, -1)[:, :, 0]
    if layer.normalize_qk:
        queries, keys = rms_norm(queries), rms_norm(keys)
    weights = np.zeros((len(x), layer.num_heads, x.shape[1], memory.shape[1]))
    for m, h, t in np.ndindex(*weights.shape[:3]):
        seen = [s for s in range(memory.shape[1]) if mask is None or mask[m, s]]
        weights[m, h, t, seen] = softmax(keys[m, seen, h] @ queries[m, t, h] / np.sqrt(queries.shape[-1]))
    return weights


def luong_attention(x, memory, layer, mask=None):
    """[M, T, D] and [M, S, E] → [M, T, units], one query at a time; mask [M, S]."""
    weights, outputs = luong_weights(x, memory, layer, mask), np.zeros((*x.shape[:2], layer.units))
    for m, t in np.ndindex(*outputs.shape[:2]):
        context = sum(weight * state for weight, state in zip(weights[m, 0, t], memory[m], strict=True))
        outputs[m, t] = np.tanh(dense(np.concatenate([context, x[m, t]]), layer._combine))
    return outputs


def luong_weights(x, memory, layer, mask=None):
    """[M, T, D] and [M, S, E] → [M, 1, T, S], one query at a time; mask [M, S]."""
    weights = np.zeros((len(x), 1, x.shape[1], memory.shape[1]))
    for m, _, t in np.ndindex(*weights.shape[:3]):
        seen = [s for s in range(memory.shape[1]) if mask is None or mask[m, s]]
        weights[m, 0, t, seen] = softmax(np.array([x[m, t] @ dense(memory[m, s], layer._score) for s in seen]))
    return weights


def cross_transformer_block(x, memory, block, mask=None):
    x = layer_norm(x + self_attention(x, block._attention), block._attention_norm)
    x = layer_norm(x + cross_attention(x, memory, block._cross_attention, mask), block._cross_norm)
    y = dense(relu(dense(x, block._expand)), block._contract)
    return layer_norm(x + y, block._feed_forward_norm)


def cross_decoder_block(x, memory, block, mask=None):
    x = x + self_attention(rms_norm_layer(x, block._attention_norm), block._attention)
    x = x + cross_attention(rms_norm_layer(x, block._cross_norm), memory, block._cross_attention, mask)
    y = dense(rms_norm_layer(x, block._feed_forward_norm), block._expand)
    return x + dense(relu(y) ** 2, block._contract)
