"""Rewrites texts with a trained network, and judges what it writes."""

import functools
import itertools
from collections.abc import Iterator, Sequence

from lmkeras.datasets.sharing import WHOLE
from lmkeras.decoding.sampling import Beams, Sampling
from lmkeras.errors import InputError
from lmkeras.metrics import perplexity
from lmkeras.overlap import bleu_chrf, rouge
from lmkeras.reports.rewriting import RewritingReport
from lmkeras.tasks.base import Runner
from lmkeras.tasks.sentences import sentences
from lmkeras.tokenizers.utf8 import encodable

_WRITTEN = 1000  # pairs of a validation part, whose sources are rewritten after every evaluation


class Seq2SeqRunner(Runner):
    """Rewrites texts, and judges.

    Args:
        task: the Seq2Seq that the network was trained for.
        network: a network with an EncoderDecoder.
        tokenizer: the tokenizer it was trained with.
    """

    def __init__(self, task, network, tokenizer):
        self._task, self._network, self._tokenizer = task, network, tokenizer

    @functools.cached_property
    def _rewriter(self):
        from lmkeras.decoding.rewriting import Lengths, TextRewriter

        limits, special = self._task.limits(self._network), self._tokenizer.special
        most = limits.max_target_length
        lengths = Lengths(limits.max_length, most and most - 1, end=special.ends[0])
        return TextRewriter(self._network, self._tokenizer, lengths)

    def judge(
        self,
        corpus,
        num_beams: int = Beams.num_beams,
        length_penalty: float = Beams.length_penalty,
        no_repeat_ngram: int = Beams.no_repeat_ngram,
        language: str = "auto",
    ):
        """loss_nats and perplexity of the targets' tokens; then what the texts that are written get, see the report."""
        from lmkeras.training.fit import evaluate

        pairs = list(corpus)
        beams = Beams(num_beams, length_penalty, no_repeat_ngram)
        data = self._task.validation_data(pairs, self._tokenizer, network=self._network, replicas=1)
        loss = float(evaluate(self._network, data.dataset(WHOLE), verbose=0)["loss"])
        sources, references = zip(*pairs, strict=True)
        written = [found[0].text for found in self.rewrite(sources, beams)]
        # translations are ranked by chrF, summaries by ROUGE-L
        ranked_by = "chrf" if self._task.splits else "rouge_l"
        report = RewritingReport.of(sources, written, references, language=language, ranked_by=ranked_by)
        counts = {"length_ratio": report.length_ratio, "copies": report.copies, "empty": report.empty}
        values = {"loss_nats": loss, "perplexity": perplexity(loss), **report.scores(), **counts}
        return {**values, "pairs": len(pairs)}, report

    def written_values(self, corpus) -> dict[str, float]:
        """bleu and rouge_l of what is written, by the likeliest token every time, for the first thousand pairs."""
        sources, references = zip(*itertools.islice(corpus, _WRITTEN), strict=True)
        written = [found[0].text for found in self.rewrite(sources, Beams(num_beams=1))]
        values = {**bleu_chrf(written, references).values, **rouge(written, references).values}
        return {name: values[name] for name in ("bleu", "rouge_l")}

    def predict(self, texts, at_a_time=1024):
        """Each text with the best text for it, in the order of the texts."""
        texts = iter(texts)
        while some := [_text(text) for text in itertools.islice(texts, at_a_time)]:
            yield from zip(some, (found[0] for found in self.rewrite(some, Beams())), strict=True)

    def rewrite(self, texts: Sequence[str], beams: Beams, max_new_tokens: int | None = None, num_best: int = 1):
        """For each text a list of Written, the best first; see `TextRewriter.search`. Long texts are split."""
        return self._of_pieces(
            texts, lambda pieces: self._rewriter.search(pieces, beams, max_new_tokens=max_new_tokens, num_best=num_best)
        )

    def sample(self, texts: Sequence[str], sampling: Sampling, max_new_tokens: int | None = None, num_samples: int = 1):
        """The same with texts that are drawn; see `TextRewriter.sample`."""
        return self._of_pieces(
            texts, lambda pieces: self._rewriter.sample(pieces, sampling, max_new_tokens, num_samples=num_samples)
        )

    def stream(self, text: str, sampling: Sampling, max_new_tokens: int | None = None) -> Iterator[str]:
        """The pieces of one text as they are drawn."""
        for number, piece in enumerate(self._pieces(_text(text))):
            if number:
                yield self._between
            if piece:
                yield from self._rewriter.stream(piece, sampling, max_new_tokens)

    @property
    def _between(self) -> str:
        return " " if self._task.spaces else ""

    def _pieces(self, text: str) -> list[str]:
        """The sentences of a long text, if long texts are split; else the text alone."""
        task = self._task
        is_split = task.splits and task.longest_source is not None and len(text) > task.longest_source
        return sentences(text) if is_split else [text]

    def _of_pieces(self, texts, written):
        """The texts that belong to the pieces of each text, put together: the n-th best of each piece."""
        pieces = [self._pieces(_text(text)) for text in texts]
        flat = [piece for one in pieces for piece in one]
        of_pieces = iter(_nothing_of_nothing(flat, written(flat)))
        return [self._joined(list(itertools.islice(of_pieces, len(one)))) for one in pieces]

    def _joined(self, found):
        if len(found) == 1:
            return found[0]
        best = zip(*found, strict=False)  # as many as there are for every piece
        return [
            one[0]._replace(
                text=self._between.join(piece.text for piece in one),
                score=None if one[0].score is None else sum(piece.score for piece in one),
            )
            for one in best
        ]


def _nothing_of_nothing(texts, found):
    """What was found, but for empty texts, of which there is nothing to make, only the empty text."""
    each = zip(texts, found, strict=True)
    return [of_text if text else [of_text[0]._replace(text="")] * len(of_text) for text, of_text in each]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"expected a text, got {type(value).__name__}")
    return encodable(value)
