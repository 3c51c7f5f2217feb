"""Tiny labelled texts whose label one word decides, and classifiers that have learnt them."""

import functools
import random

import numpy as np

from lmkeras import TextClassifier
from lmkeras.tasks.classification import Classification
from lmkeras.tokenizers import new_tokenizer
from tests.models.built import built

WORDS = {"nö": "vague", "yes": "fizzy"}
SIZES = {
    "ngrams": {"buckets": 4096},
    "dense": {"embedding_dim": 16, "units": 16, "dropout": 0.0},
    "cnn": {"embedding_dim": 8, "filters": 8, "widths": (1, 2), "dropout": 0.0},
    "lstm": {"embedding_dim": 8, "units": 8, "dropout": 0.0},
    "transformer": {"d_model": 16, "num_heads": 2, "dropout": 0.0},
    "bert": {"d_model": 16, "num_heads": 2, "num_layers": 1, "dropout": 0.0},
}
_FILL = "the film is so and it was one of them".split()


def _around(word: str, choose: random.Random, most: int = 6) -> str:
    words = [choose.choice(_FILL) for _ in range(choose.randint(1, most))]
    words.insert(choose.randint(0, len(words)), word)
    return " ".join(words)


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts labelled by the one of WORDS that stands in them, as many of each label."""
    choose = random.Random(seed)
    return [(_around(WORDS[label], choose), label) for label in list(WORDS) * (count // 2)]


def matches(count: int, seed: int = 0) -> list[tuple[tuple[str, str], str]]:
    """Pairs labelled by whether both texts have the same one of WORDS, as many of each label."""
    choose, words, examples = random.Random(seed), list(WORDS.values()), []
    for label in ["same", "other"] * (count // 2):
        first = choose.randrange(2)
        second = first if label == "same" else 1 - first
        examples.append(((_around(words[first], choose, 2), _around(words[second], choose, 2)), label))
    return examples


def orders(count: int, seed: int = 0) -> list[tuple[tuple[str, str], str]]:
    """Pairs labelled by which of both texts has the word of the label "yes", as many of each label."""
    choose, words, examples = random.Random(seed), list(WORDS.values()), []
    for label in ["first", "second"] * (count // 2):
        no, yes = (_around(word, choose, 2) for word in words)
        examples.append(((yes, no) if label == "first" else (no, yes), label))
    return examples


def classifier(network: str = "dense", tokenizer: str = "words", **options) -> TextClassifier:
    """An untrained classifier of a tiny network."""
    size = {"vocabulary_size": 300} if tokenizer in ("byte_pair", "word_piece") else {}
    return TextClassifier(network, tokenizer, **{"max_length": 48, **size, **SIZES[network], **options})


@functools.cache
def learnt(network: str = "dense", tokenizer: str = "words", of=reviews, steps: int = 120) -> TextClassifier:
    """A classifier that has learnt `of` its examples, for all tests together: it is not to be changed."""
    model = classifier(network, tokenizer)
    how = {"steps": steps, "batch_size": 16, "xla": "off", "verbose": 0}
    how["learning_rate"] = 0.01 if network == "bert" else 0.02
    model.fit(of(100 if of is reviews else 200), validation_fraction=0, **how)
    return model


def drawn(network: str, tokenizer: str, pairs: bool = False, **options) -> TextClassifier:
    """A classifier of three labels with random weights, large enough that texts differ: it comes without training."""
    texts = [text for text, _ in reviews(40)]
    size = 300 if tokenizer in ("byte_pair", "word_piece") else None
    fitted = new_tokenizer(tokenizer, size).fit(texts)
    task = Classification(labels=("no", "nö", "猫"))
    new = built(network, task, vocabulary_size=fitted.vocabulary_size + 1, **SIZES[network])
    draw = np.random.default_rng(1)
    weights = new.get_weights()
    new.set_weights([draw.normal(0, 0.4, weight.shape) if weight.ndim > 1 else weight for weight in weights])
    return TextClassifier(new, fitted, labels=task.labels, pairs=pairs, **options)
