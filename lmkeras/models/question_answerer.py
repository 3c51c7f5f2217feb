"""The question answerer that a user holds: a question and a text in, the part of the text that answers it out."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmkeras.corpora.knowledge import Knowledge, Passage
from lmkeras.errors import InputError
from lmkeras.models.model import Model
from lmkeras.models.signatures import naming_settings
from lmkeras.networks.network import Network
from lmkeras.tasks.answering import Answering
from lmkeras.tasks.answers import Answer
from lmkeras.tokenizers.base import BaseTokenizer


class SourcedAnswer(NamedTuple):
    """An answer from a knowledge base.

    Attributes:
        text: passage.text[start:end].
        start: its first character in the passage, in Unicode code points.
        end: the place behind its last character.
        probability: see `QuestionAnswerer.ask`.
        passage: the passage, with its source and its line there.
    """

    text: str
    start: int
    end: int
    probability: float
    passage: Passage


@naming_settings(Answering)
class QuestionAnswerer(Model):
    """A tokenizer and a network that finds, in a given text, the words that answer a question.

    Args:
        network: a name ("bert", "lstm", "transformer"), or a built network with a SpanHead for a fitted tokenizer.
        tokenizer: a name of a tokenizer that `fit` fits on the corpus; or a fitted tokenizer. "auto" (or None): for
            "bert" "word_piece", or the tokenizer of the pretrained weights; else "words", or "characters" for text
            without spaces between words.
        vocabulary_size: the most ids that a tokenizer given by name may have; None for its default.
        max_length: the most ids of a window, with the question in it; None for 384, or the network's limit.
        doc_stride: long contexts are read in windows, each of which begins at most so many tokens after the one before.
        max_answer_tokens: the most tokens of an answer.
        weights: for "bert", a folder or hub name of pretrained weights; None for fresh weights.
        sizes: sizes of a network given by name.

    Example:
        >>> model = QuestionAnswerer("lstm", units=8, embedding_dim=8)
        >>> _ = model.fit([("Who came?", "Then Ann came.", "Ann")] * 9, steps=50, learning_rate=0.05, verbose=0)
        >>> model.predict("Who came?", "Then Ann came.").text
        'Ann'
    """

    def __init__(
        self,
        network: str | Network = "auto",
        tokenizer: str | BaseTokenizer | None = "auto",
        vocabulary_size: int | None = None,
        max_length: int | None = None,
        doc_stride: int = 128,
        max_answer_tokens: int = 30,
        weights: str | Path | None = None,
        **sizes,
    ):
        task = Answering(max_length, doc_stride, max_answer_tokens)
        super().__init__(task, network, tokenizer, vocabulary_size=vocabulary_size, weights=weights, **sizes)

    def predict(
        self, question: str | Sequence[str], context: str | Sequence[str], top_k: int | None = None
    ) -> Answer | list:
        """The part of a text that answers a question, with its place and its probability.

        Args:
            question: a question, or a list of them.
            context: the text that may answer it; of several questions, a list with the text for each, or one for all.
            top_k: how many answers to give, the likeliest first, none of which overlap; None for the likeliest alone.

        Returns:
            An Answer: text, start, end (in characters of the context, as Python counts them) and probability. Its text
            is "" if the context does not answer the question, which a model can only say if its corpus had such
            questions. With top_k, a list of up to so many; for several questions, a list with the result for each.

        Raises:
            InputError: there are not as many contexts as questions, or a question is too long for a window.
        """
        if top_k is not None and top_k < 1:
            raise InputError(f"top_k must be at least 1, got {top_k}")
        single = isinstance(question, str)
        questions = [question] if single else list(question)
        contexts = [context] * len(questions) if isinstance(context, str) else list(context)
        if len(contexts) != len(questions):
            raise InputError(f"expected a context for each question, got {len(questions)} and {len(contexts)}")
        pairs = list(zip(questions, contexts, strict=True))
        given = [found[0] if top_k is None else found[:top_k] for _, found in self._runner.predict(pairs)]
        return given[0] if single else given

    def ask(
        self, question: str, knowledge: Knowledge, num_passages: int = 5, top_k: int | None = None
    ) -> SourcedAnswer | list[SourcedAnswer] | None:
        """The answer to a question from a knowledge base, with the passage that it stands in.

        The passages that suit the question best are read together. The probability of an answer is that of its passage,
        which is the softmax of the passages' BM25 scores, as these are logarithms of odds; times that of the answer in
        its passage.

        Args:
            question: the question.
            knowledge: where to look for the answer.
            num_passages: how many passages to read.
            top_k: how many answers to give, the likeliest first; None for the likeliest alone.

        Returns:
            The answer, or None if no passage has one; with top_k, a list of up to so many answers.
        """
        if top_k is not None and top_k < 1:
            raise InputError(f"top_k must be at least 1, got {top_k}")
        passages = knowledge.passages(question, num_passages)
        scores = np.array([passage.score for passage in passages])
        weights = np.exp(scores - np.logaddexp.reduce(scores)).tolist()
        given = self._runner.predict([(question, passage.text) for passage in passages])
        found = [
            SourcedAnswer(one.text, one.start, end=one.end, probability=one.probability * weight, passage=passage)
            for passage, weight, (_, answers) in zip(passages, weights, given, strict=True)
            for one in (answers if answers[0].text else ())
            if one.text
        ]
        found.sort(key=lambda one: -one.probability)
        return found[:top_k] if top_k is not None else found[0] if found else None
