"""How much written texts overlap with the right ones: BLEU and chrF for translations, ROUGE for summaries.

The libraries sacrebleu and rouge-score compute the values, so that they compare with those in papers; a signature says
which choices they depend on. Both libraries are imported where they are used, because that takes long.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lmkeras.errors import InputError
from lmkeras.tokenizers.choice import is_written_without_spaces

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\uff66-\uff9d]")
#: words that are frequent in English and rare in other languages
_ENGLISH = frozenset("the and of with that".split())
_FEWEST_ENGLISH = 0.03  # share of the words; in running English it is about 0.12
_LOOKED_AT = 200_000  # characters
_FEWEST_KANA = 0.05  # share of the letters; in running Japanese it is about 0.5
#: languages, apart from Chinese, that are written without spaces: Japanese, Thai, Lao, Khmer, Burmese, Tibetan
_WITHOUT_SPACES = frozenset("ja th lo km my bo".split())


class Overlap(NamedTuple):
    """How much written texts overlap with the right ones.

    Attributes:
        values: those of all texts together, by the metric's name.
        signatures: what the values depend on, by the metric's name.
        examples: for each text its own values, by the metric's name; not all metrics have these.
    """

    values: Mapping[str, float]
    signatures: Mapping[str, str]
    examples: Mapping[str, Sequence[float]]


def language_of(texts: Sequence[str]) -> str:
    """The language of texts, as far as a metric must know it: "en", "zh", "ja", "th" for others without spaces, or "".

    Args:
        texts: the first 200,000 characters of them are looked at.

    Example:
        >>> [language_of([text]) for text in ("今天天气很好", "今日はいい天気です", "the good weather", "gutes Wetter")]
        ['zh', 'ja', 'en', '']
    """
    text = "\n".join(texts)[:_LOOKED_AT]
    without_spaces = list(filter(is_written_without_spaces, text))
    others = sum(one.isalpha() and not is_written_without_spaces(one) for one in text)
    if len(without_spaces) > others:
        if len(_KANA.findall(text)) > _FEWEST_KANA * len(without_spaces):
            return "ja"
        return "zh" if 2 * sum(map(_is_han, without_spaces)) > len(without_spaces) else "th"
    words = overlap_tokens(text)
    return "en" if sum(word in _ENGLISH for word in words) > _FEWEST_ENGLISH * len(words) else ""


def _is_han(character: str) -> bool:
    return unicodedata.name(character, "").startswith("CJK UNIFIED IDEOGRAPH")


def overlap_tokens(text: str) -> list[str]:
    """The tokens by which ROUGE compares texts that are not English: words in lower case, without punctuation.

    Of scripts without spaces, such as Chinese, every character is a token.

    Example:
        >>> overlap_tokens("Größe: 3,5 m"), overlap_tokens("2024年，GPT很好。")
        (['größe', '3', '5', 'm'], ['2024', '年', 'gpt', '很', '好'])
    """
    spaced = (
        f" {one} " if is_written_without_spaces(one) else one if unicodedata.category(one)[0] in "LNM" else " "
        for one in text.lower()
    )
    return "".join(spaced).split()


def bleu_chrf(hypotheses: Sequence[str], references: Sequence[str], language: str = "auto") -> Overlap:
    """BLEU and chrF of translations, from 0 to 100, with sacreBLEU's signatures; chrF of each text, too.

    Args:
        hypotheses: [n], what was written; texts may be empty.
        references: [n], what is right.
        language: that of the references, such as "en" or "zh", which says how BLEU cuts them into tokens: sacreBLEU's
            zh for Chinese, char for Japanese and other languages without spaces, and 13a for all others, Korean among
            them. "auto": as most letters of the references say.

    Raises:
        InputError: the two lists differ in length or are empty, or the language is no code of two or three letters.

    Source: Papineni et al. 2002 (BLEU), Popović 2015 (chrF), Post 2018 (tokens and signatures).

    Example:
        >>> found = bleu_chrf(["今天天气很好", ""], ["今天天气很好", "你好"])
        >>> {name: round(value, 1) for name, value in found.values.items()}, found.examples
        ({'bleu': 71.7, 'chrf': 94.4}, {'chrf': [100.0, 0.0]})
        >>> found.signatures["bleu"].partition("|version")[0]
        'nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp'
    """
    language = _language(hypotheses, references, language)
    from sacrebleu.metrics import BLEU, CHRF

    # forced: without a warning of texts that look as if they had been cut into tokens before
    bleu, chrf = BLEU(tokenize=_bleu_tokenizer(language), force=True), CHRF()
    hypotheses, right = list(hypotheses), [list(references)]
    values = {"bleu": bleu.corpus_score(hypotheses, right).score, "chrf": chrf.corpus_score(hypotheses, right).score}
    examples = [
        chrf.sentence_score(one, [reference]).score for one, reference in zip(hypotheses, references, strict=True)
    ]
    signatures = {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}
    return Overlap(values, signatures, {"chrf": examples})


def _bleu_tokenizer(language: str) -> str:
    return "zh" if language == "zh" else "char" if language in _WITHOUT_SPACES else "13a"


def rouge(hypotheses: Sequence[str], references: Sequence[str], language: str = "auto") -> Overlap:
    """ROUGE-1, ROUGE-2 and ROUGE-L of summaries: the mean F1 of all texts, in [0, 1], and that of each.

    English is compared by the stems of words of ASCII letters and digits, as rouge-score does it with its stemmer;
    other languages by `overlap_tokens`, that is by words, and by characters in scripts without spaces. ROUGE-L takes
    each text as one sentence. A signature of our own says this.

    Args:
        hypotheses: [n], what was written; texts may be empty.
        references: [n], what is right.
        language: that of the references, such as "en" or "zh"; "auto": English where words like "the" are frequent.

    Raises:
        InputError: as for `bleu_chrf`.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries".

    Example:
        >>> found = rouge(["the cats sat", "天气好"], ["the cat sat down", "天气很好"], language="en")
        >>> [round(value, 3) for value in found.examples["rouge_1"]]
        [0.857, 0.0]
        >>> found = rouge(["今天天气好"], ["今天的天气很好"])
        >>> {name: round(value, 3) for name, value in found.values.items()}
        {'rouge_1': 0.833, 'rouge_2': 0.4, 'rouge_l': 0.833}
        >>> found.signatures["rouge_l"].partition("|version")[0]
        'score:f1|mean:texts|tok:words+characters|case:lc|stem:no'
    """
    language = _language(hypotheses, references, language)
    from importlib.metadata import version

    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import DefaultTokenizer

    kinds = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
    english = language == "en"
    scorer = RougeScorer(list(kinds.values()), tokenizer=DefaultTokenizer(use_stemmer=True) if english else _Tokens())
    scores = [scorer.score(right, one) for one, right in zip(hypotheses, references, strict=True)]
    examples = {name: [float(score[kind].fmeasure) for score in scores] for name, kind in kinds.items()}
    tokens, stems = ("ascii-words", "porter") if english else ("words+characters", "no")
    signature = f"score:f1|mean:texts|tok:{tokens}|case:lc|stem:{stems}|version:rouge-score-{version('rouge-score')}"
    values = {name: sum(some) / len(some) for name, some in examples.items()}
    return Overlap(values, dict.fromkeys(kinds, signature), examples)


class _Tokens:
    """What rouge-score takes as a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return overlap_tokens(text)


def _language(hypotheses: Sequence[str], references: Sequence[str], language: str) -> str:
    """The language's code, from the references for "auto"; "" for a language that is like most others."""
    if len(hypotheses) != len(references) or not len(references):
        raise InputError(
            f"expected a text that was written for each of the right ones, and at least one; got {len(hypotheses)} for "
            f"{len(references)}"
        )
    if language == "auto":
        return language_of(references)
    if not re.fullmatch("[a-z]{2,3}([-_].*)?", language):
        raise InputError(f"expected the language as auto or as a code such as en or zh, got {language!r}")
    return language[:3].rstrip("-_")
