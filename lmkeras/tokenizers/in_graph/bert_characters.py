"""What BERT's clean-up makes of every character, found by asking the `tokenizers` library, whose Unicode tables count.

What becomes of a character does not depend on its neighbours, except that combining marks may change places.
"""

import functools
import sys
from typing import NamedTuple

import numpy as np
from tokenizers import normalizers, pre_tokenizers

from lmkeras.tokenizers.bert_text import BertTextRules

# IN_WORD: part of a word. ALONE: a word by itself. MARK: part of a word, and changes places with marks beside it.
# SPACE: ends a word. MANY: becomes several characters, each with a fate of its own. GONE: removed before marks are put
# in order, so that marks on its two sides meet. GONE_STARTER: removed afterwards, and keeps marks on its two sides
# apart. GONE_MARK: removed afterwards, and changes places with marks beside it. The first three, and only they, stay.
IN_WORD, ALONE, MARK, SPACE, MANY, GONE, GONE_STARTER, GONE_MARK = range(8)

_FIRST_CLASS, _LAST_CLASS = "\u0334", "\u0345"  # marks of the lowest and of the highest canonical combining class


class CharacterTable(NamedTuple):
    """What becomes of each code point. K is the number of characters of fate MANY, L the most that one becomes.

    fates: int32 [0x110000].
    targets: int32 [0x110000], the code point that each becomes; the row of `expansions` for MANY; the code point itself
        for those that are removed.
    expansions: int32 [K, L], the characters that one of fate MANY becomes, filled up with -1.
    marks: int32 [M], ascending, the code points that are MARK or GONE_MARK.
    mark_classes: int32 [M], numbers that sort marks as their canonical combining classes do, from 0 on.
    """

    fates: np.ndarray
    targets: np.ndarray
    expansions: np.ndarray
    marks: np.ndarray
    mark_classes: np.ndarray


@functools.cache
def character_table(rules: BertTextRules) -> CharacterTable:
    """The table of a set of rules; takes a second the first time.

    Source: The Unicode Standard, 3.11, for the canonical ordering of marks.
    """
    classes = combining_classes() if rules.decomposes else {}
    clean = rules.normalizer().normalize_str
    fates = np.full(sys.maxunicode + 1, IN_WORD, np.int32)
    targets, expansions = np.arange(sys.maxunicode + 1, dtype=np.int32), []
    for block in _blocks():
        if clean(block) == block and _punctuation().isdisjoint(block) and classes.keys().isdisjoint(block):
            continue
        for character in block:
            code, cleaned = ord(character), clean(character)
            becomes = cleaned.strip(" ")
            if len(becomes) > 1:
                fates[code], targets[code] = MANY, len(expansions)
                expansions.append([*map(ord, becomes)])
            elif becomes:
                # the library puts spaces around the ideographs that are words
                alone = len(cleaned) > 1 or becomes in _punctuation()
                fates[code] = ALONE if alone else MARK if becomes in classes else IN_WORD
                targets[code] = ord(becomes)
            else:
                fates[code] = SPACE if cleaned else _fate_of_removed(character, classes)
    marks = np.flatnonzero((fates == MARK) | (fates == GONE_MARK))
    mark_classes = np.array([classes[_decomposed(chr(code))[0]] for code in marks], np.int32)
    return CharacterTable(
        fates,
        targets=targets,
        expansions=_rectangle(expansions),
        marks=marks.astype(np.int32),
        mark_classes=mark_classes,
    )


_decomposed = normalizers.NFD().normalize_str
_without_control_characters = BertTextRules(False, False, False).normalizer().normalize_str


def _fate_of_removed(character: str, classes: dict[str, int]) -> int:
    """The fate of a character that is removed: for being a control character, or later for being an accent."""
    if not _without_control_characters(character):
        return GONE
    return GONE_MARK if _decomposed(character)[0] in classes else GONE_STARTER


@functools.cache
def _blocks() -> list[str]:
    """All characters in strings of 256, because one question to the library about a string is quicker than 256."""
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    return ["".join(characters[start : start + 256]) for start in range(0, len(characters), 256)]


@functools.cache
def _punctuation() -> frozenset[str]:
    """The characters that are words by themselves, whatever the rules."""
    cut = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    return frozenset(piece for block in _blocks() for piece, _ in cut("00".join(block)) if len(piece) == 1)


@functools.cache
def combining_classes() -> dict[str, int]:
    """The characters that canonical ordering moves, and for each a number that grows with its combining class."""
    moved = []
    for block in _blocks():
        # The two marks around a character change places, unless the character keeps them apart: then its class is 0.
        probes = [_LAST_CLASS + character + _FIRST_CLASS for character in block]
        if _decomposed("".join(probes)) != "".join(probes):
            moved += [
                character
                for character, probe in zip(block, probes, strict=True)
                if _decomposed(probe) != probe and _decomposed(character) == character
            ]
    ordered, classes = _decomposed("".join(moved)), {}
    for before, after in zip(" " + ordered, ordered, strict=False):
        classes[after] = classes.get(before, 0) + (_decomposed(after + before) != after + before)
    return classes


def _rectangle(rows: list[list[int]]) -> np.ndarray:
    width = max(map(len, rows), default=1)
    return np.array([row + [-1] * (width - len(row)) for row in rows or [[]]], np.int32)
