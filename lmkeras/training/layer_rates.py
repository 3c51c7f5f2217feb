"""Training by layers, as fine-tuning wants it: lower ones slower than higher ones, or not at all."""

import contextlib
import functools
import math
from collections.abc import Mapping, Sequence

import keras

from lmkeras.errors import InputError
from lmkeras.training.adam import Adam, AdamW
from lmkeras.training.muon import Muon


class _LayerRates:
    """What `with_layer_rates` adds to an optimizer's class.

    Args:
        args: the optimizer's own.
        rate_factors: see `with_layer_rates`.
        kwargs: the optimizer's own.
    """

    def __init__(self, *args, rate_factors: Mapping[str, float], **kwargs):
        super().__init__(*args, **kwargs)
        # a tuple of pairs, since Keras would wrap a dictionary
        self.rate_factors = tuple(rate_factors.items())

    def build(self, variables):
        """Finds each variable's factor."""
        super().build(variables)
        factors = dict(self.rate_factors)
        self._factors = tuple(factors.get(variable.path, 1.0) for variable in variables)

    def update_step(self, gradient, variable, learning_rate):
        """One variable's update, at its own learning rate."""
        rate = learning_rate * self._factors[self._get_variable_index(variable)]
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * self.weight_decay * keras.ops.cast(rate, variable.dtype))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables):
        # Keras would take it off all variables at one learning rate
        pass

    def get_config(self):
        """The optimizer's arguments, and the factors."""
        return {**super().get_config(), "rate_factors": dict(self.rate_factors)}


@functools.cache
def _class_with_layer_rates(optimizer: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """The optimizer's subclass, which Keras finds again by name."""
    subclass = type(f"LayerRates{optimizer.__name__}", (_LayerRates, optimizer), {"__module__": __name__})
    # Keras' Adam and the one here have the same name
    name = f"{optimizer.__module__.split('.')[0]}.{subclass.__name__}"
    return keras.saving.register_keras_serializable("lmkeras", name)(subclass)


# A compiled network that was saved with one of these is loaded where this module has been imported; the name without
# the optimizer's package is that of earlier versions.
for _class in map(_class_with_layer_rates, (Adam, AdamW, Muon)):
    keras.saving.get_custom_objects()[f"lmkeras>{_class.__name__}"] = _class


def with_layer_rates(
    optimizer: keras.optimizers.Optimizer, rate_factors: Mapping[str, float]
) -> keras.optimizers.Optimizer:
    """The same optimizer with a learning rate, and so a weight decay, of each variable's own.

    Args:
        optimizer: such as `build_optimizer` gives, not yet used in training.
        rate_factors: learning rate of a variable over the optimizer's, >= 0, by the variable's path, such as
            "cnn/conv/kernel". Other variables' factor is 1.

    Returns:
        A new optimizer, of a subclass of the given one's class.

    Raises:
        InputError: a factor is negative or no finite number.

    Source: Howard and Ruder 2018, section 3.2 (discriminative fine-tuning).
    """
    for path, factor in rate_factors.items():
        if not 0 <= factor < math.inf:
            raise InputError(f"the learning-rate factor of {path} must be 0 or more, got {factor}")
    config = {**optimizer.get_config(), "rate_factors": dict(rate_factors)}
    return _class_with_layer_rates(type(optimizer)).from_config(config)


def layer_factors(groups: Sequence[Sequence[keras.layers.Layer]], decay: float) -> dict[str, float]:
    """Learning-rate factors that fall from the top of a network to its bottom.

    Args:
        groups: built layers, in groups from the bottom to the top, as a network's `layer_groups()` lists them.
        decay: factor of each group over the one of the group above it, in (0, 1]; the top group's factor is 1.

    Returns:
        A factor for the path of each weight, for `with_layer_rates`. A weight that groups share learns as slowly as
        in the lowest of them.

    Raises:
        InputError: decay is out of range, or two weights have the same path.

    Source: Howard and Ruder 2018, section 3.2 (decay = 1 / 2.6); Clark et al. 2020, appendix B (0.8 to 0.9).

    Example:
        >>> import keras
        >>> low, high = keras.layers.Dense(3, name="low"), keras.layers.Dense(2, name="high")
        >>> low.build((None, 4)), high.build((None, 3))
        (None, None)
        >>> layer_factors([[low], [high]], decay=0.5)
        {'low/kernel': 0.5, 'low/bias': 0.5, 'high/kernel': 1.0, 'high/bias': 1.0}
    """
    if not 0 < decay <= 1:
        raise InputError(f"the decay of learning rates from layer to layer must be above 0 and at most 1, got {decay}")
    owners, factors = {}, {}
    for height, group in enumerate(groups):
        for variable in (variable for layer in group for variable in layer.weights):
            if owners.setdefault(variable.path, variable) is not variable:
                raise InputError(f"two weights are called {variable.path}: give their layers names of their own")
            factors.setdefault(variable.path, decay ** (len(groups) - 1 - height))
    return factors


@contextlib.contextmanager
def freeze(groups: Sequence[Sequence[keras.layers.Layer]], how_many: int):
    """A context in which the lowest groups of layers keep their weights; afterwards all is as it was before.

    Compile the network inside: Keras decides there what to train.

    Args:
        groups: layers, in groups from the bottom to the top.
        how_many: number of groups to freeze, at least 0 and fewer than there are.

    Raises:
        InputError: there are not so many groups, or no group would be left to train.
    """
    if not 0 <= how_many < len(groups):
        raise InputError(
            f"cannot freeze {how_many} of {len(groups)} groups of layers: expected 0 to {len(groups) - 1}, "
            "so that one is left to train"
        )
    frozen = [layer for group in groups[:how_many] for layer in group]
    # setting a layer sets all that it contains: parents come first, so that each child then gets its own value back
    parts = [part for layer in frozen for part in (*layer._flatten_layers(), *layer.variables)]
    before = [part.trainable for part in parts]
    try:
        for layer in frozen:
            layer.trainable = False
        yield
    finally:
        for part, trainable in zip(parts, before, strict=True):
            part.trainable = trainable
