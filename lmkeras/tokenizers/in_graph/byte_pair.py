"""The twin of BytePairTokenizer."""

from collections.abc import Sequence

import tensorflow as tf

from lmkeras.tokenizers.in_graph.lower_case import step
from lmkeras.tokenizers.in_graph.offsets import in_rows, places_in_text
from lmkeras.tokenizers.pieces import CLASSES, WHITE_SPACE, class_changes

# A merge that may come next is one int64: its rank in the upper bits, the position of its left symbol in the lower
# POSITION_BITS. So the least of these numbers is the merge to do next. NO_MERGE is the rank of pairs that never merge.
POSITION_BITS = 32
NO_MERGE = 2**30


class InGraphBytePairs(tf.Module):
    """Byte pairs to ids and back.

    Args:
        token_bytes: the bytes of each id from 0 on: none for id 0, which pads, then each single byte, then what
            merges make.
        merges: pairs of ids that become one token where they are neighbours, the pair to merge first at the front.
    """

    def __init__(self, token_bytes: Sequence[bytes], merges: Sequence[tuple[int, int]]):
        super().__init__()
        self._token_bytes = tf.constant(token_bytes)
        self._size = len(token_bytes)
        ids = {token: id for id, token in enumerate(token_bytes)}
        made = [ids[token_bytes[left] + token_bytes[right]] for left, right in merges]
        self._made = tf.constant(made, tf.int32)
        ranks = {left * self._size + right: rank for rank, (left, right) in enumerate(merges)}
        ranks[-1] = NO_MERGE  # no pair has this key, but TensorFlow takes no empty table
        keys, values = tf.constant([*ranks], tf.int64), tf.constant([*ranks.values()], tf.int64)
        self._ranks = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), NO_MERGE)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text, int32 [B, tokens]."""
        with tf.device("CPU"):  # where strings and tables are: a loop on another device would copy in every round
            codes, rows, character, symbols = self._symbols(texts)
            ids = tf.boolean_mask(symbols, symbols > 0)
            id_rows = tf.boolean_mask(tf.gather(rows, character), symbols > 0)
            return tf.RaggedTensor.from_value_rowids(ids, id_rows, nrows=codes.nrows(), validate=False)

    def encode_with_offsets(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The ids of each text, and the starts and ends of the characters that hold their bytes; int32 [B, tokens]."""
        with tf.device("CPU"):
            codes, rows, character, symbols = self._symbols(texts)
            first_bytes = tf.where(symbols > 0)[:, 0]
            last_bytes = tf.concat([first_bytes, tf.size(symbols, tf.int64)[None]], axis=0)[1:] - 1
            first, last = tf.gather(character, first_bytes), tf.gather(character, last_bytes)
            places = places_in_text(codes)
            return in_rows(
                rows=tf.gather(rows, first),
                num_texts=codes.nrows(),
                ids=tf.gather(symbols, first_bytes),
                starts=tf.gather(places, first),
                ends=tf.gather(places, last) + 1,
            )

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """The text of each row of ids; InvalidArgumentError for an id outside the vocabulary."""
        tokens = ids.with_flat_values(tf.gather(self._token_bytes, ids.flat_values))
        return tf.strings.unicode_transcode(tf.strings.reduce_join(tokens, axis=-1), "UTF-8", "UTF-8")

    def _symbols(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """The bytes of UTF-8 strings [B] after all merges.

        Returns:
            Four tensors: the code points, int32 [B, characters]; for each character the number of its text, int64; for
            each byte of all texts the number of its character, int32 [N]; for each byte the id of the token that
            starts there, or 0 if none does, int32 [N].
        """
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
        codes = tf.strings.unicode_decode(texts, "UTF-8")
        rows = codes.value_rowids()
        raw = tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8)
        character = tf.cumsum(tf.cast(raw & 0xC0 != 0x80, tf.int32)) - 1
        starts = tf.cast(piece_starts(codes.flat_values, rows), tf.int32)
        piece = tf.gather(tf.cumsum(starts) - 1, character)
        return codes, rows, character, self._merged(tf.cast(raw, tf.int32) + 1, piece, tf.reduce_sum(starts))

    def _merged(self, symbols: tf.Tensor, piece: tf.Tensor, num_pieces: tf.Tensor) -> tf.Tensor:
        """The symbols of all pieces after all merges.

        A merge writes its result over its left symbol and 0 over its right one. Each round of the loop makes the next
        merge of every piece. `at` holds the positions that the next round has to look at: those of symbols that are not
        0 in pieces that had a merge in this round.

        Args:
            symbols: int32 [N], one for each byte of all texts.
            piece: int32 [N], which piece each byte is of, ascending from 0 to num_pieces - 1.
            num_pieces: int32 scalar.
        """

        def one_merge_in_each_piece(symbols, at, piece):
            current = tf.cast(tf.gather(symbols, at), tf.int64)
            rank = self._ranks.lookup(current[:-1] * self._size + current[1:])
            rank = tf.where(piece[:-1] == piece[1:], rank, NO_MERGE)
            candidates = tf.bitwise.left_shift(rank, POSITION_BITS) + tf.range(tf.size(rank, tf.int64))
            best = tf.math.unsorted_segment_min(candidates, piece[:-1], num_pieces)
            mergeable = best < NO_MERGE << POSITION_BITS
            best = tf.boolean_mask(best, mergeable)
            left = best & (2**POSITION_BITS - 1)
            made = tf.gather(self._made, tf.bitwise.right_shift(best, POSITION_BITS))
            written = tf.gather(at, tf.concat([left, left + 1], axis=0))
            symbols = tf.tensor_scatter_nd_update(symbols, written[:, None], tf.concat([made, 0 * made], axis=0))
            kept = tf.gather(mergeable, piece) & (tf.gather(symbols, at) > 0)
            return symbols, tf.boolean_mask(at, kept), tf.boolean_mask(piece, kept)

        symbols, _, _ = tf.while_loop(
            lambda symbols, at, piece: tf.size(at) > 0,
            one_merge_in_each_piece,
            (symbols, tf.range(tf.size(symbols)), piece),
            shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([None])),
        )
        return symbols


def piece_starts(codes: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Where the pieces start that `piece_pattern` matches, computed from runs of characters of one class.

    Args:
        codes: int32 [N], the code points of all texts, one text after the other.
        rows: [N], which text each belongs to.

    Returns:
        bool [N], whether a piece starts at each character.
    """
    kind = step(codes, *class_changes())
    white = kind == CLASSES.index(WHITE_SPACE)
    same_text = rows[1:] == rows[:-1]
    new_run = tf.concat([tf.ones_like(white[:1]), (kind[1:] != kind[:-1]) | ~same_text], axis=0)
    run_start = tf.gather(tf.where(new_run)[:, 0], tf.cumsum(tf.cast(new_run, tf.int32)) - 1)
    offset = tf.range(tf.size(codes)) - tf.cast(run_start, tf.int32)
    longest = tf.gather([kind.longest for kind in CLASSES], kind)
    # The last white-space character before one of another class is a piece of its own or, if it is U+0020, the start
    # of the piece that follows.
    splits_off = tf.concat([white[:-1] & ~white[1:] & same_text, tf.zeros_like(white[:1])], axis=0)
    joined = tf.concat([tf.zeros_like(white[:1]), (splits_off & (codes == ord(" ")))[:-1]], axis=0)
    return ((offset % longest == 0) | splits_off) & ~joined
