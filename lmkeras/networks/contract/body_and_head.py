"""The contracts of bodies that read whole texts, and of heads.

Shape letters: B batch, T tokens, M chosen tokens, W words, D width of a token's state, S size of the summary of a text.
"""

from collections.abc import Iterable, Mapping, Sequence

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.networks.pooling import chosen, masked_mean, padding_last
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training.keras_contract import inner_layers


def require_sizes(dropout: float, **sizes: int) -> None:
    """Raises InputError, naming the argument, for a size that no array can have or a dropout outside [0, 1)."""
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} must be at least 1, got {size}")
        if size >= 2**31:
            raise InputError(f"{name} must be less than {2**31}, got {size}")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be from 0 to below 1, got {dropout}")


class Body:
    """The part of a network that reads a text. A body is also a Keras layer (or model), registered as serialisable.

    A body makes its embedding when it is constructed, and all other layers when it is built. The head is made between
    these two moments, so that it can share the embedding.

    Attributes without a default are required: the constructor sets `vocabulary_size`, `dropout` and `embedding`, and
    `build` sets `width` and `summary_size`. Besides, a body must have `build`, `states` and `get_config`, which gives
    every argument of the constructor. docs/extending.md says when each of them is used.

    Attributes:
        vocabulary_size: number of ids that the body knows.
        dropout: the share of values dropped in training; a classifier's head uses the same share unless told otherwise.
        embedding: the layer that the body begins with, ids → vectors; the lowest group of the default `layer_groups`.
        max_length: the most tokens that one pass can look at; None if there is no limit.
        takes_token_types: whether inputs may have token_type_ids, 1 in the second text of a pair and 0 elsewhere.
        width: D, known once the body is built.
        summary_size: S, known once the body is built.
        initializer_range: standard deviation of a new head's matrix; None for Glorot and Bengio's values.
        default_optimizer: the optimizer that `fit` uses if the user names none.
        default_learning_rate: the highest learning rate for default_optimizer; None for the optimizer's own default.
        xla_on_cpu: whether compiling the whole training step with XLA was measured to be faster on CPUs.
        keeps_digits: whether what the body sums up stays float32 in mixed precision; else `auto` trains it in float32.
        xla_on_gpu: whether XLA can compile all that the body runs on GPUs; what cuDNN's LSTM does, it cannot.
        untrainable: why `fit` refuses networks with this body; "" if they can be trained.
        bfloat16_on_cpu: whether training with bfloat16 products pays on CPUs with instructions for them.
    """

    vocabulary_size: int
    dropout: float
    embedding: keras.layers.Layer
    width: int
    summary_size: int
    max_length: int | None = None
    takes_token_types: bool = False
    initializer_range: float | None = None
    default_optimizer: str = "adamw"
    default_learning_rate: float | None = None
    xla_on_cpu: bool = False
    keeps_digits: bool = True
    xla_on_gpu: bool = True
    untrainable: str = ""
    bfloat16_on_cpu: bool = False

    def inputs(self, inputs) -> Mapping:
        """Inputs by name, from ids alone or from a dictionary.

        Args:
            inputs: int32 ids [B, T], where id 0 is padding wherever it stands; or a dictionary of input_ids and perhaps
                attention_mask (0 for padding, which comes after the tokens) and token_type_ids, each [B, T]. Without
                an attention_mask, every id 0 is taken for padding.
        """
        if not isinstance(inputs, Mapping):
            inputs = {"input_ids": padding_last(inputs)}
        if inputs.get("attention_mask") is None:
            inputs = {**inputs, "attention_mask": inputs["input_ids"] != 0}
        return {**inputs, "attention_mask": ops.cast(inputs["attention_mask"], "bool")}

    def states(self, inputs: Mapping, training: bool = False):
        """The state of every token, [B, T, D], from inputs by name, which the method `inputs` gives."""
        raise NotImplementedError

    def summary(self, inputs: Mapping, training: bool = False):
        """One vector for each text, [B, S], from inputs by name; by default, the mean of its tokens' states."""
        return masked_mean(self.states(inputs, training), inputs["attention_mask"])

    def word_states(self, inputs: Mapping, training: bool = False):
        """The state of every word, [B, W, D], for tasks that answer for words; by default, that of its first token.

        Args:
            inputs: by name, with word_starts, int32 [B, W], each word's first token; without it, each token is a word.
            training: whether dropout is active.
        """
        states, starts = self.states(inputs, training), inputs.get("word_starts")
        return states if starts is None else tf.gather(states, starts, axis=1, batch_dims=1)

    def masked_states(self, inputs: Mapping, training: bool = False) -> tuple:
        """The state of every token, [B, T, D], and the mask, bool [B, T], for heads that compare a text's tokens."""
        return self.states(inputs, training), inputs["attention_mask"]

    def chosen_states(self, inputs: Mapping, training: bool = False):
        """The states of the tokens that a task chose, [B, M, D], for heads that answer for these alone.

        Args:
            inputs: by name, which the method `inputs` gives, with masked_positions, int32 [B, M]: where the chosen
                tokens stand among input_ids; without it, all tokens are.
            training: whether dropout is active.
        """
        return chosen(self.states(inputs, training), inputs)

    def chosen_states_and_summary(self, inputs: Mapping, training: bool = False) -> Mapping:
        """Both "states", as `chosen_states` gives them, and "summary"; by default, from two passes."""
        return {"states": self.chosen_states(inputs, training), "summary": self.summary(inputs, training)}

    def begin(self, batches: Iterable[tuple], tokenizer: BaseTokenizer, head: "Head") -> str:
        """Called once for a network with fresh weights, before it is trained; by default, nothing is done.

        Args:
            batches: (inputs, targets, weights) of every training example, made while they are read.
            tokenizer: the fitted tokenizer of the inputs.
            head: the head of the network.

        Returns:
            Where the weights come from, for people; "" if they were drawn at random.
        """
        return ""

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        """The layers with weights, in groups from the embedding up; the lowest may be frozen or learn more slowly.

        By default, the embedding is the first group, and each other layer is a group of its own.
        """
        others = [layer for layer in inner_layers(self) if layer is not self.embedding and layer.weights]
        return [[self.embedding], *([layer] for layer in others)]

    def summary_layers(self) -> list[keras.layers.Layer]:
        """The layers that only the summary needs; they belong to the group of the head."""
        return []


class Head(keras.layers.Layer):
    """The part of a network that computes a task's outputs from what a body has read; registered as serialisable.

    A head must have `call`, which casts the outputs to float32, and `loss`; `build`, if it has weights; and a
    `get_config` that gives every argument of its constructor. All attributes below have defaults. A task may ask for
    more: a language model's head must also have `vocabulary_size` and `every_position`, a classifier's `num_classes`.

    Attributes:
        reads: the method of the body that gives what `call` gets: "states" [B, T, D], "masked_states" (these and
            the mask, bool [B, T]), "word_states" [B, W, D], "summary" [B, S], "chosen_states" [B, M, D] or
            "chosen_states_and_summary" (a dictionary of both).
        targets: the names of the targets, for a head whose targets are a dictionary; None if there is one array.
        keras_loss: the Keras loss that equals `loss` with weights of 1; None if Keras has none.
        architecture: how the name of transformers' class with this head ends, such as "ForMaskedLM"; None: it has none.
        is_pretrained: whether a network that begins from pretrained weights takes those of the head too.
        num_answers: C, for a head that gives a whole text a logit for each possible answer, and so has `answers` and
            `answer_by`; else None.
    """

    reads: str = "summary"
    targets: Sequence[str] | None = None
    keras_loss: keras.losses.Loss | None = None
    architecture: str | None = None
    is_pretrained: bool = False
    num_answers: int | None = None

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)  # the layers inside cast for themselves
        self.supports_masking = True  # recurrent layers that skip filler pass on a mask, which heads ignore

    def connect(self, body: Body) -> None:
        """Called once before the head is built, for a head that shares weights with the body."""

    def published_config(self, labels: Sequence[str] | None) -> dict:
        """The entries of a published config.json that describe this head.

        Args:
            labels: the names of what it answers; None for names such as LABEL_0.
        """
        return {}

    def loss(self, outputs, targets, shares):
        """The sum of each target's loss times its share: a scalar, or a dictionary of scalars for several `targets`.

        Args:
            outputs: what `call` returned.
            targets: as the task encodes them: an array, or a dictionary of arrays for several `targets`.
            shares: each target's weight divided by the sum of all weights in the batch, over all replicas; in the form
                of `targets`.
        """
        raise NotImplementedError

    def training_loss(self, outputs, targets, shares):
        """What training makes small where that is not `loss`, which judges; the arguments and results are the same."""
        return self.loss(outputs, targets, shares)

    def answers(self, targets):
        """Which answers are right, float32 [B, C], from targets as the task encodes them."""
        raise NotImplementedError

    def answer_by(self, size: int, scores):
        """Begins so that the logits come from the summary by one matrix, which is changed to suit scores.

        Args: size: S, of the summary. scores: float [N, C], examples of what the logits shall be.

        Returns:
            The matrix, float32 [S, C]: the identity, if S is C; else that of the S directions in which scores differ
            most.
        """
        raise NotImplementedError

    def direct_loss(self, features, targets, shares, training):
        """The value of `training_loss` in training, else of `loss`, from the body's features, to save memory.

        Returns:
            The loss, without making all outputs; None if this head has no such way, or cannot use it here.
        """
        return
