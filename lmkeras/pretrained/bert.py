"""Converts BERT's weights between published checkpoints and our network, with one table for both directions.

In this file "theirs" are the weights of a published checkpoint, by PyTorch's names and in PyTorch's layout; "ours" are
the weights of lmkeras.networks.bodies.bert.Bert.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from lmkeras.errors import InputError

#: The entries of config.json from which a BERT is built.
CONFIG_NAMES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "initializer_range",
    "layer_norm_eps",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One weight of a published checkpoint, and its place in our network."""

    theirs: str
    """PyTorch's name of the weight."""
    ours: str
    """Path in our network: attribute names and list positions, joined by dots. Several rows with the same path are
    parts of one weight of ours, which stand side by side along its last axis."""
    transposed: bool = False
    """Whether the weight is a matrix [outputs, inputs] in the checkpoint; ours is [inputs, outputs]."""


def _layer(theirs: str, ours: str) -> list[Row]:
    """The rows of a dense layer: its kernel and its bias."""
    return [Row(f"{theirs}.weight", f"{ours}.kernel", transposed=True), Row(f"{theirs}.bias", f"{ours}.bias")]


def _norm(theirs: str, ours: str) -> list[Row]:
    return [Row(f"{theirs}.weight", f"{ours}.gamma"), Row(f"{theirs}.bias", f"{ours}.beta")]


EMBEDDINGS = [
    Row("embeddings.word_embeddings.weight", "word_embeddings.embeddings"),
    Row("embeddings.position_embeddings.weight", "position_embeddings.embeddings"),
    Row("embeddings.token_type_embeddings.weight", "token_type_embeddings.embeddings"),
    *_norm("embeddings.LayerNorm", "embeddings_norm"),
]
BLOCK = [  # names within encoder.layer.i (theirs) and blocks.i (ours)
    *_layer("attention.self.query", "_attention._qkv"),
    *_layer("attention.self.key", "_attention._qkv"),
    *_layer("attention.self.value", "_attention._qkv"),
    *_layer("attention.output.dense", "_attention._output"),
    *_norm("attention.output.LayerNorm", "_attention_norm"),
    *_layer("intermediate.dense", "_expand"),
    *_layer("output.dense", "_contract"),
    *_norm("output.LayerNorm", "_feed_forward_norm"),
]
POOLER = _layer("pooler.dense", "pooler")
CLASSIFIER = _layer("classifier", "head")


def rows(num_hidden_layers: int) -> list[Row]:
    """The table of a whole BERT with this many blocks."""
    blocks = [
        Row(f"encoder.layer.{i}.{row.theirs}", f"blocks.{i}.{row.ours}", row.transposed)
        for i in range(num_hidden_layers)
        for row in BLOCK
    ]
    return [*EMBEDDINGS, *blocks, *POOLER]


def sizes_of(config: Mapping, source: object) -> dict:
    """The arguments of `Bert` for the model that a config.json describes.

    Args:
        config: the content of config.json.
        source: the folder of config.json, for messages.

    Raises:
        InputError: config.json describes another kind of model, or a variant of BERT that lmkeras does not have.
    """
    kind = config.get("model_type", "bert")  # the config.json of early BERTs has no model_type
    expected = {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False}
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise InputError(
                f"{source} holds a model of type {kind!r} with {name} {config[name]!r}: expected {name} {value!r}"
            )
    sizes = {name: config[name] for name in CONFIG_NAMES if name in config}
    for name, value in sizes.items():
        wanted = (str, "a name") if name == "hidden_act" else ((int, float), "a number")
        if not isinstance(value, wanted[0]):
            raise InputError(f"config.json in {source} says {name} {value!r}: expected {wanted[1]}")
    return sizes


def without_prefix(tensors: Mapping[str, np.ndarray], prefix: str | None, source: object) -> dict[str, np.ndarray]:
    """The weights of a checkpoint, renamed to the names of the table.

    A prefix such as "bert.", which the names have in a larger model that contains a BERT, is removed. The legacy names
    gamma and beta of norms become weight and bias.

    Args:
        tensors: the checkpoint's weights.
        prefix: the prefix; None finds it out.
        source: the checkpoint's folder, for messages.

    Raises:
        InputError: the checkpoint holds several BERTs and no prefix is given; the message names their prefixes.
    """
    prefix, found = _prefix(tensors, source) if prefix is None else prefix, {}
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            continue
        name = name.removeprefix(prefix)
        for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
            if name.endswith(old):
                name = name.removesuffix(old) + new
        found[name] = tensor
    return found


def _prefix(tensors: Mapping[str, np.ndarray], source: object) -> str:
    """What stands before the names of a BERT's weights, such as "bert." or "0.auto_model."; often nothing."""
    first = EMBEDDINGS[0].theirs
    prefixes = sorted(name.removesuffix(first) for name in tensors if f".{name}".endswith(f".{first}"))
    if len(prefixes) > 1:
        named = ", ".join(map(repr, prefixes))
        raise InputError(
            f"{source} holds several BERTs, with the prefixes {named}: read one by "
            "Bert.from_pretrained(…, prefix=…), and save it with save_pretrained into a folder of its own"
        )
    return prefixes[0] if prefixes else ""


def read_rows(
    table: Iterable[Row], tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple], source: object
) -> dict[str, np.ndarray]:
    """Converts the weights of a published checkpoint to our network's weights.

    Args:
        table: the rows to read; tensors that are in no row are ignored.
        tensors: the checkpoint's weights, by the names of the table.
        shapes: the shape of each weight of our network, by path.
        source: the checkpoint's folder, for messages.

    Returns:
        Our network's weights, by path.

    Raises:
        InputError: tensors are missing or have the wrong shape; the message names them.
    """
    missing, wrong, values = [], [], {}
    for ours, group in _by_place(table).items():
        for row in group:
            expected = (*shapes[ours][:-1], shapes[ours][-1] // len(group))
            expected = expected[::-1] if row.transposed else expected
            if row.theirs not in tensors:
                missing.append(row.theirs)
            elif tensors[row.theirs].shape != expected:
                wrong.append(f"{row.theirs} {list(tensors[row.theirs].shape)} instead of {list(expected)}")
        if not missing and not wrong:
            parts = [tensors[row.theirs].T if row.transposed else tensors[row.theirs] for row in group]
            values[ours] = np.concatenate(parts, axis=-1)
    if missing:
        raise InputError(f"the weights in {source} are not those of a BERT of this config.json: no {_first(missing)}")
    if wrong:
        raise InputError(f"the weights in {source} do not fit their config.json: {_first(wrong)}")
    return values


def write_rows(table: Iterable[Row], values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Converts our network's weights to those of a published checkpoint: the inverse of `read_rows`.

    Args:
        table: the rows to write.
        values: our network's weights, by path.

    Returns:
        The checkpoint's weights, by the names of the table.
    """
    tensors = {}
    for ours, group in _by_place(table).items():
        for row, part in zip(group, np.split(values[ours], len(group), axis=-1), strict=True):
            tensors[row.theirs] = part.T if row.transposed else part
    return tensors


def _by_place(table: Iterable[Row]) -> dict[str, list[Row]]:
    groups = {}
    for row in table:
        groups.setdefault(row.ours, []).append(row)
    return groups


def _first(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
