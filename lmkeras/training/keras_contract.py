"""Every private part of Keras that lmkeras relies on, in one place.

A new version of Keras may rename or drop them without notice. Some of this would fail silently: gradients clipped on
each replica instead of once, weights decayed twice, the same dropout on all replicas. So what is missing fails loudly
here, with the name of the part. tests/training/test_keras_contract.py says for each part what breaks without it.
"""

import functools
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

#: the name of the variable in which a SeedGenerator keeps its state; it is the end of the variable's path
SEED_NAME = "seed_generator_state"
#: the files in an archive that `model.save("x.keras")` writes
ARCHIVE_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def _missing(what: str) -> RuntimeError:
    return RuntimeError(
        f"Keras {keras.__version__} has no {what}, which lmkeras relies on: install a version of Keras that setup.cfg "
        "of lmkeras allows"
    )


def require_methods(owner: type, *names: str) -> None:
    """Raises RuntimeError unless a class of Keras has all these methods, which lmkeras overrides."""
    for name in names:
        if not callable(getattr(owner, name, None)):
            raise _missing(f"{owner.__name__}.{name}")


# `Optimizer.apply` calls the first three in this order, on every replica: add up the gradients of all replicas, clip
# them, pull weights to zero. They are overridden in adam.py, muon.py and layer_rates.py
require_methods(
    keras.optimizers.Optimizer,
    *("_all_reduce_sum_gradients", "_clip_gradients", "_apply_weight_decay"),
    *("_use_weight_decay", "_get_variable_index"),
)
# The loop over time, which an LSTM calls with its inputs; overridden in layers/recurrent.py
require_methods(keras.layers.RNN, "inner_loop")
require_methods(keras.layers.Layer, "_flatten_layers")


def inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that are attributes of a layer, in the order in which they were made."""
    return layer._layers


def own_attributes(layer: keras.layers.Layer) -> Iterator[tuple[str, object]]:
    """The attributes that a layer's author made, by name: those of Keras' and TensorFlow's bookkeeping are left out."""
    lists = ("_layers", "_trainable_variables", "_non_trainable_variables")
    return ((name, value) for name, value in vars(layer).items() if name not in lists and not name.startswith("_self_"))


def own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The weights that are attributes of a layer, or that its author added to it: without those of inner layers."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def all_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and all layers inside it, each before what is inside it."""
    return list(layer._flatten_layers())


def variable_index(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> int:
    """The place of a variable among those that an optimizer was built for."""
    return optimizer._get_variable_index(variable)


def decays(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Whether an optimizer pulls this variable to zero."""
    return optimizer._use_weight_decay(variable)


def moments(optimizer: keras.optimizers.Adam, variable: keras.Variable) -> tuple[keras.Variable, keras.Variable]:
    """Adam's running means for a variable: of its gradients, and of their squares."""
    index = variable_index(optimizer, variable)
    return optimizer._momentums[index], optimizer._velocities[index]


def without_strategy(model: keras.Model) -> None:
    """Makes Keras' fit leave a model alone that was built in a strategy's scope; else it builds it again, and fails."""
    if not hasattr(model, "_distribute_strategy"):
        raise _missing("Trainer._distribute_strategy")
    model._distribute_strategy = None


def set_functions(model: keras.Model, train=None, judge=None) -> None:
    """Sets the functions that Keras' fit and evaluate call with an iterator; None lets Keras make its own anew."""
    if not hasattr(model, "train_function") or not hasattr(model, "test_function"):
        raise _missing("Trainer.train_function and test_function")
    model.train_function, model.test_function = train, judge


def wrap_train_function(model: keras.Model, wrap: Callable[[Callable], Callable]) -> Callable[[], None]:
    """Puts a function between Keras' fit and the one that does an update, and returns a function that takes it out.

    Call it when training begins.
    """
    if not callable(getattr(model, "train_function", None)):
        raise _missing("Trainer.train_function when training begins")
    before, model.train_function = model.train_function, wrap(model.train_function)
    return functools.partial(setattr, model, "train_function", before)


def learning_rate_schedule(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.schedules.LearningRateSchedule:
    """The schedule that an optimizer was made with; RuntimeError if it is not found."""
    schedule = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        raise _missing("Optimizer._learning_rate that is the schedule given")
    return schedule


def seed_states(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The random states of all layers inside a layer, such as dropout's.

    Raises:
        RuntimeError: a layer has a seed generator whose state is not found under its name.
    """
    found = [variable for variable in layer.variables if variable.path.split("/")[-1] == SEED_NAME]
    known = {id(variable) for variable in found}
    if any(id(generator.state) not in known for generator in _seed_generators(layer)):
        raise _missing(f"variable named {SEED_NAME} in a SeedGenerator")
    return found


def _seed_generators(layer: keras.layers.Layer) -> Iterator[keras.random.SeedGenerator]:
    for inner in all_layers(layer):
        if (generator := getattr(inner, "seed_generator", None)) is not None:
            yield generator


def set_policies(layers: Sequence[keras.layers.Layer], policies: Sequence[keras.DTypePolicy]) -> None:
    """Gives built layers other dtype policies. RuntimeError if Keras does not compute by them from then on."""
    for layer, policy in zip(layers, policies, strict=True):
        layer.dtype_policy = policy
        if layer.dtype_policy is not policy or layer.compute_dtype != policy.compute_dtype:
            raise _missing("Layer.dtype_policy that may be set after a layer is built")


def in_place_adam(**arguments) -> None:
    """TensorFlow's operation that updates a weight by Adam where it stands; the arguments are the operation's."""
    tf.raw_ops.ResourceApplyAdam(**arguments)
