"""A labelled corpus, that is examples (text, label) that can be read any number of times, and checks of its labels."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain, islice

from lmkeras.corpora.corpus import Corpus, Examples, Text, require_usable
from lmkeras.corpora.label_lists import FIRST_ROWS, LabelFormat, members
from lmkeras.errors import InputError, did_you_mean

#: what an example shows: its label, or all labels of a text that may have several or none
Label = str | tuple[str, ...]

#: Labels that look like this are sorted as numbers.
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


class LabelledCorpus(Examples):
    """Examples (text, label) in a fixed order. Every iteration reads them anew, so they need not fit into memory.

    A text is a string or, for pairs of texts, a tuple (first, second) of two strings; a corpus has only one of the two
    kinds. A label is a string that neither begins nor ends with white space. In a multi-label corpus it is a tuple of
    such strings, which may be empty; there, one string is the only label of its text.

    Args:
        *readers: functions without arguments. Each one starts reading its share of the examples from the beginning;
            the shares follow one another in this order.

    Example:
        >>> corpus = LabelledCorpus.from_examples(["so good", "so bad", "very good"], [1, 0, 1])
        >>> list(corpus)
        [('so good', '1'), ('so bad', '0'), ('very good', '1')]
        >>> corpus.label_counts()
        {'0': 1, '1': 2}
        >>> LabelledCorpus.from_examples(["good and cheap", "hm"], [["good", "cheap"], []]).multi_label
        True
    """

    @classmethod
    def from_examples(
        cls, texts: Sequence[Text], labels: Sequence[object], label_format: LabelFormat | None = None
    ) -> "LabelledCorpus":
        """A corpus of texts and labels that are in memory already.

        Args:
            texts: at least one text, each a string or a pair (first, second) of strings; a list, a tuple, an array or
                a column of a table.
            labels: one string or number for each text; `label_name` makes strings of numbers and booleans. In
                multi-label data a list of them for each text, or an array [N, C] of 0 and 1.
            label_format: what is known of labels of which a text may have several.

        Returns:
            A LabelledCorpus with a copy of the examples.

        Raises:
            InputError: there are no texts; there are more or fewer labels than texts; a label is missing (None, NaN,
                white space); or a text or label has another type.
        """
        for name, values in (("texts", texts), ("labels", labels)):
            if isinstance(values, str):
                raise InputError(f"{name}: expected a list, got one string: put it into a list, [text]")
        if getattr(labels, "ndim", 1) == 2 and labels.shape[1] == 1:  # one label for each text, as a column
            labels = labels[:, 0]
        texts, labels = list(texts), list(labels)
        if len(texts) != len(labels):
            raise InputError(f"expected one label for each text, got {len(texts)} texts and {len(labels)} labels")
        if not texts:
            raise InputError("expected at least one text and its label, got empty lists")
        texts = [_text(text, f"text {number} of the list", texts[0]) for number, text in enumerate(texts, 1)]
        rows = ((f"label {number}", *example) for number, example in enumerate(zip(texts, labels, strict=True), 1))
        how = {"advice": "", "label_format": label_format, "looked_at": len(labels)}
        named = _with_label_names(rows, "the list", **how)
        return cls(partial(iter, list(named)))

    def texts(self) -> Corpus:
        """The texts without their labels; a pair gives two texts, first and second."""
        return Corpus(partial(_texts, self))

    def label_counts(self) -> dict[str, int]:
        """The number of examples with each label, counted by reading the corpus once.

        Labels that are numbers come first, sorted by value; the others follow, sorted as strings.
        """
        return dict(self._counts_and_kind[0])

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several labels, or none: whether an example has a tuple of labels.

        The corpus is read for this once, together with `label_counts`.
        """
        return self._counts_and_kind[1]

    @cached_property
    def _counts_and_kind(self) -> tuple[dict[str, int], bool]:
        counts, several = Counter(), False
        for _, label in self:
            several = several or isinstance(label, tuple)
            counts.update(names_in(label))
        return {label: counts[label] for label in sorted(counts, key=_order)}, several


def names_in(label: Label) -> tuple[str, ...]:
    """All labels that an example shows, one or several or none."""
    return label if isinstance(label, tuple) else (label,)


def _order(label: str) -> tuple:
    return (0, float(label), label) if _NUMBER.fullmatch(label) else (1, 0.0, label)


def _texts(examples: Iterable[tuple[Text, str]]) -> Iterator[str]:
    return chain.from_iterable((text,) if isinstance(text, str) else text for text, _ in examples)


def _text(value: object, place: str, first: object) -> Text:
    """Checks a text of a list: it must be a single text or a pair, whichever the list's `first` one is."""
    pair = isinstance(value, tuple | list)
    if pair != isinstance(first, tuple | list):
        one, other = ("a pair", "a single text") if pair else ("a single text", "a pair")
        raise InputError(f"{place} is {one}, but the first is {other}: a corpus holds only one of the two kinds")
    members = list(value) if pair else [value]
    if len(members) != 1 + pair or not all(isinstance(member, str) for member in members):
        kinds = ", ".join(type(member).__name__ for member in members)
        raise InputError(f"{place}: expected a string or a pair (first, second) of strings, got {kinds}")
    for member in members:
        require_usable(member, place)
    # elements of arrays become plain strings
    return tuple(map(str, members)) if pair else str(value)


def labelled_rows(
    rows: Iterable[tuple[str, Text, object]],
    source: str,
    advice: str = "",
    label_format: LabelFormat | None = None,
) -> Iterator[tuple[Text, Label]]:
    """The examples of a source's rows, after a check of every label.

    Args:
        rows: (place, text, label); the place is in the user's words, such as "line 3", the label as the source has it.
        source: the source's name in the user's words, for messages.
        advice: added to the message where labels are missing: what to do if the source has them elsewhere.
        label_format: what is known of labels of which a text may have several.

    Returns:
        An iterator of (text, label).

    Raises:
        InputError: while iterating, if a label is missing or is no string, no number and no list of them; at the end,
            if all texts were nothing but white space.
    """
    blank = True
    for text, label in _with_label_names(rows, source, advice=advice, label_format=label_format):
        blank = blank and not "".join(text).strip()
        yield text, label
    if blank:
        raise InputError(f"{source} holds no text, or nothing but white space: fill it or leave it out")


def _with_label_names(
    rows: Iterable[tuple[str, Text, object]],
    source: str,
    advice: str,
    label_format: LabelFormat | None,
    looked_at: int = FIRST_ROWS,
) -> Iterator[tuple[Text, Label]]:
    """The examples of rows; the form of their labels is recognised from the first `looked_at` of them."""
    rows = iter(rows)
    first = list(islice(rows, looked_at))
    label_format = label_format or LabelFormat()
    read = label_format.reader([label for *_, label in first], source)

    def named():
        for place, text, label in chain(first, rows):
            where = f"{source} {place}"
            yield place, text, _label_or_labels(read(label, where), where)

    examples = named()
    for number, (place, text, name) in enumerate(examples, 1):
        if name is None:
            later = [name for *_, name in examples]
            advice += label_format.advice_where_missing([*(label for *_, label in first), *later])
            raise InputError(
                f"{source}: {1 + later.count(None)} of {number + len(later)} examples have no label (first: {place}). "
                f"Give every example its label or leave it out{advice}"
            )
        yield text, name


def _label_or_labels(value: object, place: str) -> Label | None:
    """The name of a label, or of each label in a list, without repetitions; None where the label is missing."""
    several = members(value)
    if several is None:
        return label_name(value, place)
    names = [label_name(one, place) for one in several]
    if None in names:
        raise InputError(f"{place}: a list of labels contains one that is missing or blank: leave it out of the list")
    return tuple(dict.fromkeys(names))


def label_name(value: object, place: str) -> str | None:
    """A label as a string; None where the label is missing (None, NaN, white space).

    Numbers that are equal are one label, whatever their type: 1 and 1.0 are "1". A number of low precision has the
    digits that it needs there: 0.1 as float32 is "0.1". Booleans are "True" and "False". A string stays as it is,
    without white space around it: "007" is not "7".

    Args:
        value: a string, a number or a boolean, of Python or of NumPy.
        place: where it comes from, in the user's words, for messages.

    Raises:
        InputError: the value has another type.

    Example:
        >>> [label_name(value, "label 1") for value in (" 007 ", 7, 7.0, 0.5, True)]
        ['007', '7', '7', '0.5', 'True']
    """
    if isinstance(value, str):
        require_usable(value, place)
        return str(value).strip() or None
    is_scalar = getattr(value, "shape", None) == () and hasattr(value, "item")  # of NumPy
    number = value.item() if is_scalar else value
    if isinstance(number, str):
        return label_name(number, place)
    if number is None or (isinstance(number, float) and math.isnan(number)):
        return None
    if not isinstance(number, int | float):
        raise InputError(f"{place}: expected a string or a number as label, got {type(number).__name__}")
    whole = isinstance(number, float) and number.is_integer()
    return str(int(number) if whole else value)  # value, as NumPy shows the digits that its precision needs


def require_several_labels(corpus: LabelledCorpus) -> None:
    """Raises InputError for a training corpus with fewer than two labels, which leaves nothing to tell apart.

    Where texts may have several labels or none, one label is enough.

    Args:
        corpus: a labelled corpus, which is read once for its labels.

    Raises:
        InputError: there are fewer than two labels, or none.
    """
    counts = corpus.label_counts()
    if corpus.multi_label:
        if not counts:
            raise InputError("none of the texts has a label: expected examples of every label to learn from")
    elif len(counts) < 2:
        raise InputError(
            f"expected examples with at least two labels, got {sum(counts.values())} examples that are all "
            f"{_counted(counts)}: add others; where the labels are in another column, name it with label_column "
            "(--label-column)"
        )


def require_known_labels(counts: Mapping[str, int], known: Collection[str]) -> None:
    """Raises InputError for a corpus with labels that a model has not learnt.

    Args:
        counts: the number of examples with each label, from `LabelledCorpus.label_counts`.
        known: the model's labels.

    Raises:
        InputError: some labels are not among `known`; the message says how many examples have each of them.

    Example:
        >>> require_known_labels({"bad": 5, "fine": 2, "good": 3}, ["bad", "good"])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        lmkeras.errors.InputError: 2 of 10 examples have labels that were not learnt: 'fine' (2). Expected one of ...
    """
    unknown = {label: count for label, count in counts.items() if label not in known}
    if unknown:
        guess = next(filter(None, (did_you_mean(label, known) for label in unknown)), "")
        raise InputError(
            f"{sum(unknown.values())} of {sum(counts.values())} examples have labels that were not learnt: "
            f"{_counted(unknown)}. Expected one of {_listed(map(repr, known))}: rename those labels, leave their "
            f"examples out or train with them; label_column (--label-column) names another column{guess}"
        )


def _counted(counts: Mapping[str, int]) -> str:
    return _listed(f"{label!r} ({count})" for label, count in counts.items())


def _listed(items: Iterable[str], most: int = 20) -> str:
    """A list of items for a message, which names at most the first `most` of them."""
    items = list(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
