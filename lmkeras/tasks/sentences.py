"""Cuts long texts into sentences, with rules that Python and TensorFlow apply alike.

A sentence ends

- behind one or several of . ! ? … and the quotation marks and brackets that close there, before white space;
- behind one or several of 。！？ and the marks that close there, whatever follows;
- at an empty line or a line's end.

So "Mr. Smith" is cut too: the rules know no language. They are meant for texts that are too long to be read at once.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

#: what is written between sentences while they are found; it stands in no text
_CUT = "\x1e"
_RULES = (
    (f"{_CUT}", " "),
    ("[\\r\\n]+", _CUT),
    ("([.!?…][\"'”’»)\\]]*)[ \\t\u3000]+", f"\\1{_CUT}"),
    ("([。！？]+[”’」』）]*)[ \\t\u3000]*", f"\\1{_CUT}"),
    (f"[ \\t\u3000]*{_CUT}[ \\t\u3000{_CUT}]*", _CUT),
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, without white space between them; one, perhaps empty, for a text without any.

    Example:
        >>> sentences('He came. "Who?" she asked. 你好！再见。')
        ['He came.', '"Who?"', 'she asked.', '你好！', '再见。']
    """
    for pattern, by in _RULES:
        text = re.sub(pattern, by, text)
    return [one for one in text.split(_CUT) if one] or [""]


def sentences_in_graph(texts: "tf.Tensor") -> "tf.RaggedTensor":
    """What `sentences` gives for each text: strings [B] → ragged strings [B, sentences]."""
    import tensorflow as tf

    for pattern, by in _RULES:
        texts = tf.strings.regex_replace(texts, pattern, by)
    found = tf.strings.split(texts, _CUT)
    found = tf.ragged.boolean_mask(found, found != "")
    empty = tf.cast(found.row_lengths() == 0, tf.int64)
    return tf.concat([found, tf.RaggedTensor.from_row_lengths(tf.fill([tf.reduce_sum(empty)], ""), empty)], axis=1)
