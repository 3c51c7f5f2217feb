"""How a BERT and the head on it are read from published checkpoints, and written as such."""

import functools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from lmkeras.errors import InputError
from lmkeras.networks.contract import Head
from lmkeras.pretrained import bert as table
from lmkeras.pretrained.bert_tables import CONFIG_NAMES, FAMILIES, Row
from lmkeras.pretrained.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

_TIED = ("ForMaskedLM", "ForPreTraining")  # heads whose last matrix is that of the word embeddings
_POOLED = ("ForSequenceClassification", "ForPreTraining")  # heads that read the pooler


class BertPublishing:
    """The methods of `Bert` that read and write checkpoints of transformers: BERT, DistilBERT and RoBERTa."""

    @classmethod
    def from_pretrained(cls, source: str | Path, from_pt: bool | None = None, prefix: str | None = None, **arguments):
        """Reads a published BERT, DistilBERT or RoBERTa.

        Args:
            source: a folder with config.json and model.safetensors (or tf_model.h5, or pytorch_model.bin if PyTorch is
                installed), or a name on the Hugging Face hub. The BERT may be part of a larger model, whose other
                layers are ignored.
            from_pt: an argument of TFBertModel that has no effect here, as the format is recognised from the files.
            prefix: what stands before the names of this BERT's weights, such as "bert."; None finds it out, if the
                checkpoint has one BERT.
            arguments: arguments of the constructor that shall differ from config.json, such as hidden_dropout_prob.

        Returns:
            The network. If the checkpoint has no pooler, the network's pooler has fresh weights, and a warning says so.

        Raises:
            InputError: there is no checkpoint, it holds no BERT or several or lacks weights, or Bert has no such
                argument.
        """
        return cls.of_checkpoint(read_checkpoint(source), prefix, **arguments)

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint, prefix: str | None = None, pooled: bool = True, **arguments):
        """The BERT of a checkpoint that has been read.

        Args:
            checkpoint: the checkpoint.
            prefix: as for `from_pretrained`.
            pooled: whether the pooler will be used, so that a warning says if the checkpoint has none.
            arguments: as for `from_pretrained`.
        """
        _require_known(arguments)
        source = checkpoint.folder
        bert = cls(**{**table.sizes_of(checkpoint.config, source), **arguments})
        tensors = table.by_names_of_the_table(checkpoint.tensors, bert.family, prefix=prefix, source=source)
        poolers = (bert.family.pooler_of_head, bert.family.pooler)
        pooler = next((rows for rows in poolers if any(row.theirs in tensors for row in rows)), None)
        if pooler is None and pooled:
            warnings.warn(f"{source} has no pooler: pooler_output means nothing until it is trained", stacklevel=3)
        _read([*bert.rows(), *(pooler or [])], bert, tensors=tensors, source=source)
        return bert

    @property
    def family(self) -> table.Family:
        """The names that checkpoints of this kind of BERT have for its weights."""
        return FAMILIES[self.model_type]

    def rows(self) -> list[Row]:
        """The table of this BERT's weights, without its pooler's."""
        return self.family.rows(self.num_hidden_layers)

    def read_head(self, head: Head, checkpoint: Checkpoint, partly: bool = False) -> None:
        """Reads the weights of a head that stands on this BERT.

        Args:
            head: a built head that transformers has too.
            checkpoint: the checkpoint, which has been read.
            partly: whether weights that the checkpoint lacks may stay as they are; then a warning names them.

        Raises:
            InputError: the checkpoint lacks weights, or they have other shapes, or the last matrix is not tied to the
                embedding.
        """
        source, architecture = checkpoint.folder, self._architecture_of(head)
        if architecture in _TIED and not checkpoint.config.get("tie_word_embeddings", True):
            raise InputError(f"{source} has an output matrix of its own: expected tie_word_embeddings true")
        tensors = table.by_names_of_the_table(checkpoint.tensors, self.family, prefix=None, source=source)
        rows = self.family.heads[architecture]
        if partly and (missing := [row.theirs for row in rows if row.theirs not in tensors]):
            warnings.warn(f"{source} has no {', '.join(missing)}: these weights are fresh", stacklevel=3)
            rows = [row for row in rows if row.theirs in tensors]
        _read(rows, head, tensors=tensors, source=source)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes config.json and model.safetensors in the form that transformers' BertModel (PyTorch) reads.

        Args:
            folder: the folder to write to, created if it does not exist; an earlier checkpoint's files are replaced.
        """
        config = {"architectures": [f"{self.family.class_name}Model"], **table.config_of(self.sizes())}
        write_checkpoint(folder, config, self.published_weights())

    def save_pretrained_with(self, head: Head, folder: str | Path, labels: Sequence[str] | None) -> None:
        """Writes config.json and model.safetensors, which transformers can read, such as BertForSequenceClassification.

        Args:
            head: a head that transformers has too.
            folder: created if it does not exist; the files of an earlier checkpoint are replaced.
            labels: the names of the answers of a head that has some; None for LABEL_0, LABEL_1 and so on.
        """
        architecture = self._architecture_of(head)
        config = {
            "architectures": [f"{self.family.class_name}{architecture}"],
            **table.config_of(self.sizes()),
            **head.published_config(labels),
        }
        pooled, of_head = architecture in _POOLED, self.family.pooler_of_head
        tensors = _written([*self.rows(), *(self.family.pooler if pooled and not of_head else [])], self)
        tensors = {f"{self.family.prefix}{name}": tensor for name, tensor in tensors.items()}
        tensors |= _written(of_head if pooled else [], self)
        write_checkpoint(folder, config, {**tensors, **_written(self.family.heads[architecture], head)})

    def _architecture_of(self, head: Head) -> str:
        if head.architecture not in self.family.heads:
            name = head.architecture or f" with a {type(head).__name__}"
            pairs = name == "ForPreTraining"
            advice = ": leave out the next sentence (next_sentence=False, --no-next-sentence)" if pairs else ""
            raise InputError(f"transformers has no {self.family.class_name}{name}{advice}")
        return head.architecture

    def published_weights(self) -> dict[str, np.ndarray]:
        """The weights with the names and shapes of transformers' BertModel (PyTorch), or that of the family."""
        return _written([*self.rows(), *self.family.pooler], self)

    def variable(self, path: str) -> keras.Variable:
        """The weight at a path of attribute names and list positions, such as "blocks.0._expand.kernel"."""
        return _variable(self, path)


def _variable(layer: keras.layers.Layer, path: str) -> keras.Variable:
    return functools.reduce(
        lambda at, step: at[int(step)] if step.isdigit() else getattr(at, step), path.split("."), layer
    )


def _read(rows: Iterable[Row], layer: keras.layers.Layer, *, tensors: Mapping, source: Path) -> None:
    shapes = {row.ours: _variable(layer, row.ours).shape for row in rows}
    for path, value in table.read_rows(rows, tensors=tensors, shapes=shapes, source=source).items():
        _variable(layer, path).assign(value)


def _written(rows: Sequence[Row], layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    return table.write_rows(rows, {row.ours: _variable(layer, row.ours).numpy() for row in rows})


def _require_known(arguments: Iterable[str]) -> None:
    if unknown := set(arguments) - {*CONFIG_NAMES, "name", "dtype", "trainable"}:
        raise InputError(
            f"from_pretrained takes no {', '.join(sorted(unknown))}: what shall be given with the outputs is said "
            "when the network is called, such as bert(ids, output_hidden_states=True)"
        )
