"""BERT's checkpoints: one table of their weights and ours, used to read and to write.

Shape letters: D width.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from lmkeras.errors import InputError

#: the entries of config.json that say what a BERT is made of
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
    """A weight of theirs and where it is in a network of ours."""

    theirs: str
    """PyTorch's name."""
    ours: str
    """Attributes and list positions from the network on. Rows with the same are side by side in our columns."""
    transposed: bool = False
    """Whether theirs is a matrix [outputs, inputs]; ours are [inputs, outputs]."""


def _layer(theirs: str, ours: str) -> list[Row]:
    """The rows of a dense layer."""
    return [Row(f"{theirs}.weight", f"{ours}.kernel", transposed=True), Row(f"{theirs}.bias", f"{ours}.bias")]


def _norm(theirs: str, ours: str) -> list[Row]:
    return [Row(f"{theirs}.weight", f"{ours}.gamma"), Row(f"{theirs}.bias", f"{ours}.beta")]


EMBEDDINGS = [
    Row("embeddings.word_embeddings.weight", "word_embeddings.embeddings"),
    Row("embeddings.position_embeddings.weight", "position_embeddings.embeddings"),
    Row("embeddings.token_type_embeddings.weight", "token_type_embeddings.embeddings"),
    *_norm("embeddings.LayerNorm", "embeddings_norm"),
]
BLOCK = [  # within encoder.layer.i and blocks.i
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
    """The table of a whole BERT."""
    blocks = [
        Row(f"encoder.layer.{i}.{row.theirs}", f"blocks.{i}.{row.ours}", row.transposed)
        for i in range(num_hidden_layers)
        for row in BLOCK
    ]
    return [*EMBEDDINGS, *blocks, *POOLER]


def sizes_of(config: Mapping, source: object) -> dict:
    """The arguments that build the BERT of a config.json.

    Args:
        config: what config.json says.
        source: where it was found, for messages.

    Raises:
        InputError: it is another kind of model, or a kind of BERT that is not built here.
    """
    kind = config.get("model_type", "bert")  # early BERTs do not say
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


def without_prefix(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights by the names of the table: without what leads to a BERT within a larger model, and without the
    legacy names of norms."""
    found = {}
    for name, tensor in tensors.items():
        name = name.rpartition("bert.")[2]
        for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
            if name.endswith(old):
                name = name.removesuffix(old) + new
        found[name] = tensor
    return found


def read_rows(
    table: Iterable[Row], tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple], source: object
) -> dict[str, np.ndarray]:
    """Our weights from theirs.

    Args:
        table: what to read; other tensors are left alone.
        tensors: theirs, by the names of the table.
        shapes: of each weight of ours, by path.
        source: where they were found, for messages.

    Returns:
        Ours, by path.

    Raises:
        InputError: tensors are missing or have other shapes; they are named.
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
    """Their weights from ours: what `read_rows` undoes.

    Args:
        table: what to write.
        values: ours, by path.

    Returns:
        Theirs, by the names of the table.
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
