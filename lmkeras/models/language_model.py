"""The language model that a user holds: text in, text out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lmkeras.corpora import Corpus
from lmkeras.decoding.generate import Sampling
from lmkeras.decoding.score import TextScore
from lmkeras.models.model import Model
from lmkeras.networks.network import Network
from lmkeras.tasks.language import Language
from lmkeras.tokenizers.base import BaseTokenizer


class LanguageModel(Model):
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

    def __init__(
        self,
        network: str | Network = "transformer",
        tokenizer: str | BaseTokenizer = "auto",
        vocabulary_size: int | None = None,
        **sizes,
    ):
        super().__init__(Language(), network, tokenizer, vocabulary_size=vocabulary_size, **sizes)

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
        return super().evaluate(corpus, stride=stride, verbose=verbose)

    def predict(self, prompt: str | Sequence[str] = "", top_k: int = 10) -> list:
        """The likeliest next tokens after a prompt.

        Args:
            prompt: a text, or several; the model sees what it sees when it generates.
            top_k: how many tokens to name.

        Returns:
            (token, probability) from the likeliest down; for several prompts a list of such lists. The empty token is
            the end of the text.
        """
        prompts = [prompt] if isinstance(prompt, str) else prompt
        likeliest = [answer for _, answer in self._runner.predict(prompts, top_k=top_k)]
        return likeliest[0] if isinstance(prompt, str) else likeliest

    def score(self, text: str | Sequence[str]) -> TextScore | list[TextScore]:
        """log P(w1..wn) by the chain rule, in total and token by token.

        Args:
            text: a text, or several. A transformer sees a text longer than its context in windows side by side; a
                recurrent network sees the whole prefix.

        Returns:
            A TextScore, or a list of them for several texts.
        """
        scorer = self._runner.scorer
        return scorer.score(text) if isinstance(text, str) else [scorer.score(one) for one in text]

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
        sampling = Sampling(temperature, top_k=top_k, top_p=top_p, repetition_penalty=repetition_penalty, seed=seed)
        texts = (
            self._runner.generator.generate(
                prompts, max_new_tokens=max_new_tokens, sampling=sampling, stop=stop, samples=num_samples
            )
            if prompts
            else []
        )
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
        return self._runner.generator.stream(
            prompt, max_new_tokens=max_new_tokens, sampling=Sampling(**sampling), stop=stop
        )
