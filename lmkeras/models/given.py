"""What `fit`, `evaluate` and the like are given: examples, their answers, a validation part, and names of columns."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping

from lmkeras.corpora.corpus import Examples
from lmkeras.corpora.memory import (
    column_names,
    holds_rows,
    holds_texts,
    is_column,
    names_examples,
    sources_in,
    texts_in,
)
from lmkeras.errors import InputError, unknown_argument
from lmkeras.tasks.base import Columns, Task

_ANY_NAME = inspect.Parameter.VAR_KEYWORD


def names_of(options: type) -> list[str]:
    """The names of a dataclass's fields."""
    return [field.name for field in dataclasses.fields(options)]


def options_of(judge: Callable) -> list[str]:
    """The names of the options that a Runner's `judge` takes beside the corpus."""
    return list(inspect.signature(judge).parameters)[1:]


@dataclasses.dataclass(frozen=True)
class Given:
    """How what a user gives is read.

    Args:
        task: the task of the model.
        columns: the names of columns.
        encoding: the files' encoding.
    """

    task: Task
    columns: Columns
    encoding: str = "utf-8"

    @classmethod
    def to(
        cls,
        function: Callable,
        task: Task,
        *,
        named: Mapping,
        encoding: str,
        columns=None,
        others: Iterable[str] | None = None,
    ) -> tuple["Given", dict]:
        """Separates the names of columns, among arguments given by name, from the others.

        Args:
            function: the function that the user has called.
            task: the task of the model.
            named: the arguments by name that `function` has taken beside its own.
            encoding: the files' encoding.
            columns: the type of the columns; None for the task's.
            others: which names there may be beside those of columns; None for the task's settings.

        Returns:
            (how to read what is given, the other arguments).

        Raises:
            InputError: an argument is neither a column nor one of the others.
        """
        columns, others = columns or task.Columns, names_of(task.Settings) if others is None else list(others)
        own = names_of(columns)
        for name in named:
            if name not in own and name not in others:
                known = [one.name for one in inspect.signature(function).parameters.values() if one.kind != _ANY_NAME]
                raise unknown_argument(function.__name__, name, [*known, *own, *others])
        chosen = {name: value for name, value in named.items() if name in own}
        return cls(task, columns(**chosen), encoding), {name: named[name] for name in named if name not in own}

    def corpus(self, value: object, y: object = None):
        """The corpus that a value stands for, with the answers `y` to its texts if they stand apart.

        Raises:
            InputError: there is no such corpus; or `y` is given, and the task's examples have no answers, the texts are
                not in memory, or are more or fewer than the answers.
        """
        return self.task.corpus(value if y is None else self._with_answers(value, y), self.columns, self.encoding)

    def corpora(self, value: object, y: object, validation: object, fraction: float, seed: int):
        """The corpus to train on, and the one to validate on or None.

        Args:
            value: what to train on.
            y: the answers to its texts, or a corpus to validate on.
            validation: a corpus to validate on, or None.
            fraction: the share of the corpus to validate on if no other is given; 0 for none.
            seed: chooses that share.

        Raises:
            InputError: as for `corpus`, or there are two corpora to validate on.
        """
        y = list(y) if isinstance(y, Iterator) else y
        if y is not None and self._is_corpus(y, value):
            if validation is not None:
                raise InputError("a corpus in the place of y is for validation, and so is validation: give one of them")
            y, validation = None, y
        corpus = self.corpus(value, y)
        if validation is not None:
            return corpus, self.corpus(validation)
        return self.task.split(corpus, fraction, seed) if fraction else (corpus, None)

    def texts(self, value: object) -> Iterable:
        """The texts without answers that a value stands for; those of an iterator are read as they are needed."""
        sources = sources_in(value)
        if sources is not None:
            rows = self.task.open_texts(list(map(str, sources)), self.columns, self.encoding)
            return (row.text for row in rows)
        if isinstance(value, Examples):
            return value
        named = {"text_column": self.columns.text_column, "pair_column": self.columns.pair_column}
        return texts_in(value, {option: name for option, name in named.items() if name is not None})

    @property
    def _answers(self) -> tuple[str, ...]:
        """What examples hold beside the text."""
        return self.task.Example._fields[1:]

    def _is_corpus(self, y: object, texts: object) -> bool:
        """Whether what stands in the place of `y` is a corpus to validate on, and not the answers to `texts`."""
        names = column_names(y)
        text_column = getattr(self.columns, "text_column", None)
        if self._answers and None not in (names, text_column) and text_column not in names:
            return False  # a table of answers alone
        if names_examples(y):
            return True
        if not self._answers:
            return holds_texts(y) or not is_column(y)  # such as a corpus that is tokenized
        return is_column(y) and not holds_texts(texts) and holds_rows(y, 1 + len(self._answers))

    def _with_answers(self, value: object, y: object) -> tuple:
        answers = self._answers
        if not answers:
            raise InputError(f"{self.task.title} takes no y: it learns from the texts alone")
        if not is_column(y) and column_names(y) is None:
            raise InputError(
                f"y: expected a list with the {' and '.join(answers)} of each text, got {type(y).__name__}"
            )
        if sources_in(value) or isinstance(value, Examples):
            columns = " and ".join(f"{name}_column" for name in answers)
            raise InputError(f"y is for texts in memory: files hold their answers, and {columns} says where")
        return (value, y) if len(answers) == 1 else (value, *y)


def one_validation(validation: object, validation_data: object) -> object:
    """The corpus to validate on, which Keras calls validation_data; InputError if it is given under both names."""
    if validation is not None and validation_data is not None:
        raise InputError("validation and validation_data mean the same: give one of them")
    return validation_data if validation is None else validation


def texts_of(value: object, text_column: str) -> tuple[list[str], bool]:
    """The texts that a language model is asked about, and whether it was a single one, not a list of them.

    Raises:
        InputError: something is not a text, or as for `memory.examples_in`.
    """
    single = isinstance(value, str | bytes)
    texts = list(texts_in([value] if single else value, {"text_column": text_column}))
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise InputError(f"text {number}: expected a text, got a pair of texts")
    return texts, single
