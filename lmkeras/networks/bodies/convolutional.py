"""The convolutional reader: the largest output of each filter over all places of a text.

Shape letters: B batch, T tokens, D width.
"""

from collections.abc import Sequence
from typing import ClassVar

import keras
from keras import ops

from lmkeras.errors import InputError
from lmkeras.networks.bodies.embedding import EmbeddingReader
from lmkeras.networks.contract import require_sizes
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.registry import register_body


@register_body("cnn", "readers")
@keras.saving.register_keras_serializable("lmkeras")
class Convolutions(EmbeddingReader):
    """Embedding, convolutions, maximum over the text; `cnn_classifier` explains the arguments."""

    SIZES: ClassVar = {"embedding_dim": 300, "filters": 100, "widths": (3, 4, 5), "dropout": 0.5}

    def settle_sizes(self):
        """Makes `widths` a list; raises InputError if it is empty or has a width below 1."""
        widths = self.widths
        if not isinstance(widths, Sequence) or not widths:
            raise InputError(f"widths must name the widths of filters, one at least, such as (3, 4, 5), got {widths!r}")
        require_sizes(self.dropout, widths=min(widths))
        self.widths = list(widths)

    def build_layers(self, shape):
        """Makes the convolutions."""
        self.convolutions = [
            keras.layers.Conv1D(self.filters, width, name=f"convolution_{i}") for i, width in enumerate(self.widths)
        ]
        for convolution in self.convolutions:
            convolution.build(shape)
        self.summary_size = self.filters * len(self.widths)

    def summary(self, inputs, training=False):
        """The largest output of each filter over the windows that contain at least one token."""
        mask = ops.cast(ops.expand_dims(inputs["attention_mask"], -1), self.compute_dtype)
        x = ops.cast(self.states(inputs), self.compute_dtype) * mask
        return ops.concatenate([self._largest(x, mask, convolution) for convolution in self.convolutions], axis=-1)

    def _largest(self, x, mask, convolution):
        """The largest output of each filter, [B, T, D] → [B, filters], over all windows that hold at least one token.

        A window may reach beyond either end of the text, where zeros stand.
        """
        beyond = convolution.kernel_size[0] - 1
        outputs = ops.relu(convolution(ops.pad(x, ((0, 0), (beyond, beyond), (0, 0)))))
        # a window of padding alone gives relu(bias), which says nothing about the text. Tokens come before padding, so
        # a window holds a token if its first place does, or if it begins before a text that is not empty
        holds_a_token = ops.concatenate([ops.repeat(mask[:, :1], beyond, axis=1), mask], axis=1)
        return ops.max(outputs * holds_a_token, axis=1)  # relu's outputs are at least 0, so a 0 changes no maximum

    def layer_groups(self):
        """The embedding, then all convolutions together, because they stand side by side."""
        return [[self.embedding], self.convolutions]


def cnn_classifier(
    vocabulary_size: int,
    num_classes: int,
    embedding_dim: int = 300,
    filters: int = 100,
    widths: Sequence[int] = (3, 4, 5),
    dropout: float = 0.5,
) -> Network:
    """Builds Kim's convolutional sentence classifier.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        num_classes: C, at least 2.
        embedding_dim: width D of the embedding.
        filters: number of filters of each width.
        widths: for each kind of filter, how many tokens it sees at once.
        dropout: share of the filters' results dropped in training, in [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C]: for every filter f of width w the feature
        max over t of relu(f · [x_t … x_{t+w-1}] + b), with zeros beyond both ends of the text; then a dense layer.

    Source: Kim 2014, "Convolutional Neural Networks for Sentence Classification", section 2.

    Example:
        >>> cnn_classifier(vocabulary_size=50, num_classes=3, filters=4)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    body = Convolutions(vocabulary_size, embedding_dim=embedding_dim, filters=filters, widths=widths, dropout=dropout)
    return Network(body, ClassesHead(num_classes, dropout))
