"""Functions for offsets, that is for where in its text each id stands; all TensorFlow twins use them."""

import tensorflow as tf


def places_in_text(characters: tf.RaggedTensor) -> tf.Tensor:
    """The place of each character in its text, counted from 0.

    Args:
        characters: one value for each character [B, characters].

    Returns:
        int32 [N], N being the number of characters of all texts.
    """
    return tf.ragged.range(tf.cast(characters.row_lengths(), tf.int32)).flat_values


def in_rows(
    rows: tf.Tensor, num_texts: tf.Tensor, ids: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor
) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
    """Ids and their offsets, those of each text in a row of its own.

    Args:
        rows: int64 [M], which text each id is of, ascending.
        num_texts: int64 scalar, B.
        ids: int32 [M].
        starts: int32 [M], the first character of each id, counted from the start of its text.
        ends: int32 [M], the character behind the last one of each id.

    Returns:
        ids, starts and ends, int32 [B, T] all.
    """
    ids = tf.RaggedTensor.from_value_rowids(ids, rows, nrows=num_texts, validate=False)
    return ids, ids.with_flat_values(starts), ids.with_flat_values(ends)
