"""What encoder-decoders have in common: sizes by name, embeddings, and the sources in a state.

Shape letters: B batch, T tokens, D width, M sources, S tokens of a source, N rows of targets.
"""

from collections.abc import Mapping

import keras
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.bodies.embedding import Sized, new_embedding
from lmkeras.networks.contract import EncoderDecoder


class EmbeddingEncoderDecoder(Sized, EncoderDecoder, keras.layers.Layer):
    """An encoder-decoder that begins with an embedding; subclasses name the sizes, and make the other layers.

    Among the sizes are `tie_embeddings`, `source_vocabulary_size` (the number of ids of sources that have an embedding
    of their own; None: sources and targets share one) and `embedding_dim`, or `settle_sizes` sets the latter.

    Their state has an entry "sources": a nested dictionary of tensors with a row for each source.

    Args:
        vocabulary_size: V, number of ids.
        sizes: see `SIZES`.
    """

    def __init__(self, vocabulary_size: int, **sizes):
        super().__init__(autocast=False)
        self._set_sizes(vocabulary_size, sizes)
        self.embedding = new_embedding(vocabulary_size, self.embedding_dim, tied=self.tie_embeddings)
        self.source_embedding = None
        if self.source_vocabulary_size is not None:
            self.source_embedding = keras.layers.Embedding(
                self.source_vocabulary_size, self.embedding_dim, name="source_embedding"
            )

    def _embeddings(self) -> list[keras.layers.Embedding]:
        return [self.embedding] if self.source_embedding is None else [self.embedding, self.source_embedding]

    def _source_vectors(self, inputs: Mapping):
        """The embeddings of sources, [M, S, D]; InputError if a source is longer than max_length."""
        ids = inputs["input_ids"]
        _require_length(ids, self.max_length, "tokens of a source: the network's max_length")
        return self._embeddings()[-1](ids)

    def _target_ids(self, inputs: Mapping):
        """int32 [B, T]; InputError if they are missing, or longer than max_target_length."""
        if "target_ids" not in inputs:
            raise InputError("an encoder-decoder reads input_ids and target_ids: got no target_ids")
        _require_length(inputs["target_ids"], self.max_target_length, "tokens of a target: its max_target_length")
        return inputs["target_ids"]

    def attention_weights(self, inputs: Mapping) -> list:
        """How much each token of the targets looks at each token of its source, without dropout.

        Args:
            inputs: by name, which the method `inputs` gives, with target_ids.

        Returns:
            For each layer that looks at the source, the lowest first, float32 [B, H, T, S]; each row sums to 1.
        """
        raise NotImplementedError

    def with_rows(self, state, rows, sources=None):
        """The state of other rows; see `EncoderDecoder.with_rows`."""
        kept = state["sources"]
        if sources is not None:
            kept = tf.nest.map_structure(lambda tensor: tf.gather(tensor, sources), kept)
        own = {name: part for name, part in state.items() if name != "sources"}
        return {**self._target_rows(own, rows), "sources": kept}

    def _target_rows(self, state, rows):
        """The state but for its sources, of other rows; by default, those rows of every tensor."""
        return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), state)

    def layer_groups(self):
        """The embeddings, then each other layer with weights."""
        embeddings = self._embeddings()
        return [embeddings, *(group for group in super().layer_groups() if group[0] not in embeddings)]


def _require_length(ids, most: int | None, what: str) -> None:
    if most is not None and ids.shape[1] is not None and ids.shape[1] > most:
        raise InputError(f"got {ids.shape[1]} {what} is {most}")
