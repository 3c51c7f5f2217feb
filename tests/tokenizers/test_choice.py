"""Which tokenizer suits a text: whether there are spaces between its words, from a bounded, even sample."""

import unicodedata

import pytest

from lmkeras.tokenizers.choice import choose, spacing, warn_of_sentences

WITHOUT = {
    "Chinese": "这家酒店的位置很好，房间也很干净。下次还会再来！",
    "Chinese in rows of phrases": "今天天气真是不错 我们一起去公园玩吧",
    "Japanese": "今日はとても良い天気ですね。ラーメンを食べに行きましょう。",
    "half-width kana": "ｱﾘｶﾞﾄｳｺﾞｻﾞｲﾏｽ",
    "Thai": "สวัสดีครับผมชื่อสมชายยินดีที่ได้รู้จัก อาหารอร่อยมากและราคาไม่แพง",
    "Lao": "ສະບາຍດີຂ້ອຍຊື່ສົມຊາຍ",
    "Khmer": "សួស្តីខ្ញុំឈ្មោះសុខា",
    "Myanmar": "ဒီနေ့ရာသီဥတုကောင်းတယ် မနက်ဖြန်လည်းကောင်းမယ်ထင်တယ်",
    "Tibetan": "བཀྲ་ཤིས་བདེ་ལེགས",
    "Chinese with some English": "我用iPhone拍照，效果非常好，比以前的手机好多了，推荐购买。",
}
WITH = {
    "English": "To be, or not to be, that is the question.",
    "Korean": "오늘은 날씨가 아주 좋습니다. 大韓民國 만세",
    "Arabic": "مرحبا بالعالم كيف حالك",
    "Hindi": "नमस्ते दुनिया आप कैसे हैं",
    "English with some Chinese": "The word for hotel is 酒店 and the word for room is 房间.",
    "segmented Chinese": "这家 酒店 的 位置 很 好 ， 房间 也 很 干净 。",
    "segmented Thai": "สวัสดี ครับ ผม ชื่อ สมชาย ยินดี ที่ ได้ รู้จัก",
    "full-width Latin": "Ｈｅｌｌｏ ｗｏｒｌｄ",
}


@pytest.mark.parametrize("name", WITHOUT)
def test_scripts_without_spaces_are_known(name):
    found = spacing([WITHOUT[name], WITHOUT[name]])
    assert found.without
    assert found.reason.endswith("% of the letters are of scripts without spaces between words")


@pytest.mark.parametrize("name", WITH)
def test_words_with_spaces_are_known(name):
    assert not spacing([WITH[name], WITH[name]]).without


def test_the_share_is_that_of_letters_alone():
    assert spacing(["酒店abcde，。！12345  😀"]) == (
        False,
        "71 % of the letters are of scripts with spaces between words",
    )
    assert spacing(["酒店很好abcd很。!!! 12345"]) == (
        True,
        "56 % of the letters are of scripts without spaces between words",
    )


@pytest.mark.parametrize("texts", [[], ["", " \n"], ["123 456", "?!…。，😀👍", "1️⃣"]])
def test_texts_without_letters(texts):
    assert spacing(texts) == (False, "the text has no letters")


def test_very_long_words_are_as_good_as_no_spaces():
    assert spacing(["ACGTTGCA" * 10, "GATTACA" * 9]) == (True, "most words have more than 40 characters")
    assert not spacing([f"see https://example.org/{'x' * 60} for this"]).without


SCRIPTS_WITHOUT = (
    "CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA LETTER", "KATAKANA LETTER", "HALFWIDTH KATAKANA LETTER",
    "THAI", "LAO ", "KHMER", "MYANMAR", "TIBETAN", "BOPOMOFO", "YI SYLLABLE", "TAI ", "NEW TAI",
)  # fmt: skip
SCRIPTS_WITH = (
    "HANGUL", "LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "FULLWIDTH LATIN", "ETHIOPIC", "BENGALI",
)  # fmt: skip


def test_scripts_are_those_of_the_names_of_letters():
    letters = [(chr(code), unicodedata.name(chr(code), "")) for code in range(0x40000) if chr(code).isalpha()]
    for script in (*SCRIPTS_WITHOUT, *SCRIPTS_WITH):
        text = [letter for letter, name in letters if name.startswith(script)]
        kind = "without" if script in SCRIPTS_WITHOUT else "with"
        assert spacing(text).reason == f"100 % of the letters are of scripts {kind} spaces between words", script


def test_the_sample_is_even_and_bounded():
    corpus = ["word " * 20] * 30_000 + ["没有空格的文字" * 20] * 70_000
    read = []

    def texts():
        for text in corpus:
            read.append(text)
            yield text

    share = 70_000 * 140 / (70_000 * 140 + 30_000 * 80)
    found = spacing(texts())
    assert len(read) == len(corpus), "one pass"
    assert found == spacing(corpus), "the same every time"
    assert found.reason.startswith(f"{100 * share:.0f} %")
    assert spacing(["没有空格的文字" * 1000 + "word " * 10_000]).without is False, (
        "a long text is looked at up to its end"
    )


def test_the_choice_names_tokenizer_and_reason():
    assert choose(["天地玄黄"], "words", "characters") == (
        "characters",
        "characters: 100 % of the letters are of scripts without spaces between words",
    )
    assert choose(["heaven"], "words", "characters").name == "words"
    assert choose(["天地玄黄"], "byte_pair", "byte_pair") == (
        "byte_pair",
        "byte_pair: it suits text with and without spaces between words",
    )


def test_words_that_are_sentences_get_a_warning(caplog):
    warn_of_sentences([WITH["English"], WITH["segmented Chinese"]])
    assert not caplog.messages
    warn_of_sentences([WITHOUT["Chinese"]])
    (warning,) = caplog.messages
    for part in ("tokenizer words: 100 % of the letters", "whole sentences", "characters"):
        assert part in warning
