"""The base of tasks that give one answer to a whole text, or to a pair of texts, such as its class.

Shape letters: B batch, T tokens, N texts.
"""

import abc
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from lmkeras.corpora.corpus import Examples, Text
from lmkeras.datasets import EncodedExamples, TextLayout, TrainingExamples, evaluation_batches
from lmkeras.errors import InputError
from lmkeras.tasks.base import Runner, Task, TrainingData, ValidationData
from lmkeras.tasks.checks import (
    NotedTexts,
    findings_of_answers,
    findings_of_lengths,
    findings_of_texts,
    require_length,
    require_vocabulary,
)
from lmkeras.tokenizers.utf8 import encodable

_MAX_LENGTH = 512  # if neither the user nor the network sets a limit
_BATCH_IDS = 8192


@dataclasses.dataclass(frozen=True)
class TextLengths:
    """How much of a text the network sees."""

    max_length: int | None = None
    """the most tokens of a text that the network sees; None: the network's limit, or 512 if it has none."""
    long_texts: str = "start"
    """what is kept of longer texts: their start, their end, or equal parts of both."""

    def __post_init__(self):
        TextLayout(_MAX_LENGTH if self.max_length is None else self.max_length, self.long_texts)  # checks them


@dataclasses.dataclass(frozen=True)
class WholeTextTask(TextLengths, Task):
    """A task whose examples are (text, right answer), where the text may be a pair of texts.

    An example may also have several answers after the text; `targets` then gets a tuple of them for each example.
    """

    pairs: bool = False
    """Whether an example is a pair of texts."""

    Options: ClassVar[type] = TextLengths

    @abc.abstractmethod
    def targets(self, values: list) -> np.ndarray:
        """The right answer for each text, in the form that the loss takes: [N, …].

        Args:
            values: the answer in each example, or the tuple of its answers.
        """

    def weights(self, targets: np.ndarray, settings) -> np.ndarray | None:
        """How much each target counts in training; None if each counts 1."""
        return None

    @abc.abstractmethod
    def answer(self, outputs: np.ndarray) -> Any:
        """The answer to a text, from the head's outputs for it."""

    @abc.abstractmethod
    def judged(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[dict[str, float], Any]:
        """Values by name, and the report, from the outputs [N, …] for texts and the right answers [N, …]."""

    @abc.abstractmethod
    def in_graph_answers(self, outputs) -> dict:
        """The answers as tensors by name, from the head's outputs for a batch, in TensorFlow's own operations."""

    def texts(self, corpus):
        """All texts; of a pair, both."""
        return Examples(lambda: (part for text in corpus.column(0) for part in _parts(text)))

    def vocabulary_size(self, tokenizer):
        """The tokenizer's vocabulary size; 1 more if it has no separator, for an id between the texts of a pair."""
        return tokenizer.vocabulary_size + (tokenizer.special.separator is None)

    def sizes(self):
        """max_length, if it is set."""
        return {} if self.max_length is None else {"max_length": self.max_length}

    def learned(self, train, held_out, settings, trained):
        """Notes whether examples are pairs; InputError if the validation part or the network is of the other kind."""
        pairs = _of_pairs(train)
        if held_out is not None and _of_pairs(held_out) != pairs:
            raise of_the_other_kind(pairs)
        if trained and pairs != self.pairs:
            raise of_the_other_kind(self.pairs)
        return dataclasses.replace(self, pairs=pairs)

    def layout(self, network, tokenizer) -> TextLayout:
        """How the network's input is made of texts and the tokenizer's special ids.

        Raises:
            InputError: max_length is too small, or more than the network can look at; the tokenizer has ids that the
                network does not know; or there is no id to separate the texts of a pair.
        """
        limit, known = network.body.max_length, network.body.vocabulary_size
        require_length(self.max_length, limit)
        require_vocabulary(known, tokenizer.vocabulary_size)
        separator = tokenizer.special.separator
        if self.pairs and separator is None and known <= tokenizer.vocabulary_size:
            raise InputError(
                "pairs need an id beside the tokenizer's to stand between them: build the network with a vocabulary of "
                f"{tokenizer.vocabulary_size + 1}"
            )
        between = tokenizer.vocabulary_size if separator is None else separator
        return TextLayout(
            self.max_length or limit or _MAX_LENGTH,
            self.long_texts,
            first=tokenizer.special.classification,
            separator=between if self.pairs else None,
            separators=tokenizer.special.separators,
            last=separator,
            token_types=self.pairs and network.body.takes_token_types,
        )

    def check(self, network, tokenizer):
        """Raises InputError if the body is a writer, or if `layout` raises it."""
        from lmkeras.networks.contract import Writer

        # a writer's summary is its last position, which in a batch of texts of several lengths may be padding
        if isinstance(network.body, Writer):
            raise InputError(f"{self.title} needs a body that reads whole texts, got {network.described()}")
        self.layout(network, tokenizer)

    def encode(self, corpus, tokenizer, network) -> tuple[EncodedExamples, np.ndarray]:
        """The texts of a corpus as a network reads them, and the right answer for each."""
        values = []

        def texts():
            for text, *answers in corpus:
                values.append(answers[0] if len(answers) == 1 else tuple(answers))
                yield text

        examples = self.encode_texts(texts(), tokenizer, self.layout(network, tokenizer))
        return examples, self.targets(values)

    def encode_texts(self, texts: Iterable[Text], tokenizer, layout: TextLayout) -> EncodedExamples:
        """Texts as a network reads them; InputError if one is a pair but should be single, or the other way round."""
        return EncodedExamples.encode((self._of_my_kind(text) for text in texts), tokenizer, layout)

    def _of_my_kind(self, text: Text) -> Text:
        if isinstance(text, tuple) != self.pairs:
            raise of_the_other_kind(self.pairs)
        return text

    def training_data(self, corpus, tokenizer, network, settings):
        """Batches of texts of similar length, in an order that the seed fixes."""
        examples, targets = self.encode(corpus, tokenizer, network)
        weights = self.weights(targets, settings)
        train = TrainingExamples(
            examples, targets=targets, batch_size=settings.batch_size, seed=settings.seed, weights=weights
        )
        noted = NotedTexts.of(examples, targets)
        others = {"noted": noted, "amount": f"{len(examples):,} texts"}
        return TrainingData(train.dataset, train.steps_per_epoch, train.digest, **others)

    def validation_data(self, corpus, tokenizer, network, replicas):
        """Batches that contain every text once, the shortest texts first."""
        examples, targets = self.encode(corpus, tokenizer, network)
        batches = functools.partial(evaluation_batches, examples, targets)
        digest = functools.partial(examples.digest, targets)
        others = {"noted": NotedTexts.of(examples, targets), "amount": f"{len(examples):,} texts"}
        return ValidationData(lambda share: batches(share=share), digest, **others)

    def findings(self, train, held_out, tokenizer, network):
        """Duplicates, contradictions, texts that are empty or cut, unknown tokens, too little to validate on."""
        noted, judged = train.noted, held_out and held_out.noted
        if noted is not None:
            answer = self.Example._fields[1] if len(self.Example._fields) == 2 else "answer"
            yield from findings_of_texts(noted.texts, judged and judged.texts)
            yield from findings_of_answers(noted, judged, answer)
            layout = self.layout(network, tokenizer)
            yield from findings_of_lengths(noted, layout.max_length, limit=network.body.max_length)

    def runner(self, network, tokenizer):
        """A TextRunner, which answers texts in batches."""
        return TextRunner(self, network, tokenizer)

    def exported(self, network, tokenizer, dtype):
        """Strings text [B] (and pair [B] where examples are pairs) → answers."""
        from lmkeras.tasks.in_graph.whole_texts import ExportedWholeTextTask

        module = ExportedWholeTextTask(self, network=network, tokenizer=tokenizer, dtype=dtype)
        for name in self.signatures:  # so that the loaded model has a function of that name too: loaded.classify(texts)
            setattr(module, name, module.answer)
        return module, dict.fromkeys(("serving_default", *self.signatures), module.answer)


class TextRunner(Runner):
    """Answers texts with a trained network, in batches of texts of similar length.

    Args:
        task: the task that the network was trained for.
        network: the trained network.
        tokenizer: the tokenizer that the network was trained with.
    """

    def __init__(self, task: WholeTextTask, network, tokenizer):
        self._task, self._network, self._tokenizer = task, network, tokenizer
        self._layout = task.layout(network, tokenizer)

    @functools.cached_property
    def _forward(self):
        return forward_of(self._network, *(["token_type_ids"] if self._layout.token_types else []))

    def outputs(self, examples: EncodedExamples) -> np.ndarray:
        """The head's outputs for each text, float64 [N, …]."""
        import tensorflow as tf

        found = None
        for rows in examples.batches_by_length(_BATCH_IDS):
            outputs = self._forward(tf.nest.map_structure(tf.constant, examples.inputs(rows))).numpy()
            found = np.zeros((len(examples), *outputs.shape[1:])) if found is None else found
            found[rows] = outputs
        return found

    def judge(self, corpus):
        """Values by name, and the report of a corpus."""
        return self._task.judged(*self.outputs_and_targets(corpus))

    def outputs_and_targets(self, corpus) -> tuple[np.ndarray, np.ndarray]:
        """The head's outputs for each text of a corpus, and the right answers as `WholeTextTask.targets` gives them."""
        examples, targets = self._task.encode(corpus, self._tokenizer, self._network)
        return self.outputs(examples), targets

    def predict(self, texts, at_a_time=1024) -> Iterator[tuple[Text, Any]]:
        """Each text with its answer, in the order of the texts, which are read and answered `at_a_time` at a time."""
        texts = iter(texts)
        while some := [_text(text) for text in itertools.islice(texts, at_a_time)]:
            outputs = self.outputs(self._task.encode_texts(some, self._tokenizer, self._layout))
            yield from zip(some, map(self._task.answer, outputs), strict=True)


def forward_of(network, *others: str):
    """The function inputs → outputs of a network, traced once: TensorFlow warns if every new model traces again.

    Args:
        network: the network.
        others: the names of further inputs beside input_ids and attention_mask, int32 [B, …] as these.
    """
    import tensorflow as tf

    inputs = dict.fromkeys(("input_ids", "attention_mask", *others), tf.TensorSpec([None, None], tf.int32))
    forward = tf.function(lambda inputs: network(inputs, training=False), input_signature=[inputs], autograph=False)
    return forward.get_concrete_function()


def _of_pairs(corpus) -> bool:
    return isinstance(next(iter(corpus))[0], tuple)


def _parts(text: Text) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else (text,)


def _text(value: object) -> Text:
    """A text as a tokenizer takes it; a pair may also come as a list."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return tuple(map(encodable, value))
    raise InputError(
        f"expected a text or a pair (first, second) of texts, got {type(value).__name__}; several texts go into a list"
    )


def of_the_other_kind(pairs: bool) -> InputError:
    """The error for a single text given to a model that takes pairs, or the other way round."""
    if pairs:
        return InputError(
            "this model takes pairs of texts, and got a single one: give (first, second), or name the second "
            "text's column with pair_column (--pair-column)"
        )
    return InputError("this model takes single texts, and got a pair: leave out the second text")
