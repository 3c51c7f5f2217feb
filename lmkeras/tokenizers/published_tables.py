"""What the twin of a published tokenizer knows: which pieces are tokens, what merges, and where nothing ever merges."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import tokenizers

from lmkeras.errors import InputError
from lmkeras.tokenizers.spelling import byte_of_stand_in, stand_ins

#: in the place of the id of a byte that the tokenizer leaves out
LEFT_OUT = -2
_SPACE = "▁"
_MOST_BEFORE_CUT = 8

Merges = dict[tuple[int, int], tuple[int, int]]


class Cuts(NamedTuple):
    """Where pieces may be cut without a change of their ids.

    Attributes:
        joined: pairs of characters' ids between which a merge may come about.
        character: begins a piece behind all characters but those of `before`; None where there is no such character.
        before: the characters behind which it does not.
    """

    joined: set[tuple[int, int]]
    character: str | None
    before: str


def merges_of(model: Mapping) -> Merges:
    """For each pair of ids that merges its rank, from 0 on, and the id of what it becomes."""
    vocabulary, merges = model["vocab"], {}
    for rank, merge in enumerate(model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        merges[vocabulary[left], vocabulary[right]] = rank, vocabulary[left + right]
    return merges


def whole_pieces(model: Mapping, library: tokenizers.Tokenizer, byte_level: bool) -> dict[bytes, int]:
    """The pieces whose only id is that of the token that is spelled like them, and that id.

    Such a token is the result of merges of its own characters, or merges are ignored for it (`ignore_merges`).
    """
    found = {}
    for token, id in model["vocab"].items():
        if byte_level:
            spelled = [byte_of_stand_in().get(character) for character in token]
            piece = b"" if None in spelled else bytes(spelled)
        else:
            piece = token.encode()
        if piece and (model.get("ignore_merges") or [one.id for one in library.model.tokenize(token)] == [id]):
            found[piece] = id
    return found


def byte_ids(model: Mapping, byte_level: bool) -> list[int]:
    """The id of each byte, LEFT_OUT for those without one; no ids for tokenizers that read characters."""
    if byte_level:
        unknown = model["vocab"].get(model.get("unk_token"), LEFT_OUT)
        return [model["vocab"].get(name, unknown) for name in stand_ins()]
    return [model["vocab"][f"<0x{byte:02X}>"] for byte in range(256)] if model.get("byte_fallback") else []


def character_ids(model: Mapping) -> dict[str, int]:
    """The ids of tokens that are one character."""
    return {token: id for token, id in model["vocab"].items() if len(token) == 1}


def cuts_of(model: Mapping, merges: Merges, unspelled: Sequence[int | None]) -> Cuts:
    """Where merges of characters never come about.

    Merges put tokens together that are neighbours, so the characters on both sides of the seam stay what they are: the
    last of the left token, the first of the right one. Where no merge has such a pair at its seam, none ever spans it,
    and both sides merge as they would alone: which merge is next in one does not depend on the other.

    Args:
        model: the model of a tokenizer.json whose symbols are characters.
        merges: its merges.
        unspelled: ids that stand for something other than the characters of their names.

    Raises:
        InputError: such an id merges with others.
    """
    if {None}.symmetric_difference(unspelled) & {id for pair in merges for id in pair}:
        raise InputError("this tokenizer has no twin in TensorFlow: single bytes or unknown characters merge in it")
    characters = character_ids(model)
    names = {id: token for token, id in model["vocab"].items()}
    seams = {(names[left][-1], names[right][0]) for left, right in merges if names[left] and names[right]}
    joined = {(characters[a], characters[b]) for a, b in seams if a in characters and b in characters}
    before = "".join(sorted(a for a, b in seams if b == _SPACE))
    cuts = _SPACE in characters and len(before) <= _MOST_BEFORE_CUT and not model.get("ignore_merges")
    return Cuts(joined, _SPACE if cuts else None, before)


class Added(NamedTuple):
    """What an added token is found as.

    Attributes:
        id: its id; None where it stays plain text.
        strips: whether it takes the white space before it in.
    """

    id: int | None
    strips: bool = False


def added_by_text(
    added: Iterable[tuple[int, tokenizers.AddedToken]],
    normalizer: tokenizers.normalizers.Normalizer | None,
    reads_names: bool,
) -> tuple[dict[str, Added], dict[str, Added]]:
    """The added tokens that are looked for in texts as they are, and those in normalized ones.

    Args:
        added: the added tokens with their ids.
        normalizer: the library's normalizer.
        reads_names: whether special tokens are found too; else they stay plain text.

    Returns:
        Twice the tokens by what is looked for.

    Raises:
        InputError: one that is found takes white space behind it in, or stands alone as a word.
    """
    raw, normalized = {}, {}
    for id, token in sorted(added, key=lambda one: not one[1].special):
        found = reads_names or not token.special
        if found and (token.rstrip or token.single_word):
            raise InputError(
                "this tokenizer has no twin in TensorFlow: its added token"
                f" {token.content[:100]!r} has rstrip or single_word"
            )
        text = normalizer.normalize_str(token.content) if token.normalized and normalizer else token.content
        if text:
            one = Added(id, token.lstrip) if found else Added(None)
            (normalized if token.normalized else raw).setdefault(text, one)
    return raw, normalized
