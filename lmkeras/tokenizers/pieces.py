"""Where byte pairs may merge: texts are cut into pieces of letters, digits, punctuation or white space.

The classes of characters are written out as ranges of code points, because libraries that know such classes follow
different versions of Unicode. So the regular expression here, which the tokenizer runs, and the arithmetic of its
TensorFlow twin cut every text at the same places.

Source: the pattern is that of GPT-2 (Radford et al. 2019), with bounded pieces and without contractions.
"""

from typing import NamedTuple


class CharacterClass(NamedTuple):
    """Characters that form pieces together, at most `longest` of them in one piece."""

    longest: int
    ranges: tuple[tuple[int, int], ...]


DIGITS = CharacterClass(3, ((0x30, 0x39),))
WHITE_SPACE = CharacterClass(
    16,
    (
        (0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
        (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000),
    ),
)  # fmt: skip
#: the characters of WHITE_SPACE
BLANKS = "".join(chr(code) for first, last in WHITE_SPACE.ranges for code in range(first, last + 1))
PUNCTUATION = CharacterClass(
    16,
    (
        # ASCII and Latin-1, control characters included
        (0x00, 0x08), (0x0E, 0x1F), (0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x84), (0x86, 0x9F),
        (0xA1, 0xA9), (0xAB, 0xB4), (0xB6, 0xB9), (0xBB, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7),
        # Hebrew, Arabic and Devanagari marks
        (0x05BE, 0x05BE), (0x060C, 0x060D), (0x061B, 0x061B), (0x061D, 0x061F), (0x066A, 0x066D), (0x06D4, 0x06D4),
        (0x0964, 0x0965),
        # general punctuation, except the joiners U+200C and U+200D, which stand inside words
        (0x200B, 0x200B), (0x200E, 0x2027), (0x202A, 0x202E), (0x2030, 0x205E), (0x2060, 0x206F),
        # currencies; arrows, mathematics, boxes, symbols; supplemental punctuation
        (0x20A0, 0x20CF), (0x2190, 0x2BFF), (0x2E00, 0x2E7F),
        # CJK and full-width punctuation, except the iteration marks U+3005 to U+3007
        (0x3001, 0x3004), (0x3008, 0x3020), (0x3030, 0x3030), (0x303D, 0x303F), (0x30FB, 0x30FB),
        (0xFE10, 0xFE1F), (0xFE30, 0xFE6F), (0xFF01, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF65),
        # emoji
        (0x1F000, 0x1FAFF),
    ),
)  # fmt: skip
#: every code point that no other class lists
LETTERS = CharacterClass(24, ())

CLASSES = (LETTERS, DIGITS, PUNCTUATION, WHITE_SPACE)
#: UTF-8 bytes of the longest piece: a space and LETTERS.longest characters of four bytes
LONGEST_PIECE_BYTES = 1 + 4 * max(kind.longest for kind in CLASSES)


def class_changes() -> tuple[list[int], list[int]]:
    """The character classes as a step function of the code point.

    Returns:
        Ascending code points, from 0, and for each the index into CLASSES that holds from it up to the next one.
    """
    changes = {0: 0}
    for index, kind in enumerate(CLASSES):
        for first, last in kind.ranges:
            changes[first] = index
            changes.setdefault(last + 1, 0)
    return sorted(changes), [changes[start] for start in sorted(changes)]


def piece_pattern() -> str:
    r"""The regular expression (Oniguruma) whose successive matches are the pieces of a text.

    A run of characters of one class is cut, from its start, into pieces of at most `longest` characters. Where
    characters of another class follow white space, the last white-space character is a piece of its own; if it is
    U+0020, it is the start of the next piece instead.
    """
    digits, punctuation, white_space = (
        "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in kind.ranges)
        for kind in (DIGITS, PUNCTUATION, WHITE_SPACE)
    )
    return "|".join(
        [
            rf" ?[^{digits}{punctuation}{white_space}]{{1,{LETTERS.longest}}}",
            rf" ?[{digits}]{{1,{DIGITS.longest}}}",
            rf" ?[{punctuation}]{{1,{PUNCTUATION.longest}}}",
            rf"[{white_space}]{{1,{WHITE_SPACE.longest}}}(?![^{white_space}])",
            rf"[{white_space}]",
        ]
    )
