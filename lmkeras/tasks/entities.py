"""Entities that a tagger finds in texts, and what finds them with a trained network.

Shape letters: B texts, W words, K tags.
"""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple, TextIO

import numpy as np

from lmkeras.corpora.spans import Span, TaggedText
from lmkeras.corpora.tag_schemes import tags_of
from lmkeras.corpora.tagged_columns import write_conll
from lmkeras.datasets.examples import batches_by_length
from lmkeras.datasets.words import EncodedWords
from lmkeras.display import coloured
from lmkeras.errors import InputError
from lmkeras.reports.spans import SpanReport
from lmkeras.tasks.base import Runner
from lmkeras.tasks.whole_texts import forward_of
from lmkeras.tokenizers.utf8 import encodable
from lmkeras.tokenizers.word_spans import word_spans

_BATCH_IDS = 8192
_BATCH_WORDS = 16384  # whose tags are decided together


class Entity(NamedTuple):
    """Something that a text names.

    Attributes:
        text: as the text has it.
        type: such as PER.
        start: the place of its first character in the text, from 0.
        end: the place behind its last character.
        probability: of there being exactly this entity, in [0, 1].
    """

    text: str
    type: str
    start: int
    end: int
    probability: float


class Tagged(NamedTuple):
    """A text with what is named in it.

    Attributes:
        text: the text.
        entities: in the order of the text.
        words: the characters [start, end) of each word.
        spans: the entities as words [start, end).
    """

    text: str
    entities: tuple[Entity, ...]
    words: tuple[tuple[int, int], ...]
    spans: tuple[Span, ...]


def write_tagged(file: TextIO, answers: Iterable[Tagged]) -> None:
    """Writes a word, a tab and its tag (IOB2) a line, and a blank line after each text."""
    texts = (TaggedText(tuple(one.text[start:end] for start, end in one.words), one.spans) for one in answers)
    write_conll(texts, file)


class ShownEntities:
    """How the command line shows a Tagged text."""

    answers_files: ClassVar[dict] = {".conll": write_tagged}

    def row(self, answer):
        """The entities as a list of objects."""
        return {"entities": [entity._asdict() for entity in answer.entities]}

    def row_names(self):
        """The column entities, with a list in JSON."""
        return ["entities"]

    def line(self, answer):
        """Each entity with its type, which a terminal shows in colour, between tabs; "none" if there are none."""
        shown = (f"{' '.join(one.text.split())} {coloured(one.type)}" for one in answer.entities)
        return "\t".join(shown) or "none"


class TagRunner(Runner):
    """Finds entities with a trained network.

    Args:
        task: the Tagging that the network was trained for.
        network: the trained network.
        tokenizer: the tokenizer that the network was trained with.
    """

    def __init__(self, task, network, tokenizer):
        self._task, self._network, self._tokenizer = task, network, tokenizer
        self._layout = task.layout(network, tokenizer)

    @functools.cached_property
    def _functions(self):
        """Inputs of windows → scores, and scores of texts → entities; each is traced once."""
        import tensorflow as tf

        from lmkeras.layers.entities import entities_in

        head = self._network.head
        found = tf.function(
            lambda emissions, lengths: entities_in(emissions, lengths, scores=head.scores(), tags=head.tags),
            input_signature=[tf.TensorSpec([None, None, head.num_tags]), tf.TensorSpec([None], tf.int32)],
            autograph=False,
        )
        return forward_of(self._network, "word_starts", "word_ends"), found.get_concrete_function()

    def spans(self, texts: list) -> list[list[tuple[Span, float]]]:
        """For each text of words its entities and how probable each is."""
        import tensorflow as tf

        forward, entities_of = self._functions
        examples = EncodedWords.encode(texts, self._tokenizer, self._layout)
        outputs: list = [None] * len(examples)
        for rows in examples.batches_by_length(_BATCH_IDS):
            scores = forward(tf.nest.map_structure(tf.constant, examples.inputs(rows))).numpy()
            for row, of_window in zip(rows, scores, strict=True):
                outputs[row] = of_window
        scores, found = examples.in_texts(outputs), [[] for _ in texts]
        lengths = np.array([len(text) for text in texts])
        for rows in batches_by_length(lengths, _BATCH_WORDS):
            emissions = np.zeros((len(rows), lengths[rows].max(), scores[0].shape[-1]), np.float32)
            for place, row in enumerate(rows):
                emissions[place, : lengths[row]] = scores[row]
            entities = entities_of(tf.constant(emissions), tf.constant(lengths[rows], tf.int32))
            for place, *bounds, kind, probability in zip(*(part.numpy().tolist() for part in entities), strict=True):
                found[rows[place]].append((Span(*bounds, self._task.types[kind]), probability))
        return found

    def judge(self, corpus):
        """precision, recall, f1, macro_f1 and accuracy of words, and the report of a corpus."""
        words, true = zip(*corpus, strict=True)
        self._task.require_known(kind for spans in true for *_, kind in spans)
        predicted = [[span for span, _ in spans] for spans in self.spans(list(words))]
        report = SpanReport.from_spans(true, predicted)
        tags = [
            [tags_of(spans, len(text)) for text, spans in zip(words, part, strict=True)] for part in (true, predicted)
        ]
        right = [one == other for texts in zip(*tags, strict=True) for one, other in zip(*texts, strict=True)]
        return {**report.scores(), "accuracy": sum(right) / len(right), "examples": len(words)}, report

    def predict(self, texts, at_a_time=1024) -> Iterator[tuple[str, Tagged]]:
        """Each text with what is named in it; the texts are read and answered `at_a_time` at a time.

        A text may also be a tuple of its words: then the text is the words with blanks between them.
        """
        texts = iter(texts)
        while some := [_given(text) for text in itertools.islice(texts, at_a_time)]:
            cut = [_cut(text, self._task.splitting) for text in some]
            filled = [number for number, (_, bounds) in enumerate(cut) if bounds]
            words = [[text[start:end] for start, end in bounds] for text, bounds in (cut[number] for number in filled)]
            found = dict(zip(filled, self.spans(words), strict=True))
            for number, given in enumerate(some):
                yield given, _tagged(*cut[number], found.get(number, []))


def _given(text: object) -> str | tuple[str, ...]:
    if isinstance(text, str):
        return encodable(text)
    if isinstance(text, tuple | list) and all(isinstance(word, str) and word.strip() for word in text):
        return tuple(map(encodable, text))
    raise InputError(f"expected a text or a tuple of its words, none of them empty, got {text!r:.80}")


def _cut(text: str | tuple[str, ...], splitting: str) -> tuple[str, list[tuple[int, int]]]:
    """The text, and the characters [start, end) of each of its words."""
    if isinstance(text, str):
        return text, word_spans(text, splitting)
    ends = list(itertools.accumulate((len(word) + 1 for word in text), initial=0))
    return " ".join(text), [(start, start + len(word)) for start, word in zip(ends, text, strict=False)]


def _tagged(text: str, bounds: Sequence[tuple[int, int]], found: Sequence[tuple[Span, float]]) -> Tagged:
    entities = []
    for span, probability in found:
        start, end = bounds[span.start][0], bounds[span.end - 1][1]
        entities.append(Entity(text[start:end], span.type, start, end=end, probability=probability))
    return Tagged(text, tuple(entities), words=tuple(bounds), spans=tuple(span for span, _ in found))
