"""Optimizers and learning-rate schedules by name."""

import math

import keras
from keras import ops

from lmkeras.errors import unknown_name
from lmkeras.training.adam import Adam, AdamW
from lmkeras.training.muon import Muon

_LEARNING_RATES = {"muon": 0.02, "adamw": 0.003, "adam": 0.003}
_SCHEDULES = ("linear", "cosine", "constant")


@keras.saving.register_keras_serializable("lmkeras")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that climbs in a line, then stays or falls to zero.

    Args:
        shape: "linear", "cosine" or "constant": how it goes on after the climb.
        peak: the highest learning rate, reached at update `warmup_steps`.
        warmup_steps: number of updates of the climb; 0 for none.
        total_steps: the update at which it is zero ("linear" and "cosine").

    Source: cosine: Loshchilov and Hutter 2017; the climb: Vaswani et al. 2017, section 5.3.

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
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step):
        """The learning rate of update `step`, counted from 0."""
        step = ops.cast(step, "float32")
        # 1) the climb never starts at zero, which would waste an update
        climb = ops.minimum(1.0, (step + 1) / max(1, self.warmup_steps))
        # 2) after it, progress goes from 0 to 1
        progress = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        progress = ops.clip(progress, 0.0, 1.0)
        # 3) and the rate falls by it
        if self.shape == "linear":
            fall = 1 - progress
        elif self.shape == "cosine":
            fall = 0.5 * (1 + ops.cos(math.pi * progress))
        else:
            fall = 1.0
        return self.peak * climb * fall

    def get_config(self):
        """The constructor's arguments."""
        names = ("shape", "peak", "warmup_steps", "total_steps")
        return {name: getattr(self, name) for name in names}


def build_optimizer(
    name: str,
    schedule: str,
    total_steps: int,
    learning_rate: float | None = None,
    warmup_steps: int | None = None,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    policy: str = "float32",
) -> keras.optimizers.Optimizer:
    """Builds an optimizer with its learning-rate schedule.

    Args:
        name: "adam", "adamw", or "muon" (orthogonalised momentum for the matrices inside the network, AdamW for
            embeddings, last layer and vectors).
        schedule: see `WarmupSchedule`.
        total_steps: number of updates.
        learning_rate: the highest; None for what suits the optimizer.
        warmup_steps: None for a twentieth of total_steps, 100 at most.
        weight_decay: share of each weight taken off an update, times the learning rate; not used by "adam".
        clip_norm: longest gradient over all weights together; None for any length.
        policy: the Keras dtype policy of the network; what "muon" multiplies is of the same precision.

    Source: Kingma and Ba 2015 (Adam); Loshchilov and Hutter 2019 (AdamW); Jordan et al. 2024, Liu et al. 2025 (Muon).
    """
    if name not in _LEARNING_RATES:
        raise unknown_name("optimizer", name, _LEARNING_RATES)
    if warmup_steps is None:
        warmup_steps = min(100, total_steps // 20)
    rate = WarmupSchedule(
        schedule, peak=learning_rate or _LEARNING_RATES[name], warmup_steps=warmup_steps, total_steps=total_steps
    )
    # Keras squares an embedding's gradient row by row before it sums those of one id, unless clipping sums them first
    clip_norm = clip_norm or 1e9
    if name == "adam":
        return Adam(rate, beta_2=0.99, global_clipnorm=clip_norm)
    if name == "adamw":
        return AdamW(rate, weight_decay=weight_decay, beta_2=0.99, global_clipnorm=clip_norm)
    products = "bfloat16" if policy == "mixed_bfloat16" else "float32"
    return Muon(rate, weight_decay=weight_decay, products=products, global_clipnorm=clip_norm)
