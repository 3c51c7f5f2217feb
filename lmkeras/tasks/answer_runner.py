"""Answers questions with a trained network, and judges its answers.

Shape letter: T tokens of a window.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from lmkeras.corpora.questions import Question
from lmkeras.datasets import EncodedQuestions
from lmkeras.errors import InputError
from lmkeras.reports.answers import answer_f1, answer_scores
from lmkeras.tasks.answers import Answer, answers, found_spans
from lmkeras.tasks.base import Runner
from lmkeras.tasks.whole_texts import forward_of
from lmkeras.tokenizers.utf8 import encodable

_BATCH_IDS = 8192


class AnswerRunner(Runner):
    """Answers questions with a trained network.

    Args:
        task: the Answering that the network was trained for.
        network: the trained network.
        tokenizer: the tokenizer that the network was trained with.
    """

    def __init__(self, task, network, tokenizer):
        self._task, self._network, self._tokenizer = task, network, tokenizer

    @functools.cached_property
    def _forward(self):
        return forward_of(self._network, *(["token_type_ids"] if self._network.body.takes_token_types else []))

    def logits(self, encoded: EncodedQuestions) -> list[np.ndarray]:
        """The logits of each window, float32 [T, 2], of its batch's length."""
        import tensorflow as tf

        found = [None] * len(encoded.windows)
        for rows in encoded.windows.batches_by_length(_BATCH_IDS):
            inputs = tf.nest.map_structure(tf.constant, encoded.windows.inputs(rows))
            for row, logits in zip(rows, self._forward(inputs).numpy(), strict=True):
                found[row] = logits
        return found

    def answers(self, asked: list[tuple[str, str]]) -> Iterator[list[Answer]]:
        """The answers to pairs (question, context), for each those of `answers`."""
        encoded = self._task.encode(asked, self._tokenizer, self._network)
        return self._answers(asked, encoded, self.logits(encoded))

    def _answers(self, asked, encoded: EncodedQuestions, logits, **how):
        task = self._task
        spans = found_spans(encoded, logits, task.max_answer_tokens, unanswerable=task.unanswerable, **how)
        for (_, context), found, offsets in zip(asked, spans, encoded.offsets, strict=True):
            yield answers(found, *offsets, context=context, threshold=task.no_answer_threshold)

    def judge(self, corpus):
        """loss_nats (of the windows' starts and ends), exact_match and f1, see `answer_scores`."""
        questions = list(corpus)
        encoded, targets, _ = self._task.encode_with_targets(questions, self._tokenizer, self._network)
        logits, losses = self.logits(encoded), []
        for window, places in zip(logits, targets, strict=True):
            window = np.asarray(window, np.float64)
            losses.append((np.logaddexp.reduce(window, axis=0) - window[places, [0, 1]]).mean())
        asked = [(one.question, one.context) for one in questions]
        given = [found[0].text for found in self._answers(asked, encoded, logits, most=1)]
        pairs = zip(given, (one.answers for one in questions), strict=True)
        return {"loss_nats": float(np.mean(losses)), **answer_scores(pairs)}, None

    def best_threshold(self, corpus) -> float:
        """The threshold for no answer with the highest F1 on a corpus, halfway between two questions of it."""
        questions, odds, gains = list(corpus), [], []
        asked = [(one.question, one.context) for one in questions]
        encoded = self._task.encode(asked, self._tokenizer, self._network)
        found = found_spans(encoded, self.logits(encoded), self._task.max_answer_tokens, unanswerable=True, most=1)
        for question, spans, offsets in zip(questions, found, encoded.offsets, strict=True):
            best = answers(spans, *offsets, context=question.context, threshold=np.inf)[0]
            odds.append(spans.no_answer_odds)
            gains.append(answer_f1(best.text, question.answers) - answer_f1("", question.answers))
        order = np.argsort(odds)
        odds, gains = np.asarray(odds)[order], np.cumsum(np.asarray(gains)[order])
        finite = np.clip(odds, -1e6, 1e6)
        cuts = [finite[0] - 1, *((finite[1:] + finite[:-1]) / 2), finite[-1] + 1]  # questions below a cut are answered
        # of equal odds, either all are answered or none is
        possible = [i for i in range(len(cuts)) if i in (0, len(odds)) or odds[i - 1] < odds[i]]
        totals = np.concatenate([[0.0], gains])
        return float(cuts[max(possible, key=lambda i: (totals[i], -abs(cuts[i])))])

    def predict(self, texts, at_a_time=1024):
        """Each pair (question, context) with its answers, the one that is given first."""
        texts = iter(texts)
        while some := [_pair(text) for text in itertools.islice(texts, at_a_time)]:
            yield from zip(some, self.answers(some), strict=True)


def main_answer(question: Question) -> tuple[int, int] | None:
    """The characters [start, end) of the answer that most have given, the first of equals; None if there is none."""
    spans = [(start, start + len(text)) for text, start in zip(question.answers, question.starts, strict=True)]
    return max(Counter(spans).items(), key=lambda item: item[1])[0] if spans else None


def _pair(value: object) -> tuple[str, str]:
    if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(one, str) for one in value):
        return tuple(map(encodable, value))
    raise InputError(
        f"expected a question and its context, got {type(value).__name__}: give pairs (question, context); on the "
        "command line, files with both as --text, or texts that may hold the answer: lmkeras answer"
    )
