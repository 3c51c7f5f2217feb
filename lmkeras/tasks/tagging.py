"""The task of a tagger: to find what is named in a text, such as persons and places, and where.

Shape letters: B texts, W words, K tags.
"""

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from lmkeras.corpora.spans import Span
from lmkeras.corpora.tag_schemes import types_in
from lmkeras.corpora.tagged import TaggedText, as_tagged_corpus, open_tagged_corpus, split_tagged
from lmkeras.datasets import TrainingExamples, evaluation_batches
from lmkeras.datasets.words import EncodedWords, OfWords, WordLayout
from lmkeras.errors import InputError
from lmkeras.tasks.base import Metric, Task, TrainingData, ValidationData
from lmkeras.tasks.checks import require_length, require_vocabulary
from lmkeras.tasks.columns import Columns
from lmkeras.tasks.entities import ShownEntities, TagRunner
from lmkeras.tasks.entity_types import EntityTypes, tagger_defaults
from lmkeras.tasks.registry import register_task

_MAX_LENGTH = 2048  # tokens, if neither the user nor the network sets a limit
_SHOWN_TYPES = 8  # that a training names at its beginning


@dataclasses.dataclass(frozen=True)
class TaggedColumns(Columns):
    """Where files hold words and tags."""

    word_column: str | None = None
    """number of the column of words in files of columns, from 0 (or from the end, if negative), or its name; in JSON
    the key; None: the first column."""
    tag_column: str | None = None
    """the same for tags, or the key of spans in JSON; None: the last column."""

    def named(self) -> dict:
        """The columns by the names of `open_tagged_corpus`'s arguments."""
        names = ("text_column", "word_column", "tag_column")
        return {name: getattr(self, name) for name in names}


@dataclasses.dataclass(frozen=True)
class TaggerOptions:
    """How a tagger reads texts and decides."""

    max_length: int | None = None
    """the most tokens that are read at once; longer texts are read in windows. None: the network's limit, or 2048 if it
    has none."""
    crf: bool = True
    """whether the scores of tags after each other are learnt too (a conditional random field), or each word's alone."""


@register_task
@dataclasses.dataclass(frozen=True)
class Tagging(TaggerOptions, EntityTypes, ShownEntities, Task):
    """What is named in a text, and where. The types of entities are learnt from the corpus."""

    kind: ClassVar[str] = "tagger"
    title: ClassVar[str] = "a tagger"
    command: ClassVar[str] = "tagger"
    help: ClassVar[dict] = {
        "summary": "Train a tagger, which finds entities in texts, on tagged text and save it.",
        "text": "files of columns (a word and its tag a line, as CoNLL or BMES), .jsonl with tokens and tags, or with "
        "text and spans (Doccano, Prodigy, spaCy), tfds:NAME:SPLIT, builtin:python-entities.",
        "validation": "tagged text to validate on; None: texts taken from the training text.",
        "tokenizer": "how words become tokens; auto: characters, WordPiece for bert.",
        "vocabulary_size": "the largest number of different tokens; None: every character, 8192 pieces.",
    }
    Example: ClassVar[type] = TaggedText
    Columns: ClassVar[type] = TaggedColumns
    Options: ClassVar[type] = TaggerOptions
    bodies: ClassVar[str] = "taggers"
    auto_networks: ClassVar[tuple] = ("lstm",)
    tokenizers: ClassVar[tuple] = ("characters", "word_piece")
    default_tokenizer: ClassVar[str] = "characters"
    metrics: ClassVar[tuple] = (Metric("f1", higher_is_better=True),)
    monitor: ClassVar[str] = "f1"
    signatures: ClassVar[tuple] = ("tag",)
    architectures: ClassVar[tuple] = ("ForTokenClassification",)
    reports: ClassVar[bool] = True

    def __post_init__(self):
        WordLayout(_MAX_LENGTH if self.max_length is None else self.max_length)  # checks it
        for name in ("types", "labels"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON gives a list

    @classmethod
    def of_published(cls, architecture, config, labels):
        """A tagger with the labels of config.json."""
        if labels is None:
            raise InputError("config.json names no labels (id2label), so what its tags mean is not known")
        types = types_in(labels)
        single = sum(label in types for label in labels)
        return cls(crf=False, types=types, single_types=single, labels=labels)

    def open(self, sources, columns, encoding):
        """See `open_tagged_corpus`."""
        return open_tagged_corpus(sources, encoding=encoding, **columns.named())

    def corpus(self, value, columns=None, encoding="utf-8"):
        """See `as_tagged_corpus`."""
        return as_tagged_corpus(value, encoding, **(columns or self.Columns()).named())

    def split(self, corpus, validation_fraction, seed):
        """See `split_tagged`."""
        return split_tagged(corpus, validation_fraction, seed)

    def texts(self, corpus):
        """Every text, its words with blanks between them."""
        return (" ".join(words) for words, _ in corpus)

    def sizes(self):
        """max_length, if it is set."""
        return {} if self.max_length is None else {"max_length": self.max_length}

    def learned(self, train, held_out, settings, trained):
        """Learns the types, and how texts are cut into words, unless they are known already.

        Raises:
            InputError: no text has an entity, or there are types that a trained network does not know.
        """
        parts = (train,) if held_out is None else (train, held_out)
        types = sorted({span.type for part in parts for _, spans in part for span in spans})
        if not types:
            raise InputError("no word of the corpus is tagged: give texts with entities")
        if self.types is not None:
            self.require_known(types)
            return self
        single = len(types) if train.scheme == "tags" else 0
        return dataclasses.replace(self, types=tuple(types), single_types=single, splitting=train.splitting)

    def defaults(self, corpus, networks):
        """See `tagger_defaults`."""
        return tagger_defaults(sum(1 for _ in corpus), networks[0])

    def described(self):
        """How many types there are, and the first of them."""
        named = ", ".join(self.types[:_SHOWN_TYPES]) + ", …" * (len(self.types) > _SHOWN_TYPES)
        kinds = f"{len(self.types)} type{'s' * (len(self.types) != 1)}"
        return f"{self.title} of {kinds}: {named}; a text is cut into {self.splitting}"

    def head(self, body, dropout=None):
        """Dropout, a dense layer with a score for each tag, and scores of tags after each other."""
        from lmkeras.networks.heads.tags import TagsHead

        return TagsHead(
            self.single_types,
            len(self.types) - self.single_types,
            crf=self.crf,
            dropout=body.dropout if dropout is None else dropout,
            initializer_range=body.initializer_range,
            labels=self.labels,
        )

    def layout(self, network, tokenizer) -> WordLayout:
        """How the network's input is made of words and the tokenizer's special ids; InputError if that cannot be."""
        limit = network.body.max_length
        require_length(self.max_length, limit)
        special = tokenizer.special
        length = self.max_length or limit or _MAX_LENGTH
        return WordLayout(length, first=special.classification, last=special.separator)

    def check(self, network, tokenizer):
        """Raises InputError if network, tokenizer and types do not belong together."""
        if self.types is None:
            raise InputError("a built network needs the fitted tokenizer and the types of entities it belongs to")
        single, spans = (getattr(network.head, name, None) for name in ("single_types", "span_types"))
        if (single, spans) != (self.single_types, len(self.types) - self.single_types):
            raise InputError(f"expected a tagger for {len(self.types)} types, got {network.described()}")
        require_vocabulary(network.body.vocabulary_size, tokenizer.vocabulary_size)
        self.layout(network, tokenizer)

    def encode(self, corpus, tokenizer, network) -> tuple[EncodedWords, OfWords, OfWords]:
        """The windows of a corpus, the tags of their words, and 1 for each of these."""
        words, spans = zip(*corpus, strict=True)
        self.require_known(kind for of_text in spans for *_, kind in of_text)
        examples = EncodedWords.encode(words, tokenizer, self.layout(network, tokenizer))

        def tags(text, window):  # of entities that a window cuts, the words inside it are one by themselves
            inside = [(max(start, window.start), min(end, window.end), kind) for start, end, kind in spans[text]]
            cut = [Span(a - window.start, b - window.start, kind) for a, b, kind in inside if a < b]
            return self.tag_numbers(window.end - window.start, cut)

        ones = examples.of_windows(lambda _, window: np.ones(window.end - window.start, np.float32))
        return examples, examples.of_windows(tags), ones

    def training_data(self, corpus, tokenizer, network, settings):
        """Batches of windows of similar length, in an order that the seed fixes."""
        examples, tags, weights = self.encode(corpus, tokenizer, network)
        train = TrainingExamples(
            examples, targets=tags, batch_size=settings.batch_size, seed=settings.seed, weights=weights
        )
        amount = f"{len(examples.windows):,} texts"
        return TrainingData(train.dataset, train.steps_per_epoch, train.digest, amount=amount)

    def validation_data(self, corpus, tokenizer, network, replicas):
        """Batches that contain every window once, the shortest first."""
        examples, tags, weights = self.encode(corpus, tokenizer, network)
        batches = functools.partial(evaluation_batches, examples, tags, weights)
        digest = functools.partial(examples.digest, tags)
        return ValidationData(lambda share: batches(share=share), digest, amount=f"{len(examples.windows):,} texts")

    def keras_metrics(self, network):
        """F1 of entities."""
        from lmkeras.training.entity_f1 import EntityF1

        return [EntityF1(network.head.tags, network.head.scores)]

    def runner(self, network, tokenizer):
        """A TagRunner."""
        return TagRunner(self, network, tokenizer)

    def exported(self, network, tokenizer, dtype):
        """Strings text [B] → the entities of all texts, and how many each text has."""
        from lmkeras.tasks.in_graph.tagging import ExportedTagging

        module = ExportedTagging(self, network=network, tokenizer=tokenizer, dtype=dtype)
        return module, dict.fromkeys(("serving_default", *self.signatures), module.flat)
