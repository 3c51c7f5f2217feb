"""The task of sequence to sequence: to write for each text another one, such as its translation or its summary."""

import dataclasses
import functools
import logging
from typing import ClassVar, Literal

from lmkeras.corpora.pair_files import as_pairs, open_pairs
from lmkeras.corpora.pairs import Pair
from lmkeras.datasets.pairs import EncodedPairs
from lmkeras.decoding.sampling import Beams
from lmkeras.errors import InputError
from lmkeras.tasks.base import Metric, Task, TrainingData, ValidationData
from lmkeras.tasks.checks import findings_of_texts, require_length, require_vocabulary, unigram_loss
from lmkeras.tasks.columns import PairColumns
from lmkeras.tasks.pair_facts import TextLimits, pair_facts
from lmkeras.tasks.registry import register_task
from lmkeras.tasks.seq2seq_defaults import PairAmount, seq2seq_defaults
from lmkeras.training.settings import TrainingSettings

_log = logging.getLogger("lmkeras")


@dataclasses.dataclass(frozen=True)
class Seq2SeqOptions:
    """What is read, what is written, and how long both may be."""

    reverse: bool = False
    """whether targets are read and sources are written, as for the other direction of a translation."""
    max_length: int | None = None
    """the most tokens of a source; None: the network's limit."""
    max_target_length: int | None = None
    """the most tokens of a target; None: the network's limit."""
    long_sources: Literal["auto", "split", "cut"] = "auto"
    """what is done with sources that are longer than those of the training. split: each sentence is rewritten by
    itself; cut: their start is read; auto: cut if the targets are summaries, much shorter than the sources; else
    split."""
    label_smoothing: float = 0.1
    """share of each target's probability that is learnt for all tokens alike, from 0 to below 1."""

    @property
    def read_column(self) -> str:
        """The column of the texts that are read, unless the user names another."""
        return "target" if self.reverse else "source"


@dataclasses.dataclass(frozen=True)
class Seq2SeqEvaluation(Beams):
    """How the texts are written that are judged."""

    language: Literal["auto", "other", "zh", "ja", "en"] = "auto"
    """the language of the targets, by which BLEU and ROUGE cut words; auto: what their script suggests."""


@dataclasses.dataclass(frozen=True)
class Seq2SeqSettings(TrainingSettings):
    """How to train a sequence-to-sequence model."""

    patience: int | Literal["auto", "never"] = "auto"
    """Training ends early after this many evaluations in a row without a better one. auto: after those of two passes
    over the training text, of a fifth of the training, or of 50 updates, whichever are most; never: it does not end
    early. Without validation it never does."""


@register_task
@dataclasses.dataclass(frozen=True)
class Seq2Seq(Seq2SeqOptions, Task):
    """What text is to be made of a text.

    Args:
        scripts: the scripts of most letters of the sources and of the targets, by Unicode's names; None if not known.
        longest_source: characters; only longer sources are split.
        splits: whether they are.
        spaces: whether there is a space between two sentences of a target.
    """

    scripts: tuple[str, str] | None = None
    longest_source: int | None = None
    splits: bool = False
    spaces: bool = True

    kind: ClassVar[str] = "seq2seq_model"
    title: ClassVar[str] = "a sequence-to-sequence model"
    command: ClassVar[str] = "seq2seq"
    help: ClassVar[dict] = {
        "summary": "Train a model that writes a text for each text, such as its translation or summary, and save it.",
        "text": ".csv, .tsv or .jsonl files (.gz too) with a column for the source and one for the target, two other "
        "files with them line by line, or tfds:NAME:SPLIT.",
        "validation": "pairs to validate on; None: pairs taken from the training text.",
        "tokenizer": "how text becomes tokens, the same for sources and targets; auto: byte_pair.",
        "vocabulary_size": "the largest number of different tokens; None: what suits the amount of text.",
    }
    Example: ClassVar[type] = Pair
    Columns: ClassVar[type] = PairColumns
    Options: ClassVar[type] = Seq2SeqOptions
    Evaluation: ClassVar[type] = Seq2SeqEvaluation
    Settings: ClassVar[type] = Seq2SeqSettings
    bodies: ClassVar[str] = "encoder_decoders"
    auto_networks: ClassVar[tuple] = ("transformer",)
    tokenizers: ClassVar[tuple] = ("byte_pair", "characters", "words")
    default_tokenizer: ClassVar[str] = "byte_pair"
    default_tokenizer_without_spaces: ClassVar[str] = "byte_pair"
    written_metrics: ClassVar[tuple] = (Metric("bleu", higher_is_better=True), Metric("rouge_l", higher_is_better=True))
    signatures: ClassVar[tuple] = ("rewrite", "serving_default")
    reports: ClassVar[bool] = True

    def __post_init__(self):
        for name in ("max_length", "max_target_length"):
            value = getattr(self, name)
            if value is not None and value < 2:
                raise InputError(f"{name} must be at least 2, for a token and the end of the text, got {value}")
        if self.scripts is not None:
            object.__setattr__(self, "scripts", tuple(self.scripts))  # JSON gives a list

    def open(self, sources, columns, encoding):
        """See `open_pairs`."""
        return open_pairs(sources, encoding=encoding, reverse=self.reverse, **vars(columns))

    def open_texts(self, sources, columns, encoding):
        """Texts in the column of the sources, or of the targets if these are read, unless the user names another."""
        # "text" is what options have where nobody has said anything
        text_column = self.read_column if columns.text_column == "text" else columns.text_column
        return super().open_texts(sources, dataclasses.replace(columns, text_column=text_column), encoding)

    def corpus(self, value, columns=None, encoding="utf-8"):
        """See `as_pairs`."""
        return as_pairs(value, encoding, reverse=self.reverse, **vars(columns or self.Columns()))

    def texts(self, corpus):
        """Every source and every target."""
        return (text for pair in corpus for text in pair)

    def learned(self, train, held_out, settings, trained):
        """Learns the scripts of both sides, how long sources are, and whether targets are summaries."""
        found = pair_facts(train)
        if trained and self.scripts is not None:
            _warn_if_swapped(found.scripts, self.scripts)
            return self
        if held_out is not None:
            _warn_if_swapped(pair_facts(held_out).scripts, found.scripts)
        if self.long_sources != "auto":
            found = found._replace(splits=self.long_sources == "split")
        return dataclasses.replace(self, **found._asdict())

    def defaults(self, corpus, networks):
        """See `seq2seq_defaults`."""
        return seq2seq_defaults(PairAmount.of(corpus), self.splits)._replace(network=networks[0])

    def sizes(self):
        """The limits, if they are set."""
        named = {"max_length": self.max_length, "max_target_length": self.max_target_length}
        return {name: value for name, value in named.items() if value is not None}

    def head(self, body, dropout=None):
        """A head that gives logits of the next token of a target; it has no dropout of its own."""
        from lmkeras.networks.heads.language import LanguageHead

        smoothing = {"label_smoothing": self.label_smoothing}
        return LanguageHead(body.vocabulary_size, body.tie_embeddings, **smoothing)

    def check(self, network, tokenizer):
        """Raises InputError if the network does not write targets, or has another vocabulary than the tokenizer."""
        from lmkeras.networks.contract import EncoderDecoder

        if not isinstance(network.body, EncoderDecoder) or not getattr(network.head, "every_position", False):
            raise InputError(f"{self.title} needs an encoder-decoder with a LanguageHead, got {network.described()}")
        require_vocabulary(network.body.vocabulary_size, tokenizer.vocabulary_size, exactly=True)
        if tokenizer.special.before_text is None or not tokenizer.special.ends:
            raise InputError("targets need ids for the start and the end of a text, which this tokenizer does not have")
        require_length(self.max_length, network.body.max_length)
        require_length(self.max_target_length, network.body.max_target_length)

    def limits(self, network) -> TextLimits:
        """How long sources and targets may be."""
        body = network.body
        return TextLimits(self.max_length or body.max_length, self.max_target_length or body.max_target_length)

    def encode(self, corpus, tokenizer, network, **how) -> EncodedPairs:
        """Pairs as a network reads them; see `EncodedPairs.encode`."""
        return EncodedPairs.encode(corpus, tokenizer, tokenizer, **self.limits(network)._asdict(), **how)

    def training_data(self, corpus, tokenizer, network, settings):
        """Batches of pairs of similar lengths, in an order that the seed fixes."""
        encoded = self.encode(corpus, tokenizer, network, leave_out=True, cut_sources=not self.splits)
        train = encoded.training(settings.batch_size, settings.seed)
        told = {"noted": encoded, "amount": _amount(encoded)}
        return TrainingData(train.dataset, train.steps_per_epoch, train.digest, **told)

    def validation_data(self, corpus, tokenizer, network, replicas):
        """Batches that contain every pair once, the shortest first."""
        encoded = self.encode(corpus, tokenizer, network)
        written = functools.partial(self.runner(network, tokenizer).written_values, corpus)
        told = {"noted": encoded, "amount": _amount(encoded), "written": written}
        return ValidationData(lambda share: encoded.evaluation(share=share), encoded.digest, **told)

    def monitored(self, settings):
        """See Task; InputError where values of written texts are to be judged and cannot be."""
        metric = super().monitored(settings)
        if metric.name.removeprefix("val_") in dict(self.written_metrics):
            if settings.distribute != "none":
                raise InputError(
                    f"{metric.name} needs texts, which one process writes: leave out distribute, or monitor"
                )
            if settings.average_checkpoints:
                raise InputError(
                    f"a mean of weights is judged by val_loss: leave out average_checkpoints, or {metric.name}"
                )
        return metric

    def baseline(self, train, judged):
        """The loss of giving each token the share that it has of the training targets' tokens, in nats."""
        return unigram_loss(train, judged)

    def findings(self, train, held_out, tokenizer, network):
        """Pairs that are left out or cut, duplicates and unknown tokens."""
        yield from train.noted.findings("training")
        if held_out is not None:
            yield from held_out.noted.findings("validation")
        yield from findings_of_texts(train.noted.notes, held_out and held_out.noted.notes)

    def row(self, answer, **options):
        """The text, and its score."""
        return {"written": answer.text, "score": answer.score}

    def row_names(self, **options):
        """The headings of `row`."""
        return ["written", "score"]

    def line(self, answer, **options):
        """The text, in one line."""
        return " ".join(answer.text.splitlines())

    def runner(self, network, tokenizer):
        """A Seq2SeqRunner, which rewrites texts and judges."""
        from lmkeras.tasks.seq2seq_runner import Seq2SeqRunner

        return Seq2SeqRunner(self, network, tokenizer)

    def exported(self, network, tokenizer, dtype):
        """Signatures `rewrite` and `serving_default`, see `ExportedSeq2Seq`."""
        from lmkeras.tasks.in_graph.seq2seq import ExportedSeq2Seq

        module = ExportedSeq2Seq(self, network=network, tokenizer=tokenizer, dtype=dtype)
        return module, {name: getattr(module, name) for name in self.signatures}


def _amount(encoded: EncodedPairs) -> str:
    tokens = len(encoded.sources.ids) + len(encoded.targets.ids)
    return f"{len(encoded):,} pairs with {tokens:,} tokens"


def _warn_if_swapped(scripts: tuple[str, str], wanted: tuple[str, str]) -> None:
    """Warns where the sources are written as the targets should be, and the targets as the sources should be."""
    if scripts[0] != scripts[1] and scripts == wanted[::-1]:
        _log.warning(
            "sources are %s and targets %s, and it was the other way round in training: are the columns swapped?",
            *map(str.title, scripts),
        )
