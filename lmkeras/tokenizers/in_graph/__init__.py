"""The TensorFlow twins of the tokenizers: same ids, same text, from TensorFlow's own operations alone.

Each is a tf.Module, built from plain data (tables, pieces, rules), with three tf.functions that tf.saved_model.save
keeps: `encode` maps strings [B] to ragged int32 ids [B, T], `encode_with_offsets` maps them to these ids and the starts
and ends of the characters that each id stands for, and `decode` maps ragged int32 ids [B, T] to strings [B]. Strings
are UTF-8; bytes that are no UTF-8 count as U+FFFD, as in Python's `bytes.decode(errors="replace")`.
"""
