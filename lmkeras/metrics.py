"""Measures of a language model: its mean loss converted to other units, and a compressor to compare with."""

import lzma
import math
from collections.abc import Iterable

#: Bits that it takes to name any one character: a number among Unicode's 0x110000 code points.
UNKNOWN_CHARACTER_BITS = math.log2(0x110000)


def perplexity(loss_nats: float) -> float:
    """Perplexity of a mean token loss: exp(loss).

    Args:
        loss_nats: mean negative log-likelihood per token, in nats, >= 0.

    Returns:
        exp(loss_nats), in [1, inf); V for a model that is uniform over V tokens.

    Source: Jelinek et al. 1977; P(w1..wn) = prod P(wi | w1..wi-1) gives loss = -log P / n.

    Example:
        >>> round(perplexity(math.log(10_000)))
        10000
    """
    try:
        return math.exp(loss_nats)
    except OverflowError:
        return math.inf


def bits_per_character(loss_nats: float, tokens: int, characters: int, unknown_tokens: int = 0) -> float:
    """Bits per character of a text: total bits over characters, comparable between tokenizers and with compressors.

    Args:
        loss_nats: mean negative log-likelihood per token, in nats.
        tokens: number of tokens that `loss_nats` is the mean of.
        characters: number of characters in the text of those tokens.
        unknown_tokens: how many of the tokens stand for a character that has no id. The id for "unknown" does not say
            which character it was, so each such token costs another log2(0x110000) bits to name the character.

    Returns:
        Bits per character, >= 0.

    Example:
        >>> bits_per_character(math.log(2), tokens=8, characters=8)
        1.0
    """
    bits = loss_nats * tokens / math.log(2) + unknown_tokens * UNKNOWN_CHARACTER_BITS
    return bits / characters


def xz_bits_per_character(texts: Iterable[str], given: Iterable[str] = ()) -> float:
    """Bits per character that `xz -9e` needs for a text: a yardstick, as every machine has this compressor.

    Args:
        texts: the text to compress; its parts are joined by line ends.
        given: text that the compressor sees first, as a model sees its training text; its own bits are not counted.

    Returns:
        Bits per character of `texts`.
    """
    text, before = "\n".join(texts), "\n".join(given)
    if before:
        before += "\n"
    bits = 8 * (_xz_bytes(before + text) - (_xz_bytes(before) if before else 0))
    return bits / len(text)


def _xz_bytes(text: str) -> int:
    return len(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
