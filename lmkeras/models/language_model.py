"""The language model that a user holds: text in, text out."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from lmkeras.corpora import Corpus
from lmkeras.datasets import TokenShards, TokenStream, evaluation_windows
from lmkeras.datasets.tokenized import split_corpus, stream_of, text_or_tokens, tokens_of, training_windows
from lmkeras.decoding.generate import Sampling
from lmkeras.decoding.score import TextScore, TextScorer
from lmkeras.decoding.text import TextGenerator
from lmkeras.errors import InputError
from lmkeras.export import export_language_model
from lmkeras.metrics import bits_per_character, perplexity
from lmkeras.models.text_model import TextModel, changed
from lmkeras.networks import registry
from lmkeras.networks.language import LanguageNetwork
from lmkeras.tokenizers import new_tokenizer
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training import fit as harness
from lmkeras.training.devices import place
from lmkeras.training.settings import FitSettings
from lmkeras.training.strategies import replicas_of

_RECURRENT_TRAINING_WINDOW = 64
_RECURRENT_EVALUATION_WINDOW = 512  # half of it context, so that a token's loss is near that of the whole prefix


class LanguageModel(TextModel):
    """A tokenizer and a language network: trains on text, scores it and writes it.

    Args:
        network: a name ("transformer", "lstm", "gru", "simple_rnn"), or a built network for a fitted tokenizer.
        tokenizer: a name ("byte_pair", "characters", "words"), fitted on the corpus by `fit`; or a fitted tokenizer.
            "auto": a tokenized corpus's own, "byte_pair" for text.
        vocabulary_size: the most ids a named tokenizer may have; None for the tokenizer's own default.
        sizes: of a named network, see `transformer_language_model` and `lstm_language_model`.

    Example:
        >>> model = LanguageModel("lstm", "characters", embedding_dim=8, units=16)
        >>> _ = model.fit(["the cat sat on the mat. "] * 20, steps=2, verbose=0)
        >>> len(model.generate("the ", max_new_tokens=5, temperature=0))
        5
    """

    kind = "language_model"

    def __init__(
        self,
        network: str | LanguageNetwork = "transformer",
        tokenizer: str | BaseTokenizer = "auto",
        vocabulary_size: int | None = None,
        **sizes,
    ):
        named = isinstance(tokenizer, str)
        if not named and not isinstance(tokenizer, BaseTokenizer):
            raise InputError(f"tokenizer must be a name or a fitted tokenizer, got {type(tokenizer).__name__}")
        if not named and vocabulary_size is not None:
            raise InputError("vocabulary_size is for a tokenizer's name: a fitted tokenizer has its own")
        self.tokenizer = None if named else tokenizer
        name = "byte_pair" if named and tokenizer == "auto" else tokenizer
        self._new_tokenizer = functools.partial(new_tokenizer, name, vocabulary_size) if named else None
        self._wants_own_tokenizer = named and (tokenizer, vocabulary_size) != ("auto", None)
        self._network_name, self._sizes = network if isinstance(network, str) else None, sizes
        self._generator = self._scorer = None
        self.network = None if self._network_name else network
        if self._network_name:
            registry.check(network, sizes)
            if named:
                self._new_tokenizer()  # a wrong name or size is refused here
        elif named:
            raise InputError("a built network needs the fitted tokenizer it belongs to, not a tokenizer's name")
        else:
            self._check_network(sizes)

    def _check_network(self, sizes) -> None:
        if not isinstance(self.network, LanguageNetwork):
            raise InputError(f"network must be a name or a language network, got {type(self.network).__name__}")
        if sizes:
            raise InputError(f"{', '.join(sizes)}: sizes are for a network's name, a built network has its own")
        if not getattr(self.network, "return_sequences", True):
            raise InputError(
                "a LanguageModel needs logits at every position: build the network with return_sequences=True"
            )
        expected, got = self.tokenizer.vocabulary_size, self.network.vocabulary_size
        if got != expected:
            raise InputError(f"the network has a vocabulary of {got} and the tokenizer one of {expected}: they differ")

    def fit(
        self,
        corpus: Corpus | str | Path | Sequence[str],
        validation: Corpus | str | Path | Sequence[str] | None = None,
        validation_fraction: float = 0.1,
        run_folder: str | Path | None = None,
        resume: bool = False,
        settings: FitSettings | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: str | int = "auto",
        **changes,
    ) -> list[dict[str, float]]:
        """Trains on a corpus, again from where it stands if it has been trained before.

        Args:
            corpus: a corpus, a file, glob, folder or name that `open_corpus` takes, or a list of texts; or a folder
                that `lmkeras tokenize` wrote, whose shards are read one after the other.
            validation: what to validate on; None splits it off the corpus's end.
            validation_fraction: share of the corpus split off, in (0, 1); 0 for no validation.
            run_folder: where metrics.jsonl, curves.png, checkpoints and TensorBoard logs go; None: nowhere.
            resume: go on from run_folder's newest checkpoint, if there is one; other arguments are to be as they were.
            settings: how to train, see FitSettings; None for the defaults.
            callbacks: further Keras callbacks.
            verbose: 0 shows nothing, 1 a progress bar, 2 a line an evaluation.
            changes: fields of the settings by name, such as epochs=3.

        Returns:
            One dictionary an evaluation: loss and, with validation, val_loss, in nats a token.
        """
        settings = changed(settings or FitSettings(), changes)
        replicas = replicas_of(settings.distribute)  # several workers are set up before anything else
        with place(settings.device):
            train, validation = _parts(text_or_tokens(corpus), validation, validation_fraction)
            tokenizer = self.tokenizer or _tokenizer_for(train, self._new_tokenizer, self._wants_own_tokenizer)
            network = self.network or self._build(tokenizer, settings.seed)
            length = settings.window_length or network.context_length or _RECURRENT_TRAINING_WINDOW
            if network.context_length is not None and length > network.context_length:
                limit = network.context_length
                raise InputError(f"window_length {length} is longer than the network's context_length {limit}")
            streams = {"text": tokens_of(train, tokenizer)}
            windows = training_windows(streams["text"], length, settings.batch_size, settings.seed)
            held_out = None
            if validation is not None:
                streams["validation"] = stream_of(validation, tokenizer)
                held_out = _evaluation(network, streams["validation"], replicas=replicas)
            self.tokenizer, self.network = tokenizer, network  # nothing can be wrong with them from here on
            self._generator = self._scorer = None
            run = self._run(run_folder, resume, {name: stream.digest for name, stream in streams.items()})
            batches = (windows.dataset, windows.steps_per_epoch, settings, held_out)
            try:
                return harness.fit(network, *batches, run, callbacks, verbose)
            finally:
                self._generator = self._scorer = None  # callbacks may have traced them in the training's precision

    def _build(self, tokenizer: BaseTokenizer, seed: int) -> LanguageNetwork:
        keras.utils.set_random_seed(seed)
        return registry.build(self._network_name, vocabulary_size=tokenizer.vocabulary_size, **self._sizes)

    def evaluate(
        self, corpus: Corpus | str | Path | Sequence[str], stride: int | None = None, verbose: str | int = 0
    ) -> dict[str, float]:
        """Judges the model on a corpus, every token once.

        Args:
            corpus: as in `fit`.
            stride: the most tokens a window judges, the rest being context; None shows a transformer each text in
                windows side by side, as in training. Smaller is slower and shows each token more of what stands before.
            verbose: as in `fit`.

        Returns:
            loss_nats (mean per token), perplexity, tokens, characters, unknown_tokens, and bits_per_character where
            the tokens spell the text (a tokenizer that drops punctuation or case has none).
        """
        self._require_network()
        stream = stream_of(text_or_tokens(corpus), self.tokenizer)
        loss = float(harness.evaluate(self.network, _evaluation(self.network, stream, stride), verbose)["loss"])
        values = {"loss_nats": loss, "perplexity": perplexity(loss)}
        counts = {"tokens": stream.tokens, "characters": stream.characters, "unknown_tokens": stream.unknown_tokens}
        if self.tokenizer.spells_text:
            values["bits_per_character"] = bits_per_character(loss, **counts)
        return {**values, **counts}

    def predict(self, prompt: str | Sequence[str] = "", top_k: int = 10) -> list:
        """The likeliest next tokens after a prompt.

        Args:
            prompt: a text, or several; the model sees what it sees when it generates.
            top_k: how many tokens to name.

        Returns:
            (token, probability) from the likeliest down; for several prompts a list of such lists. The empty token is
            the end of the text.
        """
        generator = self._text_generator()
        likeliest = [generator.predict(text, top_k) for text in ([prompt] if isinstance(prompt, str) else prompt)]
        return likeliest[0] if isinstance(prompt, str) else likeliest

    def score(self, text: str | Sequence[str]) -> TextScore | list[TextScore]:
        """log P(w1..wn) by the chain rule, in total and token by token.

        Args:
            text: a text, or several. A transformer sees a text longer than its context in windows side by side; a
                recurrent network sees the whole prefix.

        Returns:
            A TextScore, or a list of them for several texts.
        """
        self._require_network()
        if self._scorer is None:
            self._scorer = TextScorer(self.network, self.tokenizer)
        return self._scorer.score(text) if isinstance(text, str) else [self._scorer.score(one) for one in text]

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        max_new_tokens: int = 200,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] = (),
        num_samples: int = 1,
        seed: int = 0,
    ) -> str | list[str] | list[list[str]]:
        """Writes what follows a prompt.

        Args:
            prompt: a text, or several; each gets the text that it would get alone.
            max_new_tokens: the most tokens to add; a text also ends where the model ends it.
            temperature: 0 takes the likeliest token every time; see Sampling for this and the next three.
            top_k: draw from this many of the likeliest tokens only; 0 for all.
            top_p: draw from the likeliest tokens that reach this probability together; 1 for all.
            repetition_penalty: above 1, tokens already in the text become less likely.
            stop: texts before which to stop; they may span tokens and are not part of what is returned.
            num_samples: texts to write for each prompt.
            seed: the same seed gives the same text.

        Returns:
            The new text without the prompt; with num_samples > 1 a list of them; for several prompts a list of these.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty, seed)
        texts = self._text_generator().generate(prompts, max_new_tokens, sampling, stop, num_samples) if prompts else []
        texts = [samples[0] for samples in texts] if num_samples == 1 else texts
        return texts[0] if isinstance(prompt, str) else texts

    def stream(
        self, prompt: str = "", max_new_tokens: int = 200, stop: str | Sequence[str] = (), **sampling
    ) -> Iterator[str]:
        """Writes what follows a prompt, piece by piece; the pieces together are what `generate` returns.

        Args:
            prompt: a text.
            max_new_tokens: see `generate`.
            stop: see `generate`.
            sampling: temperature, top_k, top_p, repetition_penalty and seed, see `generate`.

        Returns:
            An iterator of non-empty pieces of text, never half a character, nor what may begin a stop text.
        """
        return self._text_generator().stream(prompt, max_new_tokens, Sampling(**sampling), stop)

    def _text_generator(self) -> TextGenerator:
        self._require_network()
        if self._generator is None:
            self._generator = TextGenerator(self.network, self.tokenizer)
        return self._generator

    def export(self, folder: str | Path, overwrite: bool = False) -> None:
        """Writes a SavedModel with the signatures `generate` and `score`, see `lmkeras.export`.

        Args:
            folder: a new folder, or an empty one.
            overwrite: whether a SavedModel that is there already is replaced.

        Raises:
            InputError: the folder is in use, or the tokenizer cannot be exported.
        """
        self._require_network()
        export_language_model(self.network, self.tokenizer, folder, overwrite)


def _parts(corpus: Corpus | TokenShards, validation, fraction: float):
    if validation is not None:
        return corpus, text_or_tokens(validation)
    return split_corpus(corpus, fraction) if fraction else (corpus, None)


def _tokenizer_for(corpus: Corpus | TokenShards, new_tokenizer, wants_own: bool) -> BaseTokenizer:
    if not isinstance(corpus, TokenShards):
        return new_tokenizer().fit(corpus)
    if wants_own:
        raise InputError(
            f"{corpus.folder} has a tokenizer of its own: leave out tokenizer (--tokenizer) and vocabulary_size "
            "(--vocabulary-size), or tokenize the text again with them"
        )
    return corpus.tokenizer


def _evaluation(network, stream: TokenStream, stride: int | None = None, replicas: int = 1) -> tf.data.Dataset:
    length = network.context_length
    if length is None:
        length = _RECURRENT_EVALUATION_WINDOW
        stride = length // 2 if stride is None else stride
    if stride is not None and not 1 <= stride <= length:
        raise InputError(f"stride must be from 1 to {length}, the length of a window, got {stride}")
    rows = -(-max(1, 4096 // length) // replicas) * replicas  # as many for each
    return evaluation_windows(stream, length, batch_size=rows, stride=stride)
