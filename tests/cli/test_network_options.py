"""The sizes of registered bodies as options of `lmkeras train`: their types, choices and help."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Literal, Optional

import pytest

from lmkeras.arguments.options import call_of, options_of
from lmkeras.arguments.parsing import values_typed
from lmkeras.cli import verbs
from lmkeras.cli.network_options import network_settings
from lmkeras.errors import InputError
from lmkeras.networks import registry
from lmkeras.networks.settings import TRAIN_OPTIONS
from tests.cli.command import require_one_line, run, run_line
from tests.cli.test_help import entries


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_bodies", {kind: dict(of) for kind, of in registry._bodies.items()})


def register(body, name="made"):
    registry.register_body(name, "readers")(body)


def names():
    return {field.name for field in dataclasses.fields(network_settings("readers"))}


def sizes(*typed):
    settings = network_settings("readers")

    def verb(network: settings = settings()): ...  # noqa: B008

    options = options_of(verb)
    return call_of(verb, options, values_typed(typed, options)).keywords["network"].sizes()


def test_a_size_without_annotation_has_the_type_of_its_default():
    def body(vocabulary_size, breadth=16, share=0.5, deep=False, shape="round", spans=(3, 4)): ...

    register(body)
    typed = "--breadth 3 --share 1 --deep --shape 7 --spans 5".split()
    assert sizes(*typed) == {"breadth": 3, "share": 1.0, "deep": True, "shape": "7", "spans": (5,)}
    assert type(sizes("--share", "1")["share"]) is float


def test_what_cannot_be_typed_is_no_option():
    def body(
        vocabulary_size,
        *rest,
        bare=None,
        function=len,
        of: Callable = len,
        table: dict[str, int] | None = None,
        **others,
    ): ...

    before = names()
    register(body)
    assert names() == before


def test_the_types_that_can_be_typed():
    def body(
        vocabulary_size: int,
        needed: int,
        perhaps: Optional[float] = None,  # noqa: UP045 - users write this too
        many: Sequence[int] = (),
        two: tuple[int, str] = (1, "a"),
        chosen: Literal["thin", 2] = 2,
        away: "NotImportedHere" = 3,  # noqa: F821
    ): ...

    register(body)
    typed = "--needed 1 --perhaps 2 --many 3 4 --two 5 six --chosen thin --away 7".split()
    given = sizes(*typed)
    assert [*given.pop("many")] == [3, 4]
    assert given == {"needed": 1, "perhaps": 2.0, "two": (5, "six"), "chosen": "thin", "away": 7}


def test_what_a_name_has_settled_is_no_option():
    def body(vocabulary_size, breadth=3, form: str = "a"): ...

    register(functools.partial(body, form="b"))
    assert "breadth" in names()
    assert "form" not in names()


def test_a_size_of_several_bodies_takes_what_any_of_them_takes():
    def one(
        vocabulary_size, shape: Literal["thin", "wide"] = "thin", breadth: str = "", pooling: Literal["top"] = "top"
    ): ...

    def other(vocabulary_size, shape: Literal["wide", "round"] | None = None, breadth: int = 1): ...

    register(one)
    register(other, "other")
    for shape in ("thin", "wide", "round"):
        assert sizes("--shape", shape) == {"shape": shape}
    assert sizes("--breadth", "3") == {"breadth": 3}
    assert sizes("--breadth", "broad") == {"breadth": "broad"}
    for pooling in ("max", "mean", "last", "top"):
        assert sizes("--pooling", pooling) == {"pooling": pooling}
    with pytest.raises(InputError, match="expected one of thin, wide, round"):
        sizes("--shape", "square")


def test_a_network_refuses_the_choices_of_another(in_place, capsys):
    def body(vocabulary_size, pooling: Literal["top"] = "top"): ...

    register(body)
    command = "train classifier --text examples.csv --output new --network lstm --pooling top"
    require_one_line(*run_line(capsys, command), "unknown pooling 'top': expected one of last, max, mean")


class Documented:
    """A body.

    Args:
        vocabulary_size: number of ids.
        breadth: how broad it is, such as 3:
            in tokens.
        share (float): a share of the whole [B, T].

    Returns:
        depth: what is no size.
    """

    def __init__(self, vocabulary_size, breadth: int = 3, share=0.5, depth=1): ...


class DocumentedWithin:
    def __init__(self, vocabulary_size, depth=1, pooling: str = ""):
        """Makes one.

        Args:
            depth: how deep it is.
            pooling: what lmkeras says already.
        """


def test_the_help_of_a_size_is_what_its_body_says(capsys):
    register(Documented)
    out = shown(capsys)
    assert "How broad it is, such as 3: in tokens (default: none)" in out["--breadth"]
    assert "A share of the whole [B, T] (default: none)" in out["--share"]
    assert "A size of the network (default: that of the network)" in out["--depth"]
    register(DocumentedWithin, "within")
    out = shown(capsys)
    assert "How deep it is (default: none)" in out["--depth"], "of two bodies, the one that says something"
    assert "How the outputs of lstm for all tokens become one vector" in out["--pooling"]


def shown(capsys) -> dict[str, str]:
    """What the help says of each option, in one line."""
    code, out, _ = run(capsys, "train", "classifier", "--help")
    assert code == 0
    return entries(out)


def test_the_options_of_every_training_are_known():
    for name, verb in verbs().items():
        if name.startswith("train "):
            parameters = inspect.signature(verb).parameters.values()
            own = {p.name for p in parameters if not dataclasses.is_dataclass(p.default)}
            assert own == set(TRAIN_OPTIONS) - {"network", "weights", "help"}
