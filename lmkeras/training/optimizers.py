"""Optimizers and learning-rate schedules by name."""

import math

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import unknown_name
from lmkeras.training.adam import Adagrad, Adam, AdamW
from lmkeras.training.muon import Muon

LEARNING_RATES = {"muon": 0.02, "adamw": 0.003, "adam": 0.003, "adagrad": 0.3}
_SCHEDULES = ("linear", "cosine", "inverse_sqrt", "constant")


@keras.saving.register_keras_serializable("lmkeras")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that climbs linearly, then stays or falls.

    Args:
        shape: how the learning rate goes on after the climb: it falls to zero along a line ("linear") or along half a
            cosine wave ("cosine"), falls as one over the square root of the number of updates, whatever their total
            ("inverse_sqrt": the n-th has peak · sqrt(warmup_steps / n)), or stays ("constant").
        peak: the highest learning rate, that of the last update of the climb.
        warmup_steps: number of updates of the climb; 0 for none.
        total_steps: number of the update, counted from 0, at which "linear" and "cosine" reach zero.

    Source: Loshchilov and Hutter 2017 (cosine); Vaswani et al. 2017, section 5.3 (climb, inverse_sqrt).

    Example:
        >>> schedule = WarmupSchedule("linear", peak=1.0, warmup_steps=2, total_steps=6)
        >>> [round(float(schedule(step)), 2) for step in range(7)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def __init__(self, shape: str, peak: float, warmup_steps: int, total_steps: int):
        super().__init__()
        if shape not in _SCHEDULES:
            raise unknown_name("schedule", shape, _SCHEDULES)
        self.shape = shape
        self.peak = peak
        # a variable, because a graph is traced before --minutes has found the number of updates
        self._lengths = tf.Variable([0.0, 0.0], trainable=False, name="lengths")
        self.set_lengths(warmup_steps, total_steps)

    def set_lengths(self, warmup_steps: int, total_steps: int) -> None:
        """Changes both arguments, also for a training step that has been traced already."""
        self.warmup_steps, self.total_steps = warmup_steps, total_steps
        self._lengths.assign([warmup_steps, total_steps])

    def __call__(self, step):
        """The learning rate of update `step`, counted from 0."""
        step = ops.cast(step, "float32")
        warmup_steps, total_steps = tf.unstack(tf.convert_to_tensor(self._lengths))
        # 1) the climb starts above zero, because an update at rate zero would change nothing
        climb = ops.minimum(1.0, (step + 1) / ops.maximum(1.0, warmup_steps))
        # 2) after the climb, `progress` goes from 0 to 1
        progress = (step - warmup_steps) / ops.maximum(1.0, total_steps - warmup_steps)
        progress = ops.clip(progress, 0.0, 1.0)
        # 3) and `fall` goes from 1 to 0, or towards it
        if self.shape == "linear":
            fall = 1 - progress
        elif self.shape == "cosine":
            fall = 0.5 * (1 + ops.cos(math.pi * progress))
        elif self.shape == "inverse_sqrt":
            climbed = ops.maximum(1.0, warmup_steps)
            fall = ops.sqrt(climbed / ops.maximum(climbed, step + 1))
        else:
            fall = 1.0
        return self.peak * climb * fall

    def get_config(self):
        """The constructor's arguments."""
        names = ("shape", "peak", "warmup_steps", "total_steps")
        return {name: getattr(self, name) for name in names}


def schedule_lengths(total_steps: int, warmup_steps: int | None) -> tuple[int, int]:
    """(warmup_steps, total_steps) of a schedule, where warmup_steps None means a twentieth of all, at most 100."""
    return min(100, total_steps // 20) if warmup_steps is None else warmup_steps, total_steps


def chosen_optimizer(network, settings) -> tuple[str, float]:
    """The name of the optimizer to train with, and the highest learning rate.

    Args:
        network: a Network; its body says which optimizer suits it, and it may have a learning rate of its own.
        settings: what the user chose, as TrainingSettings.
    """
    default = network.body.default_optimizer
    name, rate = settings.optimizer or default, settings.learning_rate
    if rate is None and name == default:
        rate = network.default_learning_rate
    return name, rate or LEARNING_RATES.get(name, 0.0)


def build_optimizer(
    name: str,
    schedule: str,
    total_steps: int,
    learning_rate: float | None = None,
    warmup_steps: int | None = None,
    weight_decay: float | None = None,
    clip_norm: float | None = None,
    policy: str = "float32",
) -> keras.optimizers.Optimizer:
    """Builds an optimizer with its learning-rate schedule.

    Args:
        name: "adam", "adamw", "adagrad" (Adagrad for embeddings, AdamW for other weights), or "muon" (orthogonalised
            momentum for the matrices inside the network, AdamW for embeddings, last layer and vectors).
        schedule: see `WarmupSchedule`.
        total_steps: number of updates.
        learning_rate: the highest learning rate; None for the optimizer's default.
        warmup_steps: number of updates of the climb; None for a twentieth of total_steps, 100 at most.
        weight_decay: pulls weights to zero: each update multiplies them by 1 - weight_decay · learning_rate; None for
            0. "adam" ignores it.
        clip_norm: the largest norm of all gradients together, longer ones are scaled down to it; None for no limit.
        policy: the Keras dtype policy of the network, whose precision the matrix products of "muon" have.

    Source: Kingma and Ba 2015 (Adam); Duchi et al. 2011 (Adagrad); Loshchilov and Hutter 2019 (AdamW); Jordan et al.
    2024, Liu et al. 2025 (Muon).
    """
    if name not in LEARNING_RATES:
        raise unknown_name("optimizer", name, LEARNING_RATES)
    lengths, weight_decay = schedule_lengths(total_steps, warmup_steps), weight_decay or 0.0
    rate = WarmupSchedule(schedule, learning_rate or LEARNING_RATES[name], *lengths)
    # A clip norm is always set, because with one `ClipOnce` adds up the rows that an embedding's gradient has for the
    # same id; 1e9 is so large that it clips nothing. `adam_step` and `Muon` would add these rows up without it, too.
    clip_norm = clip_norm or 1e9
    if name == "adam":
        return Adam(rate, beta_2=0.99, global_clipnorm=clip_norm)
    if name == "adagrad":
        return Adagrad(rate, weight_decay=weight_decay, beta_2=0.99, global_clipnorm=clip_norm)
    if name == "adamw":
        return AdamW(rate, weight_decay=weight_decay, beta_2=0.99, global_clipnorm=clip_norm)
    products = "bfloat16" if policy == "mixed_bfloat16" else "float32"
    return Muon(rate, weight_decay=weight_decay, products=products, global_clipnorm=clip_norm)
