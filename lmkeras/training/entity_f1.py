"""F1 of entities as a Keras metric, counted while a tagger trains and is validated.

Shape letters: B batch, W words, K tags.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from lmkeras.layers.crf import Scores, best_path
from lmkeras.layers.entities import Tags, bounds


class EntityF1(keras.metrics.Metric):
    """2 · entities that are found exactly / (entities that are found + entities that there are), in all batches.

    Args:
        tags: what the tags mean.
        scores: gives the scores of tags after each other.
    """

    def __init__(self, tags: Tags, scores: Callable[[], Scores], name: str = "f1", **options):
        super().__init__(name=name, **options)
        self._tags, self._scores = tags, scores
        add = {"shape": (), "initializer": "zeros", "aggregation": "sum"}
        self._hits, self._seen = self.add_variable(name="hits", **add), self.add_variable(name="seen", **add)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch.

        Args:
            y_true: int32 [B, W], the tags.
            y_pred: float32 [B, W, K], their scores.
            sample_weight: float32 [B, W], 0 for what comes after a text's words; None where there is nothing.
        """
        true = tf.cast(y_true, tf.int32)
        real = (
            tf.ones_like(true) if sample_weight is None else tf.cast(tf.cast(sample_weight, tf.float32) > 0, tf.int32)
        )
        lengths = tf.reduce_sum(real, axis=1)
        found = best_path(tf.cast(y_pred, tf.float32), lengths, self._scores())
        (begins, ends), (found_begins, found_ends) = (bounds(path, lengths, self._tags) for path in (true, found))
        types, found_types = (tf.gather(self._tags.types, path) for path in (true, found))
        # an entity is found if all of its words are of its type, and entities begin and end there as they should
        wrong = (types != found_types) | (begins != found_begins) | (ends != found_ends)
        missed = wrong & (types >= 0) & (real > 0)
        rows, width = tf.unstack(tf.shape(true))
        entity = tf.cumsum(tf.cast(begins, tf.int32), axis=1) + tf.range(rows)[:, None] * (width + 1)
        begun, misses = (
            tf.math.unsorted_segment_sum(tf.cast(part, tf.int32), entity, rows * (width + 1))
            for part in (begins, missed)
        )
        self._hits.assign_add(_count((begun > 0) & (misses == 0)))
        self._seen.assign_add(_count(begins) + _count(found_ends))

    def result(self):
        """The F1; 0 if there is no entity."""
        return ops.divide_no_nan(2 * ops.convert_to_tensor(self._hits), ops.convert_to_tensor(self._seen))


def _count(values):
    return tf.reduce_sum(tf.cast(values, tf.float32))
