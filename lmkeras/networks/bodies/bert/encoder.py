"""BERT, which can read published checkpoints. It is called like transformers' TFBertModel and also has that name.

Shape letters: B batch, T tokens, D width, H heads.
"""

import types

import keras
from keras import ops

from lmkeras.errors import InputError, unknown_name
from lmkeras.layers.activations import ACTIVATIONS
from lmkeras.layers.blocks import TransformerBlock
from lmkeras.layers.fused import layer_norm
from lmkeras.networks.bodies.bert.calling import INPUTS, by_name, outputs_type
from lmkeras.networks.bodies.bert.publishing import BertPublishing
from lmkeras.networks.bodies.bert.reading import BertReading
from lmkeras.networks.contract import require_sizes
from lmkeras.pretrained.bert_tables import CONFIG_NAMES, FAMILIES

_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)


@keras.saving.register_keras_serializable("lmkeras")
class Bert(BertReading, BertPublishing, keras.Model):
    """BERT: token, position and token type embeddings, post-norm blocks, and a pooled vector of the first token.

    The constructor builds it at once, with fresh weights; `Bert.from_pretrained` reads published weights. The arguments
    have the same names as in config.json, and the values of BERT base as defaults.

    Args:
        vocab_size: number of token ids.
        hidden_size: width D, a multiple of num_attention_heads.
        num_hidden_layers: number of blocks.
        num_attention_heads: H, number of attention heads of each block.
        intermediate_size: inner width of the blocks' feed-forward networks.
        hidden_act: activation of the feed-forward networks: "gelu" (exact), "gelu_new" (by tanh), "relu" or "silu".
        hidden_dropout_prob: dropout after the embeddings and in the blocks, in [0, 1).
        attention_probs_dropout_prob: dropout of attention weights, in [0, 1).
        max_position_embeddings: number of positions, and so of the tokens that a text may have; in a RoBERTa,
            pad_token_id + 1 of them are of no token.
        type_vocab_size: number of token types: 2 for the first and the second text of a pair.
        initializer_range: standard deviation of the normal distribution of fresh matrices, before it is truncated at
            two standard deviations.
        layer_norm_eps: number that the norms add to variances, so that they never divide by zero.
        pad_token_id: in a RoBERTa, the id of padding, and its position wherever it stands; other tokens have the
            positions from pad_token_id + 1 on. None for 1, or in other kinds, whose positions begin at 0.
        model_type: "bert"; "distilbert", which has no token types, and relu instead of tanh in its pooler; or
            "roberta", whose token types do not tell the texts of a pair apart.

    Call arguments:
        input_ids: int [B, T]. All inputs may also be given here: as a dictionary by these names, such as a tokenizer
            gives, or as a list in this order.
        attention_mask: [B, T], 0 for tokens that no token attends to (padding), else 1; or [B, T, T], a mask [T] for
            each token that attends. None is a mask of ones, even where ids are 0.
        token_type_ids: int [B, T]; None for zeros.
        output_hidden_states: whether to return the input of the first block and the output of every block.
        output_attentions: whether to return the attention weights of every block, without dropout.
        training: whether dropout is active.

    Returns:
        A named tuple with last_hidden_state [B, T, D] and pooler_output [B, D] in (-1, 1); if asked for, also with
        hidden_states, a tuple of [B, T, D], and attentions, a tuple of float32 [B, H, T, T].

    Raises:
        InputError: an input has another shape or name, or there are more tokens than max_position_embeddings.

    Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding".

    Example:
        >>> bert = Bert(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
        >>> outputs = bert(np.array([[7, 3, 0]]), attention_mask=np.array([[1, 1, 0]]))
        >>> outputs.last_hidden_state.shape, outputs.pooler_output.shape
        (TensorShape([1, 3, 16]), TensorShape([1, 16]))
    """

    def __init__(
        self,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        *,
        hidden_act: str = "gelu",
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        initializer_range: float = 0.02,
        layer_norm_eps: float = 1e-12,
        pad_token_id: int | None = None,
        model_type: str = "bert",
        **kwargs,
    ):
        sizes = {name: value for name, value in locals().items() if name in (*CONFIG_NAMES, "model_type")}
        super().__init__(**kwargs)
        require_sizes(hidden_dropout_prob, **{name: sizes[name] for name in _SIZES})
        require_sizes(attention_probs_dropout_prob)
        if hidden_act not in ACTIVATIONS:
            raise unknown_name("hidden_act", hidden_act, ACTIVATIONS)
        if model_type not in FAMILIES:
            raise unknown_name("model_type", model_type, FAMILIES)
        family = FAMILIES[model_type]
        sizes["pad_token_id"] = pad = family.defaults.get("pad_token_id") if pad_token_id is None else pad_token_id
        if pad is not None and not ("pad_token_id" in family.config and 0 <= pad < max_position_embeddings - 1):
            raise InputError(f"expected a pad_token_id of a RoBERTa, and positions behind it, got {pad}")
        for name, value in sizes.items():
            setattr(self, name, value)
        common = {"dtype": self.dtype_policy}
        self.word_embeddings = self._embedding(vocab_size, "word_embeddings")
        self.position_embeddings = self._embedding(max_position_embeddings, "position_embeddings")
        if family.has_token_types:
            self.token_type_embeddings = self._embedding(type_vocab_size, "token_type_embeddings")
        self.embeddings_norm = keras.layers.LayerNormalization(epsilon=layer_norm_eps, name="embeddings_norm", **common)
        self.dropout_layer = keras.layers.Dropout(hidden_dropout_prob, **common)
        self.blocks = [self._block(f"block_{i}") for i in range(num_hidden_layers)]
        pooled = family.pooler_activation
        self.pooler = keras.layers.Dense(
            hidden_size, pooled, kernel_initializer=self.fresh_matrix(), name="pooler", **common
        )
        self.build()
        for layer in self.layers:
            layer.trainable = self.trainable  # so that a frozen network is still frozen after it is saved and loaded

    def fresh_matrix(self) -> keras.initializers.Initializer:
        """A new initializer for a matrix of this BERT."""
        return keras.initializers.TruncatedNormal(stddev=self.initializer_range)

    def _embedding(self, size, name):
        matrix = self.fresh_matrix()
        return keras.layers.Embedding(size, self.hidden_size, matrix, dtype=self.dtype_policy, name=name)

    def _block(self, name):
        return TransformerBlock(
            self.hidden_size,
            num_heads=self.num_attention_heads,
            dff=self.intermediate_size,
            rate=self.hidden_dropout_prob,
            activation=ACTIVATIONS[self.hidden_act],
            epsilon=self.layer_norm_eps,
            attention_dropout=self.attention_probs_dropout_prob,
            kernel_initializer=self.fresh_matrix(),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape=None):
        """Builds the layers, only once; their weights do not depend on the inputs' shape."""
        if self.built:
            return
        for layer in self.embeddings():
            layer.build((None, None))
        for layer in (self.embeddings_norm, *self.blocks):
            layer.build((None, None, self.hidden_size))
        self.pooler.build((None, self.hidden_size))
        self.built = True

    @property
    def config(self) -> types.SimpleNamespace:
        """The constructor's arguments as attributes, such as `bert.config.hidden_size`."""
        return types.SimpleNamespace(**self.sizes())

    def __call__(self, input_ids=None, attention_mask=None, token_type_ids=None, *, return_dict=None, **kwargs):
        """Takes the inputs in any form. return_dict has no effect, as outputs can be read by position and by name."""
        given = dict(zip(INPUTS, (input_ids, attention_mask, token_type_ids), strict=True))
        return super().__call__(by_name(given), **kwargs)

    def call(self, inputs, training=False, output_hidden_states=False, output_attentions=False):
        """The outputs for a dictionary of inputs."""
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        if mask is not None and len(mask.shape) == 2:
            mask = mask[:, None]  # [B, 1, T], because later layers would take [B, T] for the mask of their own input
        x = self._embed(ids, inputs.get("token_type_ids"), training)
        states, attentions = [x], []
        for block in self.blocks:
            if output_attentions:
                attentions.append(block.attention_weights(x, mask))
            x = block(x, mask=mask, training=training)
            states.append(x)
        first = x[:, 0]
        if self.family.pooler and self.family.pooler_of_head:  # as the classifier's head of a RoBERTa has it
            first = self.dropout_layer(first, training=training)
        outputs = {"last_hidden_state": x, "pooler_output": self.pooler(first)}
        if output_hidden_states:
            outputs["hidden_states"] = tuple(states)
        if output_attentions:
            outputs["attentions"] = tuple(attentions)
        return outputs_type(tuple(outputs))(**outputs)

    def _embed(self, ids, token_type_ids, training):
        """The sum of the embeddings, after norm and dropout: ids [B, T] → [B, T, D]."""
        length = ids.shape[1]
        if length is not None and length > self.max_length:
            raise InputError(f"got {length} tokens: this BERT looks at {self.max_length} at most; truncate the texts")
        x = self.word_embeddings(ids) + self.position_embeddings(self.positions(ids))
        if self.family.has_token_types:
            x += self.token_type_embeddings(ops.zeros_like(ids) if token_type_ids is None else token_type_ids)
        elif token_type_ids is not None:
            raise InputError("a DistilBERT has no token types: leave out token_type_ids")
        norm = self.embeddings_norm
        x = layer_norm(x, norm.gamma, norm.beta, epsilon=norm.epsilon, dtype=self.compute_dtype)
        return self.dropout_layer(x, training=training)

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        """All layers with weights from the bottom up: the embeddings, each block, the pooler."""
        embeddings = [*self.embeddings(), self.embeddings_norm]
        return [embeddings, *([block] for block in self.blocks), [self.pooler]]

    def embeddings(self) -> list[keras.layers.Embedding]:
        """The tables whose rows are added up: words, positions and, except in a DistilBERT, token types."""
        types = [self.token_type_embeddings] if self.family.has_token_types else []
        return [self.word_embeddings, self.position_embeddings, *types]

    def get_config(self):
        """The constructor's arguments."""
        policy = keras.dtype_policies.serialize(self.dtype_policy)
        return {"name": self.name, "trainable": self.trainable, "dtype": policy, **self.sizes()}

    def sizes(self) -> dict:
        """The constructor's arguments, by the names of BERT's config.json."""
        return {name: getattr(self, name) for name in (*CONFIG_NAMES, "model_type")}


TFBertModel = Bert
