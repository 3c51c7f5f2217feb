"""The tasks that bert_training.py fine-tunes a BERT for: our models with corpora for them, and transformers' classes.

All examples have exactly so many tokens, so that every batch has one shape. Their words are random, as speed does not
depend on what they say; each is one token.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

QUESTION, TYPES, MASKED_SHARE = 12, ("LOC", "MISC", "ORG", "PER"), 0.15
TAGS = 1 + 2 * len(TYPES)


class BertTask(NamedTuple):
    """One of them.

    Attributes:
        name: of our model's class.
        options: of our model, beside weights and max_length.
        special: how many tokens of an example are not words.
        corpus: lists of words, random generator → the corpus that our model is trained on.
        architecture: how the class in transformers is called behind "Bert".
        targets: random generator, (B, T) → arrays that this class takes beside ids and mask.
        num_labels: of this class.
    """

    name: str
    options: dict
    special: int
    corpus: Callable
    architecture: str
    targets: Callable
    num_labels: int = 2

    def model(self, weights, length):
        """Our model, which reads so many tokens."""
        import lmkeras

        return getattr(lmkeras, self.name)("bert", weights=weights, max_length=length, **self.options)


def labelled(texts, random):
    return [" ".join(words) for words in texts], [str(label) for label in random.integers(0, 2, len(texts))]


def tagged(texts, random):
    tags = ["O", *(f"B-{kind}" for kind in TYPES)]
    return [(words, random.choice(tags, len(words)).tolist()) for words in texts]


def asked(texts, random):
    return [(" ".join(words[:QUESTION]), " ".join(words[QUESTION:]), words[-1]) for words in texts]


def running(texts, random):
    return [" ".join(word for words in texts for word in words)]


def classes(random, shape):
    return {"labels": random.integers(0, 2, shape[0])}


def tags(random, shape):
    return {"labels": random.integers(0, TAGS, shape)}


def spans(random, shape):
    context = np.arange(shape[1]) > QUESTION + 1
    starts = random.integers(QUESTION + 2, shape[1] - 1, shape[0])
    types = np.tile(context.astype("int64"), (shape[0], 1))
    return {"token_type_ids": types, "start_positions": starts, "end_positions": starts}


def masked(random, shape):
    words = random.integers(1000, 30_000, shape)
    return {"labels": np.where(random.random(shape) < MASKED_SHARE, words, -100)}


_tagging = functools.partial(
    BertTask, "Tagger", special=2, corpus=tagged, architecture="ForTokenClassification", targets=tags, num_labels=TAGS
)
TASKS = {
    "classification": BertTask("TextClassifier", {}, 2, labelled, "ForSequenceClassification", targets=classes),
    "tagging": _tagging({"crf": False}),
    "tagging with a CRF": _tagging({"crf": True}),
    "answering": BertTask("QuestionAnswerer", {}, 3, asked, "ForQuestionAnswering", targets=spans),
    "masked words": BertTask(
        "MaskedLanguageModel", {"next_sentence": False}, 2, running, "ForMaskedLM", targets=masked
    ),
}
