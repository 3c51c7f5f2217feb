"""Word-piece tokenizers under every setting, what transformers makes of their files, and texts to try them on."""

import functools
import pydoc_data.topics
import random
import tempfile

from hypothesis import strategies as st
from transformers import BertTokenizerFast

from lmkeras.tokenizers.word_piece import WordPieceTokenizer

MANUAL = list(pydoc_data.topics.topics.values())
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HOT = "aeiouthAEÉéñçİıΣσς'.,!?-#[]天地龘각豈😀\u0301\u0302\u0327\u302e\u1b44\u034f\u200d\xad\x00\x1c\x85\t \xa0\u3000"
WORDS = [
    *SPECIAL,
    "[sep]",
    "the",
    "statement",
    "don't",
    "Été",
    "x" * 100,
    "x" * 101,
    "e\u0301" * 100,
    "ΑΣ",
    "가각",
    "##ing",
]
texts = st.one_of(
    st.lists(st.sampled_from([*WORDS, " "]), max_size=8).map("".join),
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
    st.text(HOT, max_size=40),
    st.text(max_size=15),
)
SETTINGS = {
    "uncased": {},
    "cased": {"lowercase": False},
    "accented": {"strip_accents": False},
    "cased without accents": {"lowercase": False, "strip_accents": True},
    "chinese in words": {"tokenize_chinese_chars": False},
}


@functools.cache
def trained(name):
    rng = random.Random(3)
    noise = ["".join(rng.choices(HOT, k=50)) for _ in range(100)]
    return WordPieceTokenizer(vocabulary_size=900, **SETTINGS[name]).fit([*MANUAL[::9], *noise, *WORDS * 2])


@functools.cache
def of_transformers(name):
    with tempfile.TemporaryDirectory() as folder:
        trained(name).save_vocabulary(folder)
        return BertTokenizerFast.from_pretrained(folder)
