"""What `fit` needs beside a network and settings: batches, metrics to judge by, and a folder for records."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import tensorflow as tf

from lmkeras.datasets.sharing import Share


@dataclasses.dataclass(frozen=True)
class Run:
    """The folder for the records of a training, and whether to continue a training that an earlier process began.

    A checkpoint is written after each evaluation, every settings.checkpoint_every updates, and when SIGTERM or Ctrl-C
    comes. A training that is killed and resumed ends with the same numbers as one that was never stopped, bit for bit
    on a CPU.
    """

    folder: Path
    """Folder for metrics.jsonl, curves.png, checkpoints/ and TensorBoard's logs/; created if it does not exist."""
    resume: bool = False
    """Whether to continue from the newest checkpoint, if there is one; if False, checkpoints there are removed."""
    made_of: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """Values that must be the same when the run is resumed, by name, such as digests of tokenizer and text."""


@dataclasses.dataclass(frozen=True)
class Batches:
    """The data of a training. Every batch is (dictionary of inputs, targets, weights)."""

    train: Callable[..., tf.data.Dataset]
    """A function that takes a number of updates and returns the batches that come after them, without end. If several
    replicas train together, it gets a Share too, and returns only those rows of each batch."""
    steps_per_epoch: int
    """How many batches make one pass over the corpus."""
    validation: Callable[[Share], tf.data.Dataset] | None = None
    """A function that takes a Share and returns batches to evaluate on, or those rows of each; with them, training ends
    with the weights that were best on them."""
    written: Callable[[], Mapping[str, float]] | None = None
    """A function that gives values of texts which the network writes for the validation part, by name; they are added
    to those of each evaluation."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The metrics of a training beside its loss, and which value decides what weights are the best."""

    metrics: Callable[[], list[keras.metrics.Metric]] = list
    """A function that makes the metrics that are reported in training and validation."""
    monitor: str = "val_loss"
    """The name, in Keras' logs, of the value that decides which weights are the best."""
    higher_is_better: bool = False
    """Whether a higher value of the monitor is better."""


#: judging by the loss alone, which every training has
BY_LOSS = Judgement()
