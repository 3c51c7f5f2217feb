"""The language model that a user holds: text in, text out."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lmkeras.archives import shortened
from lmkeras.decoding.sampling import Beams, Chosen, Sampling, chosen, require_counts, require_no_chance
from lmkeras.decoding.score import TextScore
from lmkeras.errors import InputError
from lmkeras.models.given import texts_of
from lmkeras.models.loading import from_pretrained
from lmkeras.models.model import Model
from lmkeras.models.publishing import save_published
from lmkeras.models.signatures import naming_settings
from lmkeras.networks.network import Network
from lmkeras.tasks.language import Language
from lmkeras.tokenizers.base import BaseTokenizer


@naming_settings(Language)
class LanguageModel(Model):
    """A tokenizer and a language network: trains on text, scores it and writes it.

    Args:
        network: a name ("transformer", "lstm", "gru", "simple_rnn"), or a built network for a fitted tokenizer. "auto":
            a transformer whose tokenizer, sizes and settings follow the amount of text.
        tokenizer: a name ("byte_pair", "characters", "words") of a tokenizer that `fit` fits on the corpus; or a fitted
            tokenizer. "auto": "byte_pair", or the tokenizer with which the corpus was tokenized.
        vocabulary_size: the most ids that a tokenizer given by name may have; None for its default.
        sizes: sizes of a network given by name, see `transformer_language_model` and `lstm_language_model`.

    Example:
        >>> model = LanguageModel("lstm", "characters", embedding_dim=8, units=16)
        >>> _ = model.fit(["the cat sat on the mat. "] * 20, steps=2, verbose=0)
        >>> len(model.generate("the ", max_new_tokens=5, temperature=0))
        5
    """

    def __init__(
        self,
        network: str | Network = "auto",
        tokenizer: str | BaseTokenizer = "auto",
        vocabulary_size: int | None = None,
        **sizes,
    ):
        super().__init__(Language(), network, tokenizer, vocabulary_size=vocabulary_size, **sizes)

    @classmethod
    def from_pretrained(cls, source: str | Path, **options) -> "LanguageModel":
        """A published language model; the arguments are those of `lmkeras.from_pretrained`.

        Raises:
            InputError: the source is no published language model.
        """
        model = from_pretrained(source, **options)
        if not isinstance(model, cls):
            raise InputError(f"{source} is {model.task.title}, not a language model: take lmkeras.from_pretrained")
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes a published model in the form that transformers reads: config, weights, tokenizer, chat template.

        Args:
            folder: created if it does not exist; the files of an earlier checkpoint are replaced.

        Raises:
            InputError: the model was not published, so that transformers has no such network or tokenizer.
        """
        self._require_network()
        save_published(folder, self.network, self.tokenizer, generation=self.task.generation)

    def evaluate(self, corpus, stride: int | None = None, verbose: str | int = 0, **reading) -> dict[str, float]:
        """Judges the model on a corpus, every token once.

        The tokens are those that `score` scores: where a tokenizer puts no id before a text (GPT-2, Qwen, SmolLM2), the
        first token of each text is context alone, and neither it nor its characters are counted.

        Args:
            corpus: as in `fit`.
            stride: the most tokens that a window judges; those before them are only context. None: a transformer sees
                each text in windows that do not overlap, as in training. A smaller stride is slower, and gives each
                token more context.
            verbose: as in `fit`.
            reading: text_column and encoding, as in `fit`.

        Returns:
            loss_nats (mean per token), perplexity, tokens, characters, unknown_tokens, and bits_per_character if the
            tokens spell the text (not with a tokenizer that drops punctuation or case).
        """
        return super().evaluate(corpus, stride=stride, verbose=verbose, **reading)

    def predict(self, prompt="", top_k: int = 10, text_column: str = "text") -> list:
        """The likeliest next tokens after a prompt.

        Args:
            prompt: a text, or several: a list, a series, an array, a table, an iterator.
            top_k: how many tokens to return.
            text_column: the column of a table that holds the texts.

        Returns:
            A list of (token, probability), the likeliest first; for several prompts a list of such lists. The empty
            token stands for the end of the text; other special tokens have their names.
        """
        prompts, single = texts_of(prompt, text_column)
        likeliest = [answer for _, answer in self._runner.predict(prompts, top_k=top_k)]
        return likeliest[0] if single else likeliest

    def score(self, text, text_column: str = "text", special_tokens: bool = False) -> TextScore | list[TextScore]:
        """log P(w1..wn) by the chain rule, in total and token by token.

        Args:
            text: a text, or several, as for `predict`. A transformer sees a text longer than its context in windows
                side by side; a recurrent network sees the whole prefix.
            text_column: as for `predict`.
            special_tokens: as for `generate`.

        Returns:
            A TextScore, or a list of them for several texts.
        """
        scorer, (texts, single) = self._runner.scorer, texts_of(text, text_column)
        scores = [scorer.score(one, special_tokens) for one in texts]
        return scores[0] if single else scores

    def generate(
        self,
        prompt="",
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        repetition_penalty: float | None = None,
        stop: str | Sequence[str] = (),
        num_samples: int = 1,
        seed: int = Sampling.seed,
        text_column: str = "text",
        special_tokens: bool = False,
        num_beams: int = 1,
        length_penalty: float = Beams.length_penalty,
        no_repeat_ngram: int = Beams.no_repeat_ngram,
    ) -> str | list[str] | list[list[str]]:
        """Continues a prompt with generated text.

        What is None has the model's own default: that of a published model's generation_config.json; else 200 tokens at
        most, and the values of Sampling.

        Args:
            prompt: a text, or several, as for `predict`, which do not influence one another.
            max_new_tokens: the most tokens to add; a text ends earlier if the model ends it.
            temperature: 0 takes the likeliest token every time; see Sampling for this and the next three.
            top_k: draw only from this many of the likeliest tokens; 0 for all.
            top_p: draw only from the likeliest tokens whose probabilities together reach this value; 1 for all.
            repetition_penalty: above 1, tokens that are already in the text become less likely.
            stop: a stop text or several. The generated text ends before the first of them; they may span tokens.
            num_samples: number of texts to generate for each prompt.
            seed: the same seed gives the same text.
            text_column: as for `predict`.
            special_tokens: whether the names of special tokens in prompts, such as "<|im_end|>", stand for these tokens
                (published models only); else they are text. Do not set it for prompts that strangers have written.
            num_beams: above 1, the likeliest text is searched for with so many beams, and nothing is drawn: then leave
                temperature, top_k, top_p and repetition_penalty out. num_samples is the number of the best texts.
            length_penalty: of beams, see Beams.
            no_repeat_ngram: of beams, see Beams.

        Returns:
            The new text without the prompt; with num_samples > 1 a list of them; for several prompts a list of these.
            It ends with a whole character, also where max_new_tokens ends it.
        """
        prompts, single = texts_of(prompt, text_column)
        given = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p}
        settled = chosen(self.task.generation, {**given, "repetition_penalty": repetition_penalty, "seed": seed})
        options = {"stop": stop, "special_tokens": special_tokens}
        beams = Beams(num_beams, length_penalty, no_repeat_ngram)
        if beams == Beams(1):
            texts = self._runner.generator.generate(prompts, *settled, samples=num_samples, **options)
        else:
            require_no_chance({**given, "repetition_penalty": repetition_penalty})
            options["num_best"] = num_samples
            texts = self._runner.generator.search(prompts, settled.max_new_tokens, beams, **options)
        texts = [samples[0] for samples in texts] if num_samples == 1 else texts
        return texts[0] if single else texts

    def stream(
        self,
        prompt: str = "",
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] = (),
        special_tokens: bool = False,
        **sampling,
    ) -> Iterator[str]:
        """Continues a prompt piece by piece; the pieces together are the text that `generate` returns.

        Args:
            prompt: a text.
            max_new_tokens: see `generate`.
            stop: see `generate`.
            special_tokens: see `generate`.
            sampling: temperature, top_k, top_p, repetition_penalty and seed, see `generate`.

        Returns:
            An iterator over non-empty pieces of text. Incomplete characters, and text that may turn out to begin a stop
            text, are held back.
        """
        if not isinstance(prompt, str):
            raise InputError(f"stream continues one text: expected a text, got {shortened(repr(prompt))}")
        settled = chosen(self.task.generation, {"max_new_tokens": max_new_tokens, **sampling})
        return self._runner.generator.stream(prompt, *settled, stop=stop, special_tokens=special_tokens)

    def chat(
        self,
        messages: str | Sequence[Mapping[str, str]],
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] = (),
        num_samples: int = 1,
        **sampling,
    ) -> str | list[str]:
        """Answers in a conversation; for published models that have a chat template.

        What special tokens are called is plain text in a message. Where the model has no room for the whole
        conversation, early turns are left out, system messages stay, and a warning says so. Tools are not called.

        Args:
            messages: dictionaries of "role" ("system", "user", "assistant") and "content", the oldest first; or the
                text of one message of the user.
            max_new_tokens: the most tokens of the answer, which ends earlier if the model ends it; None: the model's
                own number, or 200.
            stop: see `generate`.
            num_samples: number of answers.
            sampling: temperature, top_k, top_p, repetition_penalty and seed, see `generate`.

        Returns:
            The answer; with num_samples > 1 a list of them.

        Raises:
            InputError: the model has no chat template, or the messages are not what its template takes.
        """
        ids, settled = self._conversation(messages, max_new_tokens, sampling)
        (answers,) = self._runner.generator.generate([ids], *settled, stop=stop, samples=num_samples)
        return answers[0] if num_samples == 1 else answers

    def stream_chat(
        self,
        messages: str | Sequence[Mapping[str, str]],
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] = (),
        **sampling,
    ) -> Iterator[str]:
        """Answers piece by piece; the arguments are those of `chat`, and the pieces together are its answer."""
        ids, settled = self._conversation(messages, max_new_tokens, sampling)
        return self._runner.generator.stream(ids, *settled, stop=stop)

    def _conversation(self, messages, max_new_tokens: int | None, sampling: Mapping) -> tuple[list[int], Chosen]:
        self._require_network()
        settled = chosen(self.task.generation, {"max_new_tokens": max_new_tokens, **sampling})
        require_counts(settled.max_new_tokens, 1)
        fitted = self._runner.conversations.fitted(messages, settled.max_new_tokens)
        if fitted.left_out:
            limit = self.network.body.context_length
            warnings.warn(
                f"the model looks at {limit:,} tokens at most: the first {fitted.left_out} messages are left out",
                stacklevel=3,
            )
        return fitted.ids, settled._replace(max_new_tokens=fitted.max_new_tokens)
