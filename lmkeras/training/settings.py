"""How to train: every choice of `fit`, documented once, for Python and for the command line alike."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal, get_args, get_type_hints

from lmkeras.corpora.labelled import label_name
from lmkeras.errors import InputError, unknown_argument, unknown_name

#: passes over the training text, if nothing says how long to train
EPOCHS = 10
#: what other settings are, if nothing says otherwise
_FALLBACKS = {"batch_size": 32, "weight_decay": 0.0}
_FEW_UPDATES = 50  # a training is given at least so many to bring something better


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How to train, for every task. None of these settings changes the layers or sizes of the network."""

    epochs: int | None = None
    """Passes over the training text; None: 10, or what suits the amount of text where the network is auto, if neither
    steps nor minutes is given."""
    steps: int | None = None
    """Number of updates in the whole training; None: as many as epochs needs."""
    minutes: float | None = None
    """How long training takes, from the first update to the last evaluation: its number of updates is fixed from the
    speed of the first ones. With epochs, whichever ends first. None: epochs or steps decide."""
    batch_size: int | None = None
    """Number of training windows (language model) or of texts (classifier) in one update; None: 32, or what suits the
    amount of text where the network is auto."""
    optimizer: Literal["muon", "adamw", "adam", "adagrad"] | None = None
    """How gradients become updates; None: muon for transformers that write, adagrad for ngrams and for taggers that
    are not bert, adamw for all other networks."""
    learning_rate: float | None = None
    """Highest learning rate; None: the default of the network, or of the optimizer (muon 0.02, adagrad 0.3, others
    0.003)."""
    schedule: Literal["linear", "cosine", "inverse_sqrt", "constant"] = "linear"
    """Learning rate after the warm-up: linear and cosine fall to zero at the end, inverse_sqrt is the highest times
    sqrt(warmup_steps / updates so far), however long training is, constant does not change."""
    warmup_steps: int | None = None
    """Updates at the start in which the learning rate rises to its highest; None: a twentieth of all, at most 100."""
    weight_decay: float | None = None
    """Pulls weights to zero: each update of muon or adamw multiplies them by 1 minus weight_decay · learning rate.
    None: 0, or what suits the amount of text where the network is auto."""
    clip_norm: float | None = 1.0
    """Largest norm of the gradient over all weights; a larger gradient is scaled down to it. None: no limit."""
    evaluate_every: int | None = None
    """Updates from one evaluation to the next; None: an epoch, or a fifth of the training if that is shorter."""
    monitor: str | None = None
    """Value that decides which weights are the best and when patience ends: val_loss, or a metric such as val_accuracy;
    None: the task's main value. If it is equal in two evaluations, the one with the lower val_loss is better."""
    patience: int | Literal["auto", "never"] = "never"
    """Training ends early after this many evaluations in a row without a better one. auto: after those of two passes
    over the training text, of a fifth of the training, or of 50 updates, whichever are most; never: it does not end
    early. Without validation it never does."""
    frozen_groups: int = 0
    """Number of groups of layers, counted from the embedding up, whose weights are not trained."""
    layer_decay: float = 1.0
    """Learning rate of a group of layers divided by that of the group above it; below 1, lower layers learn slower."""
    seed: int = 0
    """Seed of all random numbers: initial weights (if the network is new), order of the data, dropout."""
    device: str = "auto"
    """Where to train: auto, cpu, gpu or gpu:N."""
    distribute: Literal["none", "mirrored", "multi_worker"] = "none"
    """Whether several devices share each batch. none: one device; mirrored: the GPUs (or logical CPUs) of this machine;
    multi_worker: the processes that the environment variable TF_CONFIG names."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """Precision of the layers' arithmetic; weights stay float32. auto: mixed_bfloat16 for networks that gain from it on
    CPUs with instructions for it, and on GPUs of compute capability 8.0 or more; mixed_float16 on 7.x; else float32."""
    xla: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the whole update. auto: only where all batches have one shape, and there on GPUs and on CPUs
    where it was measured to be faster. Small parts of some networks are compiled in any case."""
    tensorboard: bool = True
    """Whether TensorBoard logs are written to the run's folder."""
    checkpoint_every: int = 500
    """Number of updates from one checkpoint in the run's folder to the next; each evaluation writes one as well."""
    keep_checkpoints: int = 2
    """How many of the newest checkpoints are kept; each is about four times as large as the weights."""
    average_checkpoints: int = 0
    """At the end, the mean of the weights at so many last evaluations is kept in place of the best weights, unless it
    is worse on the validation part. They take this many times the weights' memory, and as much room in each checkpoint.
    0: no mean is made."""

    def __post_init__(self):
        if self.patience is None:
            object.__setattr__(self, "patience", "never")
        if isinstance(self.patience, str) and self.patience not in ("auto", "never"):
            raise InputError(f"patience must be a number of evaluations, auto or never, got {self.patience!r}")
        counts = ("epochs", "steps", "batch_size", "window_length", "evaluate_every")
        counts = counts if isinstance(self.patience, str) else (*counts, "patience")
        for name in (*counts, "checkpoint_every", "keep_checkpoints", "average_checkpoints"):
            value, least = getattr(self, name, None), 0 if name == "average_checkpoints" else 1
            if value is not None and not hasattr(value, "__index__"):
                raise InputError(f"{name} must be a whole number, got {value!r}")
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")
        lengths = [name for name in ("epochs", "steps", "minutes") if getattr(self, name) is not None]
        if self.steps is not None and len(lengths) > 1:
            given = " and ".join(f"{name} {getattr(self, name)}" for name in lengths)
            raise InputError(f"{given}: steps say how long to train, give them alone")
        if self.minutes is not None and self.distribute == "multi_worker":
            raise InputError("minutes are measured in one process: give steps or epochs with distribute multi_worker")
        for name in ("learning_rate", "clip_norm", "minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"{name} must be greater than 0, got {value}")
        for name in ("optimizer", "schedule", "distribute", "precision", "xla"):
            choices, value = _choices(type(self), name), getattr(self, name)
            if value not in choices:
                raise unknown_name(name, value, [choice for choice in choices if choice is not None])
        if self.distribute != "none" and self.device != "auto":
            message = f"device {self.device} and distribute {self.distribute}: say one of them"
            raise InputError(message, arguments=("device", "distribute"))
        if self.distribute != "none" and self.precision == "mixed_float16":
            raise InputError("replicas cannot train in mixed_float16: precision auto, mixed_bfloat16 or float32")
        if self.distribute != "none" and self.xla == "on":
            raise InputError(
                f"XLA does not compile what distribute {self.distribute} does between replicas: xla auto or off"
            )
        if not 0 <= (self.weight_decay or 0) < math.inf or (self.warmup_steps or 0) < 0:
            raise InputError("weight_decay and warmup_steps must be 0 or more, and finite")
        if self.frozen_groups < 0:
            raise InputError(f"frozen_groups must not be negative, got {self.frozen_groups}")
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"layer_decay must be above 0 and at most 1, got {self.layer_decay}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must be from 0 to {2**32 - 1}, got {self.seed}")

    def filled(self, defaults: Mapping[str, object]) -> "TrainingSettings":
        """The settings with a value for each that is None and has one.

        Args:
            defaults: values by name. Those that say how long to train count only where the settings say nothing of it.

        Example:
            >>> TrainingSettings(epochs=3).filled({"minutes": 9, "batch_size": 8}).batch_size
            8
            >>> TrainingSettings(epochs=3).filled({"minutes": 9}).minutes is None
            True
        """
        lengths = {"epochs", "steps", "minutes"}
        if any(getattr(self, name) is not None for name in lengths):
            defaults = {name: value for name, value in defaults.items() if name not in lengths}
        if self.optimizer is not None:  # a learning rate belongs to an optimizer
            defaults = {name: value for name, value in defaults.items() if name != "learning_rate"}
        if self.distribute == "multi_worker":
            defaults = {name: value for name, value in defaults.items() if name != "minutes"}
        defaults = {**_FALLBACKS, **defaults}
        return dataclasses.replace(self, **{name: v for name, v in defaults.items() if getattr(self, name) is None})

    def total_steps(self, steps_per_epoch: int) -> int | None:
        """Number of updates in the whole training; None if it has to be measured, because minutes are given.

        Args:
            steps_per_epoch: number of updates in one pass over the corpus.
        """
        return None if self.minutes is not None else self.most_steps(steps_per_epoch)

    def most_steps(self, steps_per_epoch: int) -> int | None:
        """The number of updates that epochs or steps ask for, even if minutes end before; None: minutes alone decide.

        Args:
            steps_per_epoch: number of updates in one pass over the corpus.

        Example:
            >>> TrainingSettings(epochs=3, minutes=5).most_steps(100), TrainingSettings(minutes=5).most_steps(100)
            (300, None)
        """
        if self.steps is not None:
            return self.steps
        epochs = EPOCHS if self.epochs is None and self.minutes is None else self.epochs
        return None if epochs is None else epochs * steps_per_epoch

    def of_length(self, total: int) -> "TrainingSettings":
        """The same settings, with a number of updates in place of epochs and minutes."""
        return dataclasses.replace(self, epochs=None, minutes=None, steps=total)

    def steps_between_evaluations(self, steps_per_epoch: int) -> int:
        """Number of updates from one evaluation to the next; it is not known while the total is not."""
        total = self.total_steps(steps_per_epoch)
        return min(total, self.evaluate_every or min(steps_per_epoch, -(-total // 5)))

    def patience_in_evaluations(self, steps_per_epoch: int) -> int:
        """After how many evaluations without a better one training ends early.

        Example:
            >>> settings = TrainingSettings(epochs=3, patience="auto")
            >>> settings.steps_between_evaluations(100), settings.patience_in_evaluations(100)
            (60, 4)
        """
        total = self.total_steps(steps_per_epoch)
        if self.patience != "auto":
            return total if self.patience == "never" else self.patience
        # a text that is read for the first time is not overfitted, and in few updates little changes but by chance
        updates = max(2 * steps_per_epoch, total // 5, _FEW_UPDATES)
        return max(2, -(-updates // self.steps_between_evaluations(steps_per_epoch)))


@dataclasses.dataclass(frozen=True)
class FitSettings(TrainingSettings):
    """How to train a language model."""

    patience: int | Literal["auto", "never"] = "auto"  # what is read again and again is overfitted early
    """Training ends early after this many evaluations in a row without a better one. auto: after those of two passes
    over the training text, of a fifth of the training, or of 50 updates, whichever are most; never: it does not end
    early. Without validation it never does."""
    window_length: int | None = None
    """Tokens in a training window; None: the network's context length, 64 for recurrent networks."""


@dataclasses.dataclass(frozen=True)
class ClassifierFitSettings(TrainingSettings):
    """How to train a classifier."""

    class_weights: Literal["none", "balanced"] | dict[str, float] = dataclasses.field(
        default="none", metadata={"metavar": "LABEL"}
    )
    """How much examples count. none: all the same; balanced: every label the same in total; or a weight by label."""

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
            A weight for each label in the order of the counts; None if all weights are 1. Balanced weights are the mean
            count of a label divided by the count of this label, so that each label has the same weight in total.

        Raises:
            InputError: class_weights names a label that is not among the counts.

        Example:
            >>> ClassifierFitSettings(class_weights="balanced").weights_of({"ham": 30, "spam": 10})
            [0.6666666666666666, 2.0]
        """
        if self.class_weights == "none":
            return None
        if self.class_weights == "balanced":
            return [sum(counts.values()) / (len(counts) * max(1, count)) for count in counts.values()]
        # labels are text, but a user may give numbers
        weights = {label_name(label, "class_weights"): weight for label, weight in self.class_weights.items()}
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
    """A copy of the settings with some fields changed; InputError if a name is not a field of the settings."""
    names = [field.name for field in dataclasses.fields(settings)]
    for name in changes:
        if name not in names:
            raise unknown_argument("fit", name, names)
    return dataclasses.replace(settings, **changes)
