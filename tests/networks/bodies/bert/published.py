"""BERT as it is published: tensors by PyTorch's names, folders that hold them, and its formulas in NumPy float64.

Shape letters: B batch, T tokens, D width, H heads, K key size of one head.
"""

import json

import numpy as np
import safetensors.numpy

from tests.layers.formulas import gelu, relu, softmax

CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": 23,
    "hidden_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.2,
    "max_position_embeddings": 9,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "pad_token_id": 0,
}
ACTIVATIONS = {
    "gelu": gelu,
    "gelu_new": lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
    "relu": relu,
    "silu": lambda x: x / (1 + np.exp(-x)),
}


def tensors_of(config, seed=0):
    """Random weights, each layer with values of its own, biases and norms included."""
    rng = np.random.default_rng(seed)
    width, inner = config["hidden_size"], config["intermediate_size"]
    tensors = {}

    def dense(name, inputs, outputs):
        tensors[f"{name}.weight"] = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)
        tensors[f"{name}.bias"] = 0.3 * rng.normal(size=outputs)

    def norm(name):
        tensors[f"{name}.weight"] = 1 + 0.3 * rng.normal(size=width)
        tensors[f"{name}.bias"] = 0.3 * rng.normal(size=width)

    sizes = {"word": "vocab_size", "position": "max_position_embeddings", "token_type": "type_vocab_size"}
    for name, size in sizes.items():
        tensors[f"embeddings.{name}_embeddings.weight"] = rng.normal(size=(config[size], width))
    norm("embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        for name in ("query", "key", "value"):
            dense(f"encoder.layer.{i}.attention.self.{name}", width, width)
        dense(f"encoder.layer.{i}.attention.output.dense", width, width)
        norm(f"encoder.layer.{i}.attention.output.LayerNorm")
        dense(f"encoder.layer.{i}.intermediate.dense", width, inner)
        dense(f"encoder.layer.{i}.output.dense", inner, width)
        norm(f"encoder.layer.{i}.output.LayerNorm")
    dense("pooler.dense", width, width)
    return {name: tensor.astype("float32") for name, tensor in tensors.items()}


def write(folder, config, tensors):
    """The folder as it would come from the hub."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if tensors is not None:
        safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    return folder


def positions_of(ids, config):
    """The position of each id of a text; in a RoBERTa, padding has that of its own id, and counts for nothing."""
    if config["model_type"] != "roberta":
        return list(range(len(ids)))
    padding, found, before = config["pad_token_id"], [], 0
    for id in ids:
        before += id != padding
        found.append(padding if id == padding else padding + before)
    return found


def forward(tensors, config, ids, mask=None, types=None, drop_attention=False):
    """Hidden states, pooled output and attention weights; mask [B, T] or [B, T, T]."""
    tensors = {name: tensor.astype("float64") for name, tensor in tensors.items()}
    heads = config["num_attention_heads"]
    batch, length = ids.shape

    def dense(x, name):
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + config["layer_norm_eps"])
        return centred / deviation * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    mask = np.ones((batch, length)) if mask is None else mask
    hidden = np.where((mask if mask.ndim == 3 else mask[:, None])[:, None], 0, -np.inf)  # [B, 1, T or 1, T]
    table = [tensors[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    types = np.zeros_like(ids) if types is None else types
    positions = [positions_of(row, config) for row in ids.tolist()]
    x = norm(table[0][ids] + table[1][positions] + table[2][types], "embeddings.LayerNorm")
    states, attentions = [x], []
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        queries, keys, values = (
            dense(x, f"{layer}.attention.self.{name}").reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        weights = softmax(queries @ keys.transpose(0, 1, 3, 2) / np.sqrt(keys.shape[-1]) + hidden)
        seen = np.zeros_like(weights) if drop_attention else weights
        joined = (seen @ values).transpose(0, 2, 1, 3).reshape(batch, length, -1)
        x = norm(x + dense(joined, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        y = ACTIVATIONS[config["hidden_act"]](dense(x, f"{layer}.intermediate.dense"))
        x = norm(x + dense(y, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        states.append(x)
        attentions.append(weights)
    return states, np.tanh(dense(x[:, 0], "pooler.dense")), attentions
