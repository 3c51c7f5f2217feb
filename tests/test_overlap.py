"""BLEU, chrF and ROUGE are what the formulas of the papers give, and sacreBLEU's program, in Chinese too."""

import logging
import math
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.overlap import bleu_chrf, language_of, overlap_tokens, rouge

CHINESE = [
    ("今天天气很好", "今天的天气非常好。"),
    ("我喜欢看书", "我喜欢看书"),
    ("", "他不在家"),
    ("GPT-4 很强", "GPT-4 非常强"),
]
ENGLISH = [
    ("The cats sat on the mats.", "The cat sat on the mat."),
    ("of the 3 dogs, one barks", "One of the three dogs barked at the postman."),
    ("", "and that is all"),
]
GERMAN = [("Größe und Gewicht", "Größe, Gewicht und Alter"), ("Über alles", "Überall ist nichts")]
WRITTEN = {"zh": CHINESE, "en": ENGLISH, "de": GERMAN, "ko": [("오늘 날씨가 좋다", "오늘은 날씨가 아주 좋다")]}


def columns(pairs):
    return [list(texts) for texts in zip(*pairs, strict=True)]


def ngrams(tokens, n):
    return Counter(tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1))


def f1(hits, written, right):
    return 2 * hits / (written + right) if hits else 0.0


def longest_common(a, b):
    """Lengths of the longest common subsequences, by the recursion of the paper, row by row."""
    row = [0] * (len(b) + 1)
    for one in a:
        before = row
        row = [0]
        for at, other in enumerate(b):
            row.append(before[at] + 1 if one == other else max(before[at + 1], row[-1]))
    return row[-1]


def rouge_by_formula(written, right):
    """ROUGE-1, -2 and -L of tokens: Lin 2004, as F1."""
    values = []
    for n in (1, 2):
        a, b = ngrams(written, n), ngrams(right, n)
        values.append(f1((a & b).total(), a.total(), b.total()))
    return [*values, f1(longest_common(written, right), len(written), len(right))]


@pytest.mark.parametrize("language", ["zh", "de"])
def test_rouge_is_that_of_the_paper_on_our_tokens(language):
    hypotheses, references = columns(WRITTEN[language])
    found = rouge(hypotheses, references)
    pairs = zip(hypotheses, references, strict=True)
    expected = [rouge_by_formula(*map(overlap_tokens, pair)) for pair in pairs]
    for name, values in zip(("rouge_1", "rouge_2", "rouge_l"), zip(*expected, strict=True), strict=True):
        assert found.examples[name] == pytest.approx(values)
        assert found.values[name] == pytest.approx(sum(values) / len(values))
        assert "tok:words+characters|case:lc|stem:no|" in found.signatures[name]
    assert found.values["rouge_1"] > 0.4, "and not 0, as it would be for tokens of a to z alone"


@given(st.lists(st.sampled_from("天地玄黄"), max_size=9), st.lists(st.sampled_from("天地玄黄"), max_size=9))
def test_rouge_of_any_chinese_text(written, right):
    found = rouge(["".join(written)], ["".join(right)], "zh").examples
    assert [found[name][0] for name in ("rouge_1", "rouge_2", "rouge_l")] == pytest.approx(
        rouge_by_formula(written, right)
    )


def test_english_is_compared_by_stems_as_the_library_does():
    hypotheses, references = columns(ENGLISH)
    found = rouge(hypotheses, references)
    assert "tok:ascii-words|case:lc|stem:porter|" in found.signatures["rouge_1"]
    stems = (
        ("the cat sat on the mat", "of the 3 dog one bark", ""),
        ("the cat sat on the mat", "one of the three dog bark at the postman", "and that is all"),
    )
    expected = [rouge_by_formula(a.split(), b.split()) for a, b in zip(*stems, strict=True)]
    assert list(zip(*found.examples.values(), strict=True)) == [pytest.approx(tuple(one)) for one in expected]
    plain = rouge(hypotheses, references, "de")
    assert plain.values["rouge_1"] < found.values["rouge_1"]


def bleu_by_formula(hypotheses, references):
    """BLEU of lists of tokens where every precision is above 0: Papineni et al. 2002."""
    logs = 0.0
    for n in range(1, 5):
        pairs = [(ngrams(a, n), ngrams(b, n)) for a, b in zip(hypotheses, references, strict=True)]
        logs += math.log(sum((a & b).total() for a, b in pairs) / sum(a.total() for a, _ in pairs)) / 4
    written, right = (sum(map(len, texts)) for texts in (hypotheses, references))
    return 100 * math.exp(min(0, 1 - right / written) + logs)


@pytest.mark.parametrize(
    ("language", "pairs", "tokens", "name"),
    [
        ("zh", [("今天天气很好", "今天天气非常好"), ("我喜欢看书", "我喜欢看书")], list, "zh"),
        ("ja", [("今日はいい天気です", "今日はとてもいい天気です")], list, "char"),
        ("ko", [("오늘 은 날씨 가 좋다", "오늘 은 날씨 가 아주 좋다 .")] * 2, str.split, "13a"),
        ("en", [("the cat sat on the mat", "the black cat sat on the mat")], str.split, "13a"),
        ("th", [("ฉันรักแมว", "ฉันรักแมวดำ")], list, "char"),
    ],
)
def test_bleu_cuts_texts_as_their_language_needs(language, pairs, tokens, name):
    hypotheses, references = columns(pairs)
    found = bleu_chrf(hypotheses, references)
    assert found.signatures["bleu"].startswith(f"nrefs:1|case:mixed|eff:no|tok:{name}|smooth:exp|version:")
    assert found.signatures["chrf"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
    expected = bleu_by_formula(list(map(tokens, hypotheses)), list(map(tokens, references)))
    assert found.values["bleu"] == pytest.approx(expected)
    assert bleu_chrf(hypotheses, references, language) == found


@pytest.mark.parametrize("language", WRITTEN)
def test_values_are_those_that_the_program_prints(language, tmp_path):
    hypotheses, references = columns(WRITTEN[language])
    paths = tmp_path / "written", tmp_path / "right"
    for path, texts in zip(paths, (hypotheses, references), strict=True):
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    found = bleu_chrf(hypotheses, references)
    tokens = "zh" if language == "zh" else "13a"
    command = [
        sys.executable,
        "-m",
        "sacrebleu",
        str(paths[1]),
        "-i",
        str(paths[0]),
        "-m",
        "bleu",
        "chrf",
        "-b",
        "-w",
        "4",
    ]
    printed = subprocess.run([*command, "--tokenize", tokens], capture_output=True, check=True, encoding="utf-8").stdout
    assert [float(value) for value in printed.replace("[", " ").replace("]", " ").replace(",", " ").split()] == [
        pytest.approx(value, abs=5e-5) for value in found.values.values()
    ]


def test_what_is_right_has_the_highest_values_and_nothing_the_lowest():
    for pairs in (CHINESE, ENGLISH):
        _, references = columns(pairs)
        for found, highest in ((bleu_chrf(references, references), 100), (rouge(references, references), 1)):
            assert list(found.values.values()) == pytest.approx([highest] * len(found.values))
        nothing = [""] * len(references)
        for found in (bleu_chrf(nothing, references), rouge(nothing, references)):
            assert set(found.values.values()) == {0.0}
            assert {value for values in found.examples.values() for value in values} == {0.0}


def test_a_texts_own_chrf_does_not_depend_on_the_others():
    hypotheses, references = columns(CHINESE)
    found = bleu_chrf(hypotheses, references)
    alone = [bleu_chrf([a], [b], "zh").values["chrf"] for a, b in CHINESE]
    assert found.examples["chrf"] == pytest.approx(alone)


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        ([right for _, right in CHINESE], "zh"),
        (["漢字とかな", "東京都千代田区"], "ja"),
        (["カタカナ"], "ja"),
        (["ព្រះរាជាណាចក្រកម្ពុជា"], "th"),
        (["一 mixed text of the Latin letters"], "en"),
        (["Police say that 3 of the men were armed", "Tax to rise"], "en"),
        (["El presidente a la nación", "De kat is van de buren", "Kot to nie pies i nie ma go"], ""),
        (["오늘 날씨가 좋다"], ""),
        (["", "123 !?"], ""),
    ],
)
def test_the_language_is_seen_in_the_letters(texts, language):
    assert language_of(texts) == language


@pytest.mark.parametrize(
    ("text", "tokens"), [("It's_3.5%", "it s 3 5"), ("हिन्दी में", "हिन्दी में"), ("ÄÖ ß", "äö ß"), ("“！？”", "")]
)
def test_tokens_are_letters_marks_and_digits(text, tokens):
    assert overlap_tokens(text) == tokens.split()


@pytest.mark.parametrize("measure", [bleu_chrf, rouge])
def test_what_cannot_be_compared_is_refused(measure):
    with pytest.raises(InputError, match="got 1 for 2"):
        measure(["a"], ["a", "b"])
    with pytest.raises(InputError, match="got 0 for 0"):
        measure([], [])
    with pytest.raises(InputError, match="expected the language as auto or as a code such as en or zh, got 'Chinese'"):
        measure(["a"], ["a"], "Chinese")
    assert measure(["你好吗"], ["你好"], "zh-Hans") == measure(["你好吗"], ["你好"], "zh")


def test_texts_that_look_as_if_cut_into_tokens_are_no_warning(caplog, capsys):
    caplog.set_level(logging.DEBUG)
    bleu_chrf(["that is it ."] * 200, ["that is all ."] * 200)
    rouge(["that is it ."], ["that is all ."])
    assert not caplog.messages
    assert not any(capsys.readouterr())


def test_the_libraries_are_imported_when_they_are_needed():
    code = (
        "import sys, lmkeras.reports.rewriting; print({'sacrebleu', 'rouge_score', 'nltk', 'absl'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
