"""What every body and every head of a network owes.

A network is a body, which reads the text, and a head, which answers the question that a task asks of it. A body reads
all of a text at once (a reader), or from its start, a token at a time too (a writer: a language model).

Shape letters: B batch, T tokens, D width of a token's state, S size of the summary of a text.
"""

from collections.abc import Mapping

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError


def require_sizes(dropout: float, **sizes: int) -> None:
    """InputError, which names the size, for a size that no array has, or for a dropout outside [0, 1)."""
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} must be at least 1, got {size}")
        if size >= 2**31:
            raise InputError(f"{name} must be less than {2**31}, got {size}")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be from 0 to below 1, got {dropout}")


class Body:
    """What reads a text. A body is also a Keras layer (or model), and is registered serialisable.

    A body makes its embedding when it is constructed and all other layers when it is built, so that a head, which is
    made between the two, may share the embedding.

    Attributes:
        vocabulary_size: number of ids that the body knows.
        dropout: the share of values dropped in training, which a head takes over.
        max_length: the most tokens that one pass can look at; None where there is no limit.
        takes_token_types: whether inputs may have token_type_ids, 1 in the second text of a pair and 0 elsewhere.
        width: D, known once the body is built.
        summary_size: S, known once the body is built.
        initializer_range: standard deviation of a fresh matrix in the head; None for Glorot and Bengio's values.
        default_optimizer: the optimizer that `fit` takes where no other is asked for.
        default_learning_rate: its highest learning rate; None for what suits the optimizer.
        xla_on_cpu: whether compiling the whole training step with XLA was measured to be faster on CPUs.
        bfloat16_on_cpu: whether training with products in bfloat16 was measured to serve on CPUs that have them.
    """

    vocabulary_size: int
    dropout: float
    max_length: int | None = None
    takes_token_types: bool = False
    initializer_range: float | None = None
    default_optimizer: str = "adamw"
    default_learning_rate: float | None = None
    xla_on_cpu: bool = False
    bfloat16_on_cpu: bool = False

    def inputs(self, inputs) -> Mapping:
        """Inputs by name, from ids alone or from a dictionary.

        Args:
            inputs: int32 ids [B, T], where id 0 is padding wherever it stands; or a dictionary of input_ids and perhaps
                attention_mask (0 for padding, which comes after the tokens) and token_type_ids, each [B, T]. Without
                an attention_mask every id but 0 is looked at.
        """
        if not isinstance(inputs, Mapping):
            inputs = {"input_ids": padding_last(inputs)}
        if inputs.get("attention_mask") is None:
            inputs = {**inputs, "attention_mask": inputs["input_ids"] != 0}
        return {**inputs, "attention_mask": ops.cast(inputs["attention_mask"], "bool")}

    def states(self, inputs: Mapping, training: bool = False):
        """Inputs by name, see `inputs` → the state of every token, [B, T, D]."""
        raise NotImplementedError

    def summary(self, inputs: Mapping, training: bool = False):
        """Inputs by name, see `inputs` → one vector a text, [B, S]: the mean of its tokens' states, unless told."""
        return masked_mean(self.states(inputs, training), inputs["attention_mask"])

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        """The layers with weights, in groups from the embedding up: freezing and slower learning begin at the bottom.

        Unless a body says otherwise: the embedding, then each other layer by itself.
        """
        others = [layer for layer in self._layers if layer is not self.embedding and layer.weights]
        return [[self.embedding], *([layer] for layer in others)]

    def summary_layers(self) -> list[keras.layers.Layer]:
        """The layers that nothing but the summary needs: they are frozen and learn together with the head."""
        return []


class Writer(Body):
    """A body that reads from the start of a text: a token's state depends on that token and those before it alone.

    Attributes:
        embedding_dim: D, the width of the embedding and of every state that `step` and `states` give.
        tie_embeddings: whether the embedding, transposed, is also the last matrix of a language model.
        context_length: the most tokens that one pass can look at; None where there is no limit.
        recurrent: whether the state after a text is all that is needed of it, of one size however long the text is.
            Scoring then carries it from piece to piece, and generation needs no room for more tokens.
        steps_with_xla: whether single steps compiled by XLA were measured to be faster on CPUs.
        training_length: tokens in a training window where nothing else is asked for.
    """

    context_length: int | None = None
    recurrent: bool = False
    steps_with_xla: bool = False

    @property
    def training_length(self) -> int | None:
        """Tokens in a training window where nothing else is asked for."""
        return self.context_length

    def inputs(self, inputs) -> Mapping:
        """Inputs by name: no token looks at what comes after it, so padding behind a text needs no mask."""
        return inputs if isinstance(inputs, Mapping) else {"input_ids": inputs}

    def initial_state(self, rows, max_length=None):
        """The state before the first token.

        Args:
            rows: B, number of texts.
            max_length: the most tokens that will be read of each; None for context_length.

        Returns:
            A dictionary of tensors, nested; its "positions", int32 [B], are the tokens that each row has had so far.
        """
        raise NotImplementedError

    def step(self, ids, state, mask=None):
        """The states of the next tokens, given the state that the tokens before them left.

        Args:
            ids: int32 [B, T], the next T tokens (1 while generating, more to read prompts at once).
            state: what `initial_state` or an earlier step returned.
            mask: bool [B, T], False for filler, which may stand only before a row's first token: texts of different
                lengths are read together by letting them end at the same place. None where all are tokens.

        Returns:
            (states [B, T, D], the new state). Each row's states are those of one full pass over its own tokens; those
            of filler mean nothing.
        """
        raise NotImplementedError


class Head(keras.layers.Layer):
    """What answers a task's question from what a body has read.

    Attributes:
        reads: what `call` gets of the body: "states" [B, T, D] or "summary" [B, S].
        keras_loss: the Keras loss that equals `loss` with weights of 1; None where Keras has none.
    """

    reads: str = "summary"
    keras_loss: keras.losses.Loss | None = None

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # the layers inside cast for themselves
        self.supports_masking = True  # Keras warns where a recurrent layer that skips filler stands below another

    def connect(self, body: Body) -> None:
        """Called once before the head is built, for a head that shares weights with the body."""

    def loss(self, outputs, targets, shares):
        """The sum of each target's loss times its share, a scalar.

        Args:
            outputs: what `call` gave.
            targets: as the task encodes them.
            shares: each target's weight over the sum of all weights in the batch, on all replicas together.
        """
        raise NotImplementedError

    def direct_loss(self, features, targets, shares, training):
        """`loss` straight from what the body gave, without outputs, where that saves memory; None where it does not."""
        return


def padding_last(ids):
    """Ids [B, T] in their order, every 0 after the rest: Keras' pad_sequences puts zeros first."""
    length = ops.shape(ids)[1]
    return ops.take_along_axis(ids, ops.argsort(ops.arange(length) + length * ops.cast(ids == 0, "int32"), axis=1), 1)


def masked_mean(x, mask):
    """The mean of x [B, T, D] over the tokens where mask [B, T] is True; zeros where there are none: [B, D]."""
    weights = ops.expand_dims(ops.cast(mask, x.dtype), -1)
    return ops.sum(x * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)


def masked_max(x, mask):
    """The largest of x [B, T, D] over the tokens where mask [B, T] is True; zeros where there are none: [B, D]."""
    mask = ops.expand_dims(mask, -1)
    largest = ops.max(ops.where(mask, x, ops.cast(-1e4, x.dtype)), axis=1)
    return ops.where(ops.any(mask, axis=1), largest, ops.zeros_like(largest))


def total_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The sum of a tensor over all replicas that run this step; the tensor itself where there is one replica."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)
