"""What is typed, and what the verb gets, for a program that is not lmkeras."""

import dataclasses
from typing import Annotated, Literal

import pytest

from lmkeras.arguments import Program, Shown, run_verb
from lmkeras.arguments.options import options_of
from lmkeras.arguments.showing import named_as_typed


@dataclasses.dataclass(frozen=True)
class Sizes:
    units: int | None = None
    """Width; None: 5."""
    widths: tuple[int, ...] = (3, 4)
    """Several."""
    decay: float | None = 1.0
    """Decay; None: no decay."""


got = []


def paint(
    name: Annotated[str, Shown("NAME", positional=True)],
    others: Annotated[list[str], Shown("OTHER", positional=True)] = [],  # noqa: B006
    colour: Literal["red", "green", "blue"] = "red",
    weights: dict[str, float] | Literal["even"] = "even",
    corner: tuple[int, str] = (0, "left"),
    dry_run: bool = False,
    shiny: bool | None = None,
    title: str | None = None,
    sizes: Sizes = Sizes(),
) -> None:
    """Paint something. In colours.

    Args:
        name: what is painted.
        others: more.
        colour: of the paint.
        weights: how much of each.
        corner: where to begin.
        dry_run: only say so.
        shiny: whether it shines; None: as it comes.
        title: what is said.
        sizes: how large.
    """
    got.append({**locals()})


def wash() -> None:
    """Wash it."""


PROGRAM = Program("art", "1", "Makes art.", verbs={"paint": paint, "wash hand": wash}, second_words={"wash": "part"})


def typed(*words: str) -> dict:
    """The arguments that `paint` gets."""
    got.clear()
    assert run_verb(PROGRAM, ["paint", *words]) == 0
    return got[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a"], {"name": "a", "others": [], "colour": "red", "sizes": Sizes()}),
        (["a", "b", "c"], {"name": "a", "others": ["b", "c"]}),
        (
            ["--dry-run", "a", "--colour", "blue", "b"],
            {"others": ["b"], "dry_run": True, "colour": "blue"},
        ),
        (["a", "--colour=green"], {"colour": "green"}),
        (["a", "--weights", "even"], {"weights": "even"}),
        (["a", "--weights", "x", "1", "y", "2.5"], {"weights": {"x": 1.0, "y": 2.5}}),
        (["a", "--corner", "-3", "top"], {"corner": (-3, "top")}),
        (["a", "--widths", "7"], {"sizes": Sizes(widths=(7,))}),
        (["a", "--widths", "7", "8", "--units", "9"], {"sizes": Sizes(9, (7, 8))}),
        (["a", "--units", "1", "--units", "2"], {"sizes": Sizes(2)}),
        (["a", "--shiny"], {"shiny": True}),
        (["a", "--no-shiny"], {"shiny": False}),
        (["a", "--decay", "none"], {"sizes": Sizes(decay=None)}),
        (["a", "--title", "none"], {"title": "none"}),
        (["a", "--title", "-5"], {"title": "-5"}),
        (["a", "--title="], {"title": ""}),
        (["--units", "3", "--", "--a", "-b"], {"name": "--a", "others": ["-b"], "sizes": Sizes(3)}),
        (["你好 吗", "－－title", "标题　二", "—units", "4", "–dry_run"], {"title": "标题　二", "dry_run": True}),
        (["a", "－－ｕｎｉｔｓ　6　—colour=blue"], {"sizes": Sizes(6), "colour": "blue"}),
        (["a　b", "c"], {"name": "a　b", "others": ["c"]}),
        (["—— so", "–"], {"name": "—— so", "others": ["–"]}),
    ],
)
def test_what_a_verb_gets(words, expected):
    assert expected.items() <= typed(*words).items()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["paint"], "art paint needs NAME; see art paint --help"),
        (["paint", "a", "--units"], "--units: expected one argument; see art paint --help"),
        (["paint", "a", "--units", "x"], "--units: expected a whole number, got 'x'; see art paint --help"),
        (["paint", "a", "--colour", "gren"], "unknown --colour 'gren': expected one of red, green, blue; did you mean"),
        (["paint", "a", "--weights", "x", "y"], "--weights: expected pairs of a name and a number or one of even"),
        (["paint", "a", "--weights", "x"], "--weights: expected pairs"),
        (["paint", "a", "--corner", "3"], "--corner: expected 2 arguments"),
        (["paint", "a", "--unit", "3"], "unknown option --unit; did you mean --units?; see art paint --help"),
        (["paint", "a", "--no-dryrun"], "unknown option --no-dryrun; did you mean --no-dry-run?"),
        (["paint", "a", "－－unitz"], "unknown option --unitz; did you mean --units?"),
        (["paint", "a", "—unitz=3"], "unknown option --unitz; did you mean --units?"),
        (["paint", "a", "-u"], "unknown option -u"),
        (["wash", "hnd"], "unknown part 'hnd': expected one of hand; did you mean 'hand'?; see art wash --help"),
        (["wash", "hand", "foot"], "unexpected 'foot'"),
        (["wsh"], "unknown verb 'wsh': expected one of paint, wash; did you mean 'wash'?; see art --help"),
    ],
)
def test_what_is_refused(words, says, capsys):
    assert run_verb(PROGRAM, words) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"art: {says}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("name it with dry_run (--dry-run)", "name it with --dry-run"),
        ("dry_run (--dry-run) or colour (--colour)", "--dry-run or --colour"),
        ("say colour red (--colour red); colour stays", "say --colour red; colour stays"),
        ("say title ',' (--title ',')", "say --title ','"),
        ("name one with dry_run (or not)", "name one with --dry-run (or not)"),
        ("a colour (or --colour)", "a colour (or --colour)"),
        ("dry_run must be", "--dry-run must be"),
    ],
)
def test_an_option_with_both_of_its_names_is_shown_once(text, shown):
    assert named_as_typed(text, options_of(paint)) == shown
