"""Texts that can be written as UTF-8, the form in which the `tokenizers` library and TensorFlow take texts."""

import codecs

from lmkeras.errors import InputError


def encodable(text: str) -> str:
    """The text itself, once it is known that UTF-8 can encode it.

    Raises:
        InputError: the text holds a lone surrogate, which is no character.

    Example:
        >>> encodable("naïve")
        'naïve'
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"a text holds the lone surrogate {text[error.start]!r} at position {error.start}, which is no character:"
            " read the file with the encoding that it was written in"
        ) from None
    return text


def whole_characters(joined: bytes) -> str:
    r"""The text of bytes, U+FFFD where they are not UTF-8, without the beginning of a character at the end.

    Example:
        >>> whole_characters("a猫".encode()[:-1]), whole_characters(b"a\xff"), whole_characters("\ufffd".encode())
        ('a', 'a\ufffd', '\ufffd')
    """
    return codecs.getincrementaldecoder("utf-8")("replace").decode(joined)
