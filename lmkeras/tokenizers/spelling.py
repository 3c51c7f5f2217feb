"""How published tokenizers spell text: what text each of their tokens stands for."""

import functools
import re
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from lmkeras.tokenizers.pieces import BLANKS
from lmkeras.tokenizers.utf8 import whole_characters

_NAMED_BYTE = re.compile("<0x[0-9A-Fa-f]{2}>")
_LONGEST_REPLACEMENT = 16  # characters; a longer one could make texts of any length from a small file


class Spelling(NamedTuple):
    """What a tokenizer.json's decoder makes of tokens, where it joins what each token stands for by itself.

    Attributes:
        byte_level: whether each character of a token stands for one byte, as in GPT-2.
        byte_fallback: whether tokens like "<0x0A>" stand for one byte.
        replaced: texts inside tokens and what stands in their place in the end, such as "▁" and " ".
        stripped: a character that is removed from the start of the whole text, "" for none.
        most_stripped: how many of it at most.
    """

    byte_level: bool = False
    byte_fallback: bool = False
    replaced: tuple[tuple[str, str], ...] = ()
    stripped: str = ""
    most_stripped: int = 0

    @classmethod
    def of_decoder(cls, decoder: object) -> "Spelling | None":
        """The spelling of the "decoder" of a tokenizer.json; None where it is another kind of decoder."""
        try:
            return _spelling(_steps(decoder))
        except (KeyError, TypeError, AttributeError):
            return None

    def bytes_of(self, token: str) -> bytes:
        """The bytes that a token of the vocabulary stands for.

        Example:
            >>> Spelling(byte_level=True).bytes_of("Ġa"), Spelling(byte_fallback=True).bytes_of("<0x0A>")
            (b' a', b'\\n')
        """
        if self.byte_level:
            found = [byte_of_stand_in().get(character) for character in token]
            return token.encode() if None in found else bytes(found)
        for old, new in self.replaced:
            token = token.replace(old, new)
        if self.byte_fallback and _NAMED_BYTE.fullmatch(token):
            return bytes([int(token[3:5], 16)])
        return token.encode()

    def text_of(self, joined: bytes, whole: bool = False) -> str:
        """The text of the bytes of all tokens, U+FFFD where they are not UTF-8.

        Args:
            joined: the bytes.
            whole: whether the beginning of a character at the end is left out.
        """
        text, start = whole_characters(joined) if whole else joined.decode("utf-8", errors="replace"), 0
        while start < self.most_stripped and text.startswith(self.stripped, start):
            start += 1
        return text[start:]


@functools.cache
def stand_ins() -> list[str]:
    """The character that stands for each byte in tokens of byte-level tokenizers.

    Printable Latin-1 characters stand for themselves; the other bytes take the characters from U+0100 on, in order.

    Source: Radford et al. 2019, the code of GPT-2.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


@functools.cache
def byte_of_stand_in() -> Mapping[str, int]:
    """The byte for which each of the `stand_ins` stands."""
    return {character: byte for byte, character in enumerate(stand_ins())}


def bytes_left_out(model: Mapping) -> frozenset[int]:
    """The bytes that stand for nothing in the model of a byte-level tokenizer: its vocabulary lacks them."""
    known = model["vocab"].get(model.get("unk_token")) is not None
    return frozenset(byte for byte, name in enumerate(stand_ins()) if not known and name not in model["vocab"])


def offsets_without(left_out: Container[int], text: str, pieces: Iterable[bytes]) -> list[tuple[int, int]]:
    """The characters [start, end) of a text that pieces stand for, in which some bytes of the text are left out.

    Args:
        left_out: bytes that stand in no piece.
        text: the text.
        pieces: all other bytes of its UTF-8, in order.

    Example:
        >>> offsets_without({1}, "a\x01bc", [b"ab", b"c"])
        [(0, 3), (3, 4)]
    """
    characters = [at for at, character in enumerate(text) for byte in character.encode() if byte not in left_out]
    found, begin = [], 0
    for piece in pieces:
        end = begin + len(piece)
        found.append((characters[begin], characters[end - 1] + 1))
        begin = end
    return found


def trimmed(text: str, offsets: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets without the white space with which they begin; those of white space alone stay as they are.

    Example:
        >>> trimmed("a  b ", [(0, 1), (1, 4), (4, 5)])
        [(0, 1), (3, 4), (4, 5)]
    """
    found = []
    for start, end in offsets:
        if text[start] in BLANKS:
            start = next((at for at in range(start, end) if text[at] not in BLANKS), start)
        found.append((start, end))
    return found


def _steps(decoder: object) -> list[dict]:
    """The decoders that follow one another: those of a sequence, or the only one."""
    if decoder["type"] != "Sequence":
        return [decoder]
    return [step for inner in decoder["decoders"] for step in _steps(inner)]


def _spelling(steps: list[dict]) -> Spelling | None:
    """The spelling of decoders in the order of SentencePiece's: Replace, ByteFallback, Fuse, Strip; or ByteLevel."""
    types = [step["type"] for step in steps]
    if types == ["ByteLevel"]:
        return Spelling(byte_level=True)
    kinds = ["Replace", "ByteFallback", "Fuse", "Strip"]
    order = [kinds.index(type) if type in kinds else -1 for type in types]
    if order != sorted(order) or -1 in order or not {"ByteFallback", "Fuse"} <= {*types} or types.count("Strip") > 1:
        return None
    replaced = tuple((step["pattern"]["String"], step["content"]) for step in steps if step["type"] == "Replace")
    if not all(old and len(new) <= _LONGEST_REPLACEMENT for old, new in replaced):
        return None
    strips = [step for step in steps if step["type"] == "Strip"]
    if any(step["stop"] != 0 or len(step["content"]) != 1 or type(step["start"]) is not int for step in strips):
        return None
    stripped, most = next(((step["content"], step["start"]) for step in strips), ("", 0))
    return Spelling(False, byte_fallback=True, replaced=replaced, stripped=stripped, most_stripped=most)
