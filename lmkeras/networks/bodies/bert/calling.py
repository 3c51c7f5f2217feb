"""The forms in which BERT takes its inputs, and its outputs, which can be read by position and by name."""

import collections
import functools
import itertools
from collections.abc import Mapping

from lmkeras.errors import InputError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def by_name(given: dict, labels: tuple[str, ...] = ()) -> dict:
    """The inputs of a call as one dictionary by name, without those that are None; InputError if they are wrong.

    Args:
        given: the arguments input_ids, attention_mask and token_type_ids of the call. input_ids may also hold all
            inputs: in a dictionary by name, or in a list or tuple in this order.
        labels: names of labels that may be among them.
    """
    first = given.pop("input_ids")
    if isinstance(first, Mapping):  # a tokenizer of transformers gives a mapping that Keras does not take
        first = dict(first)
    elif isinstance(first, list | tuple):
        first = dict(itertools.zip_longest(INPUTS, first))
    else:
        first = {"input_ids": first}
    named = {name: value for name, value in (*first.items(), *given.items()) if value is not None}
    if not {"input_ids"} <= set(named) <= {*INPUTS, *labels}:
        got = ", ".join(map(str, named)) or "nothing"
        raise InputError(f"BERT takes input_ids and, if need be, {' and '.join(INPUTS[1:])}; got {got}")
    for name, value in named.items():
        if name in labels:
            continue
        ranks = (2, 3) if name == "attention_mask" else (2,)
        shape = getattr(value, "shape", None)
        if shape is None or len(shape) not in ranks:
            got = type(value).__name__ if shape is None else list(shape)
            raise InputError(f"expected {name} as an array [texts, tokens], got {got}")
    return named


class _ByName:
    """Added to a named tuple: its values can also be read by name in brackets, as in outputs["pooler_output"]."""

    def __getitem__(self, key):
        return getattr(self, key) if isinstance(key, str) else super().__getitem__(key)


@functools.cache
def outputs_type(names: tuple[str, ...]) -> type:
    """A class of named tuples with exactly these fields; absent outputs cannot be None, as Keras refuses None."""
    return type("BertOutputs", (_ByName, collections.namedtuple("BertOutputs", names)), {"__slots__": ()})
