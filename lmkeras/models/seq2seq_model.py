"""The model that a user holds to translate and to summarise: a text in, another text out."""

from collections.abc import Iterator

from lmkeras.decoding.sampling import Beams, Sampling
from lmkeras.errors import InputError
from lmkeras.models.given import texts_of
from lmkeras.models.model import Model
from lmkeras.models.signatures import naming_settings
from lmkeras.networks.network import Network
from lmkeras.tasks.seq2seq import Seq2Seq
from lmkeras.tokenizers.base import BaseTokenizer


@naming_settings(Seq2Seq)
class Seq2SeqModel(Model):
    """A tokenizer and an encoder-decoder: learns from pairs of texts to write the second one for the first.

    Args:
        network: a name ("transformer", "lstm"), or a built encoder-decoder for a fitted tokenizer. "auto": a
            transformer whose sizes and settings follow the amount of text.
        tokenizer: a name ("byte_pair", "characters", "words") of a tokenizer that `fit` fits on sources and targets; or
            a fitted tokenizer. "auto" (or None): "byte_pair".
        vocabulary_size: the most ids that a tokenizer given by name may have; None for its default.
        reverse: whether targets are read and sources are written.
        max_length: the most tokens of a source; None for the network's limit.
        max_target_length: the most tokens of a target; None for the network's limit.
        long_sources: "split", "cut" or "auto", what is done with sources that are longer than those of the training:
            each sentence is rewritten by itself, or their start is read. "auto" cuts where targets are summaries.
        label_smoothing: share of each target's probability that is learnt for all tokens alike.
        sizes: sizes of a network given by name.

    Example:
        >>> model = Seq2SeqModel("transformer", "characters", d_model=16, num_layers=1, label_smoothing=0.0)
        >>> _ = model.fit([("cat", "chat"), ("dog", "chien")] * 40, validation_fraction=0, epochs=40, verbose=0)
        >>> model.translate(["cat", "dog"])
        ['chat', 'chien']
    """

    def __init__(
        self,
        network: str | Network = "auto",
        tokenizer: str | BaseTokenizer | None = "auto",
        vocabulary_size: int | None = None,
        reverse: bool = False,
        max_length: int | None = None,
        max_target_length: int | None = None,
        long_sources: str = "auto",
        label_smoothing: float = 0.1,
        **sizes,
    ):
        task = Seq2Seq(
            reverse=reverse,
            max_length=max_length,
            max_target_length=max_target_length,
            long_sources=long_sources,
            label_smoothing=label_smoothing,
        )
        super().__init__(task, network, tokenizer, vocabulary_size=vocabulary_size, **sizes)

    def rewrite(
        self,
        text,
        num_beams: int = Beams.num_beams,
        length_penalty: float = Beams.length_penalty,
        no_repeat_ngram: int = Beams.no_repeat_ngram,
        max_new_tokens: int | None = None,
        num_best: int | None = None,
        text_column: str | None = None,
    ):
        """The best text for a text, found by beam search. `translate` and `summarize` are other names for it.

        Args:
            text: a text, or several: a list, a series, an array, a table.
            num_beams: how many unfinished texts are kept at a time; 1 takes the likeliest token every time.
            length_penalty: 0: the likeliest text wins, which may be a short one; above 0: longer texts win more.
            no_repeat_ngram: no so many tokens in a row come twice in a text; 0: they may.
            max_new_tokens: the most tokens to write, for each sentence of a text that is split; None for twice as many
                as the source has, and ten.
            num_best: how many texts to give for each, with their scores; None for the best alone.
            text_column: the column of a table that holds the texts; None: source, or target for a reverse model.

        Returns:
            The text; with num_best, a list of up to so many Written (text, score), the best first; the score of a text
            that is split is the sum of its sentences'. A list with the result for each of several texts. Of an
            empty text, the empty text is made.
        """
        texts, single = texts_of(text, text_column or self.task.read_column)
        beams = Beams(num_beams, length_penalty, no_repeat_ngram)
        most = 1 if num_best is None else num_best
        found = self._runner.rewrite(texts, beams, max_new_tokens=max_new_tokens, num_best=most)
        given = [one[0].text if num_best is None else one for one in found]
        return given[0] if single else given

    translate = summarize = rewrite

    def sample(
        self, text, num_samples: int = 1, max_new_tokens: int | None = None, text_column: str | None = None, **sampling
    ):
        """Texts that are drawn for a text, more varied than what `rewrite` finds.

        Args:
            text: as for `rewrite`.
            num_samples: how many for each text.
            max_new_tokens: as for `rewrite`.
            text_column: as for `rewrite`.
            sampling: temperature, top_k, top_p, repetition_penalty and seed, see Sampling.

        Returns:
            A text; with num_samples > 1 a list of them; a list with the result for each of several texts.
        """
        texts, single = texts_of(text, text_column or self.task.read_column)
        found = self._runner.sample(texts, Sampling(**sampling), max_new_tokens, num_samples=num_samples)
        given = [[one.text for one in samples] if num_samples > 1 else samples[0].text for samples in found]
        return given[0] if single else given

    def stream(self, text: str, max_new_tokens: int | None = None, **sampling) -> Iterator[str]:
        """Writes a text piece by piece: the likeliest token every time, unless a temperature is given.

        Args:
            text: a text.
            max_new_tokens: as for `rewrite`.
            sampling: temperature, top_k, top_p, repetition_penalty and seed, see Sampling.

        Returns:
            An iterator over non-empty pieces; together they are what `rewrite` gives with one beam.
        """
        if not isinstance(text, str):
            raise InputError(f"stream takes one text, got {type(text).__name__}")
        return self._runner.stream(text, Sampling(**{"temperature": 0.0, **sampling}), max_new_tokens)
