"""What the Keras models have in common that are BERT with one of the heads that it is published with.

Shape letters: B batch, T tokens, C classes.
"""

import types
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError, unknown_name
from lmkeras.networks.bodies.bert.calling import INPUTS, by_name, outputs_type
from lmkeras.networks.bodies.bert.encoder import Bert
from lmkeras.networks.heads.summary import SummaryHead
from lmkeras.pretrained.bert import labels_of
from lmkeras.pretrained.checkpoint import read_checkpoint

_IGNORED = -100  # a label that counts for nothing
KINDS = ("regression", "single_label_classification", "multi_label_classification")


@keras.saving.register_keras_serializable("lmkeras")
class _Logits(SummaryHead):
    """Dropout and a dense layer, for summaries or states."""

    size_name = "num_labels"
    problem_type = None

    def __init__(self, num_labels, dropout=0.0, initializer_range=None, **kwargs):
        super().__init__(num_labels, dropout, initializer_range, **kwargs)


class BertWithHead(keras.Model):
    """A BERT, DistilBERT or RoBERTa with a head. It is built at once; `from_pretrained` reads published weights.

    Args:
        bert: the BERT below; None for a new one.
        labels: the names of what the head answers, or how many there are. None: LABEL_0 and LABEL_1.
        dropout: share of values dropped before the last layer, in [0, 1); None for the BERT's.
        problem_type: what sequences are asked for: "regression", "single_label_classification" or
            "multi_label_classification"; None: regression for one label, else what the type of the labels says.
        sizes: the arguments of a new BERT.

    Call arguments: those of `Bert`; and labels by the names of transformers, with which outputs begin with the loss.

    Returns:
        A named tuple with loss (a float32 scalar), if labels are given, and float32 logits; if asked for, also with
        hidden_states and attentions as those of `Bert`. Values can be read by position, attribute and name.
    """

    architecture: ClassVar[str]
    label_names: ClassVar[tuple[str, ...]] = ("labels",)
    #: entries of config.json that say how much is dropped before the last layer; the first that is there counts
    dropout_names: ClassVar[tuple[str, ...]] = ("classifier_dropout",)

    def __init__(
        self,
        bert: Bert | None = None,
        labels: int | tuple[str, ...] | None = None,
        dropout: float | None = None,
        problem_type: str | None = None,
        **sizes,
    ):
        base = {name: sizes.pop(name) for name in ("name", "trainable") if name in sizes}
        super().__init__(**base)
        labels = 2 if labels is None else labels
        self.labels = tuple(f"LABEL_{i}" for i in range(labels)) if isinstance(labels, int) else tuple(labels)
        if problem_type not in (None, *KINDS):
            raise unknown_name("problem_type", problem_type, KINDS)
        self.problem_type = problem_type
        self.bert = Bert(**sizes) if bert is None else bert
        self.head = self.new_head(self.bert.dropout if dropout is None else dropout)
        self.head.connect(self.bert)
        self.head.build((None, None, self.bert.hidden_size))
        self.built = True

    def new_head(self, dropout: float):
        """The head, not built yet."""
        head = _Logits(len(self.labels), dropout, self.bert.initializer_range)
        head.architecture, head.problem_type = self.architecture, self.problem_type
        return head

    def answers(self, outputs: tuple, training: bool) -> dict:
        """The logits by name, from the outputs of the BERT."""
        return {"logits": self.head(outputs.last_hidden_state, training=training)}

    def answers_loss(self, answers: Mapping, labels: Mapping):
        """The mean loss, a scalar, from what `answers` gave and the labels by name."""
        return mean_cross_entropy(answers["logits"], labels["labels"])

    def __call__(self, input_ids=None, attention_mask=None, token_type_ids=None, *, return_dict=None, **kwargs):
        """Takes the inputs in any form. return_dict has no effect, as outputs can be read by position and by name."""
        given = dict(zip(INPUTS, (input_ids, attention_mask, token_type_ids), strict=True))
        labels = {name: kwargs.pop(name, None) for name in self.label_names}
        return super().__call__(by_name({**given, **labels}, labels=self.label_names), **kwargs)

    def call(self, inputs, training=False, output_hidden_states=False, output_attentions=False):
        """The outputs for a dictionary of inputs."""
        own = {name: inputs[name] for name in INPUTS if name in inputs}
        shown = {"output_hidden_states": output_hidden_states, "output_attentions": output_attentions}
        below = self.bert(own, training=training, **shown)
        outputs = self.answers(below, training)
        labels = {name: inputs[name] for name in self.label_names if name in inputs}
        if len(labels) == len(self.label_names):
            outputs = {"loss": self.answers_loss(outputs, labels), **outputs}
        elif labels:
            raise InputError(f"expected {' and '.join(self.label_names)} together, got {', '.join(labels)}")
        outputs |= {name: getattr(below, name) for name in ("hidden_states", "attentions") if hasattr(below, name)}
        return outputs_type(tuple(outputs))(**outputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """In `fit`: the model's own loss where the inputs hold the labels, or where it is compiled without a loss."""
        if hasattr(y_pred, "loss"):
            return y_pred.loss + sum(self.losses)
        if self.loss is None:
            named = y if isinstance(y, Mapping) else dict(zip(self.label_names, tf.nest.flatten(y), strict=True))
            return self.answers_loss(y_pred._asdict(), named) + sum(self.losses)
        return super().compute_loss(x, y, y_pred=_logits_of(y_pred), sample_weight=sample_weight, training=training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of `fit` see the logits, and the labels wherever they are."""
        if y is None and isinstance(x, Mapping):
            y = [x[name] for name in self.label_names if name in x]
            y = y[0] if len(y) == 1 else y or None
        return super().compute_metrics(x, y, y_pred=_logits_of(y_pred), sample_weight=sample_weight)

    @property
    def config(self) -> types.SimpleNamespace:
        """The BERT's arguments, num_labels, id2label and label2id as attributes."""
        id2label = dict(enumerate(self.labels))
        named = {"id2label": id2label, "label2id": {label: i for i, label in id2label.items()}}
        return types.SimpleNamespace(**self.bert.sizes(), num_labels=len(self.labels), **named)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        num_labels: int | None = None,
        id2label: Mapping | None = None,
        label2id: Mapping | None = None,
        from_pt: bool | None = None,
        problem_type: str | None = None,
        **arguments,
    ):
        """Reads a published checkpoint, head included; a head that it lacks gets fresh weights, and a warning says so.

        Args:
            source: as for `Bert.from_pretrained`.
            num_labels: how many labels a new head shall have; None for those of the checkpoint.
            id2label: their names by number, for the same.
            label2id: has no effect, as id2label says the same.
            from_pt: has no effect, as the format is recognised from the files.
            problem_type: as for the constructor; None for that of the checkpoint.
            arguments: arguments of `Bert` that shall differ from config.json.

        Raises:
            InputError: as for `Bert.from_pretrained`; or the checkpoint's head has another number of labels.
        """
        checkpoint = read_checkpoint(source)
        config = checkpoint.config
        bert = Bert.of_checkpoint(checkpoint, pooled=False, **arguments)
        labels = (id2label and tuple(id2label.values())) or num_labels or labels_of(config, checkpoint.folder)
        dropout = next((config[name] for name in cls.dropout_names if config.get(name) is not None), None)
        model = cls(bert, labels, dropout=dropout, problem_type=problem_type or config.get("problem_type"))
        bert.read_head(model.head, checkpoint, partly=True)
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes config.json and model.safetensors in the form that transformers' class (PyTorch) reads."""
        self.bert.save_pretrained_with(self.head, folder, labels=self.labels)

    def get_config(self):
        """The constructor's arguments."""
        own = {"labels": self.labels, "dropout": getattr(self.head, "dropout", None), "problem_type": self.problem_type}
        return {"name": self.name, "trainable": self.trainable, **own, "bert": self.bert.get_config()}

    @classmethod
    def from_config(cls, config):
        """The model that `get_config` described, with fresh weights."""
        return cls(**{**config, "bert": Bert.from_config(config["bert"])})


def _logits_of(outputs: tuple):
    """The logits alone: a tensor, or a list of two."""
    found = [value for name, value in outputs._asdict().items() if name.endswith("logits")]
    return found[0] if len(found) == 1 else found


def mean_cross_entropy(logits, labels, ignored: int = _IGNORED):
    """The mean cross-entropy, in nats, over the places whose label is not `ignored`; 0 if there is none.

    Args:
        logits: float32 [..., C].
        labels: int [...].
        ignored: the label that counts for nothing.
    """
    counted = ops.cast(ops.not_equal(labels, ignored), "float32")
    known = ops.where(ops.not_equal(labels, ignored), labels, ops.zeros_like(labels))
    losses = ops.sparse_categorical_crossentropy(known, logits, from_logits=True)
    return ops.sum(losses * counted) / ops.maximum(ops.sum(counted), 1.0)
