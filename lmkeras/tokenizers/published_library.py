"""What is asked of the `tokenizers` library about a published tokenizer; its errors become InputErrors."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import tokenizers

from lmkeras.archives import shortened
from lmkeras.errors import InputError
from lmkeras.tokenizers.spelling import Spelling
from lmkeras.tokenizers.utf8 import encodable

_Answer = TypeVar("_Answer")


def asked(question: Callable[[], _Answer]) -> _Answer:
    """The library's answer; its errors become InputErrors.

    Where the library panics, it raises a PanicException, which is no Exception: a regular expression that backtracks
    too often is one reason.
    """
    try:
        return question()
    except BaseException as error:
        if type(error).__name__ != "PanicException" and type(error) is not Exception:
            raise
        raise InputError(f"the tokenizer.json cannot be used: {shortened(error)}") from None


def ids_of(library: tokenizers.Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text, without special ids around them, computed on all cores."""
    texts = [encodable(text) for text in texts]
    return [encoding.ids for encoding in asked(lambda: library.encode_batch_fast(texts, add_special_tokens=False))]


def around_texts(tokenizer: Mapping, pair: bool = False) -> list[int | None]:
    """The ids that the post-processor of a tokenizer.json puts around one text or two, and None for each text.

    Raises:
        InputError: the file is damaged.
    """
    text = {"id": 0, "content": "x", "normalized": False, "special": False}
    text |= dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    nothing = {"type": "BPE", "vocab": {}, "merges": []}
    bare = json.dumps({**tokenizer, "normalizer": None, "model": nothing, "added_tokens": [text]})
    found = asked(lambda: tokenizers.Tokenizer.from_str(bare).encode("x", "x" if pair else None))
    return [id if special else None for id, special in zip(found.ids, found.special_tokens_mask, strict=True)]


def marking(library: tokenizers.Tokenizer, added: Mapping[int, tokenizers.AddedToken]) -> tokenizers.Tokenizer:
    """The same tokenizer, which reads names of special tokens; it shares the model, the largest part."""
    found = tokenizers.Tokenizer(library.model)
    if library.normalizer is not None:
        found.normalizer = library.normalizer
    if library.pre_tokenizer is not None:
        found.pre_tokenizer = library.pre_tokenizer
    asked(lambda: found.add_tokens([added[id] for id in sorted(added)]))
    return found


def token_bytes(
    spelling: Spelling,
    ids: Mapping[str, int],
    added: Mapping[int, tokenizers.AddedToken],
    normalizer: tokenizers.normalizers.Normalizer | None,
) -> dict[int, bytes]:
    """What each id stands for; special tokens stand for no text.

    The library takes the characters of an added token for stand-ins of bytes where there are such. Here they are what
    was found in the text.
    """
    spelled = {id: spelling.bytes_of(token) for token, id in ids.items() if id not in added}
    for id, token in added.items():
        text = normalizer.normalize_str(token.content) if token.normalized and normalizer else token.content
        if not token.special:
            spelled[id] = text.encode() if spelling.byte_level else spelling.bytes_of(text)
    return spelled
