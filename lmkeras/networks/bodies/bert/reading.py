"""BERT as the body of a network: what the head gets from it.

Shape letters: B batch, T tokens, D width.
"""

from collections.abc import Mapping

import keras
from keras import ops

from lmkeras.networks.bodies.bert.calling import INPUTS
from lmkeras.networks.contract import Body
from lmkeras.networks.pooling import chosen, padding_last
from lmkeras.pretrained.bert import positions_for_tokens


class BertReading(Body):
    """The methods that make `Bert` the body of a network. Its summary of a text is the first token's pooled vector."""

    bfloat16_on_cpu = True
    xla_on_cpu = False  # 32 texts of 32 tokens, 6 blocks of 384: 0.9 s of processor time a step, 3.8 s with XLA
    #: the highest learning rate that Devlin et al. 2019, appendix A.3, try for pretrained weights
    default_learning_rate = 5e-5

    @property
    def takes_token_types(self) -> bool:
        """Whether the two texts of a pair are told apart; in a DistilBERT and a RoBERTa they are not."""
        return self.family.takes_token_types and self.type_vocab_size > 1

    def __getattr__(self, name):
        """The attribute `embedding` is `word_embeddings`. A property would change the layer's name in Keras' files."""
        if name == "embedding":
            return self.word_embeddings
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids."""
        return self.vocab_size

    @property
    def max_length(self) -> int:
        """The most tokens that one pass can look at."""
        return positions_for_tokens(self.max_position_embeddings, self.pad_token_id)

    @property
    def masked_activation(self) -> str:
        """The activation of a head of masked words on this body."""
        return self.family.masked_activation or self.hidden_act

    def positions(self, ids):
        """The position of each token: int [T], or int [B, T] where it depends on the ids [B, T] before it."""
        if self.pad_token_id is None:
            return ops.arange(ops.shape(ids)[1])
        real = ops.cast(ops.not_equal(ids, self.pad_token_id), "int32")
        return ops.cumsum(real, axis=1) * real + self.pad_token_id

    @property
    def dropout(self) -> float:
        """The share of values dropped in training."""
        return self.hidden_dropout_prob

    @property
    def width(self) -> int:
        """D, the width of the state of a token."""
        return self.hidden_size

    summary_size = width

    def inputs(self, inputs) -> dict:
        """See `Body.inputs`. The first place is never masked, so that a text without tokens can be read too.

        Without an attention_mask, every id of padding is taken for padding; in a RoBERTa that is not id 0.
        """
        padding = self.pad_token_id or 0
        if not isinstance(inputs, Mapping):
            inputs = {"input_ids": padding_last(inputs, padding)}
        if inputs.get("attention_mask") is None:
            inputs = {**inputs, "attention_mask": ops.not_equal(inputs["input_ids"], padding)}
        named = super().inputs(inputs)
        first = ops.arange(ops.shape(named["input_ids"])[1]) == 0
        return {**named, "attention_mask": ops.logical_or(named["attention_mask"], first)}

    def states(self, inputs, training=False):
        """The last block's output for every token, [B, T, D]."""
        return self(_own(inputs), training=training).last_hidden_state

    def summary(self, inputs, training=False):
        """The pooled vector of the first token, [B, D]."""
        return self(_own(inputs), training=training).pooler_output

    def chosen_states_and_summary(self, inputs, training=False):
        """The states of chosen tokens [B, M, D] and the pooled vector [B, D], from one pass."""
        outputs = self(_own(inputs), training=training)
        return {"states": chosen(outputs.last_hidden_state, inputs), "summary": outputs.pooler_output}

    def packed(self, dtype: str):
        """What is read in the place of this body in an exported model, see `PackedBert`."""
        from lmkeras.networks.bodies.bert.packed import PackedBert

        return PackedBert(self, dtype)

    def summary_layers(self) -> list[keras.layers.Layer]:
        """The pooler."""
        return [self.pooler]


def _own(inputs: Mapping) -> dict:
    """The inputs that BERT itself takes: a task may add others, such as where words begin."""
    return {name: inputs[name] for name in INPUTS if name in inputs}
