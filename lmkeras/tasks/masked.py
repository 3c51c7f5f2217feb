"""The task of a masked language model: what stands in the place of a mask, and which sentences follow one another."""

import dataclasses
import functools
from typing import ClassVar

from lmkeras.corpora.documents import documents_of
from lmkeras.datasets import TokenShards
from lmkeras.datasets.documents import Documents
from lmkeras.datasets.masking import MaskedExamples, Masking
from lmkeras.datasets.tokenized import stream_of
from lmkeras.errors import InputError
from lmkeras.pretrained.bert import longest_text
from lmkeras.tasks.base import TrainingData, ValidationData
from lmkeras.tasks.checks import findings_of_texts, require_length, require_vocabulary
from lmkeras.tasks.data import Defaults
from lmkeras.tasks.filling import ShownTokens
from lmkeras.tasks.masked_runner import BATCH_IDS, MaskedRunner
from lmkeras.tasks.registry import register_task
from lmkeras.tasks.running_text import RunningTextTask

_MAX_LENGTH = 128  # tokens of an example, if neither the user nor the network says how many


@dataclasses.dataclass(frozen=True)
class MaskedOptions:
    """What is masked, and what else is asked."""

    max_length: int | None = None
    """the most tokens of an example, [CLS] and [SEP] included; None: 128, or the network's limit if it is lower."""
    next_sentence: bool = True
    """whether it is also learnt which pairs of sentences follow one another; tokenized text has no sentences."""
    masked_share: float = 0.15
    """share of the tokens that are masked, between 0 and 1."""
    whole_words: bool = False
    """whether all pieces of a word are masked together."""


@register_task
@dataclasses.dataclass(frozen=True)
class MaskedLanguage(MaskedOptions, RunningTextTask):
    """What stood in the places of masks, and perhaps whether a second text is the one that follows the first."""

    kind: ClassVar[str] = "masked_language_model"
    title: ClassVar[str] = "a masked language model"
    command: ClassVar[str] = "masked-lm"
    help: ClassVar[dict] = {
        "summary": "Train a BERT on plain text, to fill in masked words, and save it.",
        "text": "files, globs or folders of .txt, .csv, .tsv or .jsonl (.gz too), tfds:NAME:SPLIT, "
        "builtin:python-docs; a document ends with its text or at a blank line. With --no-next-sentence also one "
        "folder that `lmkeras tokenize` wrote.",
        "validation": "text to validate on; None: the last part of the training text.",
        "tokenizer": "how text becomes tokens; auto: word_piece, or the tokenizer with which the text was tokenized.",
        "vocabulary_size": "the largest number of different tokens; None: 8192 pieces.",
    }
    Options: ClassVar[type] = MaskedOptions
    Showing: ClassVar[type] = ShownTokens
    auto_networks: ClassVar[tuple] = ("bert",)
    tokenizers: ClassVar[tuple] = ("word_piece",)
    default_tokenizer: ClassVar[str] = "word_piece"
    default_tokenizer_without_spaces: ClassVar[str] = "word_piece"
    signatures: ClassVar[tuple] = ("fill",)
    architectures: ClassVar[tuple] = ("ForMaskedLM", "ForPreTraining")

    @classmethod
    def of_published(cls, architecture, config, labels):
        """The task with the head that the model has, reading as much of a text as it can."""
        return cls(longest_text(config, "config.json"), next_sentence=architecture == "ForPreTraining")

    def learned(self, train, held_out, settings, trained):
        """Nothing; InputError if tokenized text is to have pairs of sentences."""
        if self.next_sentence and any(isinstance(one, TokenShards) for one in (train, held_out)):
            raise InputError(
                "tokenized text has no sentences, of which pairs could be made: say --no-next-sentence "
                "(next_sentence=False), or give the text itself"
            )
        return self

    def defaults(self, corpus, networks):
        """A small BERT."""
        return Defaults(networks[0])

    def sizes(self):
        """max_length."""
        return {"max_length": self.max_length or _MAX_LENGTH}

    def length(self, network) -> int:
        """The most ids of an example; InputError if the network cannot look at so many."""
        limit = network.body.max_length
        if self.max_length is None:
            return min(limit or _MAX_LENGTH, _MAX_LENGTH)
        require_length(self.max_length, limit)
        if self.max_length < 8:
            raise InputError(f"max_length must be at least 8, got {self.max_length}")
        return self.max_length

    def head(self, body, dropout=None):
        """A MaskedHead, with the activation and the norm of a BERT below it."""
        from lmkeras.networks.heads.masked import MaskedHead

        form = {"activation": "masked_activation", "epsilon": "layer_norm_eps"}
        form = {name: getattr(body, theirs) for name, theirs in form.items() if hasattr(body, theirs)}
        return MaskedHead(body.vocabulary_size, self.next_sentence, **form, initializer_range=body.initializer_range)

    def check(self, network, tokenizer):
        """Raises InputError if the head is another one, or the tokenizer has no mask or another vocabulary."""
        follows = getattr(network.head, "next_sentence", None)
        if follows is None:
            raise InputError(f"network must be a name or one with a MaskedHead, got {network.described()}")
        if follows != self.next_sentence:
            raise InputError(f"the network has next_sentence {follows}, and the task {self.next_sentence}")
        require_vocabulary(network.body.vocabulary_size, tokenizer.vocabulary_size)
        self.masking(tokenizer)
        self.length(network)

    def masking(self, tokenizer) -> Masking:
        """Which tokens are masked, and by what."""
        return Masking.of(tokenizer, self.masked_share, self.whole_words)

    def examples(self, corpus, tokenizer, network) -> MaskedExamples:
        """The examples of a corpus."""
        if isinstance(corpus, TokenShards):
            self.learned(corpus, None, settings=None, trained=True)
            documents = Documents.of_stream(stream_of(corpus, tokenizer))
        else:
            documents = Documents.tokenize(documents_of(corpus), tokenizer)
        room = self.length(network) - tokenizer.special.around(self.next_sentence)
        pieces, types = documents.pieces(room, 1 + self.next_sentence), network.body.takes_token_types
        return MaskedExamples(pieces, self.masking(tokenizer), pairs=self.next_sentence, token_types=types)

    def training_data(self, corpus, tokenizer, network, settings):
        """Batches of examples of similar length, in an order that the seed fixes, with other masks in every epoch."""
        examples = self.examples(corpus, tokenizer, network)
        dataset, steps = examples.training(settings.batch_size, settings.seed)
        source = examples.pieces.source
        amount = f"{len(examples):,} examples of {int(examples.pieces.lengths.sum()):,} tokens"
        return TrainingData(dataset, steps, source.digest, noted=source.notes, amount=amount)

    def validation_data(self, corpus, tokenizer, network, replicas):
        """Every example once, with masks that are always the same."""
        examples = self.examples(corpus, tokenizer, network)
        source = examples.pieces.source
        batches = functools.partial(examples.evaluation, BATCH_IDS)
        amount = f"{len(examples):,} examples"
        return ValidationData(lambda share: batches(share), source.digest, noted=source.notes, amount=amount)

    def findings(self, train, held_out, tokenizer, network):
        """Sentences that are duplicates, blank, or have unknown tokens."""
        if train.noted is not None:
            yield from findings_of_texts(train.noted, held_out and held_out.noted)

    def row(self, answer, **options):
        """See `Filling.row`."""
        return ShownTokens(**options).of(answer).row()

    def row_names(self, **options):
        """One column: the answer as JSON has several masks, each with several tokens."""
        return ["masks"]

    def line(self, answer, **options):
        """See `Filling.line`."""
        return ShownTokens(**options).of(answer).line()

    def runner(self, network, tokenizer):
        """A MaskedRunner, which fills in and judges."""
        return MaskedRunner(self, network, tokenizer)

    def exported(self, network, tokenizer, dtype):
        """Signature `fill`, see `ExportedMaskedLanguage`."""
        from lmkeras.tasks.in_graph.masked import ExportedMaskedLanguage

        module = ExportedMaskedLanguage(self, network=network, tokenizer=tokenizer, dtype=dtype)
        return module, dict.fromkeys(("serving_default", "fill"), module.fill)
