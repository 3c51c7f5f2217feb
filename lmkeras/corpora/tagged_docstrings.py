"""A tagged corpus that comes with Python: what sentences of the standard library's docstrings name.

Functions, modules and exceptions are labelled by look-up, without any reading of the sentence. A word that is a name in
one sentence is often an ordinary word in another ("copy", "open", "time"), so a name counts only where it is used as
one: a function with its parentheses, a module next to the word "module" or before a dot.
"""

import builtins
import random
import re
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import zip_longest
from pathlib import Path

from lmkeras.corpora.docstrings import library_modules
from lmkeras.corpora.spans import Place, TaggedRow, TaggedText
from lmkeras.corpora.tagged_spans import tagged_text
from lmkeras.errors import InputError

SOURCE = "builtin:python-entities"
_SPLITTING = "signs"
_LENGTHS = range(4, 61)  # words of a sentence
_COMMONEST = 0.03  # share of the validation part that has one name at most: a commoner name stays in the training

_NAME = re.compile(r"(?<!\w)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_AFTER_MODULE = re.compile(r"[`'\"]{0,2}\s+(?:module|package)\b")
_BEFORE_MODULE = re.compile(r"\b(?:module|package|import)\s+[`'\"]{0,2}$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")

_MODULES = sys.stdlib_module_names - {"this"}  # "this module" is not the module of that name
_BUILTINS = vars(builtins)
_CLASSES = {name: value for name, value in _BUILTINS.items() if isinstance(value, type)}
_WORDS = {"Exception", "Warning"}  # begin sentences that do not mean the class
_EXCEPTIONS = {name for name, value in _CLASSES.items() if issubclass(value, BaseException)} - _WORDS
_FUNCTIONS = {name for name, value in _BUILTINS.items() if callable(value) and name.islower()}


def python_entities() -> Iterator[TaggedRow]:
    """Sentences of the standard library's docstrings, with spans of the types function, module and exception.

    The same version of Python always gives the same sentences, each of them once.

    Raises:
        InputError: Python was installed without the source of its library.
    """
    return iter(_rows())


@cache
def _rows() -> list[TaggedRow]:
    functions_of = {}
    for module in library_modules(Path(sysconfig.get_path("stdlib"))):
        for docstring in module.docstrings:
            for sentence in _sentences(docstring):
                functions_of.setdefault(sentence, module.functions)
    spans_of = {sentence: _spans(sentence, functions) for sentence, functions in functions_of.items()}
    without = [sentence for sentence, spans in spans_of.items() if not spans]
    every = max(1, len(without) // max(1, len(spans_of) - len(without)))
    chosen = set(without[::every])  # about as many as have names
    rows = (_row(sentence, spans) for sentence, spans in spans_of.items() if spans or sentence in chosen)
    return [row for row in rows if len(row.words) in _LENGTHS]


def _sentences(docstring: str) -> Iterator[str]:
    """The sentences of a docstring's paragraphs, without examples and lists."""
    for paragraph in re.split(r"\n\s*\n", docstring):
        if not re.search(r"^(\s{2,}|>>>|[-*+=|])", paragraph, flags=re.MULTILINE):
            for sentence in _SENTENCE_END.split(" ".join(paragraph.split())):
                if re.match(r"[A-Z`_a-z]", sentence) and sentence.endswith((".", "!", "?")):
                    yield sentence


def _row(sentence: str, spans: list[tuple[int, int, str]]) -> TaggedRow:
    place = Place(f"{SOURCE}, {sentence[:40]!r}")
    words, spans = tagged_text(sentence, spans, place=place, splitting=_SPLITTING)
    form = "sentences of docstrings with names labelled by look-up"
    return TaggedRow(words, None, spans, place=place, form=form, splitting=_SPLITTING)


def _spans(sentence: str, functions: frozenset[str]) -> list[tuple[int, int, str]]:
    """What names stand for: modules, functions and exceptions, also those that follow a module and a dot."""
    spans = []
    for match in _NAME.finditer(sentence):
        start, end = match.span()
        first, *others = match.group().split(".")
        is_module = first in _MODULES
        if is_module and (_AFTER_MODULE.match(sentence, end) or _BEFORE_MODULE.search(sentence[:start])):
            spans.append((start, end, "module"))
            continue
        if is_module and others:
            spans.append((start, start + len(first), "module"))
        last = others[-1] if others else first
        if last in _EXCEPTIONS:
            spans.append((end - len(last), end, "exception"))
        elif sentence.startswith("(", end) and (last in functions or last in _FUNCTIONS):
            spans.append((end - len(last), end, "function"))
    return spans


def parts_without_common_names(
    texts: Sequence[TaggedText], validation_fraction: float, seed: int
) -> tuple[list[bool], list[bool]]:
    """Which texts to train on and which to validate on, so that no name is in both parts.

    Names are drawn for the validation until their texts are the wanted share. Texts with names of both kinds are in
    neither part.

    Args:
        texts: read once.
        validation_fraction: share of the validation part, in (0, 1).
        seed: the same seed draws the same names.

    Raises:
        InputError: the texts have too few names.
    """
    names = [{_name(text, span) for span in text.spans} for text in texts]
    texts_of = defaultdict(list)
    for number, found in enumerate(names):
        for name in found:
            texts_of[name].append(number)
    wanted = float(len(names) * Fraction(str(validation_fraction)))
    draw, drawn, missing = random.Random(seed), set(), [len(found) for found in names]
    held_out = [not found and draw.random() < validation_fraction for found in names]
    count = sum(held_out)
    for name in _in_turns(texts, draw):
        if count >= wanted:
            break
        if len(texts_of[name]) <= max(3, _COMMONEST * wanted):
            drawn.add(name)
            for number in texts_of[name]:
                missing[number] -= 1
                held_out[number] = missing[number] == 0
                count += held_out[number]
    trains = [not held and not found & drawn for held, found in zip(held_out, names, strict=True)]
    if not any(held and found for held, found in zip(held_out, names, strict=True)) or not any(trains):
        raise InputError(f"{len(names)} texts have too few names to keep those of {validation_fraction} of them apart")
    return trains, held_out


def _in_turns(texts: Sequence[TaggedText], draw: random.Random) -> Iterator[str]:
    """All names in random order, of each type one after the other, so that rare types are validated on too."""
    type_of = {_name(text, span): span.type for text in texts for span in text.spans}
    of_types = {kind: [] for kind in sorted(set(type_of.values()))}
    for name in sorted(type_of):
        of_types[type_of[name]].append(name)
    for found in of_types.values():
        draw.shuffle(found)
    return (name for turn in zip_longest(*of_types.values()) for name in turn if name is not None)


def _name(text: TaggedText, span) -> str:
    """The name of a span; of a dotted one, what stands before the dot."""
    return "".join(text.words[span.start : span.end]).partition(".")[0]
