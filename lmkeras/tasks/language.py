"""The task of a language model: to continue a text, and to say how probable a text is."""

import dataclasses
import functools
import warnings
from collections.abc import Iterable, Mapping
from typing import ClassVar

from lmkeras.corpora import Corpus
from lmkeras.datasets import TokenShards, TokenStream, evaluation_windows
from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.datasets.tokenized import stream_of, tokens_of, training_windows
from lmkeras.decoding.sampling import chosen
from lmkeras.errors import InputError
from lmkeras.metrics import bits_per_character, perplexity, xz_bits_per_character
from lmkeras.tasks.base import Runner, TrainingData, ValidationData
from lmkeras.tasks.checks import NotedStream, findings_of_streams, require_vocabulary, unigram_loss
from lmkeras.tasks.data import Defaults
from lmkeras.tasks.registry import register_task
from lmkeras.tasks.running_text import RunningTextTask
from lmkeras.tasks.scaling import TextAmount, language_defaults
from lmkeras.training.settings import FitSettings

_WINDOW = 64  # tokens in a training window, if neither the user nor the network says how many
_EVALUATION_WINDOW = 512  # tokens in a window of an evaluation, for networks without a limit
_BYTES_A_TOKEN = 4  # of text that is tokenized already, for byte pairs
_XZ_CHARACTERS = 20_000_000  # xz is slow: with more text than this, training ends without the comparison


@dataclasses.dataclass(frozen=True)
class LanguageEvaluation:
    """How a language model is judged."""

    stride: int | None = None
    """how many tokens of each window are judged, the others are context; None: all, or half for recurrent networks."""


@register_task
@dataclasses.dataclass(frozen=True)
class Language(RunningTextTask):
    """What follows a text: the probability of each token, given the tokens before it.

    Args:
        generation: what a published model generates by where the user says nothing: max_new_tokens and fields of
            Sampling, by name; None for the defaults of lmkeras.
    """

    generation: Mapping[str, float] | None = None

    kind: ClassVar[str] = "language_model"
    title: ClassVar[str] = "a language model"
    command: ClassVar[str] = "lm"
    help: ClassVar[dict] = {
        "summary": "Train a language model on text and save it.",
        "text": "files, globs or folders of .txt, .csv, .tsv or .jsonl (.gz too), tfds:NAME:SPLIT, "
        "builtin:python-docs; or one folder that `lmkeras tokenize` wrote.",
        "validation": "text to validate on; None: the last part of the training text.",
        "tokenizer": "how text becomes tokens; auto: byte_pair, or the tokenizer with which the text was tokenized.",
        "vocabulary_size": "the largest number of different tokens; None: 4096 byte pairs, 10000 words, every "
        "character.",
    }
    Evaluation: ClassVar[type] = LanguageEvaluation
    Settings: ClassVar[type] = FitSettings
    bodies: ClassVar[str] = "writers"
    auto_networks: ClassVar[tuple] = ("transformer",)
    tokenizers: ClassVar[tuple] = ("byte_pair", "characters", "words")
    default_tokenizer: ClassVar[str] = "byte_pair"
    # measured on Chinese reviews: in the same time, byte pairs reach fewer bits per character than characters do
    default_tokenizer_without_spaces: ClassVar[str] = "byte_pair"
    signatures: ClassVar[tuple] = ("generate", "score", "serving_default")
    answers_texts: ClassVar[bool] = False

    def defaults(self, corpus, networks):
        """See `language_defaults`."""
        found = language_defaults(_amount_of(corpus))
        return Defaults(
            networks[0],
            found.tokenizer,
            vocabulary_size=found.vocabulary_size,
            sizes=found.sizes,
            settings=found.settings,
            reason=found.reason,
        )

    def head(self, body, dropout=None):
        """A head that gives logits of the next token; it has no dropout of its own."""
        from lmkeras.networks.heads.language import LanguageHead

        return LanguageHead(body.vocabulary_size, body.tie_embeddings)

    def check(self, network, tokenizer):
        """Raises InputError if the network is not a language network or has another vocabulary than the tokenizer."""
        from lmkeras.networks.contract import Writer

        every_position = getattr(network.head, "every_position", None)
        if every_position is None or not isinstance(network.body, Writer):
            raise InputError(f"network must be a name or a language network, got {network.described()}")
        if not every_position:
            raise InputError(
                "a LanguageModel needs logits at every position: build the network with return_sequences=True"
            )
        for known in (network.body.vocabulary_size, network.head.vocabulary_size):
            # published networks have rows to spare, which they were trained never to choose
            require_vocabulary(known, tokenizer.vocabulary_size, exactly=not network.body.untrainable)

    def training_data(self, corpus, tokenizer, network, settings):
        """Windows of running text, in an order that the seed fixes."""
        limit = network.body.context_length
        length = settings.window_length or network.body.training_length or _WINDOW
        if limit is not None and length > limit:
            raise InputError(f"window_length {length} is longer than the network's context_length {limit}")
        tokens = tokens_of(corpus, tokenizer)
        windows = training_windows(tokens, length=length, batch_size=settings.batch_size, seed=settings.seed)
        noted = NotedStream.of(tokens, length)
        num_tokens = windows.steps_per_epoch * windows.batch_size * windows.length
        amount = f"{num_tokens:,} tokens in windows of {windows.length}"
        return TrainingData(windows.dataset, windows.steps_per_epoch, digest=tokens.digest, noted=noted, amount=amount)

    def validation_data(self, corpus, tokenizer, network, replicas):
        """Every token once, in windows as `evaluate` takes them."""
        stream = stream_of(corpus, tokenizer)
        how = {"shows_start": tokenizer.special.always_before, "replicas": replicas}
        windows = functools.partial(judged_windows, network.body, stream, **how)
        noted = NotedStream.of(stream, network.body.context_length or _EVALUATION_WINDOW)
        amount = f"{stream.tokens:,} tokens"
        return ValidationData(lambda share: windows(share=share), stream.digest, noted=noted, amount=amount)

    def findings(self, train, held_out, tokenizer, network):
        """Too little text, the same token over and over, duplicates, unknown tokens."""
        if train.noted is not None:
            yield from findings_of_streams(train.noted, held_out and held_out.noted)

    def baseline(self, train, judged):
        """The loss of giving each token the share that it has of the training tokens, in nats."""
        return unigram_loss(train, judged)

    def runner(self, network, tokenizer):
        """A LanguageRunner, which generates, scores and judges."""
        return LanguageRunner(network, tokenizer)

    def exported(self, network, tokenizer, dtype):
        """Signatures `generate`, `serving_default`, `score` and perhaps `chat`, see `ExportedLanguageModel`."""
        from lmkeras.decoding.conversation import Conversations
        from lmkeras.tasks.in_graph.language import ExportedLanguageModel

        template, own = getattr(tokenizer, "chat_template", None), chosen(self.generation, {})
        talks = None if template is None else Conversations(tokenizer, network.body.context_length)
        module = ExportedLanguageModel(network, tokenizer, dtype, own=own, conversations=talks)
        if template is not None and "chat" not in module.served:
            warnings.warn(
                "the export has no signature chat: the model's template is more than fixed texts around messages",
                stacklevel=2,
            )
        return module, {name: getattr(module, name) for name in module.served}

    def after_training(self, train, held_out):
        """A comparison with the compressor xz: bits per character that it needs for the validation text.

        Nothing is compared if a corpus is tokenized, or if there is so much text that xz would take long.
        """
        if not isinstance(train, Corpus) or not isinstance(held_out, Corpus):
            return
        if train.count()[1] + held_out.count()[1] > _XZ_CHARACTERS:
            return
        alone, given = xz_bits_per_character(held_out), xz_bits_per_character(held_out, train)
        yield f"xz -9e, same text    {alone:.4f} bits per character alone, {given:.4f} after the training text"


def _amount_of(corpus) -> TextAmount:
    if isinstance(corpus, TokenShards):
        return TextAmount(size=_BYTES_A_TOKEN * corpus.num_tokens, different=corpus.tokenizer.vocabulary_size)
    return TextAmount.of(corpus)


class LanguageRunner(Runner):
    """Generates, scores and judges with a trained language network.

    Args:
        network: a language network with logits at every position.
        tokenizer: the tokenizer it was trained with.
    """

    def __init__(self, network, tokenizer):
        self._network, self._tokenizer = network, tokenizer
        self._generator = self._scorer = self._conversations = None

    @property
    def generator(self):
        """The TextGenerator, made when it is first needed."""
        from lmkeras.decoding.text import TextGenerator

        if self._generator is None:
            self._generator = TextGenerator(self._network, self._tokenizer)
        return self._generator

    @property
    def scorer(self):
        """The TextScorer, made when it is first needed."""
        from lmkeras.decoding.score import TextScorer

        if self._scorer is None:
            self._scorer = TextScorer(self._network, self._tokenizer)
        return self._scorer

    @property
    def conversations(self):
        """The Conversations, made when they are first needed; InputError if the tokenizer has no chat template."""
        from lmkeras.decoding.conversation import Conversations

        if self._conversations is None:
            self._conversations = Conversations(self._tokenizer, self._network.body.context_length)
        return self._conversations

    def judge(self, corpus, stride=None, verbose=0):
        """loss_nats, perplexity, bits per character and the counts, every token judged once.

        Where the tokenizer puts nothing before a text that is read alone, its first token is context and not judged, as
        in scores.
        """
        from lmkeras.training.fit import evaluate

        stream, shows_start = stream_of(corpus, self._tokenizer), self._tokenizer.special.always_before
        windows = judged_windows(self._network.body, stream, shows_start=shows_start, stride=stride)
        loss = float(evaluate(self._network, windows, verbose)["loss"])
        values = {"loss_nats": loss, "perplexity": perplexity(loss)}
        counts = {"tokens": stream.tokens, "characters": stream.characters, "unknown_tokens": stream.unknown_tokens}
        if not shows_start:  # first tokens are not judged; a character counts where its last byte is
            firsts = stream.ids[stream.starts + 1].tolist()
            counts["tokens"] -= len(firsts)
            counts["unknown_tokens"] -= firsts.count(self._tokenizer.special.unknown)
            counts["characters"] -= sum(len(self._tokenizer.decode_whole([id])) for id in firsts)
        if self._tokenizer.spells_text:
            values["bits_per_character"] = bits_per_character(loss, **counts)
        return {**values, **counts}, None

    def predict(self, texts: Iterable[str], at_a_time: int = 1, top_k: int = 10):
        """Each prompt with its likeliest next tokens, as (token, probability), the likeliest first."""
        return ((text, self.generator.predict(text, top_k)) for text in texts)


def judged_windows(
    body,
    stream: TokenStream,
    *,
    shows_start: bool = True,
    stride: int | None = None,
    replicas: int = 1,
    share: Share = WHOLE,
):
    """Windows in which every token of a stream is judged once, as a tf.data.Dataset.

    Args:
        body: the network's body.
        stream: the corpus.
        shows_start: whether the id before a text is read; if not, the text's first token is not judged.
        stride: the most tokens that a window judges. None: half a window for a recurrent body, with the other half as
            context, so that a token's loss is near that given the whole text before it; whole windows side by side for
            other bodies, as in training.
        replicas: number of replicas that share each batch.
        share: which rows of each batch are made.

    Raises:
        InputError: the stride is longer than a window, or below 1.
    """
    length = body.context_length or _EVALUATION_WINDOW
    if stride is None and body.recurrent:
        stride = length // 2
    if stride is not None and not 1 <= stride <= length:
        raise InputError(f"stride must be from 1 to {length}, the length of a window, got {stride}")
    rows = -(-max(1, 4096 // length) // replicas) * replicas  # a multiple of replicas
    how = {"stride": stride, "share": share, "shows_start": shows_start}
    return evaluation_windows(stream, length, batch_size=rows, **how)
