"""Fills in the masks of texts with a trained network, and judges it."""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from lmkeras.datasets.masking import FIXED
from lmkeras.errors import InputError
from lmkeras.metrics import perplexity
from lmkeras.tasks.base import Runner
from lmkeras.tasks.filling import MOST_TOKENS, Filling
from lmkeras.tokenizers.utf8 import encodable

BATCH_IDS = 8192  # the most ids of a batch that is judged
_TEXTS = 64  # that are filled in at a time


class MaskedRunner(Runner):
    """Fills in the masks of texts, and judges.

    Args:
        task: a MaskedLanguage.
        network: a network with a MaskedHead.
        tokenizer: the tokenizer it was trained with.
    """

    def __init__(self, task, network, tokenizer):
        self._task, self._network, self._tokenizer = task, network, tokenizer

    @functools.cached_property
    def _logits(self):
        """The function inputs → outputs of the head, traced once."""
        return self._traced(lambda outputs, targets: outputs)

    @functools.cached_property
    def _judged(self):
        """The function (inputs, targets) → for each kind of targets the losses and the hits."""
        import tensorflow as tf

        def judged(outputs, targets):
            outputs, targets = (one if isinstance(one, dict) else {"masked_words": one} for one in (outputs, targets))
            return {
                name: (
                    tf.nn.sparse_softmax_cross_entropy_with_logits(targets[name], logits),
                    tf.argmax(logits, -1, tf.int32) == targets[name],
                )
                for name, logits in outputs.items()
            }

        return self._traced(judged)

    def _traced(self, function):
        import tensorflow as tf

        return tf.function(
            lambda inputs, targets: function(self._network(inputs, training=False), targets),
            autograph=False,
            reduce_retracing=True,
        )

    def judge(self, corpus):
        """loss_nats and perplexity of masked words, accuracy, that of next sentences, and the number of masked words.

        The masks are always the same ones.
        """
        import tensorflow as tf

        examples = self._task.examples(corpus, self._tokenizer, self._network)
        sums = dict.fromkeys(("masked_words", "next_sentence"), np.zeros(3))
        for numbers in examples.fixed_batches(BATCH_IDS):
            inputs, targets, weights = tf.nest.map_structure(tf.constant, examples.batch(numbers, *FIXED))
            weights = weights if isinstance(weights, dict) else {"masked_words": weights}
            for name, (losses, hits) in self._judged(inputs, targets).items():
                weight = weights[name].numpy().astype(np.float64)
                counted = [weight.sum(), (losses.numpy() * weight).sum(), (hits.numpy() * weight).sum()]
                sums[name] = sums[name] + counted
        words, loss, hits = sums["masked_words"]
        values = {"loss_nats": loss / words, "perplexity": perplexity(loss / words), "accuracy": hits / words}
        if self._task.next_sentence:
            values["next_sentence_accuracy"] = sums["next_sentence"][2] / sums["next_sentence"][0]
        values = {name: float(value) for name, value in values.items()}
        return {**values, "masked_words": int(words), "examples": len(examples)}, None

    def predict(self, texts, at_a_time=1024, top_k=MOST_TOKENS) -> Iterator[tuple[str, Filling]]:
        """Each text with the likeliest tokens of its masks, in the order of the texts."""
        texts, most = iter(texts), min(top_k, self._network.head.vocabulary_size)
        while some := list(itertools.islice(texts, min(at_a_time, _TEXTS))):
            yield from zip(some, self._fillings([self._ids(text) for text in some], most), strict=True)

    def _ids(self, text: object) -> np.ndarray:
        """A text's ids with [CLS] and [SEP]; of a longer text, those around its masks."""
        if not isinstance(text, str):
            raise InputError(f"expected a text with a mask, got {type(text).__name__}")
        special, ids = self._tokenizer.special, np.array(self._tokenizer.encode(encodable(text)), np.int32)
        masks = np.flatnonzero(ids == special.mask)
        if not len(masks):
            name = self._tokenizer.token(special.mask)
            raise InputError(f"there is no {name} in the text {text[:60]!r}: write {name} where a word is to be found")
        room = self._task.length(self._network) - 2
        start = max(0, min(len(ids) - room, (masks[0] + masks[-1] - room) // 2 + 1))
        if masks[0] < start or masks[-1] >= start + room:
            raise InputError(f"the masks of a text lie further apart than the {room} tokens that the network sees")
        return np.concatenate([[special.classification], ids[start : start + room], [special.separator]])

    def _fillings(self, rows: list[np.ndarray], most: int) -> Iterator[Filling]:
        import tensorflow as tf

        special = self._tokenizer.special
        lengths = np.array([len(row) for row in rows])
        size, real = int(lengths.max()), np.arange(int(lengths.max())) < lengths[:, None]
        ids = np.full((len(rows), size), special.filler, np.int32)
        ids[real] = np.concatenate(rows)
        places = [np.flatnonzero(row == special.mask) for row in rows]
        positions = np.zeros((len(rows), max(map(len, places))), np.int32)
        for row, found in enumerate(places):
            positions[row, : len(found)] = found
        inputs = {"input_ids": ids, "attention_mask": real.astype(np.int32), "masked_positions": positions}
        outputs = self._logits(tf.nest.map_structure(tf.constant, inputs), None)
        logits = outputs["masked_words"] if isinstance(outputs, dict) else outputs
        found, token = tf.math.top_k(tf.nn.softmax(logits), most), self._tokenizer.token
        for row, masks in enumerate(places):
            values, tokens = found.values[row].numpy(), found.indices[row].numpy()
            yield Filling(
                tuple(
                    tuple((token(id), float(p)) for id, p in zip(tokens[mask], values[mask], strict=True))
                    for mask in range(len(masks))
                )
            )
