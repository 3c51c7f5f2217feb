"""The TensorFlow twins of the tokenizers: same ids, same text, from TensorFlow's own operations alone.

Each is a tf.Module with two tf.functions, `encode` (strings [B] to ragged int32 ids [B, T]) and `decode` (ragged int32
ids [B, T] to strings [B]), which tf.saved_model.save keeps. Strings are UTF-8; bytes that are not count as U+FFFD,
as `bytes.decode(errors="replace")` has it.
"""
