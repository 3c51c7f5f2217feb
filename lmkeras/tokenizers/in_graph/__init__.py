"""The TensorFlow twins of the tokenizers: same ids, same text, from TensorFlow's own operations alone.

Each is a tf.Module, built from plain data (tables, pieces, rules). Two tf.functions, which tf.saved_model.save keeps,
map strings [B] to ragged int32 ids [B, T] (`encode`) and these to strings [B] (`decode`). `encode_with_offsets` maps
strings to the same ids and to the starts and ends of the characters that each id stands for; it is no tf.function, so
that only exports that call it carry its graph: call it inside a tf.function, or eagerly. Strings
are UTF-8; bytes that are no UTF-8 count as U+FFFD, as in Python's `bytes.decode(errors="replace")`.
"""
