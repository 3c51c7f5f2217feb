"""config.json of published decoders, as arguments of lmkeras.networks.bodies.decoder.PublishedDecoder and back.

What config.json asks for is either understood, or known to change nothing in what a network computes, or refused by
name: a network that ignored a setting would give other texts than the one that was published.
"""

from collections.abc import Mapping

from lmkeras.archives import shortened
from lmkeras.errors import InputError
from lmkeras.layers.activations import ACTIVATIONS
from lmkeras.pretrained import decoder_rotary
from lmkeras.pretrained.decoder_tables import FAMILIES, Family, Key

#: entries of config.json that change nothing in what a network computes when it is used; those that generation begins
#: from are in generation_config.json today
MEANINGLESS = frozenset(
    """
    model_type architectures _name_or_path name_or_path _model_name_or_path transformers_version torch_dtype dtype
    initializer_range use_cache attention_dropout bos_token_id eos_token_id pad_token_id unk_token_id sep_token_id
    decoder_start_token_id tokenizer_class return_dict output_attentions output_hidden_states torchscript use_bfloat16
    gradient_checkpointing id2label label2id num_labels finetuning_task problem_type task_specific_params prefix
    transformers.js_config _attn_implementation attn_implementation _attn_implementation_autoset unsloth_fixed
    unsloth_version chunk_size_feed_forward _commit_hash max_length min_length max_new_tokens do_sample early_stopping
    num_beams num_beam_groups diversity_penalty temperature top_k top_p min_p typical_p repetition_penalty
    length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores
    return_dict_in_generate forced_bos_token_id forced_eos_token_id remove_invalid_values
    exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
    """.split()
)
_MOST = 2**31


def family_of(config: Mapping, where: str) -> Family:
    """The family of decoders that a config.json names; InputError if it names another kind of model."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise InputError(
            f"{where} describes a model of type {shortened(repr(kind))}: expected one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[kind]


def arguments_of(config: Mapping, where: str, num_tensors: int) -> dict:
    """The arguments of `PublishedDecoder` for the model that a config.json describes.

    Args:
        config: the content of config.json.
        where: its path, for messages.
        num_tensors: how many tensors the checkpoint has; it has at least one for each block.

    Raises:
        InputError: config.json asks for what lmkeras does not have, or its values make no sense.
    """
    family = family_of(config, where)
    _require_understood(config, family, where)
    arguments = {}
    for name, key in family.keys.items():
        value = _checked(config.get(name, key.default), key, f"{where} says {name}")
        arguments.update(dict.fromkeys(key.ours.split(), value))
    if arguments["num_layers"] > num_tensors:
        raise InputError(f"{where} says {arguments['num_layers']:,} layers: the checkpoint has {num_tensors:,} tensors")
    arguments["dff"] = arguments["dff"] or 4 * arguments["d_model"]
    shared = arguments.get("num_key_value_heads") or arguments["num_heads"]
    if arguments["num_heads"] % shared:
        raise InputError(
            f"{where} says {arguments['num_heads']} heads for queries and {shared} for keys: expected a multiple of it"
        )
    rotary, window_rotary = decoder_rotary.rotary_of(config, family, where)
    arguments |= {
        "num_key_value_heads": shared,
        "key_dim": arguments.get("key_dim") or _share(arguments, where),
        "context_length": decoder_rotary.longest_text(rotary, arguments["context_length"]),
        "rotary": rotary,
        "window_rotary": window_rotary,
        "family": family.model_type,
        **family.always,
        **_layers_of(config, family, arguments["num_layers"], where=where),
    }
    if rotary is not None and arguments["key_dim"] % 2:
        raise InputError(f"{where} says heads of {arguments['key_dim']} values: rotary positions need an even number")
    return arguments


def _share(arguments: Mapping, where: str) -> int:
    width, heads = arguments["d_model"], arguments["num_heads"]
    if width % heads:
        raise InputError(f"{where} says a width of {width} and {heads} heads: expected a multiple of the heads")
    return width // heads


def _require_understood(config: Mapping, family: Family, where: str) -> None:
    """Raises InputError, naming it, for an entry that asks for what lmkeras does not have."""
    known = MEANINGLESS | family.meaningless | family.layered | family.keys.keys() | decoder_rotary.KEYS
    for name, value in config.items():
        neutral = family.neutral.get(name)
        asks = name in family.neutral and value is not None and value != neutral
        if asks or (name not in known and name not in family.neutral and value not in (None, False, [], {})):
            raise InputError(
                f"{where} asks for {shortened(name)}={shortened(repr(value))}, which lmkeras does not have yet"
            )


def _checked(value: object, key: Key, says: str) -> object:
    """An entry's value; InputError if it is not of its kind. None stands for what follows from other entries."""
    if (value is None and key.default is None) or (value is None and key.ours in ("num_key_value_heads", "key_dim")):
        return None
    if key.kind == "size":
        fits, wanted = type(value) is int and 1 <= value < _MOST, f"a whole number from 1 to below {_MOST}"
    elif key.kind == "number":
        fits, wanted = type(value) in (int, float) and 0 < value < float("inf"), "a number above 0"
    elif key.kind == "flag":
        fits, wanted = isinstance(value, bool), "true or false"
    else:
        fits, wanted = isinstance(value, str) and value in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}"
    if not fits:
        raise InputError(f"{says} {shortened(repr(value))}: expected {wanted}")
    return value


def _layers_of(config: Mapping, family: Family, num_layers: int, where: str) -> dict:
    """Which blocks have windows, and which turn queries and keys: the arguments `windows` and `rotated`."""
    found = {"rotated": None}
    if "no_rope_layers" in family.layered:
        interval = _size(config, "no_rope_layer_interval", 4, where=where)
        rotated = config.get("no_rope_layers")
        if rotated is None:
            rotated = [(i + 1) % interval != 0 for i in range(num_layers)]
        if not isinstance(rotated, list) or len(rotated) < num_layers or any(one not in (0, 1) for one in rotated):
            raise InputError(f"{where} says no_rope_layers {shortened(rotated)}: expected 0 or 1 for each layer")
        found["rotated"] = [bool(one) for one in rotated[:num_layers]]
    return {**found, "windows": _windows(config, family, num_layers, where=where, rotated=found["rotated"])}


def _windows(config: Mapping, family: Family, num_layers: int, *, where: str, rotated: list | None) -> list[int] | None:
    """For each block, how many tokens a token looks at, 0 for all; None if no block has a window."""
    if "sliding_window" not in family.layered:
        return None
    window = _size(config, "sliding_window", None if rotated else 4096, where=where)
    switch = "use_sliding_window" in family.layered
    if window is None or (switch and not config.get("use_sliding_window", False)):
        return None
    types = config.get("layer_types") if "layer_types" in family.layered else None
    if types is None and rotated is not None:
        sliding = [not one for one in rotated]
    elif types is None and switch:
        full = config.get("max_window_layers", 28)
        if type(full) is not int or full < 0:
            raise InputError(f"{where} says max_window_layers {shortened(repr(full))}: expected a number of layers")
        sliding = [i >= full for i in range(num_layers)]
    elif types is None and family.window_base is not None:
        pattern = _size(config, "sliding_window_pattern", None, where=where)
        pattern = pattern or _size(config, "_sliding_window_pattern", 6, where=where)
        sliding = [bool((i + 1) % pattern) for i in range(num_layers)]
    elif types is None:
        sliding = [True] * num_layers
    else:
        if not isinstance(types, list) or len(types) != num_layers:
            raise InputError(
                f"{where} says layer_types {shortened(types)}: expected one for each of {num_layers} layers"
            )
        for one in types:
            if one not in ("full_attention", "sliding_attention"):
                raise InputError(f"{where} asks for layers of type {shortened(repr(one))}, which lmkeras does not have")
        sliding = [one == "sliding_attention" for one in types]
    return [window if one else 0 for one in sliding] if any(sliding) else None


def _size(config: Mapping, name: str, default: int | None, *, where: str) -> int | None:
    return _checked(config.get(name, default), Key(name, None), f"{where} says {name}")


def config_of(arguments: Mapping) -> dict:
    """The content of config.json for the arguments of a `PublishedDecoder`: the inverse of `arguments_of`."""
    family = FAMILIES[arguments["family"]]
    config = {"model_type": family.model_type, "architectures": [family.architecture]}
    config |= {name: arguments[key.ours.split()[0]] for name, key in family.keys.items()}
    rotary = arguments["rotary"]
    if rotary is not None and rotary.get("kind") == "dynamic":
        config["max_position_embeddings"] = rotary["trained_length"]
    config |= decoder_rotary.config_of_rotary(rotary, arguments["window_rotary"])
    windows = arguments["windows"]
    if "sliding_window" in family.layered:
        config["sliding_window"] = max(windows) if windows else None
    if "layer_types" in family.layered:
        sliding = windows or [0] * arguments["num_layers"]
        config["layer_types"] = ["sliding_attention" if one else "full_attention" for one in sliding]
    if "use_sliding_window" in family.layered:
        config["use_sliding_window"] = windows is not None
    if arguments["rotated"] is not None:
        config["no_rope_layers"] = [int(one) for one in arguments["rotated"]]
    return config
