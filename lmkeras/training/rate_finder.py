"""The learning-rate finder: a short training in which the learning rate grows until the loss grows too."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lmkeras.datasets.prefetching import failures_of_batches
from lmkeras.display import Described
from lmkeras.errors import InputError
from lmkeras.networks.judged import HeadLoss
from lmkeras.networks.network import Network
from lmkeras.training.devices import compiles_steps, precision, training_policy
from lmkeras.training.layer_rates import with_layer_rates
from lmkeras.training.optimizers import build_optimizer
from lmkeras.training.settings import TrainingSettings

#: the learning rates that are tried, by optimizer; Adagrad divides by the sum of all gradients' squares
_RATES, _OTHER_RATES = {"adagrad": (1e-4, 100.0)}, (1e-7, 1.0)


@dataclasses.dataclass(frozen=True, repr=False)
class RateFinding(Described):
    """The losses of a training in which the learning rate grew from update to update.

    Args:
        learning_rates: the learning rate of each update, increasing.
        losses: for each update the loss of its batch before the update, in nats per target; finite.
    """

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> tuple[float, ...]:
        """The mean of each loss and its neighbours on both sides, so that the curve does not lag behind the losses."""
        reach = max(1, len(self.losses) // 30)
        windows = [self.losses[max(0, place - reach) : place + reach + 1] for place in range(len(self.losses))]
        return tuple(sum(window) / len(window) for window in windows)

    @property
    def suggestion(self) -> float:
        """The suggested highest learning rate of a training: a third of the rate at which the smoothed loss is lowest.

        At higher rates than that, updates overshoot more than they descend. Measured on quadratic functions with a
        tenth of noise in their gradients, the rate of the lowest loss is mostly between 0.1 and 1.5 times the largest
        stable rate: a third of it is stable, a tenth would often be needlessly slow. If the loss still falls at the
        highest rate that was tried, the suggestion is a third of that rate, and a higher one might work as well.

        (Another common rule, the rate at which the loss falls fastest, depends more on the number of steps than on the
        network: for a quadratic function with one curvature it gives 0.08 of the largest stable rate with 60 steps and
        0.014 with 300.)
        """
        return self.learning_rates[self._lowest] / 3

    @property
    def fall(self) -> float:
        """By how much the smoothed loss fell, divided by the standard deviation of the losses from batch to batch.

        If this is below about 1.5, the place of the lowest loss, and so the suggestion, may be due to chance.
        """
        until = self._lowest + 1
        if until < 3:
            return 0.0
        start = np.mean(self.losses[: min(until, len(self.losses) // 10 + 1)])
        # the fall itself hardly changes the differences of neighbours; their variance is twice that of the losses
        noise = np.std(np.diff(self.losses[:until])) / math.sqrt(2)
        return float((start - self.smoothed[self._lowest]) / (noise + 1e-12))

    @property
    def _lowest(self) -> int:
        return int(np.argmin(self.smoothed))

    def _facts(self):
        lowest = self.losses[self._lowest]
        return {
            "suggestion": self.suggestion,
            "updates": len(self.losses),
            "loss": f"{self.losses[0]:.4g} to {lowest:.4g}",
        }

    def draw(self, picture: str | Path) -> None:
        """Draws the loss as a function of the learning rate, and marks the suggestion.

        Args:
            picture: the PNG file to write.
        """
        # matplotlib's Figure, not pyplot, because pyplot would look for a window system
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot(xlabel="learning rate of an update (logarithmic)", xscale="log")
        axes.set_ylabel("loss: -log of the right answer's probability")
        axes.set_title("learning rates tried: the loss falls, then diverges", size=11)
        axes.plot(self.learning_rates, self.losses, color="tab:blue", alpha=0.3, label="loss of a batch")
        axes.plot(self.learning_rates, self.smoothed, color="tab:blue", label="mean of neighbours")
        axes.axvline(self.suggestion, color="tab:orange", label=f"suggestion: {self.suggestion:.2g}")
        # the axis leaves out the exploding losses at the end, beside which all others would be a flat line
        start, lowest = self.losses[0], min(self.losses)
        margin = 0.2 * (start - lowest) + 1e-3 * abs(start) + 1e-9
        axes.set_ylim(lowest - margin, max(start + 2 * margin, max(self.losses[: self._lowest + 1]) + margin))
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(picture, format="png", dpi=120)


def find_learning_rate(
    network: Network,
    train: tf.data.Dataset,
    settings: TrainingSettings,
    lowest: float | None = None,
    highest: float | None = None,
    steps: int = 100,
    rate_factors: Mapping[str, float] | None = None,
) -> RateFinding:
    """Trains for some updates, each with a higher learning rate than the one before, to find the rate to train with.

    Afterwards the network is exactly as before: its weights, the state of its dropout, and how it is compiled.

    Args:
        network: a built network, as for `fit`.
        train: batches of (inputs, targets, weights), without end.
        settings: the settings of the planned training, of which optimizer, weight_decay, clip_norm, precision and xla
            are used.
        lowest: learning rate of the first update; None: 1e-7, and 1e-4 for adagrad.
        highest: learning rate of the last update; None: 1, and 100 for adagrad. The finder stops earlier if the loss
            becomes infinite or NaN, or if it grows to four times its lowest value and above its first value.
        steps: number of updates, at least 10. With more updates the network learns more on the way, which lowers the
            suggestion: by a factor of 2 to 3 for four times as many updates.
        rate_factors: see `with_layer_rates`; None for the same learning rate everywhere.

    Returns:
        A RateFinding; its `suggestion` is meant for settings.learning_rate.

    Raises:
        InputError: `lowest`, `highest` or `steps` is out of range, or the loss fell no more than it varies from batch
            to batch.

    Source: Smith 2017, section 3.3.
    """
    usual = _RATES.get(settings.optimizer or network.body.default_optimizer, _OTHER_RATES)
    lowest, highest = usual[0] if lowest is None else lowest, usual[1] if highest is None else highest
    _require_rates(lowest, highest, steps)
    before = [variable.numpy() for variable in network.variables]
    # of the same layers, so that the network itself stays compiled as it is
    trial = Network(network.body, network.head, name="trial")
    try:
        policy = training_policy(network, settings.precision)
        with precision(trial, policy):
            rates = {"lowest": lowest, "highest": highest, "steps": steps}
            optimizer = _growing_optimizer(network, settings, policy=policy, rate_factors=rate_factors, **rates)
            xla = compiles_steps(network, settings.xla, precision=policy, batches=train)
            trial.compile(optimizer, HeadLoss(), jit_compile=xla)
            with failures_of_batches():
                finding = _sweep(trial, train.take(steps))
    finally:
        for variable, value in zip(network.variables, before, strict=True):
            variable.assign(value)
    if not finding.losses or finding.fall < 1.5:
        raise InputError(
            f"the loss fell at no learning rate from {lowest} to {highest}, or by no more than it varies from batch to "
            "batch: try other rates, more steps or larger batches. A network that begins near its best, as ngrams "
            "does, shows too little in so few updates: compare whole trainings instead, as tune does"
        )
    return finding


def _require_rates(lowest: float, highest: float, steps: int) -> None:
    if not 0 < lowest < highest < math.inf or steps < 10:
        raise InputError(
            "expected learning rates 0 < lowest < highest and at least 10 steps, "
            f"got lowest {lowest}, highest {highest}, {steps} steps"
        )


def _growing_optimizer(network, settings, *, policy, rate_factors, lowest, highest, steps):
    """The optimizer of the training to come, with a learning rate that grows by the same factor in each update."""
    name = settings.optimizer or network.body.default_optimizer
    optimizer = build_optimizer(
        name,
        "constant",
        steps,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        policy=policy,
    )
    optimizer = with_layer_rates(optimizer, rate_factors or {})
    optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(lowest, steps - 1, highest / lowest)
    return optimizer


def _sweep(trial: keras.Model, batches: tf.data.Dataset) -> RateFinding:
    """Trains until the batches end or the loss diverges."""
    rates, losses, best = [], [], math.inf
    for batch in batches:
        # read from the optimizer, because mixed_float16 may skip an update, and then the rate does not grow
        rate = float(trial.optimizer.learning_rate)
        loss = float(trial.train_on_batch(*batch))
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        recent = float(np.mean(losses[-5:]))
        best = min(best, recent)
        if recent > max(4 * best, losses[0]):
            break
    return RateFinding(tuple(rates), tuple(losses))
