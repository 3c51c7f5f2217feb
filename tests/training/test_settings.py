import inspect
import re

import pytest

from lmkeras.errors import InputError
from lmkeras.networks import registry
from lmkeras.networks.settings import LanguageNetworkSettings
from lmkeras.training.settings import FitSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("steps", 0),
        ("batch_size", -1),
        ("window_length", 0),
        ("patience", 0),
        ("evaluate_every", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("clip_norm", -1.0),
        ("weight_decay", -0.1),
        ("warmup_steps", -1),
        ("seed", -1),
        ("precision", "bf16"),
        ("xla", True),
        ("schedule", "lienar"),
        ("optimizer", "sgd"),
    ],
)
def test_impossible_settings_are_refused_by_name(field, value):
    with pytest.raises(InputError, match=field):
        FitSettings(**{field: value})


@pytest.mark.parametrize(
    ("settings", "steps_per_epoch", "total", "interval"),
    [
        (FitSettings(epochs=3), 50, 150, 30),
        (FitSettings(epochs=20), 50, 1000, 50),
        (FitSettings(steps=7), 50, 7, 2),
        (FitSettings(steps=1000), 50, 1000, 50),
        (FitSettings(steps=1000, evaluate_every=300), 50, 1000, 300),
        (FitSettings(steps=10, evaluate_every=300), 50, 10, 10),
    ],
)
def test_steps(settings, steps_per_epoch, total, interval):
    assert settings.total_steps(steps_per_epoch) == total
    assert settings.steps_between_evaluations(steps_per_epoch) == interval


def test_the_defaults_in_the_help_are_those_of_the_builders():
    """Fields default to None, "what the builder does"; their help names the builder's default."""
    source = inspect.getsource(LanguageNetworkSettings)
    transformer, lstm = (inspect.signature(registry._builder(name)).parameters for name in ("transformer", "lstm"))
    fields = [name for name in vars(LanguageNetworkSettings()) if name != "network"]
    for name in fields:
        help_text = re.search(rf"    {name}: .*\n    \"\"\"(.*)\"\"\"", source)[1]
        defaults = [
            (network[name].default, kind) for network, kind in ((transformer, "t"), (lstm, "r")) if name in network
        ]
        assert defaults, f"{name} is an argument of no builder"
        for default, _ in defaults:
            stated = {"dff": "4 times d_model"}.get(name, str(default))
            assert stated in help_text.split("None: ")[1], name
