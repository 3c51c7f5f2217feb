"""A network: a body that reads texts and a head that answers, as one keras.Model.

Shape letters: B batch, T tokens.
"""

import collections
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

import lmkeras.training.policy  # noqa: F401 (whoever has a network takes the memory of GPUs as it is needed)
from lmkeras.errors import InputError
from lmkeras.networks.contract import Body, Head
from lmkeras.networks.judged import JudgedByHead
from lmkeras.training.keras_contract import inner_layers


@keras.saving.register_keras_serializable("lmkeras")
class Network(JudgedByHead):
    """A body and a head. It is built, with fresh weights, as soon as it is constructed.

    Called with int32 ids [B, T], or with a dictionary of input_ids and perhaps attention_mask and token_type_ids, each
    [B, T], it returns the outputs of its head: float32 logits.

    Compiled with a Keras loss, it trains and evaluates as any keras.Model; compiled with `HeadLoss`, as `JudgedByHead`
    says.

    Args:
        body: the part that reads the texts.
        head: the part that computes the outputs.
        default_learning_rate: the learning rate that `fit` uses if the user gives none; None for the body's.
    """

    def __init__(self, body: Body, head: Head, default_learning_rate: float | None = None, **kwargs):
        super().__init__(**kwargs)
        # layers that the body made before the head: None for all (a built body); an unbuilt one made only its embedding
        self._made_first = None if body.built else len(inner_layers(body))
        self.body, self.head = body, head
        self.count_losses(len(head.targets or ("the only one",)))
        self.default_learning_rate = default_learning_rate
        if default_learning_rate is None:
            self.default_learning_rate = body.default_learning_rate
        self.build()

    def build(self, input_shape=None):
        """Builds body and head, once."""
        if self.built:
            return
        if not self.body.built:
            self.body.build((None, None))
        self.head.connect(self.body)
        if not self.head.built:  # another network of the same parts may have built it
            summary = self.head.reads == "summary"
            self.head.build((None, self.body.summary_size) if summary else (None, None, self.body.width))
        self.built = True

    @property
    def trainable_variables(self):
        """Keras' own, without the weights of the summary if the head does not read it: these get no gradient."""
        found = super().trainable_variables
        if not self.built or "summary" in self.head.reads:
            return found
        unread = {id(weight) for layer in self.body.summary_layers() for weight in layer.weights}
        return [weight for weight in found if id(weight) not in unread]

    def features(self, inputs, training=False):
        """What the body gives the head: what its method of the name `Head.reads` returns."""
        # through Keras' __call__, which tells all layers inside whether this is training
        return self(inputs, training=training, features_only=True)

    def call(self, inputs, training=False, features_only=False):
        """The head's outputs for the inputs, or only what the body gives the head."""
        read = getattr(self.body, self.head.reads)
        features = read(self.body.inputs(inputs), training=training)
        return features if features_only else self.head(features, training=training)

    def initial_state(self, rows, max_length=None):
        """The state before the first token, see `Writer.initial_state`."""
        return self.body.initial_state(rows, max_length)

    def step(self, ids, state, mask=None):
        """The head's outputs for the next tokens, and the new state; the arguments are those of `Writer.step`."""
        states, state = self.body.step(ids, state, *([] if mask is None else [mask]))
        return self.head(states), state

    def replace_rows(self, state, rows, other):
        """A state in which some rows are those of another state, see `Writer.replace_rows`."""
        return self.body.replace_rows(state, rows, other)

    def described(self) -> str:
        """The classes of body and head, for error messages."""
        return f"one of {type(self.body).__name__} and {type(self.head).__name__}"

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        """All layers with weights, in groups from the embedding up to the head."""
        top = self.body.summary_layers()
        own = [*top, *(layer for layer in inner_layers(self.head) if layer.weights)]
        return [group for group in (*self.body.layer_groups(), own) if group and group != top]

    def exported(self, dtype: str = "float32") -> tuple[Callable, list[tf.Variable]]:
        """What an exported model runs: a function from inputs by name to outputs, and the variables that it reads.

        Args:
            dtype: precision of matrix products; another than float32 needs a body with a method `packed` (BERT).

        Raises:
            InputError: the body cannot be exported in this precision.
        """
        pack = getattr(self.body, "packed", None)
        if pack is not None:
            body = pack(dtype)
            read = getattr(body, self.head.reads)
            weights = [*body.weights, *(weight.value for weight in self.head.weights)]
            return lambda inputs: self.head(read(body.inputs(inputs))), weights
        if dtype != "float32":
            raise InputError(f"{type(self.body).__name__} is exported in its own precision: leave out dtype {dtype!r}")
        return functools.partial(self, training=False), [weight.value for weight in self.weights]

    def layers_as_made(self) -> Iterator[keras.layers.Layer]:
        """This network and all layers in it, in the order in which they were made, each before what is inside it."""
        made, first = inner_layers(self.body), self._made_first
        parts = [self.body] if first is None else made[:first]
        parts = [*parts, *inner_layers(self.head), *([] if first is None else made[first:])]
        yield self
        waiting, seen = collections.deque(parts), set()
        while waiting:
            layer = waiting.popleft()
            if id(layer) not in seen:
                seen.add(id(layer))
                yield layer
                waiting.extendleft(inner_layers(layer))

    def save_pretrained(self, folder: str | Path, labels: Sequence[str] | None = None) -> None:
        """Writes a checkpoint that the library transformers can read, if it has a network with such a body.

        Args:
            folder: created if it does not exist; the files of an earlier checkpoint are replaced.
            labels: the classes' names; None for LABEL_0, LABEL_1 and so on.

        Raises:
            InputError: transformers has no such network.
        """
        write = getattr(self.body, "save_pretrained_with", None)
        if write is None:
            raise InputError(f"{type(self.body).__name__} has no form in transformers: use save instead")
        write(self.head, folder, labels)

    def get_config(self):
        """The classes of body and head by name, with the arguments of their constructors."""
        parts = {"body": self.body, "head": self.head}
        described = {
            role: {"registered_name": keras.saving.get_registered_name(type(part)), "config": part.get_config()}
            for role, part in parts.items()
        }
        return {"name": self.name, **described, "default_learning_rate": self.default_learning_rate}

    @staticmethod
    def parts_of(config: Mapping) -> dict[str, Body | Head]:
        """The body and the head that `get_config` described, by these names; they are not yet parts of a network.

        Raises:
            ValueError: a name is not the name of a registered body or head.
        """
        parts = {}
        for role, contract in (("body", Body), ("head", Head)):
            name = config[role]["registered_name"]
            kind = keras.saving.get_registered_object(name) if isinstance(name, str) else None
            if not isinstance(kind, type) or not issubclass(kind, contract):
                raise ValueError(
                    f"expected a registered {role} of a network (has its module been imported?), got {name!r}"
                )
            parts[role] = kind, config[role]["config"]
        # in the order in which a new network is made, so that the same seed gives the same weights
        return {role: kind.from_config({**sizes}) for role, (kind, sizes) in parts.items()}

    @classmethod
    def from_config(cls, config: Mapping) -> "Network":
        """Builds the network that `get_config` described, with fresh weights; see `parts_of` for errors."""
        made = cls.parts_of(config)
        return cls(**made, default_learning_rate=config["default_learning_rate"], name=config.get("name"))
