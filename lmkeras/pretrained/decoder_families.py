"""The tensors of published decoders: which there must be, of which shapes, how they become weights of ours, and back.

"Theirs" and "ours" are as in decoder_tables.py.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lmkeras.archives import shortened
from lmkeras.errors import InputError
from lmkeras.pretrained.decoder_tables import FAMILIES, Row
from lmkeras.pretrained.precision import require_in_range

#: what follows from config.json and is in some checkpoints none the less: rates of rotary positions, causal masks
_BUFFERS = re.compile(r"(.*\.)?(rotary_emb\.inv_freq|attn\.(bias|masked_bias))")
_HEAD = Row("lm_head.weight", "head.dense.kernel", "VD", transposed=True)
_MOST_NAMES = 5  # in a message


def rows_of(arguments: Mapping, prefixed: bool = True) -> list[Row]:
    """The tensors of a checkpoint of a whole network with such a body.

    Args:
        arguments: of `PublishedDecoder`.
        prefixed: whether the names begin with the family's prefix.
    """
    family, rows = FAMILIES[arguments["family"]], []
    for row in family.rows:
        if row.only_with and not arguments.get(row.only_with):
            continue
        row = dataclasses.replace(row, theirs=(family.prefix if prefixed else "") + row.theirs)
        if "{i}" in row.theirs:
            numbers = [str(i) for i in range(arguments["num_layers"])]
            named = ((row.theirs.replace("{i}", i), row.ours.replace("{i}", i)) for i in numbers)
            rows += [dataclasses.replace(row, theirs=theirs, ours=ours) for theirs, ours in named]
        else:
            rows.append(row)
    return rows if arguments["tie_embeddings"] else [*rows, _HEAD]


def shape_of(row: Row, arguments: Mapping) -> tuple[int, ...]:
    """The shape that a tensor must have."""
    heads, shared = (arguments[name] * arguments["key_dim"] for name in ("num_heads", "num_key_value_heads"))
    sizes = {
        "V": arguments["vocabulary_size"],
        "P": arguments["context_length"],
        "D": arguments["d_model"],
        "F": arguments["dff"],
        "K": arguments["key_dim"],
        "Q": heads,
        "N": shared,
        "A": heads + 2 * shared,
    }
    return tuple(sizes[letter] for letter in row.shape)


def rows_in(source, arguments: Mapping) -> list[Row]:
    """The rows of a checkpoint, after a check that it has all tensors of the right shapes, and no others.

    Nothing is read for it but, where the last matrix is tied to the embedding and there none the less, these two.

    Args:
        source: the checkpoint, which has `folder`, `name`, `shapes` and `read`.
        arguments: of `PublishedDecoder`.

    Raises:
        InputError: tensors are missing, left over or of another shape; the message names some of them.
    """
    family = FAMILIES[arguments["family"]]
    first = family.rows[0].theirs
    rows = rows_of(arguments, prefixed=first not in source.shapes)
    expected = {row.theirs: shape_of(row, arguments) for row in rows}
    missing = [name for name in expected if name not in source.shapes]
    if missing:
        raise InputError(f"{source.name} lacks {_listed(missing)}, which its config.json asks for")
    others = [name for name in source.shapes if name not in expected and not _BUFFERS.fullmatch(name)]
    if _HEAD.theirs in others:
        _require_tied(source, rows[0].theirs)
        others.remove(_HEAD.theirs)
    if others:
        raise InputError(
            f"{source.name} has {_listed(others)}, which a {family.model_type} with its config.json does not have"
        )
    wrong = [name for name, shape in expected.items() if tuple(source.shapes[name]) != shape]
    if wrong:
        shapes = (f"{name} {list(source.shapes[name])} instead of {list(expected[name])}" for name in wrong)
        raise InputError(f"{source.name} has other shapes than its config.json says: {_listed(list(shapes))}")
    return rows


def _require_tied(source, embedding: str) -> None:
    same = source.shapes[_HEAD.theirs] == source.shapes[embedding]
    if not same or not np.array_equal(source.read(_HEAD.theirs), source.read(embedding)):
        raise InputError(
            f"{source.name} has {_HEAD.theirs} unlike {embedding}: expected tie_word_embeddings false in config.json"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(shortened, names[:_MOST_NAMES])) + more


def by_weight(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each weight of ours, in the order in which they stand side by side."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.ours, []).append(row)
    return found


def weight_of(rows: Sequence[Row], source, arguments: Mapping, dtype: np.dtype) -> np.ndarray:
    """A weight of ours, made of the tensors of its rows.

    Args:
        rows: of this weight.
        source: the checkpoint.
        arguments: of `PublishedDecoder`.
        dtype: the precision that the weight is to have.

    Returns:
        A new array, which shares no memory with the file.

    Raises:
        InputError: a tensor has values beyond the precision's range.
    """
    if len(rows) == 1:
        tensor = source.read(rows[0].theirs)
        tensor = tensor.T if rows[0].transposed else tensor
        with np.errstate(over="ignore"):
            weight = np.array(tensor, dtype, order="C")
        require_in_range(weight, tensor, rows[0].theirs)
        return weight
    shapes = [shape_of(row, arguments) for row in rows]
    sizes = [shape[0] if row.transposed else shape[-1] for row, shape in zip(rows, shapes, strict=True)]
    weight, at = np.empty((*shapes[0][1:], sum(sizes)), dtype), 0
    for row, size in zip(rows, sizes, strict=True):
        tensor = source.read(row.theirs).T  # rows side by side are transposed matrices, or biases
        with np.errstate(over="ignore"):
            weight[..., at : at + size] = tensor
        require_in_range(weight[..., at : at + size], tensor, row.theirs)
        at += size
    return weight


def tensors_of(rows: Sequence[Row], weight: np.ndarray, arguments: Mapping) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint that a weight of ours is made of: the inverse of `weight_of`."""
    tensors, at = {}, 0
    for row in rows:
        shape = shape_of(row, arguments)
        size = shape[0] if row.transposed else shape[-1]
        tensor = weight[..., at : at + size]
        tensors[row.theirs] = np.ascontiguousarray(tensor.T if row.transposed else tensor)
        at += size
    return tensors
