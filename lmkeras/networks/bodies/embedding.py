"""What most bodies have in common: sizes by name, and an embedding that they begin with.

Shape letters: B batch, T tokens, D width of a token's state, V vocabulary.
"""

import functools
import inspect
from typing import ClassVar

import keras

from lmkeras.errors import InputError
from lmkeras.networks.contract import Body, Writer, require_sizes


class Sized:
    """A layer whose constructor takes a vocabulary_size and the sizes that its class names, with their defaults.

    The sizes become attributes, and are what `get_config` gives. Sizes that are whole numbers must be at least 1.
    """

    #: the sizes by name, each with its default; among them is `dropout`
    SIZES: ClassVar[dict[str, object]] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        parameter = functools.partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
        own = [parameter(name, default=default, annotation=_type_of(default)) for name, default in cls.SIZES.items()]
        cls.__signature__ = inspect.Signature([parameter("vocabulary_size", annotation=int), *own])

    def _set_sizes(self, vocabulary_size: int, sizes: dict[str, object]) -> None:
        if unknown := sizes.keys() - self.SIZES.keys():
            raise TypeError(
                f"{type(self).__name__} takes no {', '.join(sorted(unknown))}; it takes {', '.join(self.SIZES)}"
            )
        for name, value in {"vocabulary_size": vocabulary_size, **self.SIZES, **sizes}.items():
            if type(self.SIZES.get(name, 0)) is int and not hasattr(value, "__index__"):
                raise InputError(f"{name} must be a whole number, got {value!r}")
            setattr(self, name, value)
        self.settle_sizes()
        numbers = {name: value for name, value in self.get_config().items() if type(value) is int and name != "dropout"}
        require_sizes(self.dropout, **numbers)

    def settle_sizes(self) -> None:
        """Works out the sizes that follow from others; InputError where two do not go together."""

    def call(self, inputs, training=False):
        """The states [B, T, D]."""
        return self.states(self.inputs(inputs), training)

    def get_config(self):
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in ("vocabulary_size", *self.SIZES)}


def _type_of(default: object) -> type:
    """The type as which the command line reads a size: that of its default; for None, an optional whole number."""
    return int | None if default is None else type(default)


def new_embedding(vocabulary_size: int, embedding_dim: int, tied: bool) -> keras.layers.Embedding:
    """The embedding of a body that writes; `tied`: it is also the last matrix, and gives logits of about unit size."""
    if not tied:
        return keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding")
    spread = keras.initializers.RandomNormal(stddev=embedding_dim**-0.5)
    return keras.layers.ReversibleEmbedding(
        vocabulary_size, embedding_dim, embeddings_initializer=spread, name="embedding"
    )


class EmbeddingReader(Sized, Body, keras.layers.Layer):
    """A reader that begins with an embedding; subclasses name the sizes, and make the layers after the embedding.

    Among the sizes is `embedding_dim`, the width of the embedding, or `settle_sizes` sets it.

    Args:
        vocabulary_size: V, number of ids.
        sizes: see `SIZES`.
    """

    default_learning_rate = 0.001

    def __init__(self, vocabulary_size: int, **sizes):
        super().__init__(autocast=False)
        self._set_sizes(vocabulary_size, sizes)
        self.embedding = keras.layers.Embedding(vocabulary_size, self.embedding_dim, name="embedding")

    def build(self, input_shape):
        """Builds the embedding on [B, T] and the other layers on [B, T, D]."""
        self.embedding.build(input_shape)
        self.width = self.summary_size = self.embedding_dim  # a subclass may change these
        self.build_layers((*input_shape, self.embedding_dim))
        self.built = True

    def build_layers(self, shape) -> None:
        """Makes and builds the layers after the embedding, on [B, T, D]; may set `width` and `summary_size`."""

    def states(self, inputs, training=False):
        """The embeddings [B, T, D]."""
        return self.embedding(inputs["input_ids"])


class EmbeddingWriter(Sized, Writer, keras.layers.Layer):
    """A writer that begins with an embedding; subclasses name the sizes, and make the layers after the embedding.

    Among the sizes are `tie_embeddings` and `embedding_dim`, or `settle_sizes` sets the latter.

    Args:
        vocabulary_size: V, number of ids.
        sizes: see `SIZES`.
    """

    def __init__(self, vocabulary_size: int, **sizes):
        super().__init__(autocast=False)
        self._set_sizes(vocabulary_size, sizes)
        self.embedding = new_embedding(vocabulary_size, self.embedding_dim, tied=self.tie_embeddings)

    def summary(self, inputs, training=False):
        """The state after the last token, [B, D]."""
        return self.states(inputs, training)[:, -1]
