"""Beam search: the likeliest texts, where the likeliest token at each place need not give the likeliest text.

For every text, `num_beams` unfinished texts are kept: of all their continuations by one token, the likeliest. A text
whose end is among these is finished; it is kept by its score, log P / ((5 + n) / 6) ** length_penalty, n being its
number of tokens, the end counted. The search is over when no unfinished text can get a better score any more.

Texts whose search is over leave the batch, so that the others do not wait for them: whenever half of them are done.

Shape letters: B texts, W beams, R rows, N new tokens, V vocabulary, C candidates.

Source: Wu et al. 2016, "Google's Neural Machine Translation System", section 7, for the length penalty.
"""

from typing import NamedTuple

import tensorflow as tf

from lmkeras.decoding.generate import GenerationLoop, within

_EXCLUDED = -1e9  # the score of what is ruled out; finite, so that no difference of scores is NaN
_POSSIBLE = _EXCLUDED / 2  # the scores of what is not ruled out are above
WAS_FOUND = -1e8  # the scores of texts that were found are above


class Best(NamedTuple):
    """The best texts of each search, the best first.

    Attributes:
        ids: int32 [B, W, N], their new tokens, without the end of a text.
        lengths: int32 [B, W], how many of them count.
        scores: float32 [B, W]; below WAS_FOUND where fewer than W texts were found.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    scores: tf.Tensor


class BeamSearch:
    """Searches for the likeliest continuations of what a generation loop has read.

    With one beam it takes the likeliest token every time, and stops at the first end.

    Args:
        loop: has read the prompts or sources; its network writes.
        no_repeat_ngram: no so many tokens in a row come twice in a new text; 0 for no such rule.
    """

    def __init__(self, loop: GenerationLoop, no_repeat_ngram: int = 0):
        self._loop, self._ngram = loop, no_repeat_ngram
        self._num_ends = int(_count(loop.ends))
        counts, scalar = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)
        signature = [loop.state_signature, counts, scalar, scalar, tf.TensorSpec([], tf.float32)]
        self.search = tf.function(within(loop.weights, self._search), autograph=False, input_signature=signature)

    def _search(self, state, limits, num_beams, num_best, length_penalty):
        """The best texts.

        Args:
            state: what the loop's `start` returned, with one sample for each prompt.
            limits: int32 [B], the most tokens of each text, at least 1.
            num_beams: W.
            num_best: how many of the best texts are wanted, at most W; the search goes on until they are certain.
            length_penalty: 0: the likeliest text wins, which is often a short one; above 0: longer texts win more.

        Returns:
            Best.
        """
        texts, size = tf.shape(limits)[0], tf.maximum(1, tf.reduce_max(limits))
        rows, filler = tf.repeat(tf.range(texts), num_beams), self._loop.filler
        live = {
            "network": self._loop.with_rows(state["network"], rows),
            "ids": tf.fill([texts * num_beams, size], filler),
            "tokens": tf.zeros([texts * num_beams], tf.int32),
            # at first all beams are the same, so that only one of them counts
            "scores": tf.where(tf.range(num_beams) == 0, 0.0, tf.fill([texts, num_beams], _EXCLUDED)),
            "found": Best(
                tf.fill([texts, num_beams, size], filler),
                tf.zeros([texts, num_beams], tf.int32),
                tf.fill([texts, num_beams], _EXCLUDED),
            ),
            "done": tf.fill([texts], False),
            "limits": limits,
            "text": tf.range(texts),
            "drawn": tf.constant(0),
        }
        wanted = {"num_best": num_best, "length_penalty": length_penalty}
        live = self._chosen(live, tf.gather(state["logits"], rows), **wanted)

        def stretch(live, found):
            """Searches on until half of the texts are done, which then leave the batch."""
            half = tf.size(live["text"]) // 2
            (live,) = tf.while_loop(lambda live: _count(~live["done"]) > half, step, (live,))
            places = live["text"][:, None]
            found = Best(
                *(tf.tensor_scatter_nd_update(*pair) for pair in zip(found, [places] * 3, live["found"], strict=True))
            )
            return self._without_done(live), found

        def step(live):
            logits, network = self._loop.network.step(live["tokens"][:, None], live["network"])
            return (self._chosen({**live, "network": network}, logits[:, -1], **wanted),)

        _, found = tf.while_loop(lambda live, _: tf.size(live["text"]) > 0, stretch, (live, live["found"]))
        return found

    def _chosen(self, live, logits, num_best, length_penalty):
        """The search one token on: continuations that end are found texts, the likeliest others are the new beams."""
        texts, beams = tf.unstack(tf.shape(live["scores"]))
        count, vocabulary = live["drawn"] + 1, logits.shape[-1]
        scores = self._allowed(tf.nn.log_softmax(tf.cast(logits, tf.float32)), live)
        scores = live["scores"][:, :, None] + tf.reshape(scores, [texts, beams, vocabulary])
        # of each beam, every end may be among the candidates, and there must be W others
        candidates = beams * min(1 + self._num_ends, vocabulary)
        scores, at = tf.math.top_k(tf.reshape(scores, [texts, -1]), candidates)  # [B, C], the likeliest first
        beam, token = at // vocabulary, at % vocabulary
        ends, last = tf.gather(self._loop.ends, token), count >= live["limits"]
        rows = tf.range(texts)[:, None] * beams + beam
        ids = tf.gather(live["ids"], rows)  # [B, C, N]
        column = tf.range(tf.shape(ids)[2]) == live["drawn"]
        ids = tf.where(column & ~ends[:, :, None], token[:, :, None], ids)

        penalty = _penalty(count, length_penalty)
        are_found = (tf.range(candidates) < beams) & (ends | last[:, None]) & (scores > _POSSIBLE)
        are_found &= ~live["done"][:, None]
        lengths = tf.where(ends, live["drawn"], count)
        new = Best(ids, lengths, tf.where(are_found, scores / penalty, _EXCLUDED))
        both = Best(*(tf.concat(pair, axis=1) for pair in zip(live["found"], new, strict=True)))
        best, at = tf.math.top_k(both.scores, beams)
        found = Best(tf.gather(both.ids, at, batch_dims=1), tf.gather(both.lengths, at, batch_dims=1), best)

        on, at = tf.math.top_k(tf.where(ends, _EXCLUDED, scores), beams)
        # a score is at most 0, so that an unfinished text cannot get a better one than by the largest penalty
        reachable = on[:, 0] / tf.maximum(_penalty(count + 1, length_penalty), _penalty(live["limits"], length_penalty))
        settled = best[:, num_best - 1] >= tf.where(beams == 1, _POSSIBLE, reachable)
        kept, all_rows = tf.reshape(tf.gather(rows, at, batch_dims=1), [-1]), tf.range(texts * beams)
        return {
            **live,
            "network": tf.cond(
                tf.reduce_all(kept == all_rows),
                lambda: live["network"],
                lambda: self._loop.with_rows(live["network"], kept),
            ),
            "ids": tf.reshape(tf.gather(ids, at, batch_dims=1), tf.shape(live["ids"])),
            "tokens": tf.reshape(tf.gather(token, at, batch_dims=1), [-1]),
            "scores": on,
            "found": found,
            "done": live["done"] | last | settled,
            "drawn": count,
        }

    def _allowed(self, scores, live):
        """Log probabilities [R, V] in which tokens that may not come next are ruled out."""
        scores = tf.where(self._loop.banned, _EXCLUDED, scores)
        if not self._ngram:
            return scores
        ids, drawn, size = live["ids"], live["drawn"], self._ngram
        before = tf.gather(ids, tf.maximum(drawn - size + 1 + tf.range(size - 1), 0), axis=1)  # [R, size - 1]
        # every run of so many tokens, as far as the text is long
        runs = tf.gather(ids, tf.range(tf.maximum(0, drawn - size + 1))[:, None] + tf.range(size), axis=1)
        row, run = tf.unstack(tf.where(tf.reduce_all(runs[:, :, :-1] == before[:, None], axis=2)), axis=1)
        repeated = tf.gather_nd(runs[:, :, -1], tf.stack([row, run], axis=1))
        at = tf.stack([row, tf.cast(repeated, tf.int64)], axis=1)
        return tf.tensor_scatter_nd_update(scores, at, tf.fill(tf.shape(at)[:1], _EXCLUDED))

    def _without_done(self, live):
        """The searches that are not over."""
        beams, texts = tf.shape(live["scores"])[1], tf.cast(tf.where(~live["done"])[:, 0], tf.int32)
        rows = tf.reshape(texts[:, None] * beams + tf.range(beams), [-1])
        by_text = {name: live[name] for name in ("scores", "found", "done", "limits", "text")}
        by_row = {name: live[name] for name in ("ids", "tokens")}
        return {
            **tf.nest.map_structure(lambda tensor: tf.gather(tensor, texts), by_text),
            **tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), by_row),
            "network": self._loop.with_rows(live["network"], rows, texts),
            "drawn": live["drawn"],
        }


def _penalty(length, length_penalty):
    return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** length_penalty


def _count(where):
    return tf.reduce_sum(tf.cast(where, tf.int32))
