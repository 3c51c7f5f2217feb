"""Converts BERT's weights between published checkpoints and our network, with one table for both directions.

In this file "theirs" are the weights of a published checkpoint, by PyTorch's names and in PyTorch's layout; "ours" are
the weights of lmkeras.networks.bodies.bert.Bert and of the heads that stand on it.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from lmkeras.archives import shortened
from lmkeras.errors import InputError
from lmkeras.pretrained.bert_tables import BERT, FAMILIES, Family, Row

#: what is no size: all other numbers of a config.json are whole
_FRACTIONS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps")
#: families whose tokenizers are Unigram models
_UNIGRAM = ("xlm-roberta", "camembert")


def family_of(config: Mapping, source: object) -> Family:
    """The family of checkpoints that a config.json names.

    Args:
        config: the content of config.json.
        source: the folder of config.json, for messages.

    Raises:
        InputError: config.json describes another kind of model.
    """
    kind = config.get("model_type", "bert")  # the config.json of early BERTs has no model_type
    if not isinstance(kind, str) or kind not in FAMILIES:
        expected = f"expected {' or '.join(FAMILIES)}"
        why = "its Unigram (SentencePiece) tokenizer is not here yet; " if kind in _UNIGRAM else ""
        raise InputError(f"{source} holds a model of type {kind!r}: {why}{expected}")
    return FAMILIES[kind]


def sizes_of(config: Mapping, source: object) -> dict:
    """The arguments of `Bert` for the model that a config.json describes.

    Args:
        config: the content of config.json.
        source: the folder of config.json, for messages.

    Raises:
        InputError: config.json describes another kind of model, or a variant of BERT that lmkeras does not have.
    """
    family = family_of(config, source)
    expected = {"position_embedding_type": "absolute", "is_decoder": False}
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise InputError(
                f"{source} holds a model of type {family.model_type!r} with {name} {config[name]!r}: expected "
                f"{name} {value!r}"
            )
    sizes = {**family.defaults, **{ours: config[name] for ours, name in family.config.items() if name in config}}
    for name, value in sizes.items():
        types, expected = ((int, float), "a number") if name in _FRACTIONS else ((int,), "a whole number")
        types, expected = ((str,), "a name") if name == "hidden_act" else (types, expected)
        if type(value) not in types:
            raise InputError(f"config.json in {source} says {family.config[name]} {value!r}: expected {expected}")
    return {**sizes, "model_type": family.model_type}


def longest_text(config: Mapping, source: object) -> int | None:
    """The most ids that a model reads at once; None where its config.json does not say. For errors see `sizes_of`."""
    sizes = sizes_of(config, source)
    positions, padding = sizes.get("max_position_embeddings"), sizes.get("pad_token_id")
    return None if positions is None else positions_for_tokens(positions, padding)


def positions_for_tokens(max_position_embeddings: int, pad_token_id: int | None) -> int:
    """How many positions tokens can have: where padding has one, those up to it are of no token.

    Example:
        >>> positions_for_tokens(512, None), positions_for_tokens(514, 1)
        (512, 512)
    """
    return max_position_embeddings - (0 if pad_token_id is None else 1 + pad_token_id)


def labels_of(config: Mapping, source: object) -> tuple[str, ...] | None:
    """The names of the answers of a published head, in the order of its logits; None if config.json has no names.

    Raises:
        InputError: id2label does not have a name for each of 0, 1, 2 and so on.
    """
    named = config.get("id2label")
    if named is None:
        return None
    try:
        labels = {int(number): name for number, name in named.items()}
    except (AttributeError, TypeError, ValueError):
        labels = {}
    if not labels or sorted(labels) != list(range(len(labels))) or not all(map(_is_name, labels.values())):
        raise InputError(f"config.json in {source} has no names for 0, 1, 2 … in id2label: {shortened(named)}")
    return tuple(labels[number] for number in range(len(labels)))


def _is_name(value: object) -> bool:
    return isinstance(value, str)


def config_of(sizes: Mapping) -> dict:
    """The entries of config.json for the arguments of a `Bert`: the inverse of `sizes_of`."""
    family = FAMILIES[sizes["model_type"]]
    named = {theirs: sizes[ours] for ours, theirs in family.config.items()}
    return {"model_type": family.model_type, **named}


def by_names_of_the_table(
    tensors: Mapping[str, np.ndarray], family: Family, prefix: str | None, source: object
) -> dict[str, np.ndarray]:
    """The weights of a checkpoint, renamed to the names of the table.

    A prefix such as "bert.", which the names have in a larger model that contains a BERT, is removed. The legacy names
    gamma and beta of norms become weight and bias. Weights of a head keep the end of their name that is in the table.

    Args:
        tensors: the checkpoint's weights.
        family: the family of the checkpoint.
        prefix: the prefix; None finds it out.
        source: the checkpoint's folder, for messages.

    Raises:
        InputError: the checkpoint holds several BERTs and no prefix is given; the message names their prefixes.
    """
    prefix, found = _prefix(tensors, source) if prefix is None else prefix, {}
    of_heads = {row.theirs for rows in family.heads.values() for row in rows}
    of_heads |= {row.theirs for row in family.pooler_of_head}
    for name, tensor in tensors.items():
        inside = name.startswith(prefix)
        modern = name.removeprefix(prefix)
        for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
            if modern.endswith(old):
                modern = modern.removesuffix(old) + new
        steps = modern.split(".")
        ends = (".".join(steps[at:]) for at in range(len(steps)))
        end = next((end for end in ends if end in of_heads), None)
        if end is not None or inside:
            found[end or modern] = tensor
    return found


def _prefix(tensors: Mapping[str, np.ndarray], source: object) -> str:
    """What stands before the names of a BERT's weights, such as "bert." or "0.auto_model."; often nothing."""
    first = BERT.embeddings[0].theirs
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
