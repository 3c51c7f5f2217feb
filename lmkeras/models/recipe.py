"""How a classifier's tokenizer and network come to be: by name, for a corpus, or from pretrained weights."""

import dataclasses
import inspect
from collections.abc import Sequence
from pathlib import Path

import keras

from lmkeras.corpora import Corpus
from lmkeras.datasets import TextLayout
from lmkeras.errors import InputError
from lmkeras.networks import registry
from lmkeras.networks.classification import ClassificationNetwork
from lmkeras.tokenizers import new_tokenizer
from lmkeras.tokenizers.base import BaseTokenizer

_MAX_LENGTH = 512  # where the network has no limit of its own


@dataclasses.dataclass(frozen=True)
class ClassifierRecipe:
    """A network by name and sizes, and the tokenizer that feeds it.

    Args: those of `TextClassifier`.

    Raises:
        InputError: no such network, size or tokenizer, or things that do not go together.
    """

    network: str
    tokenizer: str | BaseTokenizer | None
    vocabulary_size: int | None
    max_length: int | None
    weights: str | Path | None
    sizes: dict

    def __post_init__(self):
        if self.weights is None:
            registry.check(self.network, self.sizes, "classification")
        else:
            self._check_weights()
        if isinstance(self.tokenizer, BaseTokenizer):
            if self.vocabulary_size is not None:
                raise InputError("vocabulary_size is for a tokenizer's name: a fitted tokenizer has its own")
        elif self.tokenizer is not None and not isinstance(self.tokenizer, str):
            kind = type(self.tokenizer).__name__
            raise InputError(f"tokenizer must be a name or a fitted tokenizer, got {kind}")
        else:
            new_tokenizer(self._tokenizer_name, self.vocabulary_size)  # a wrong name or size is refused here

    def _check_weights(self) -> None:
        from lmkeras.networks.bert import bert_classifier

        if self.network != "bert":
            raise InputError(f"weights are for the network 'bert', not for {self.network!r}")
        taken = [name for name in inspect.signature(bert_classifier).parameters if name not in ("bert", "num_classes")]
        for size in self.sizes:
            if size not in taken:
                raise InputError(
                    f"pretrained weights bring their own {size}; beside them {', '.join(taken)} can be set"
                )
        if isinstance(self.tokenizer, str) or self.vocabulary_size is not None:
            raise InputError("pretrained weights bring their own tokenizer: leave tokenizer and vocabulary_size out")

    @property
    def _tokenizer_name(self) -> str:
        return self.tokenizer or ("word_piece" if self.network == "bert" else "words")

    def tokenizer_for(self, corpus: Corpus) -> BaseTokenizer:
        """The tokenizer: the one that was given, that of the weights, or a new one fitted on a corpus."""
        if isinstance(self.tokenizer, BaseTokenizer):
            return self.tokenizer
        if self.weights is not None:
            from lmkeras.tokenizers.word_piece import WordPieceTokenizer

            return WordPieceTokenizer.from_pretrained(self.weights)
        return new_tokenizer(self._tokenizer_name, self.vocabulary_size).fit(corpus)

    def network_for(self, tokenizer: BaseTokenizer, num_classes: int, seed: int) -> ClassificationNetwork:
        """A new network; the weights that are not pretrained are drawn from the seed."""
        keras.utils.set_random_seed(seed)
        if self.weights is not None:
            from lmkeras.networks.bert import bert_classifier

            return bert_classifier(self.weights, num_classes, **self.sizes)
        # one id more, which separates pairs where the tokenizer has none for that
        vocabulary_size = tokenizer.vocabulary_size + (tokenizer.special.separator is None)
        sizes = {**self.sizes, "vocabulary_size": vocabulary_size, "num_classes": num_classes}
        if self.max_length is not None and "max_length" in registry.sizes_of(self.network, "classification"):
            sizes["max_length"] = self.max_length
        return registry.build(self.network, "classification", **sizes)


def check_built(network: object, tokenizer: object, labels: Sequence[str] | None, others: Sequence[str]) -> None:
    """InputError where a network that is built already, its tokenizer and its labels do not belong together.

    Args:
        network: a classification network.
        tokenizer: the fitted tokenizer that it was trained with.
        labels: the classes' names, in the order of the logits.
        others: names of arguments that were given beside these, and are for networks that are yet to be built.
    """
    if not isinstance(network, ClassificationNetwork):
        raise InputError(f"network must be a name or a classification network, got {type(network).__name__}")
    if not isinstance(tokenizer, BaseTokenizer) or labels is None:
        raise InputError("a built network needs the fitted tokenizer and the labels it belongs to")
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"labels must be a list of strings, got {labels!r}")
    if others:
        raise InputError(f"{', '.join(others)}: for a network's name; a built network has its own")
    if len(set(labels)) != len(labels) or len(labels) != network.num_classes:
        raise InputError(
            f"expected {network.num_classes} labels, one for each of the network's classes, got {', '.join(labels)}"
        )


def layout_for(
    network: ClassificationNetwork, tokenizer: BaseTokenizer, pairs: bool, max_length: int | None, long_texts: str
) -> TextLayout:
    """How texts stand in the network's input: between the tokenizer's special ids, where it has any.

    Raises:
        InputError: max_length is more than the network can look at, or too little; the tokenizer has ids that the
            network has not; or nothing can separate pairs.
    """
    limit = network.max_length
    if max_length is not None and limit is not None and max_length > limit:
        raise InputError(f"max_length {max_length} is more than the network's limit of {limit}")
    if tokenizer.vocabulary_size > network.vocabulary_size:
        raise InputError(
            f"the network has a vocabulary of {network.vocabulary_size} and the tokenizer one of "
            f"{tokenizer.vocabulary_size}: it was not trained with this tokenizer"
        )
    special = tokenizer.special.separator
    if pairs and special is None and network.vocabulary_size <= tokenizer.vocabulary_size:
        raise InputError(
            f"pairs need an id beside the tokenizer's to stand between them: build the network with a vocabulary of "
            f"{tokenizer.vocabulary_size + 1}"
        )
    return TextLayout(
        max_length or limit or _MAX_LENGTH,
        long_texts,
        first=tokenizer.special.classification,
        separator=(tokenizer.vocabulary_size if special is None else special) if pairs else None,
        last=special,
        token_types=pairs and network.takes_token_types,
    )
