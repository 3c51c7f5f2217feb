"""Generates texts from prompts with the generation loop: several samples, stop texts, and text piece by piece."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow as tf

from lmkeras.decoding.beams import WAS_FOUND, BeamSearch
from lmkeras.decoding.generate import GenerationLoop
from lmkeras.decoding.sampling import Beams, Sampling, require_counts, stop_texts
from lmkeras.errors import InputError
from lmkeras.networks.network import Network
from lmkeras.tokenizers.base import BaseTokenizer

Prompt = str | Sequence[int]
_STREAM_TOKENS = 8  # the most tokens generated before the next piece of a streamed text is given out
_STOP_TOKENS = 16  # tokens generated before the text is searched for stop texts again


class TextGenerator:
    """Continues prompts with generated text.

    Args:
        network: a built language network with logits at every position.
        tokenizer: the tokenizer it was trained with; its unknown id is never generated.
    """

    def __init__(self, network: Network, tokenizer: BaseTokenizer):
        self.tokenizer = tokenizer
        self.loop = GenerationLoop(network, tokenizer.special)
        self._searches = functools.cache(functools.partial(BeamSearch, self.loop))

    def generate(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        sampling: Sampling,
        stop: str | Sequence[str],
        samples: int,
        special_tokens: bool = False,
    ) -> list[list[str]]:
        """Generates whole texts.

        Args:
            prompts: the texts to continue, or all ids of one; they do not influence one another.
            max_new_tokens: the most tokens to add to each, at least 1.
            sampling: how tokens are chosen.
            stop: a stop text or several; a generated text ends before the first of them.
            samples: number of texts to generate for each prompt.
            special_tokens: whether the names of special tokens in prompts stand for these tokens.

        Returns:
            For each prompt its new texts, without the prompt. A character is left out if the text ends before all of
            its bytes are there.

        Raises:
            InputError: a number is out of range, a stop text is empty, a prompt is empty although the tokenizer has no
                id that starts a text, or special tokens are asked for and the tokenizer does not find them.
        """
        if not prompts:
            return []
        stops, ids = stop_texts(stop), [self._encoded(prompt, special_tokens) for prompt in prompts]
        state = self._start(ids, samples, max_new_tokens)
        steps, ended = tf.constant(_STOP_TOKENS if stops else tf.int32.max // 2), False
        while not ended:
            state = self.loop.continued(state, sampling.tensors(), steps)
            texts = self._new_texts(state)
            finished = state["finished"].numpy()
            ends = [_first(text if done else _whole(text), stops) for text, done in zip(texts, finished, strict=True)]
            ended = all(done or end is not None for done, end in zip(finished, ends, strict=True))
        texts = [text[:end] for text, end in zip(texts, ends, strict=True)]
        return [texts[i : i + samples] for i in range(0, len(texts), samples)]

    def search(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        beams: Beams,
        stop: str | Sequence[str],
        num_best: int,
        special_tokens: bool = False,
    ) -> list[list[str]]:
        """The likeliest texts for each prompt, found by beam search, the best first.

        Args:
            beams: how to search; with a stop text, the texts are cut there when they are found.
            num_best: how many texts for each prompt, at most as many as there are beams.
            others: those of `generate`.

        Raises:
            InputError: as for `generate`; or a text would outgrow what the network looks at.
        """
        stops, ids = stop_texts(stop), [self._encoded(prompt, special_tokens) for prompt in prompts]
        beams.require(num_best)
        longest = max(map(len, ids), default=0) + max_new_tokens
        if longest > self.loop.limit:
            raise InputError(
                f"beams need room for prompt and new text, {longest} tokens, and the network looks at "
                f"{self.loop.limit}: give a shorter prompt, fewer max_new_tokens, or one beam"
            )
        if not prompts:
            return []
        search = self._searches(beams.no_repeat_ngram).search
        state, limits = self._start(ids, 1, max_new_tokens), tf.fill([len(ids)], tf.constant(max_new_tokens, tf.int32))
        best = search(state, limits, **beams.tensors(num_best))
        found = zip(ids, *(part.numpy().tolist() for part in best), strict=True)
        return [self._best(prompt, *of_prompt, stops=stops)[:num_best] for prompt, *of_prompt in found]

    def _best(self, prompt, ids, lengths, scores, stops) -> list[str]:
        found = []
        for new, length, score in zip(ids, lengths, scores, strict=True):
            if score > WAS_FOUND:
                text = self._new_text([*prompt, *new[:length]], len(prompt))
                found.append(text[: _first(text, stops)])
        return found

    def stream(
        self,
        prompt: Prompt,
        max_new_tokens: int,
        sampling: Sampling,
        stop: str | Sequence[str],
        special_tokens: bool = False,
    ) -> Iterator[str]:
        """Generates one text piece by piece; the arguments are those of `generate`.

        Yields:
            Non-empty pieces. Incomplete characters, and text that may turn out to begin a stop text, are held back.
        """
        stops, ids = stop_texts(stop), self._encoded(prompt, special_tokens)
        state = self._start([ids], 1, max_new_tokens)
        return streamed(self.loop, state, sampling, text_of=lambda now: self._new_texts(now)[0], stops=stops)

    def predict(self, prompt: str, top_k: int) -> list[tuple[str, float]]:
        """The likeliest next tokens and their probabilities, from the likeliest down; "" is the end of the text.

        Other special tokens have their names.
        """
        probabilities = tf.nn.softmax(self._start([self._encoded(prompt)], 1, 1)["logits"])[0]
        best = tf.math.top_k(probabilities, min(top_k, len(probabilities)))
        names = {id: name for name, id in self.tokenizer.marks.items()}
        names |= dict.fromkeys(self.tokenizer.special.ends, "")
        tokens = [names[i] if i in names else self.tokenizer.decode([i]) for i in best.indices.numpy().tolist()]
        return list(zip(tokens, best.values.numpy().tolist(), strict=True))

    def _start(self, ids: Sequence[Sequence[int]], samples: int, max_new_tokens: int):
        require_counts(max_new_tokens, samples)
        padded = tf.ragged.constant(ids, tf.int32).to_tensor()
        lengths = tf.constant([len(row) for row in ids])
        return self.loop.start(
            padded,
            lengths,
            samples=tf.constant(samples, tf.int32),
            max_new_tokens=tf.constant(max_new_tokens, tf.int32),
        )

    def _encoded(self, prompt: Prompt, special_tokens: bool = False) -> list[int]:
        if not isinstance(prompt, str):
            return list(prompt)
        ids = self.tokenizer.encode_alone(prompt, special_tokens)
        if not ids:
            raise InputError("this tokenizer has no id that starts a text: give a prompt that is not empty")
        return ids

    def _new_texts(self, state) -> list[str]:
        """The text of each row after its prompt; a space between prompt and new text belongs to the new text.

        The bytes of a character at the end that lacks others are left out.
        """
        columns = (state[name].numpy().tolist() for name in ("ids", "lengths", "prompt_lengths"))
        return [self._new_text(ids[:length], prompt) for ids, length, prompt in zip(*columns, strict=True)]

    def _new_text(self, ids: list[int], prompt_length: int) -> str:
        first = len(self.tokenizer.special.before(["a token"]))
        prompt, whole = (self.tokenizer.decode_whole(ids[first:end]) for end in (prompt_length, len(ids)))
        return whole[len(prompt) :]


def streamed(
    loop: GenerationLoop,
    state: Mapping,
    sampling: Sampling,
    text_of: Callable[[Mapping], str],
    stops: Sequence[str] = (),
) -> Iterator[str]:
    """One text piece by piece, while a loop writes it.

    Args:
        loop: what writes.
        state: what its `start` returned, for one text.
        sampling: how tokens are chosen.
        text_of: gives the new text of a state, as far as it is written.
        stops: texts before the first of which it ends.

    Yields:
        Non-empty pieces. Incomplete characters, and text that may turn out to begin a stop text, are held back.
    """
    given, finished, steps, how = 0, False, 1, sampling.tensors()
    while not finished:
        state = loop.continued(state, how, tf.constant(steps))
        steps = min(2 * steps, _STREAM_TOKENS)  # the first piece comes soon
        text, finished = text_of(state), bool(state["finished"].numpy()[0])
        text = text if finished else _whole(text)
        end = _first(text, stops)
        finished = finished or end is not None
        safe = text[:end] if finished else text[: _safe_length(text, stops)]
        if len(safe) > given:
            yield safe[given:]
            given = len(safe)


def _first(text: str, stops: Sequence[str]) -> int | None:
    """Where the first stop text begins; None if the text contains none."""
    return min((at for at in map(text.find, stops) if at >= 0), default=None)


def _whole(text: str) -> str:
    """An unfinished text without the U+FFFD at its end, which stands for a character whose other bytes are to come."""
    return text.rstrip("\ufffd")


def _safe_length(text: str, stops: Sequence[str]) -> int:
    """How many characters of an unfinished text are final: all but an end that may turn out to begin a stop text."""
    length = len(text)
    for stop in stops:
        begun = (size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size]))
        length = min(length, len(text) - next(begun, 0))
    return length
