"""UTF-8 that may end within a character, in TensorFlow's own operations."""

import tensorflow as tf


def whole_characters(joined: tf.Tensor) -> tf.Tensor:
    """Strings without the beginning of a character at their ends; what else is no UTF-8 stays.

    Args:
        joined: strings [B], bytes of UTF-8.

    Source: the well-formed sequences of bytes in table 3-7 of the Unicode Standard.
    """
    ends = tf.strings.substr(tf.strings.join(["   ", joined]), -3, 3)  # blanks, for shorter strings
    ends = tf.reshape(tf.cast(tf.io.decode_raw(ends, tf.uint8), tf.int32), (-1, 3))
    first, second, third = ends[:, 0], ends[:, 1], ends[:, 2]
    three = (first >= 0xF0) & _follows(first, second) & (third & 0xC0 == 0x80)
    two = (second >= 0xE0) & _follows(second, third)
    one = third >= 0xC2
    begun = tf.where(three & (first <= 0xF4), 3, tf.where(two & (second <= 0xF4), 2, 0))
    begun = tf.where(one & (third <= 0xF4), 1, begun)
    return tf.strings.substr(joined, tf.zeros_like(begun), tf.strings.length(joined) - begun)


def _follows(lead: tf.Tensor, byte: tf.Tensor) -> tf.Tensor:
    """Whether a character of three or four bytes that begins with `lead` may go on with `byte`."""
    least = tf.where(lead == 0xE0, 0xA0, tf.where(lead == 0xF0, 0x90, 0x80))
    most = tf.where(lead == 0xF4, 0x8F, 0xBF)  # 0xED may begin a surrogate, for which Python's decoder waits too
    return (byte >= least) & (byte <= most)
