"""Rotary positions in config.json of published decoders, as files before and since transformers 5 describe them.

Older files have rope_theta and rope_scaling; newer ones have rope_parameters, which holds both, in Gemma 3
for each type of layer. What is read are the fields of lmkeras.layers.rotary.Rotary, without key_dim.
"""

import math
from collections.abc import Mapping

from lmkeras.archives import shortened
from lmkeras.errors import InputError
from lmkeras.pretrained.decoder_tables import Family

#: entries of config.json that are read here
KEYS = frozenset({"rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq", "partial_rotary_factor"})
_KINDS = ("default", "linear", "dynamic", "llama3", "yarn")
_KNOWN = {
    *("rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings", "low_freq_factor"),
    *("high_freq_factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
    "partial_rotary_factor",
}


def rotary_of(config: Mapping, family: Family, where: str) -> tuple[dict | None, dict | None]:
    """How blocks without and with a window turn queries and keys; None if they do not, or if both do it alike.

    Args:
        config: the content of config.json.
        family: the family that it names.
        where: its path, for messages.

    Raises:
        InputError: it asks for a scaling that lmkeras does not have, or has numbers that make no sense.
    """
    if family.base is None:
        asked = [name for name in KEYS if config.get(name)]
        if asked:
            raise InputError(f"{where} asks for {asked[0]}, which a {family.model_type} does not have")
        return None, None
    if family.window_base is None and config.get("rope_local_base_freq"):
        raise InputError(f"{where} asks for rope_local_base_freq, which a {family.model_type} does not have")
    said = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if not isinstance(said, Mapping):
        raise InputError(f"{where} says rope_parameters {shortened(said)}: expected names with values")
    common = {"rope_theta": config.get("rope_theta"), "partial_rotary_factor": config.get("partial_rotary_factor")}
    length = config.get("max_position_embeddings", family.keys["max_position_embeddings"].default)
    if family.window_base is None:
        return _rotary(said, common, base=family.base, length=length, where=where), None
    nested = {"full_attention", "sliding_attention"} & said.keys()
    full, window = (said.get(name) or {} for name in ("full_attention", "sliding_attention")) if nested else (said, {})
    local = {**common, "rope_theta": config.get("rope_local_base_freq")}
    return (
        _rotary(full, common, base=family.base, length=length, where=where),
        _rotary(window, local, base=family.window_base, length=length, where=where),
    )


def _rotary(said: Mapping, common: Mapping, *, base: float, length: int, where: str) -> dict:
    """The fields of a `Rotary` from one description."""
    said = {name: value for name, value in {**common, **said}.items() if value is not None}
    kind = said.get("rope_type", said.get("type", "default"))
    if kind not in _KINDS:
        raise InputError(f"{where} asks for rope_type={shortened(repr(kind))}, which lmkeras does not have yet")
    for name, value in said.items():
        if name not in _KNOWN or (name == "partial_rotary_factor" and value != 1):
            raise InputError(
                f"{where} asks for {shortened(name)}={shortened(repr(value))} in its rotary positions, "
                "which lmkeras does not have yet"
            )

    def number(name, default, least=0.0):
        value = said.get(name, default)
        if type(value) not in (int, float) or not math.isfinite(value) or value <= 0 or value < least:
            raise InputError(
                f"{where} says {name} {shortened(repr(value))} for {kind} rotary positions: "
                f"expected a number {f'from {least:g} on' if least else 'above 0'}"
            )
        return value

    fields = {"base": float(number("rope_theta", base))}
    if kind == "default":
        return fields
    fields |= {"kind": kind, "factor": float(number("factor", None, 1))}
    if kind == "linear":
        return fields
    if kind == "dynamic":
        return {**fields, "trained_length": length}
    fields["trained_length"] = int(number("original_max_position_embeddings", length, 1))
    if kind == "llama3":
        fields |= {"few_turns": number("low_freq_factor", None), "many_turns": number("high_freq_factor", None)}
        if fields["few_turns"] >= fields["many_turns"]:
            raise InputError(f"{where} says low_freq_factor {fields['few_turns']}: expected less than high_freq_factor")
        return fields
    return {
        **fields,
        "few_turns": number("beta_slow", 1),
        "many_turns": number("beta_fast", 32),
        "whole_pairs": bool(said.get("truncate", True)),
        "magnitude": _magnitude(said, fields["factor"], number),
    }


def _magnitude(said: Mapping, factor: float, number) -> float:
    """What yarn multiplies turned queries and keys by."""
    if "attention_factor" in said:
        return float(number("attention_factor", None))

    def of(scale):
        return 0.1 * scale * math.log(factor) + 1.0

    if said.get("mscale") and said.get("mscale_all_dim"):
        return of(number("mscale", None)) / of(number("mscale_all_dim", None))
    return of(1.0)


def longest_text(rotary: Mapping | None, length: int) -> int:
    """The tokens in the longest text that a decoder is made for.

    Args:
        rotary: the fields of a `Rotary`, or None.
        length: max_position_embeddings, which may be the length before texts were extended.
    """
    if rotary is None or rotary.get("kind") not in ("dynamic", "yarn"):
        return length
    return max(length, int(rotary["trained_length"] * rotary["factor"]))


def config_of_rotary(rotary: Mapping | None, window_rotary: Mapping | None) -> dict:
    """The entries of config.json for rotary positions: the inverse of `rotary_of`, in the older form if it can be.

    Versions 4 and 5 of transformers both read the older form.
    """
    if rotary is None:
        return {}
    if window_rotary is not None and "kind" in window_rotary:  # the older form has only a base for them
        both = {"full_attention": rotary, "sliding_attention": window_rotary}
        return {
            "rope_parameters": {
                name: {"rope_theta": one["base"], **(_scaling(one) or {"rope_type": "default"})}
                for name, one in both.items()
            }
        }
    local = {} if window_rotary is None else {"rope_local_base_freq": window_rotary["base"]}
    return {"rope_theta": rotary["base"], **local, "rope_scaling": _scaling(rotary)}


def _scaling(rotary: Mapping) -> dict | None:
    kind = rotary.get("kind", "default")
    if kind == "default":
        return None
    scaling = {"rope_type": kind, "factor": rotary["factor"]}
    if kind in ("llama3", "yarn"):
        scaling["original_max_position_embeddings"] = rotary["trained_length"]
    if kind == "llama3":
        scaling |= {"low_freq_factor": rotary["few_turns"], "high_freq_factor": rotary["many_turns"]}
    if kind == "yarn":
        scaling |= {
            "beta_slow": rotary["few_turns"],
            "beta_fast": rotary["many_turns"],
            "truncate": rotary["whole_pairs"],
            "attention_factor": rotary["magnitude"],
        }
    return scaling
