"""The names that published checkpoints of BERT, DistilBERT and RoBERTa have for what our network has: a table for each.

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
    "pad_token_id",
)
_OF_ROBERTA = ("pad_token_id",)  # which other families have too, but build nothing of


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
        defaults: what holds where config.json lacks an entry, as far as it is not what holds for BERT; by our names.
        embeddings: the rows of the embeddings.
        block: the rows of a block; names within `blocks_at`.i (theirs) and blocks.i (ours).
        blocks_at: where the blocks' weights are.
        pooler: the rows of the pooler of a body without head; none if such a body has no pooler.
        pooler_of_head: the rows of the pooler where it is a part of the classifier's head, without prefix; none where
            the classifier's head uses the body's.
        heads: for each head, by the end of its class's name, its rows; paths within the head.
        pooler_activation: the activation of the pooler.
        takes_token_types: whether the texts of a pair are told apart by token types.
        masked_activation: the activation of the head of masked words; None for that of the body.
    """

    model_type: str
    class_name: str
    prefix: str
    config: Mapping[str, str]
    embeddings: Sequence[Row]
    block: Sequence[Row]
    blocks_at: str
    pooler: Sequence[Row]
    pooler_of_head: Sequence[Row]
    heads: Mapping[str, Sequence[Row]]
    defaults: Mapping[str, int] = dataclasses.field(default_factory=dict)
    pooler_activation: str = "tanh"
    takes_token_types: bool = True
    masked_activation: str | None = None

    def rows(self, num_hidden_layers: int) -> list[Row]:
        """The rows of a body with this many blocks, without its pooler; names without prefix."""
        blocks = [
            Row(f"{self.blocks_at}.{i}.{row.theirs}", f"blocks.{i}.{row.ours}", row.transposed)
            for i in range(num_hidden_layers)
            for row in self.block
        ]
        return [*self.embeddings, *blocks]

    @property
    def has_token_types(self) -> bool:
        """Whether there is a table of token types, be it of one row."""
        return any(row.ours.startswith("token_type_embeddings.") for row in self.embeddings)


_MASKED = [
    *_layer("cls.predictions.transform.dense", "transform"),
    *_norm("cls.predictions.transform.LayerNorm", "norm"),
    Row("cls.predictions.bias", "bias"),
]
BERT = Family(
    model_type="bert",
    class_name="Bert",
    prefix="bert.",
    config={name: name for name in CONFIG_NAMES if name not in _OF_ROBERTA},
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
    pooler_of_head=[],
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
    pooler=[],
    pooler_of_head=_layer("pre_classifier", "pooler"),
    pooler_activation="relu",
    takes_token_types=False,
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
#: positions begin behind that of padding, pairs have no token types, and the classifier's head has a pooler of its own
ROBERTA = dataclasses.replace(
    BERT,
    model_type="roberta",
    class_name="Roberta",
    prefix="roberta.",
    config={name: name for name in CONFIG_NAMES},
    defaults={"vocab_size": 50265, "pad_token_id": 1},
    pooler_of_head=_layer("classifier.dense", "pooler"),
    takes_token_types=False,
    masked_activation="gelu",
    heads={
        "ForSequenceClassification": _layer("classifier.out_proj", "dense"),
        "ForTokenClassification": _layer("classifier", "dense"),
        "ForQuestionAnswering": _layer("qa_outputs", "dense"),
        "ForMaskedLM": [
            *_layer("lm_head.dense", "transform"),
            *_norm("lm_head.layer_norm", "norm"),
            Row("lm_head.bias", "bias"),
        ],
    },
)
FAMILIES = {family.model_type: family for family in (BERT, DISTILBERT, ROBERTA)}
