"""Exact match and F1 beside another way to compute them: by signs, words and sorted lists instead of counters."""

import random
import re
import unicodedata

import pytest

from lmkeras.reports.answers import answer_f1, answer_scores, answer_tokens, exact_match

WORDS = ["The", "a", "AN", "Cat", "cat's", "thea", "don't", "U.S.", "x,y", "--", "“q”", "3.5", "É", "the."]
CHINESE = ["北", "京", "《红", "楼》", "，", "the", "GDP", " ", "３"]


def plain_tokens(text):
    """SQuAD's rules one after the other: lower case, ASCII's punctuation, articles, white space; Han apart."""
    text = text.lower()
    han = re.search("[\u4e00-\u9fff]", text) is not None
    text = re.sub(r"[!-/:-@\[-`{-~]", "", text)
    if han:
        text = "".join(c for c in text if not unicodedata.category(c).startswith(("P", "S")))
    text = re.sub("([\u4e00-\u9fff])", r" \1 ", text)
    return [word for word in re.sub(r"\b(the|an|a)\b", " ", text).split(" ") if word.strip()]


def plain_f1(predicted, right):
    predicted, right = plain_tokens(predicted), plain_tokens(right)
    if not predicted or not right:
        return float(not predicted and not right)
    left, same = list(right), 0
    for token in predicted:
        if token in left:
            left.remove(token)
            same += 1
    if not same:
        return 0.0
    precision, recall = same / len(predicted), same / len(right)
    return 2 * precision * recall / (precision + recall)


def generated(rng, words):
    return " ".join(rng.choices(words, k=rng.randrange(5)))


@pytest.mark.parametrize("words", [WORDS, CHINESE, WORDS + CHINESE])
def test_scores_are_those_of_the_plain_rules(words):
    rng = random.Random(0)
    seen = set()
    for _ in range(500):
        predicted, answers = generated(rng, words), [generated(rng, words) for _ in range(rng.randrange(4))]
        right = answers or [""]
        expected = max(plain_f1(predicted, one) for one in right)
        assert answer_f1(predicted, answers) == pytest.approx(expected)
        assert exact_match(predicted, answers) == any(plain_tokens(predicted) == plain_tokens(one) for one in right)
        seen.add(expected)
    assert len(seen) > 5


def test_what_is_left_out_of_an_answer():
    assert answer_tokens("A cat, the “Dog” & an-other") == ["cat", "“dog”", "another"]
    assert answer_tokens("“长城” of China") == ["长", "城", "of", "china"]


def test_scores_of_a_corpus_are_means_over_questions_and_over_both_kinds():
    pairs = [("cat", ["cat", "dog"]), ("a big cat", ["small cat"]), ("", []), ("cat", []), ("", ["dog"])]
    scores = answer_scores(pairs)
    assert scores["exact_match"] == pytest.approx(2 / 5)
    assert scores["f1"] == pytest.approx((1 + 0.5 + 1) / 5)
    assert (scores["has_answer_exact_match"], scores["has_answer_f1"]) == pytest.approx((1 / 3, 0.5))
    assert (scores["no_answer_exact_match"], scores["no_answer_f1"], scores["questions"]) == (0.5, 0.5, 5)
    assert list(answer_scores(pairs[:2])) == ["exact_match", "f1", "questions"]
