"""How decoders are read from published checkpoints, and written as such."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lmkeras.errors import InputError, unknown_name
from lmkeras.networks.bodies.decoder.body import PublishedDecoder
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from lmkeras.networks.weights import named_weights
from lmkeras.pretrained.checkpoint import write_checkpoint
from lmkeras.pretrained.decoder_config import arguments_of, config_of
from lmkeras.pretrained.decoder_families import by_weight, rows_in, rows_of, tensors_of, weight_of
from lmkeras.pretrained.precision import WEIGHT_DTYPES, in_dtype, loses_digits, numpy_dtype

#: where config.json says nothing, transformers takes ids of the vocabulary that a family was first published with
_NO_IDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


def read_decoder(source, dtype: str | None = None) -> Network:
    """The network of a published checkpoint: a PublishedDecoder with a LanguageHead.

    Beside the weights, no more memory is taken than the largest of them needs.

    Args:
        source: the checkpoint, which has `folder`, `name`, `config`, `shapes`, `read` and `kept_dtype`.
        dtype: the precision in which weights are held: "float32", "bfloat16" or "float16"; None for that of most
            tensors in the checkpoint, in which they are written to files unless this has fewer digits. The network
            computes in float32 with each of them, so that weights that were published in bfloat16 give the same logits
            in bfloat16, in half the memory, as in float32.

    Raises:
        InputError: config.json asks for what lmkeras does not have, the tensors are not those that it describes, or one
            of them has values beyond float16.
    """
    dtype = source.kept_dtype if dtype is None else dtype
    if dtype not in WEIGHT_DTYPES:
        raise unknown_name("dtype of weights", dtype, WEIGHT_DTYPES)
    arguments = arguments_of(source.config, f"config.json in {source.name}", num_tensors=len(source.shapes))
    rows = by_weight(rows_in(source, arguments))
    changed = getattr(source, "note", "") or loses_digits(source.kept_dtype, dtype)
    published = dtype if changed else source.kept_dtype
    network = new_decoder({**arguments, "weights_dtype": dtype, "published_dtype": published})
    weights = named_weights(network)
    for path, parts in rows.items():
        weight = weights.pop(path)
        weight.assign(weight_of(parts, source, arguments=arguments, dtype=numpy_dtype(dtype)))
    if weights:  # a table without one of the weights: that would be a mistake in lmkeras
        raise ValueError(f"no tensor for {', '.join(weights)}")
    return network


def new_decoder(arguments: Mapping) -> Network:
    """A network without weights yet, for the arguments of a PublishedDecoder."""
    body = PublishedDecoder(**arguments)
    tied = {} if body.tie_embeddings else {"use_bias": False, "weights_dtype": body.weights_dtype}
    return Network(body, LanguageHead(body.vocabulary_size, body.tie_embeddings, **tied))


def write_decoder(network: Network, folder: str | Path, more: Mapping | None = None) -> None:
    """Writes config.json and model.safetensors that transformers reads; weights are as precise as when published.

    Where they are held in fewer digits than that, they are written as they are held.

    Args:
        network: what `read_decoder` gave.
        folder: created if it does not exist; the files of an earlier checkpoint are replaced.
        more: further entries of config.json, such as eos_token_id.

    Raises:
        InputError: the network has another body, or values beyond float16 where it was published in that.
    """
    body = network.body
    if not isinstance(body, PublishedDecoder):
        raise InputError(f"expected a network that was read from a published decoder, got {network.described()}")
    dtype = body.published_dtype or body.weights_dtype
    arguments, weights, tensors = body.get_config(), named_weights(network), {}
    for path, parts in by_weight(rows_of(arguments)).items():
        tensors |= tensors_of(parts, in_dtype(np.asarray(weights[path].value), dtype, path), arguments)
    config = {**config_of(arguments), **_NO_IDS, "torch_dtype": dtype, **(more or {})}
    write_checkpoint(folder, config, tensors)
