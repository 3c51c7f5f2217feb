"""Cuts texts into documents and documents into sentences, for tasks that ask which sentences follow one another."""

import re
from collections.abc import Iterable, Iterator

_BETWEEN_DOCUMENTS = re.compile(r"\n[^\S\n]*\n\s*")
#: a line end; white space after . ! ? and perhaps a closing mark; what ends a sentence in Chinese, and a closing mark
_BETWEEN_SENTENCES = re.compile(
    r"\s*\n\s*|(?<=[.!?])\s+|(?<=[.!?][\"'”’»)\]])\s+|(?<=[。！？])(?![”’」』）。！？])|(?<=[。！？][”’」』）])"
)


def documents_of(texts: Iterable[str]) -> Iterator[list[str]]:
    """The documents of some texts, each as a list of its sentences; blank ones are left out.

    A document ends with its text, and at a blank line. A sentence ends with its line, and after a full stop, an
    exclamation mark or a question mark.

    Args:
        texts: read one at a time.

    Example:
        >>> list(documents_of(["One. Two!\\nThree\\n\\nFour?", "五。六！"]))
        [['One.', 'Two!', 'Three'], ['Four?'], ['五。', '六！']]
    """
    for text in texts:
        for document in _BETWEEN_DOCUMENTS.split(text):
            sentences = [one for one in map(str.strip, _BETWEEN_SENTENCES.split(document)) if one]
            if sentences:
                yield sentences
