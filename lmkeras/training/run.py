"""What a training is given beside the network and the settings: batches, what it is judged by, and a folder."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Run:
    """Where the records of a training go, and whether it goes on where an earlier process stopped.

    A checkpoint is written after each evaluation, every settings.checkpoint_every updates, and when SIGTERM or Ctrl-C
    comes. A training that is killed and resumed ends with the same numbers, bit for bit on a CPU, as one that is not.
    """

    folder: Path
    """For metrics.jsonl, curves.png, checkpoints/ and TensorBoard's logs/; made where it is missing."""
    resume: bool = False
    """Go on from the newest checkpoint, if there is one; otherwise checkpoints in the folder are removed."""
    made_of: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """What must be the same in the process that resumes, by name, such as digests of tokenizer and text."""


@dataclasses.dataclass(frozen=True)
class Batches:
    """What a training reads. Every batch is (dictionary of inputs, targets, weights)."""

    train: Callable[[int], tf.data.Dataset]
    """Given a number of updates, the batches that come after so many, without end."""
    steps_per_epoch: int
    """How many of them are one pass over the corpus."""
    validation: tf.data.Dataset | None = None
    """What the weights are judged on: with it, the best ones are kept."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """By what a training is judged beside its loss."""

    metrics: Callable[[], list[keras.metrics.Metric]] = list
    """Makes the metrics that are reported in training and validation."""
    monitor: str = "val_loss"
    """The name, in the logs, of what says which weights are the best."""
    higher_is_better: bool = False
    """The monitor's direction."""


#: what there is to judge by in any case
BY_LOSS = Judgement()
