"""How a model's tokenizer and network are made: by name for a corpus, or from pretrained weights."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from lmkeras.errors import InputError
from lmkeras.models.beginning import network_from, tokenizer_of
from lmkeras.networks import registry
from lmkeras.networks.network import Network
from lmkeras.tasks.base import Task
from lmkeras.tasks.data import Defaults
from lmkeras.tokenizers import new_tokenizer
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.tokenizers.choice import Choice, choose, warn_of_sentences
from lmkeras.training.randomness import random_seed

#: the name that stands for a network which suits the corpus
AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A network by name and sizes, and the tokenizer for its ids.

    Args:
        task: the task of the network.
        network: the name of the body; "auto" for what suits the corpus.
        tokenizer: the name of a tokenizer; "auto" or None for what suits network and text; or a fitted tokenizer.
        vocabulary_size: the most ids that a tokenizer given by name may have; None for its default.
        weights: a folder or hub name of pretrained weights, or the folder of a saved model; None for fresh weights.
        sizes: sizes of the body, by name.

    Raises:
        InputError: there is no such network, size or tokenizer, or arguments do not go together.
    """

    task: Task
    network: str
    tokenizer: str | BaseTokenizer | None
    vocabulary_size: int | None
    weights: str | Path | None
    sizes: dict

    def __post_init__(self):
        if self.network == AUTO and self.weights is not None:
            names = registry.pretrained_names(self.task.bodies)
            object.__setattr__(self, "network", names[0] if names else self.task.auto_networks[0])
        if self.network == AUTO:
            self._candidates()  # raises InputError if none has these sizes
        elif self.weights is None:
            registry.check(self.network, self.sizes, self.task.bodies)
        else:
            self._check_weights()
        if isinstance(self.tokenizer, BaseTokenizer):
            if self.vocabulary_size is not None:
                raise InputError("vocabulary_size is for a tokenizer's name: a fitted tokenizer has its own")
        elif self.tokenizer is not None and not isinstance(self.tokenizer, str):
            kind = type(self.tokenizer).__name__
            raise InputError(f"tokenizer must be a name or a fitted tokenizer, got {kind}")
        else:
            new_tokenizer(self._tokenizer_name, self.vocabulary_size)  # raises InputError for a wrong name or size

    def _candidates(self) -> list[str]:
        """The networks that may be chosen: those that suit the sizes and the tokenizer which the user has given."""
        names = self.task.auto_networks
        has = [name for name in names if not set(self.sizes).difference(registry.sizes_of(name, self.task.bodies))]
        if not has:
            registry.check(names[0], self.sizes, self.task.bodies)
        if isinstance(self.tokenizer, BaseTokenizer) or self.is_named:
            own = {name: registry.family(name, self.task.bodies).tokenizer for name in has}
            has = [name for name in has if own[name] in (None, self.tokenizer)] or has
        return has

    def settled(self, task: Task, corpus, network: Network | None = None) -> "tuple[Recipe, Defaults]":
        """The recipe with a network, a tokenizer and sizes for a corpus, and what they follow from.

        Args:
            task: the task, with what it has learnt from the corpus.
            corpus: the corpus to train on.
            network: the network that was chosen before, for another corpus perhaps; None if none is made yet.
        """
        if self.network != AUTO:
            return self, Defaults(self.network)
        names = self._candidates()
        if network is not None:
            names = [name for name in names if registry.family(name, task.bodies).new is type(network.body)] or names
        found = task.defaults(corpus, names)
        made = {"network": found.network, "sizes": {**found.sizes, **self.sizes}}
        own = isinstance(self.tokenizer, BaseTokenizer) or self.is_named or task.tokenizer_in(corpus) is not None
        if not own and found.tokenizer is not None:
            made["tokenizer"] = found.tokenizer
            made["vocabulary_size"] = self.vocabulary_size or found.vocabulary_size
        return dataclasses.replace(self, **made), found

    def _check_weights(self) -> None:
        names = registry.pretrained_names(self.task.bodies)
        if not names:
            raise InputError(f"weights: none of the networks of {self.task.title} begins from pretrained weights")
        if self.network not in names:
            raise InputError(f"weights are for the network {', '.join(map(repr, names))}, not for {self.network!r}")
        for size in self.sizes:
            if size != "dropout":
                raise InputError(f"pretrained weights bring their own {size}; beside them dropout can be set")
        if self.is_named or self.vocabulary_size is not None:
            raise InputError("pretrained weights bring their own tokenizer: leave tokenizer and vocabulary_size out")

    @property
    def is_named(self) -> bool:
        """Whether the user has chosen a tokenizer by its name."""
        return isinstance(self.tokenizer, str) and self.tokenizer != "auto"

    @property
    def _tokenizer_name(self) -> str:
        if self.is_named:
            return self.tokenizer
        return (self.network != AUTO and self._tokenizer_of_network) or self.task.default_tokenizer

    @property
    def _tokenizer_of_network(self) -> str | None:
        return registry.family(self.network, self.task.bodies).tokenizer

    def tokenizer_for(self, corpus) -> tuple[BaseTokenizer, str]:
        """The tokenizer: the given one, that of the weights or of the corpus, or a new one fitted on the corpus.

        Returns:
            The tokenizer, and why it is this one; an empty string if the user has named or given it.
        """
        if isinstance(self.tokenizer, BaseTokenizer):
            return self.tokenizer, ""
        if self.weights is not None:
            family = registry.family(self.network, self.task.bodies)
            return tokenizer_of(self.weights, family), "the tokenizer of the pretrained weights"
        own = self.task.tokenizer_in(corpus)
        if own is None:
            name, reason = self._choice(self.task.texts(corpus))
            return new_tokenizer(name, self.vocabulary_size).fit(self.task.texts(corpus)), reason
        if self.is_named or self.vocabulary_size is not None:
            raise InputError(
                f"{corpus.folder} has a tokenizer of its own: leave out tokenizer (--tokenizer) and vocabulary_size "
                "(--vocabulary-size), or tokenize the text again with them"
            )
        return own, "the tokenizer with which the text was tokenized"

    def _choice(self, texts: Iterable[str]) -> Choice:
        """The tokenizer to fit on texts, and why."""
        task = self.task
        if self.is_named:
            if self.tokenizer == "words":
                warn_of_sentences(texts)
            return Choice(self.tokenizer, "")
        if own := self._tokenizer_of_network:
            return Choice(own, f"{own}: the tokenizer of the network {self.network}")
        usual, other = task.default_tokenizer, task.default_tokenizer_without_spaces
        return choose(texts, with_spaces=usual, without_spaces=other if other in task.tokenizers else usual)

    def weights_from(self, seed: int) -> str:
        """Where the weights of a new network come from, for people."""
        return f"drawn at random, seed {seed}" if self.weights is None else f"pretrained, from {self.weights}"

    def network_for(self, task: Task, tokenizer: BaseTokenizer, seed: int) -> Network:
        """A new network; the weights that are not pretrained are drawn from the seed.

        Args:
            task: the task, with what it has learnt from the corpus.
            tokenizer: the tokenizer for the corpus.
            seed: an integer.
        """
        with random_seed(seed):
            return self._new_network(task, tokenizer)

    def _new_network(self, task: Task, tokenizer: BaseTokenizer) -> Network:
        if self.weights is not None:
            return network_from(self.weights, registry.family(self.network, task.bodies), task, **self.sizes)
        taken = registry.sizes_of(self.network, task.bodies)
        of_task = {name: size for name, size in task.sizes().items() if name in taken}
        sizes = {**self.sizes, "vocabulary_size": task.vocabulary_size(tokenizer), **of_task}
        body = registry.new_body(self.network, task.bodies, **sizes)
        return Network(body, task.head(body))


def require_built(network: object, tokenizer: object, others: Mapping[str, object]) -> None:
    """Raises InputError unless a model is given a built network and its fitted tokenizer, and nothing else.

    Args:
        network: the argument `network` of the model, which is not a name.
        tokenizer: the argument `tokenizer` of the model.
        others: further arguments by name, which are only for networks given by name; None if they were not given.
    """
    if given := [name for name, value in others.items() if value is not None]:
        raise InputError(f"{', '.join(given)}: for a network's name; a built network has its own")
    if not isinstance(network, Network):
        raise InputError(f"network must be a name or a network that lmkeras built, got {type(network).__name__}")
    if not isinstance(tokenizer, BaseTokenizer):
        raise InputError("a built network needs the fitted tokenizer that it belongs to")
