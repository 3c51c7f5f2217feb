"""For fine-tuning: lower layers of a network train more slowly than higher ones, or not at all."""

import contextlib
import functools
import math
from collections.abc import Mapping, Sequence

import keras

from lmkeras.errors import InputError
from lmkeras.training import keras_contract
from lmkeras.training.adam import Adam, AdamW
from lmkeras.training.muon import Muon


class _LayerRates:
    """The methods that `with_layer_rates` adds to an optimizer's class.

    Args:
        args: the optimizer's positional arguments.
        rate_factors: see `with_layer_rates`.
        kwargs: the optimizer's keyword arguments.
    """

    def __init__(self, *args, rate_factors: Mapping[str, float], **kwargs):
        super().__init__(*args, **kwargs)
        # a tuple of pairs, because Keras would replace a dictionary by a wrapper of its own
        self.rate_factors = tuple(rate_factors.items())

    def build(self, variables):
        """Looks up the factor of each variable by its path."""
        super().build(variables)
        factors = dict(self.rate_factors)
        self._factors = tuple(factors.get(variable.path, 1.0) for variable in variables)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable, with weight decay, at the variable's own learning rate."""
        rate = learning_rate * self._factors[keras_contract.variable_index(self, variable)]
        if self.weight_decay and keras_contract.decays(self, variable):
            self.assign_sub(variable, variable * self.weight_decay * keras.ops.cast(rate, variable.dtype))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables):
        # `update_step` does this instead: Keras would use the same learning rate for all variables
        pass

    def get_config(self):
        """The optimizer's arguments, with the factors."""
        return {**super().get_config(), "rate_factors": dict(self.rate_factors)}


@functools.cache
def _class_with_layer_rates(optimizer: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """A subclass of the optimizer's class with layer rates, registered so that Keras can load it by name."""
    subclass = type(f"LayerRates{optimizer.__name__}", (_LayerRates, optimizer), {"__module__": __name__})
    # the package is part of the name, because Keras and lmkeras both have a class Adam
    name = f"{optimizer.__module__.split('.')[0]}.{subclass.__name__}"
    return keras.saving.register_keras_serializable("lmkeras", name)(subclass)


# These classes are made on import, so that Keras can load a compiled network that was saved with one of them. Earlier
# versions of lmkeras registered them under names without the package, so these names stay known.
for _class in map(_class_with_layer_rates, (Adam, AdamW, Muon)):
    keras.saving.get_custom_objects()[f"lmkeras>{_class.__name__}"] = _class


def with_layer_rates(
    optimizer: keras.optimizers.Optimizer, rate_factors: Mapping[str, float]
) -> keras.optimizers.Optimizer:
    """A copy of an optimizer in which each variable has its own learning rate, and with it its own weight decay.

    Args:
        optimizer: an optimizer that has not been used yet, such as one from `build_optimizer`.
        rate_factors: for the path of a variable, such as "cnn/conv/kernel", the factor >= 0 by which the optimizer's
            learning rate is multiplied for this variable. Variables that are not named have the factor 1.

    Returns:
        A new optimizer, whose class is a subclass of the given optimizer's class.

    Raises:
        InputError: a factor is negative, infinite or not a number.

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
        groups: groups of built layers, from the bottom to the top, as a network's `layer_groups()` lists them.
        decay: a number in (0, 1]. The top group has the factor 1; every other group's factor is `decay` times that of
            the group above it.

    Returns:
        A factor for the path of each weight, for `with_layer_rates`. A weight that several groups share has the factor
        of the lowest of them.

    Raises:
        InputError: `decay` is out of range, or two weights have the same path.

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
    """A context in which the lowest groups of layers are frozen; afterwards they are as trainable as they were before.

    Compile the network inside the context, because Keras decides on compiling which weights to train.

    Args:
        groups: groups of layers, from the bottom to the top.
        how_many: number of groups to freeze, at least 0 and less than the number of groups.

    Raises:
        InputError: `how_many` is out of range.
    """
    if not 0 <= how_many < len(groups):
        raise InputError(
            f"cannot freeze {how_many} of {len(groups)} groups of layers: expected 0 to {len(groups) - 1}, "
            "so that one is left to train"
        )
    frozen = [layer for group in groups[:how_many] for layer in group]
    # setting `trainable` of a layer also sets it for all that the layer contains, so the old values are put back from
    # the outer layers to the inner ones
    parts = [part for layer in frozen for part in (*keras_contract.all_layers(layer), *layer.variables)]
    before = [part.trainable for part in parts]
    try:
        for layer in frozen:
            layer.trainable = False
        yield
    finally:
        for part, trainable in zip(parts, before, strict=True):
            part.trainable = trainable
