"""How right answers to questions are: exact match and F1, by the rules of SQuAD, and of CMRC for Chinese.

An answer is compared by its tokens: in lower case, without punctuation, white space and the articles a, an and the. A
token is a word; characters of scripts without spaces, such as Chinese, are tokens by themselves.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from lmkeras.tokenizers.choice import is_written_without_spaces

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def answer_tokens(text: str) -> list[str]:
    """The tokens by which an answer is compared.

    Of text with Chinese and the like, all of Unicode's punctuation is left out; of other text only ASCII's, as SQuAD
    does.

    Example:
        >>> answer_tokens("The U.S. Army"), answer_tokens("《红楼梦》, 120 回")
        (['us', 'army'], ['红', '楼', '梦', '120', '回'])
    """
    text = text.lower()
    alone = set(filter(is_written_without_spaces, text))
    kept = (one for one in text if not (one in string.punctuation or (alone and _is_sign(one))))
    spaced = "".join(f" {one} " if one in alone else one for one in kept)
    return _ARTICLES.sub(" ", spaced).split()


def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def exact_match(predicted: str, answers: Sequence[str]) -> float:
    """1.0 if a predicted answer has the same tokens as one of the right ones, else 0.0.

    Args:
        predicted: the answer; "" for no answer.
        answers: the right answers; none, if the question has none.

    Source: Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text"; 2018 for no answers.

    Example:
        >>> exact_match("the  Eiffel tower.", ["Eiffel Tower", "tower"]), exact_match("", [])
        (1.0, 1.0)
    """
    return max(float(answer_tokens(predicted) == answer_tokens(answer)) for answer in _right(answers))


def answer_f1(predicted: str, answers: Sequence[str]) -> float:
    """The highest F1 of the tokens of a predicted answer and one of the right ones, in [0, 1].

    Where one of both has no tokens, F1 is 1 if the other has none either, else 0.

    Args: those of `exact_match`.

    Source: Rajpurkar et al. 2016; for Chinese by characters, as Cui et al. 2019, "A Span-Extraction Dataset for Chinese
    Machine Reading Comprehension".

    Example:
        >>> answer_f1("in 1889 in Paris", ["1889", "Paris, 1889"])
        0.6666666666666666
    """
    return max(_f1(answer_tokens(predicted), answer_tokens(answer)) for answer in _right(answers))


def _right(answers: Sequence[str]) -> Sequence[str]:
    return answers or ("",)


def _f1(predicted: list[str], right: list[str]) -> float:
    if not predicted or not right:
        return float(predicted == right)
    common = (Counter(predicted) & Counter(right)).total()
    return 2 * common / (len(predicted) + len(right))


class AnswerScores(NamedTuple):
    """The scores of one answer."""

    exact_match: float
    f1: float
    has_answer: bool
    """Whether the question has an answer."""


def answer_scores(pairs: Iterable[tuple[str, Sequence[str]]]) -> dict[str, float]:
    """The mean scores of predicted answers: exact_match and f1; if some questions have no answer, of each kind too.

    Args:
        pairs: predicted answers, each with the right ones; at least one.

    Example:
        >>> scores = answer_scores([("Paris", ["Paris"]), ("", []), ("1889", [])])
        >>> scores["has_answer_f1"], scores["no_answer_f1"], scores["questions"]
        (1.0, 0.5, 3)
    """
    scores = [AnswerScores(exact_match(one, right), answer_f1(one, right), bool(right)) for one, right in pairs]
    kinds = {"": scores}
    if not all(one.has_answer for one in scores):
        kinds["has_answer_"] = [one for one in scores if one.has_answer]
        kinds["no_answer_"] = [one for one in scores if not one.has_answer]
    values = {}
    for kind, of_kind in kinds.items():
        if of_kind:
            values[f"{kind}exact_match"] = fmean(one.exact_match for one in of_kind)
            values[f"{kind}f1"] = fmean(one.f1 for one in of_kind)
    return {**values, "questions": len(scores)}
