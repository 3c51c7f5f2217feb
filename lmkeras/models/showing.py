"""What a model says of itself: its facts, and a summary of its network."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from lmkeras.display import Described, value_text
from lmkeras.models.recipe import Recipe
from lmkeras.networks import registry
from lmkeras.networks.network import Network
from lmkeras.tasks.base import Task
from lmkeras.tokenizers.base import BaseTokenizer


class ShownModel(Described):
    """What `Model` shows of itself; it has the attributes of a model."""

    def _facts(self):
        return facts_of(self.task, tokenizer=self.tokenizer, network=self.network, recipe=self._recipe)

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Prints the model's facts and Keras' summary of its network; before `fit`, what `fit` will build.

        Args:
            print_fn: called with each line, or with several at once.
        """
        for line in summary_of(self._facts(), self.network, self._recipe):
            print_fn(line)


def facts_of(
    task: Task, *, tokenizer: BaseTokenizer | None, network: Network | None, recipe: Recipe | None
) -> dict[str, object]:
    """The facts of a model by name: its network and tokenizer, what its task has learnt; and whether `fit` is to come.

    Args:
        task: the task of the model.
        tokenizer: its tokenizer, None until it is made.
        network: its network, None until it is built.
        recipe: how they are made; None for a model that got both.
    """
    if network is None:
        name = recipe.tokenizer or "auto"
        made = {"network": recipe.network, **recipe.sizes, "weights": recipe.weights, "tokenizer": tokenizer or name}
        return {**made, **_learnt(task), "trained": "not yet"}
    sizes = {name: size for name, size in network.body.get_config().items() if type(size) is int}
    sizes.pop("vocabulary_size", None)  # the tokenizer says it
    made = {"network": type(network.body).__name__, **sizes, "parameters": network.count_params()}
    return {**made, "tokenizer": tokenizer, **_learnt(task)}


def summary_of(facts: Mapping[str, object], network: Network | None, recipe: Recipe | None) -> Iterator[str]:
    """The lines of a summary: the facts, then Keras' table of the network, or what `fit` will build.

    Args:
        facts: what `facts_of` gave.
        network: the network, None until it is built.
        recipe: how it will be built.
    """
    for name, value in facts.items():
        if value is not None:
            yield f"{name:<20} {value_text(value)}"
    yield ""
    if network is not None:
        lines = []
        network.summary(print_fn=lambda line, **_: lines.append(line))
        yield from lines
    elif recipe.weights is not None:
        yield f"fit builds the network of the pretrained weights {recipe.weights}"
    else:
        yield f"fit builds the network {recipe.network!r} of these sizes:"
        given = {**recipe.task.sizes(), **recipe.sizes}
        for name, parameter in registry.parameters_of(registry.family(recipe.network, recipe.task.bodies).new).items():
            size = given.get(name, parameter.default)
            size = "the network's default" if size is None else size
            yield f"  {name:<18} {'from the tokenizer' if size is parameter.empty else value_text(size)}"


def _learnt(task: Task) -> dict[str, object]:
    """The fields of a task that differ from their defaults, such as its labels."""
    fields = {field.name: field.default for field in dataclasses.fields(task)}
    return {name: getattr(task, name) for name, default in fields.items() if getattr(task, name) != default}
