"""The learning-rate finder: a short training whose learning rate grows until the loss does."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.network import HeadLoss, Network
from lmkeras.training.devices import precision, training_policy
from lmkeras.training.fit import uses_xla
from lmkeras.training.layer_rates import with_layer_rates
from lmkeras.training.optimizers import build_optimizer
from lmkeras.training.settings import TrainingSettings


@dataclasses.dataclass(frozen=True)
class RateFinding:
    """What a training showed whose learning rate grew from update to update.

    Args:
        learning_rates: of each update, growing.
        losses: of each update's batch before the update, finite; nats a target.
    """

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> tuple[float, ...]:
        """The mean of each loss and its neighbours, before and after it alike, so that the curve does not lag."""
        reach = max(1, len(self.losses) // 30)
        windows = [self.losses[max(0, place - reach) : place + reach + 1] for place in range(len(self.losses))]
        return tuple(sum(window) / len(window) for window in windows)

    @property
    def suggestion(self) -> float:
        """A third of the learning rate at which the smoothed loss is lowest, as the highest rate of a training.

        Beyond the lowest place updates overshoot faster than they descend. On quadratics whose gradients are a tenth
        noise it lies mostly between 0.1 and 1.5 times the largest stable rate: a third is stable, a tenth would often
        be timid. Where the loss still falls at the highest rate, it is a third of that one, and a higher one might do
        as well. (The other rule in use, the rate of the steepest descent, says more of the sweep than of the network:
        on a quadratic with one curvature that is 0.08 of the largest stable rate where the sweep has 60 steps, and
        0.014 where it has 300.)
        """
        return self.learning_rates[self._lowest] / 3

    @property
    def fall(self) -> float:
        """By how much the smoothed loss fell, over the standard deviation of losses from batch to batch.

        Where it is below about 1.5 the lowest place may be one of chance, and so may the suggestion.
        """
        until = self._lowest + 1
        if until < 3:
            return 0.0
        start = np.mean(self.losses[: min(until, len(self.losses) // 10 + 1)])
        # differences of neighbours, which the fall itself hardly touches, vary by twice the variance of the losses
        noise = np.std(np.diff(self.losses[:until])) / math.sqrt(2)
        return float((start - self.smoothed[self._lowest]) / (noise + 1e-12))

    @property
    def _lowest(self) -> int:
        return int(np.argmin(self.smoothed))

    def draw(self, picture: str | Path) -> None:
        """Draws the losses over learning rates, with the suggestion marked.

        Args:
            picture: the PNG file to write.
        """
        # a Figure of its own rather than pyplot, which would choose a window system
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot(xlabel="learning rate", ylabel="loss, nats a target", xscale="log")
        axes.plot(self.learning_rates, self.losses, color="tab:blue", alpha=0.3, label="loss of a batch")
        axes.plot(self.learning_rates, self.smoothed, color="tab:blue", label="smoothed")
        axes.axvline(self.suggestion, color="tab:orange", label=f"suggestion: {self.suggestion:.2g}")
        # what explodes at the end would make a flat line of all the rest
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
    lowest: float = 1e-7,
    highest: float = 1.0,
    steps: int = 100,
    rate_factors: Mapping[str, float] | None = None,
) -> RateFinding:
    """Trains for some updates, each with a larger learning rate than the one before, and says which rate to train with.

    The network is afterwards exactly what it was: its weights, the state of its dropout, and how it is compiled.

    Args:
        network: a built network, as for `fit`.
        train: batches of (inputs, targets, weights), without end.
        settings: optimizer, weight_decay, clip_norm, precision and xla are as they will be in training.
        lowest: learning rate of the first update.
        highest: learning rate of the last update; training ends earlier where the loss has grown to four times its
            lowest, and above where it began, or is no finite number.
        steps: number of updates, at least 10. More of them learn more on the way, which lowers the suggestion: four
            times as many do so by a factor of 2 to 3.
        rate_factors: see `with_layer_rates`; None for one learning rate everywhere.

    Returns:
        A RateFinding, whose `suggestion` is for settings.learning_rate.

    Raises:
        InputError: the range is none, or the loss did not fall by more than it varies from batch to batch.

    Source: Smith 2017, section 3.3.
    """
    if not 0 < lowest < highest < math.inf or steps < 10:
        raise InputError(
            "expected learning rates 0 < lowest < highest and at least 10 steps, "
            f"got lowest {lowest}, highest {highest}, {steps} steps"
        )
    before = [variable.numpy() for variable in network.variables]
    # of the same layers, so that the network itself stays compiled as it is
    trial = Network(network.body, network.head, name="trial")
    try:
        policy = training_policy(network, settings.precision)
        with precision(trial, policy):
            optimizer = _growing_optimizer(
                network,
                settings,
                policy=policy,
                lowest=lowest,
                highest=highest,
                steps=steps,
                rate_factors=rate_factors,
            )
            trial.compile(optimizer, HeadLoss(), jit_compile=uses_xla(network, settings.xla, policy))
            finding = _sweep(trial, train.take(steps))
    finally:
        for variable, value in zip(network.variables, before, strict=True):
            variable.assign(value)
    if not finding.losses or finding.fall < 1.5:
        raise InputError(
            f"the loss fell at no learning rate from {lowest} to {highest}, or by no more than it varies from batch to "
            "batch: try other rates, more steps or larger batches"
        )
    return finding


def _growing_optimizer(network, settings, policy, lowest, highest, steps, rate_factors):
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
    """Trains until batches end or the loss diverges."""
    rates, losses, best = [], [], math.inf
    for batch in batches:
        # under mixed_float16 an update may be left out, and the rate stays what it is
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
