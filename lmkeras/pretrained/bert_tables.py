"""The names that published checkpoints of BERT and of DistilBERT have for what our network has: a table for each.

In this file "theirs" are the weights of a published checkpoint, by PyTorch's names and in PyTorch's layout; "ours" are
the weights of lmkeras.networks.bodies.bert.Bert and of the heads that stand on it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

#: The entries of config.json from which a BERT is built.
CONFIG_NAMES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "initializer_range",
    "layer_norm_eps",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One weight of a published checkpoint, and its place in our network."""

    theirs: str
    """PyTorch's name of the weight."""
    ours: str
    """Path in our network: attribute names and list positions, joined by dots. Several rows with the same path are
    parts of one weight of ours, which stand side by side along its last axis."""
    transposed: bool = False
    """Whether the weight is a matrix [outputs, inputs] in the checkpoint; ours is [inputs, outputs]."""


def _layer(theirs: str, ours: str) -> list[Row]:
    """The rows of a dense layer: its kernel and its bias."""
    return [Row(f"{theirs}.weight", f"{ours}.kernel", transposed=True), Row(f"{theirs}.bias", f"{ours}.bias")]


def _norm(theirs: str, ours: str) -> list[Row]:
    return [Row(f"{theirs}.weight", f"{ours}.gamma"), Row(f"{theirs}.bias", f"{ours}.beta")]


@dataclasses.dataclass(frozen=True)
class Family:
    """The names of one family of checkpoints.

    Attributes:
        model_type: the family's name in config.json.
        class_name: how the names of its classes in transformers begin, such as "Bert" in BertForMaskedLM.
        prefix: what stands before the names of the body's weights, in a checkpoint with a head.
        config: for each of CONFIG_NAMES that the family has, what its config.json calls it.
        embeddings: the rows of the embeddings.
        block: the rows of a block; names within `blocks_at`.i (theirs) and blocks.i (ours).
        blocks_at: where the blocks' weights are.
        pooler: the rows of the pooler.
        pooler_in_head: whether the pooler counts as a part of the classifier's head, and has no prefix.
        heads: for each head, by the end of its class's name, its rows; paths within the head.
    """

    model_type: str
    class_name: str
    prefix: str
    config: Mapping[str, str]
    embeddings: Sequence[Row]
    block: Sequence[Row]
    blocks_at: str
    pooler: Sequence[Row]
    pooler_in_head: bool
    heads: Mapping[str, Sequence[Row]]

    def rows(self, num_hidden_layers: int) -> list[Row]:
        """The rows of a whole body with this many blocks; names without prefix."""
        blocks = [
            Row(f"{self.blocks_at}.{i}.{row.theirs}", f"blocks.{i}.{row.ours}", row.transposed)
            for i in range(num_hidden_layers)
            for row in self.block
        ]
        return [*self.embeddings, *blocks, *self.pooler]


_MASKED = [
    *_layer("cls.predictions.transform.dense", "transform"),
    *_norm("cls.predictions.transform.LayerNorm", "norm"),
    Row("cls.predictions.bias", "bias"),
]
BERT = Family(
    model_type="bert",
    class_name="Bert",
    prefix="bert.",
    config={name: name for name in CONFIG_NAMES},
    embeddings=[
        Row("embeddings.word_embeddings.weight", "word_embeddings.embeddings"),
        Row("embeddings.position_embeddings.weight", "position_embeddings.embeddings"),
        Row("embeddings.token_type_embeddings.weight", "token_type_embeddings.embeddings"),
        *_norm("embeddings.LayerNorm", "embeddings_norm"),
    ],
    block=[
        *_layer("attention.self.query", "_attention._qkv"),
        *_layer("attention.self.key", "_attention._qkv"),
        *_layer("attention.self.value", "_attention._qkv"),
        *_layer("attention.output.dense", "_attention._output"),
        *_norm("attention.output.LayerNorm", "_attention_norm"),
        *_layer("intermediate.dense", "_expand"),
        *_layer("output.dense", "_contract"),
        *_norm("output.LayerNorm", "_feed_forward_norm"),
    ],
    blocks_at="encoder.layer",
    pooler=_layer("pooler.dense", "pooler"),
    pooler_in_head=False,
    heads={
        "ForSequenceClassification": _layer("classifier", "dense"),
        "ForTokenClassification": _layer("classifier", "dense"),
        "ForQuestionAnswering": _layer("qa_outputs", "dense"),
        "ForMaskedLM": _MASKED,
        "ForPreTraining": [*_MASKED, *_layer("cls.seq_relationship", "next_sentence_dense")],
    },
)
DISTILBERT = Family(
    model_type="distilbert",
    class_name="DistilBert",
    prefix="distilbert.",
    config={
        "vocab_size": "vocab_size",
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "attention_dropout",
        "max_position_embeddings": "max_position_embeddings",
        "initializer_range": "initializer_range",
    },
    embeddings=[
        Row("embeddings.word_embeddings.weight", "word_embeddings.embeddings"),
        Row("embeddings.position_embeddings.weight", "position_embeddings.embeddings"),
        *_norm("embeddings.LayerNorm", "embeddings_norm"),
    ],
    block=[
        *_layer("attention.q_lin", "_attention._qkv"),
        *_layer("attention.k_lin", "_attention._qkv"),
        *_layer("attention.v_lin", "_attention._qkv"),
        *_layer("attention.out_lin", "_attention._output"),
        *_norm("sa_layer_norm", "_attention_norm"),
        *_layer("ffn.lin1", "_expand"),
        *_layer("ffn.lin2", "_contract"),
        *_norm("output_layer_norm", "_feed_forward_norm"),
    ],
    blocks_at="transformer.layer",
    pooler=_layer("pre_classifier", "pooler"),
    pooler_in_head=True,
    heads={
        "ForSequenceClassification": _layer("classifier", "dense"),
        "ForTokenClassification": _layer("classifier", "dense"),
        "ForQuestionAnswering": _layer("qa_outputs", "dense"),
        "ForMaskedLM": [
            *_layer("vocab_transform", "transform"),
            *_norm("vocab_layer_norm", "norm"),
            Row("vocab_projector.bias", "bias"),
        ],
    },
)
FAMILIES = {family.model_type: family for family in (BERT, DISTILBERT)}
