"""The classifier that is fine-tuned from a BERT: its pooled vector, dropout, Dense.

Shape letters: B batch, T tokens, C classes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
from keras import ops

from lmkeras.errors import InputError
from lmkeras.networks.bert.encoder import Bert
from lmkeras.networks.classification import ClassificationNetwork, padding_last
from lmkeras.networks.language import require_sizes
from lmkeras.networks.registry import register
from lmkeras.pretrained import bert as table
from lmkeras.pretrained.checkpoint import write_checkpoint


@keras.saving.register_keras_serializable("lmkeras")
class BertClassifier(ClassificationNetwork):
    """Bert - pooled output - dropout - Dense; `bert_classifier` builds one.

    Args:
        bert: the network below, which is trained along.
        num_classes: C, at least 2.
        dropout: share of the pooled output dropped in training, in [0, 1); None for bert's hidden_dropout_prob.
        default_learning_rate: what `fit` takes where no other is asked for. The default, for pretrained weights, is the
            highest of those that Devlin et al. 2019, appendix A.3, choose from.

    Call arguments:
        inputs: int ids [B, T], 0 for padding wherever it stands; or a dictionary of input_ids and perhaps
            token_type_ids and attention_mask, each [B, T], of texts that begin at the first token. Without an
            attention_mask every id but 0 is looked at.
        training: whether dropout is active.

    Returns:
        float32 logits [B, C].

    Source: Devlin et al. 2019, section 4.1; BertForSequenceClassification in transformers has the same layers.
    """

    default_optimizer = "adamw"
    takes_token_types = True
    xla_on_cpu = False  # 32 texts of 32 tokens, 6 blocks of 384: 0.9 s of processor time a step, 3.8 s with XLA
    bfloat16_on_cpu = True

    def __init__(
        self,
        bert: Bert,
        num_classes: int,
        dropout: float | None = None,
        default_learning_rate: float = 5e-5,
        **kwargs,
    ):
        super().__init__(num_classes, **kwargs)
        self.default_learning_rate = default_learning_rate
        self.bert = bert
        self.dropout = bert.hidden_dropout_prob if dropout is None else dropout
        require_sizes(self.dropout)
        self.vocabulary_size = bert.vocab_size
        self.max_length = bert.max_position_embeddings
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        self.head = keras.layers.Dense(num_classes, kernel_initializer=bert.fresh_matrix(), name="logits")
        self.build()

    def build(self, input_shape=None):
        """Builds the last layer, once; bert is built already."""
        if not self.built:
            self.head.build((None, self.bert.hidden_size))
            self.built = True

    def call(self, inputs, training=False):
        """Logits [B, C]."""
        if not isinstance(inputs, Mapping):
            inputs = {"input_ids": padding_last(inputs)}
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        if mask is None:
            # a text without tokens is its first padding, however much of it follows
            mask = ops.logical_or(ids != 0, ops.arange(ops.shape(ids)[1]) == 0)
        pooled = self.bert({**inputs, "attention_mask": mask}, training=training).pooler_output
        return ops.cast(self.head(self.dropout_layer(pooled, training=training)), "float32")

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        """The embeddings, each block, then pooler and last layer."""
        *lower, pooler = self.bert.layer_groups()
        return [*lower, [*pooler, self.head]]

    def get_config(self):
        """What builds the whole again, without a checkpoint."""
        names = ("num_classes", "dropout", "default_learning_rate")
        sizes = {name: getattr(self, name) for name in names}
        return {"name": self.name, "bert": self.bert.get_config(), **sizes}

    @classmethod
    def from_config(cls, config):
        """The network of what `get_config` gave, with fresh weights."""
        return cls(**{**config, "bert": Bert.from_config(config["bert"])})

    def save_pretrained(self, folder: str | Path, labels: Sequence[str] | None = None) -> None:
        """Writes config.json and model.safetensors as BertForSequenceClassification in transformers reads them.

        Args:
            folder: created where it is missing; an earlier checkpoint's files are replaced.
            labels: the classes' names; None for LABEL_0, LABEL_1 and so on.
        """
        labels = [f"LABEL_{i}" for i in range(self.num_classes)] if labels is None else list(labels)
        if len(labels) != self.num_classes:
            raise InputError(f"expected {self.num_classes} labels, one for each class, got {len(labels)}")
        config = {
            "architectures": ["BertForSequenceClassification"],
            "model_type": "bert",
            **self.bert.sizes(),
            "classifier_dropout": self.dropout,
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
        }
        head = {"head.kernel": self.head.kernel.numpy(), "head.bias": self.head.bias.numpy()}
        body = {f"bert.{name}": tensor for name, tensor in self.bert.published_weights().items()}
        write_checkpoint(folder, config, {**body, **table.write_rows(table.CLASSIFIER, head)})


def bert_classifier(bert: Bert | str | Path, num_classes: int, dropout: float | None = None) -> BertClassifier:
    """Builds the classifier that is fine-tuned from a BERT.

    Args:
        bert: the network, or where `Bert.from_pretrained` finds it: a folder or a name on the Hugging Face hub.
        num_classes: C, at least 2.
        dropout: share of the pooled output dropped in training, in [0, 1); None for bert's hidden_dropout_prob.

    Returns:
        A built network, int32 ids [B, T] or a dictionary of inputs → float32 logits [B, C]; its last layer is fresh.

    Example:
        >>> bert = Bert(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
        >>> bert_classifier(bert, num_classes=3)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    return BertClassifier(bert if isinstance(bert, Bert) else Bert.from_pretrained(bert), num_classes, dropout)


@register("bert", task="classification")
def fresh_bert_classifier(
    vocabulary_size: int,
    num_classes: int,
    d_model: int = 128,
    num_heads: int = 4,
    num_layers: int = 2,
    dff: int | None = None,
    max_length: int = 512,
    dropout: float = 0.1,
) -> BertClassifier:
    """Builds a classifier of a BERT with fresh weights.

    Args:
        vocabulary_size: number of ids, id 0 included.
        num_classes: C, at least 2.
        d_model: width, a multiple of num_heads.
        num_heads: attention heads of each block.
        num_layers: number of blocks.
        dff: inner width of the feed-forward networks; 4 d_model where it is None.
        max_length: the most tokens one pass looks at.
        dropout: share dropped after the embeddings, in the blocks, of attention weights and before the last layer in
            training, in [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C], T <= max_length, whose default_learning_rate suits
        fresh weights.

    Raises:
        InputError: d_model is no multiple of num_heads.

    Source: Devlin et al. 2019; the default sizes are near the smallest of Turc et al. 2019.

    Example:
        >>> fresh_bert_classifier(vocabulary_size=50, num_classes=3)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    bert = Bert(
        vocab_size=vocabulary_size,
        hidden_size=d_model,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=4 * d_model if dff is None else dff,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=max_length,
    )
    return BertClassifier(bert, num_classes, default_learning_rate=0.0005)
