"""How texts are generated: the settings, their defaults, which are the same everywhere, and their limits.

This module imports no TensorFlow, so that the command line checks numbers before it waits for TensorFlow's start.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, NamedTuple

from lmkeras.errors import InputError, unknown_argument

if TYPE_CHECKING:
    import tensorflow as tf

#: the most tokens that are added to a text, if the user names no other number
MAX_NEW_TOKENS = 200
#: the most beams, so that a request cannot take all memory
MOST_BEAMS = 1024


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float = 0.8
    """0: always the likeliest token; below 1: likely tokens more often; 1: the model's probabilities; above 1: unlikely
    tokens more often."""
    top_k: int = 0
    """Draw only from this many of the likeliest tokens; 0: from all."""
    top_p: float = 1.0
    """Draw only from the likeliest tokens whose probabilities together reach this value; 1: from all."""
    repetition_penalty: float = 1.0
    """Above 1, tokens that are already in the text become less likely; 1: no penalty."""
    seed: int = 0
    """The same seed gives the same text."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, kind, expected = getattr(self, field.name), Real, "a number"
            if field.type is int:
                kind, expected = Integral, "a whole number"
            if not isinstance(value, kind) or isinstance(value, bool):
                raise InputError(f"{field.name} must be {expected}, got {value!r}")
        if not 0 <= self.temperature < math.inf:
            raise InputError(f"temperature must be 0 or more, got {self.temperature}")
        if self.top_k < 0:
            raise InputError(f"top_k must be 0 (all) or more, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be greater than 0 and at most 1, got {self.top_p}")
        if not 0 < self.repetition_penalty < math.inf:
            raise InputError(f"repetition_penalty must be greater than 0, got {self.repetition_penalty}")
        if not -(2**31) <= self.seed < 2**31:
            raise InputError(f"seed must fit in 32 bits, got {self.seed}")

    def tensors(self) -> "dict[str, tf.Tensor]":
        """The settings as scalar tensors, so that other values, such as another temperature, need no new trace."""
        import tensorflow as tf

        return {
            field.name: tf.constant(getattr(self, field.name), tf.int32 if field.type is int else tf.float32)
            for field in dataclasses.fields(self)
        }


@dataclasses.dataclass(frozen=True)
class Beams:
    """How the likeliest text is searched for, see `decoding/beams.py`."""

    num_beams: int = 4
    """How many unfinished texts are kept at a time; 1: the likeliest token is taken every time."""
    length_penalty: float = 1.0
    """0: the likeliest text wins, which may be a short one; above 0: longer texts win more; from -10 to 10."""
    no_repeat_ngram: int = 0
    """No so many tokens in a row come twice in a text; 0: they may."""

    def __post_init__(self):
        for name, least, most in (("num_beams", 1, MOST_BEAMS), ("no_repeat_ngram", 0, MOST_BEAMS)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool):
                raise InputError(f"{name} must be a whole number, got {value!r}")
            if not least <= value <= most:
                raise InputError(f"{name} must be from {least} to {most}, got {value}")
            object.__setattr__(self, name, int(value))  # of NumPy
        value = self.length_penalty
        if not isinstance(value, Real) or isinstance(value, bool) or not -10 <= value <= 10:
            raise InputError(f"length_penalty must be a number from -10 to 10, got {value!r}")

    def tensors(self, num_best: int) -> "dict[str, tf.Tensor]":
        """The arguments of `BeamSearch.search` beside what is searched."""
        import tensorflow as tf

        penalty = tf.constant(self.length_penalty, tf.float32)
        counts = {"num_beams": self.num_beams, "num_best": num_best}
        return {"length_penalty": penalty, **{name: tf.constant(count, tf.int32) for name, count in counts.items()}}

    def require(self, num_best: int) -> None:
        """Raises InputError if so many texts cannot be found by these beams."""
        if not isinstance(num_best, Integral) or isinstance(num_best, bool) or not 1 <= num_best <= self.num_beams:
            raise InputError(
                f"{self.num_beams} beams find 1 to {self.num_beams} texts, got {num_best!r}: a larger num_beams finds "
                "more"
            )


def require_no_chance(given: Mapping[str, float | None]) -> None:
    """Raises InputError if something is said, by name, of how tokens are drawn, as a search by beams draws none."""
    said = [name for name, value in given.items() if value is not None and name != "max_new_tokens"]
    if said:
        raise InputError(f"beams draw no tokens: leave out {', '.join(said)}, or the arguments of beams")


class Chosen(NamedTuple):
    """What generation goes by, once everything is settled.

    Attributes:
        max_new_tokens: the most tokens to add to a text.
        sampling: how they are chosen.
    """

    max_new_tokens: int
    sampling: Sampling


def chosen(own: Mapping[str, float] | None, given: Mapping[str, float | None]) -> Chosen:
    """What a user said, a model's own defaults where nothing was said, and those of lmkeras where it has none.

    Args:
        own: the model's defaults by name: max_new_tokens and fields of Sampling; None for a model without any.
        given: the same of the user, None where nothing was said.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> chosen({"temperature": 0.6}, {"temperature": None, "top_p": 0.9}).sampling
        Sampling(temperature=0.6, top_k=0, top_p=0.9, repetition_penalty=1.0, seed=0)
    """
    said = {name: value for name, value in given.items() if value is not None}
    settled = {"max_new_tokens": MAX_NEW_TOKENS, **(own or {}), **said}
    known = ["max_new_tokens", *(field.name for field in dataclasses.fields(Sampling))]
    for name in settled:
        if name not in known:
            raise unknown_argument("generate", name, known)
    return Chosen(settled.pop("max_new_tokens"), Sampling(**settled))


def published_defaults(config: Mapping[str, object], source: object) -> dict[str, float]:
    """A published model's defaults, from its generation_config.json, as transformers understands it.

    Unless it says do_sample, the likeliest token is taken every time.

    Args:
        config: the content of generation_config.json, {} if there is none.
        source: where it is from, for messages.

    Returns:
        Some of max_new_tokens, temperature, top_k, top_p and repetition_penalty, by name.

    Raises:
        InputError: a value is no number, or out of range.

    Example:
        >>> published_defaults({"do_sample": True, "top_p": 0.9}, "model")
        {'temperature': 1.0, 'top_k': 50, 'top_p': 0.9}
    """
    found = {name: config.get(name) for name in _ORDER}
    if config.get("do_sample"):
        found |= {name: config.get(name, default) for name, default in _TRANSFORMERS_DEFAULTS.items()}
    else:  # what else it says of sampling holds for users who give a temperature
        found["temperature"] = 0.0
    found = {name: value for name, value in found.items() if value is not None}
    for name, value in found.items():
        whole = name in ("top_k", "max_new_tokens")
        if type(value) not in ((int,) if whole else (int, float)):
            expected = "a whole number" if whole else "a number"
            raise InputError(f"generation_config.json of {source} says {name} {value!r}: expected {expected}")
    try:
        require_counts(chosen(found, {}).max_new_tokens, 1)
    except InputError as error:
        raise InputError(f"generation_config.json of {source}: {error}") from None
    return {name: found[name] for name in _ORDER if name in found}


#: what transformers takes where generation_config.json samples and does not say more
_TRANSFORMERS_DEFAULTS = {"temperature": 1.0, "top_k": 50, "top_p": 1.0}
_ORDER = ("max_new_tokens", "temperature", "top_k", "top_p", "repetition_penalty")


def require_counts(max_new_tokens: int, num_samples: int) -> None:
    """Raises InputError if one of the numbers is below 1 or beyond what a text in memory may have."""
    for name, value in (("num_samples", num_samples), ("max_new_tokens", max_new_tokens)):
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise InputError(f"{name} must be a whole number, got {value!r}")
        if not 1 <= value < 1 << 24:
            raise InputError(f"{name} must be at least 1 and less than {1 << 24}, got {value}")


def stop_texts(stop: str | Sequence[str]) -> list[str]:
    """A stop text, or several, as a list; InputError if one is empty or no text."""
    stops = [stop] if isinstance(stop, str) or not isinstance(stop, Iterable) else list(stop)
    for one in stops:
        if not isinstance(one, str):
            raise InputError(f"stop must be a text or several, got {one!r}")
    if "" in stops:
        raise InputError("a stop text must not be empty")
    return stops
