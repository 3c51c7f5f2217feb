"""Random Unicode texts in which that meets what tokenizers tell apart."""

import random

ALPHABETS = (
    "etaoin shrdlu ETAOIN ab",
    "aAbB 'sS'tT'rReE'vV'mM'lL'dD’s ſ K",
    "0123456789 ½²٣৪Ⅷ〇",
    " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000",
    "\n\r /\r\n",
    ".,;:!?'\"()-–—«»、。「」$€%&/\\#@*_[]{}<>|~^`≠≤",
    "éèêëÉÀçÇñõåÅøØßİıſǅǲʰªº ",
    "e\u0301\u0302\u0327\u0323\u0345\u034f\u0334\u302e\u1b44\u0903\U0001d165\U0001d16d\U0001d15e\u0344\u0958\u0f73\u0f71",
    "\u1100\u1161\u11a8가각ᅡᆨ\u09c7\u09be\u0b47\u0b57\u1025\u102e\U00011131\U00011127Å豈\U0002f800",
    "αβγάΐΣσς абвгёЙ שלום\u05b7 عربية\u064b हिन्दी বাংলাো ไทย\u0e34",
    "天地玄黄豈龘 日本語がカﾞ 한국어",
    "😀👩🏽\u200d🚀🇩🇪☃\ufe0f",
    "\x00\x01\x7f\x9f\xad\u200b\u200c\u200e\u2060\ufeff\ufffd\ue000\ue005\U000f0000\U0010ffff",
    "▁▁ <0x41>ab",
)
PHRASES = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<|im", "<s>", "</s>", "<unk>", "<pad>",
    "<0x0A>", "e\u0301a", "\n\n", "aaa", "a b", "ab c", "don't", "I'LL", "HTTPServer", "camelCase", "  ", "\r\n",
    "1234567",    ">▁</", "the", "th", "x" * 40, "=" * 40, "<bos>", "<eos>", "<start_of_turn>", "<mask>", "\t\t",
)  # fmt: skip


def random_text(rng: random.Random, longest: int = 50) -> str:
    """A text of up to `longest` parts: characters, most of them of two alphabets, and phrases; or the empty text."""
    alphabets = rng.choices(ALPHABETS, k=2)
    parts = []
    for _ in range(rng.randrange(longest)):
        luck = rng.random()
        if luck < 0.06:
            parts.append(rng.choice(PHRASES))
        elif luck < 0.12:
            code = rng.randrange(0x110000 if luck < 0.08 else 0x3000)
            parts.append(chr(code) if not 0xD800 <= code < 0xE000 else " ")
        else:
            parts.append(rng.choice(rng.choice(alphabets)))
    return "".join(parts)
