"""How to train: every choice of `fit`, documented once, for Python and for the command line alike."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal, get_args, get_type_hints

from lmkeras.errors import InputError, unknown_name


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How to train, whatever the task. Nothing here changes what the network is."""

    epochs: int = 10
    """Passes over the training text; unused where steps is given. (Keras' progress bar counts evaluations.)"""
    steps: int | None = None
    """Number of updates in all."""
    batch_size: int = 32
    """Windows, or texts to classify, in an update."""
    optimizer: Literal["muon", "adamw", "adam"] | None = None
    """How gradients become updates; None: what suits the network (muon for transformers that write, else adamw)."""
    learning_rate: float | None = None
    """Highest learning rate; None: what suits the network, or the optimizer (muon 0.02, adamw and adam 0.003)."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls, to zero at the end, after the warm-up."""
    warmup_steps: int | None = None
    """Updates in which the learning rate climbs to its highest; None: a twentieth of all, 100 at most."""
    weight_decay: float = 0.0
    """Decoupled weight decay of muon and adamw: each update takes weight_decay · learning rate off every weight, as a
    share of it."""
    clip_norm: float | None = 1.0
    """Longest gradient, over all weights together; None: as long as it comes."""
    evaluate_every: int | None = None
    """Updates between evaluations; None: an epoch, or a fifth of the training where that is shorter."""
    monitor: str | None = None
    """What says which weights are the best, and what patience waits for: val_loss, or val_ and the name of one of the
    task's metrics, such as val_accuracy; None: what the task is about. The lower loss is better where it is equal."""
    patience: int | None = None
    """Evaluations after which training ends if none was better than those before; None: never early."""
    frozen_groups: int = 0
    """Groups of layers, from the embedding up, that keep their weights."""
    layer_decay: float = 1.0
    """Learning rate of each group of layers over that of the group above it, above 0 up to 1."""
    seed: int = 0
    """Fixes the initial weights of a network that is built for this training, data order and dropout."""
    device: str = "auto"
    """Where to train: auto, cpu, gpu or gpu:N."""
    distribute: Literal["none", "mirrored", "multi_worker"] = "none"
    """What shares each batch: nothing, this machine's GPUs (or logical CPUs), or the processes that TF_CONFIG names."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """Precision of the layers' arithmetic; weights stay float32. auto: matrix products in bfloat16 on a CPU that has
    instructions for them, for networks that gain by it; else float32."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the whole update; auto: where it was measured to help. Parts of it are compiled in any
    case."""
    tensorboard: bool = True
    """Whether a run's folder gets TensorBoard logs."""
    checkpoint_every: int = 500
    """Updates between checkpoints in a run's folder; each evaluation comes with one too."""
    keep_checkpoints: int = 2
    """How many of the newest checkpoints stay; each is about four times the size of the weights."""

    def __post_init__(self):
        counts = ("epochs", "steps", "batch_size", "window_length", "evaluate_every", "patience")
        for name in (*counts, "checkpoint_every", "keep_checkpoints"):
            value = getattr(self, name, None)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be greater than 0, got {value}")
        for name in ("optimizer", "schedule", "distribute", "precision", "xla"):
            choices, value = _choices(type(self), name), getattr(self, name)
            if value not in choices:
                raise unknown_name(name, value, [choice for choice in choices if choice is not None])
        if self.distribute != "none" and self.device != "auto":
            raise InputError(f"device {self.device} and distribute {self.distribute}: say one of them")
        if self.distribute != "none" and self.xla == "on":
            raise InputError(
                f"XLA does not compile what distribute {self.distribute} does between replicas: xla auto or off"
            )
        if not 0 <= self.weight_decay < math.inf or (self.warmup_steps or 0) < 0:
            raise InputError("weight_decay and warmup_steps must be 0 or more, and finite")
        if self.frozen_groups < 0:
            raise InputError(f"frozen_groups must not be negative, got {self.frozen_groups}")
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"layer_decay must be above 0 and at most 1, got {self.layer_decay}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must be from 0 to {2**32 - 1}, got {self.seed}")

    def total_steps(self, steps_per_epoch: int) -> int:
        """Number of updates in all, for a corpus of so many updates an epoch."""
        return self.epochs * steps_per_epoch if self.steps is None else self.steps

    def steps_between_evaluations(self, steps_per_epoch: int) -> int:
        """Number of updates from one evaluation to the next."""
        total = self.total_steps(steps_per_epoch)
        return min(total, self.evaluate_every or min(steps_per_epoch, -(-total // 5)))


@dataclasses.dataclass(frozen=True)
class FitSettings(TrainingSettings):
    """How to train a language model."""

    window_length: int | None = None
    """Tokens in a training window; None: the network's context length, 64 for recurrent networks."""


@dataclasses.dataclass(frozen=True)
class ClassifierFitSettings(TrainingSettings):
    """How to train a classifier."""

    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    """How much an example of each label counts: equally, as much less as there are more of them, or by label."""

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.class_weights, dict) and self.class_weights not in ("none", "balanced"):
            raise unknown_name("class_weights", self.class_weights, ("none", "balanced"))
        if isinstance(self.class_weights, dict):
            for label, weight in self.class_weights.items():
                if not 0 <= weight < math.inf:
                    raise InputError(f"the weight of class {label!r} must be 0 or more, got {weight}")
            if not any(self.class_weights.values()):
                raise InputError("class_weights: at least one must be above 0, for there to be something to learn")

    def weights_of(self, counts: Mapping[str, int]) -> list[float] | None:
        """How much an example of each label counts.

        Args:
            counts: the number of training examples with each label.

        Returns:
            A weight for each label in the order of the counts; None where all weigh 1. Balanced, a label's weight is
            the mean count over its own, so that all labels have the same weight together.

        Raises:
            InputError: class_weights names a label that there is not.

        Example:
            >>> ClassifierFitSettings(class_weights="balanced").weights_of({"ham": 30, "spam": 10})
            [0.6666666666666666, 2.0]
        """
        if self.class_weights == "none":
            return None
        if self.class_weights == "balanced":
            return [sum(counts.values()) / (len(counts) * max(1, count)) for count in counts.values()]
        weights = {str(label): weight for label, weight in self.class_weights.items()}  # a label may be a number
        for label in weights:
            if label not in counts:
                raise unknown_name("label in class_weights", label, counts)
        return [weights.get(label, 1.0) for label in counts]


def _choices(settings: type[TrainingSettings], field: str) -> list[str | None]:
    """The values that a field's Literal allows."""
    hint = get_type_hints(settings)[field]
    choices = []
    for part in get_args(hint):
        choices += [None] if part is type(None) else get_args(part) or [part]
    return choices


def changed(settings: TrainingSettings, changes: Mapping[str, object]) -> TrainingSettings:
    """The settings with some fields changed; TypeError for a field that they have not."""
    names = [field.name for field in dataclasses.fields(settings)]
    for name in changes:
        if name not in names:
            raise TypeError(f"fit has no argument {name!r}; the settings are {', '.join(names)}")
    return dataclasses.replace(settings, **changes)
