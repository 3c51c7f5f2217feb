"""The twin of BytePairTokenizer."""

from collections.abc import Sequence

import tensorflow as tf

from lmkeras.tokenizers.in_graph.lower_case import step
from lmkeras.tokenizers.in_graph.merging import MergesInGraph
from lmkeras.tokenizers.in_graph.offsets import in_rows, places_in_text
from lmkeras.tokenizers.in_graph.whole_characters import whole_characters
from lmkeras.tokenizers.pieces import CLASSES, WHITE_SPACE, class_changes


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
        ids = {token: id for id, token in enumerate(token_bytes)}
        made = {pair: ids[token_bytes[pair[0]] + token_bytes[pair[1]]] for pair in merges}
        ranks = {pair: (rank, made[pair]) for rank, pair in enumerate(merges)}
        self._merges = MergesInGraph(ranks, len(token_bytes))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text, int32 [B, tokens]."""
        with tf.device("CPU"):  # where strings and tables are: a loop on another device would copy in every round
            codes, rows, character, symbols = self._symbols(texts)
            ids = tf.boolean_mask(symbols, symbols >= 0)
            id_rows = tf.boolean_mask(tf.gather(rows, character), symbols >= 0)
            return tf.RaggedTensor.from_value_rowids(ids, id_rows, nrows=codes.nrows(), validate=False)

    def encode_with_offsets(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The ids of each text, and the starts and ends of the characters that hold their bytes; int32 [B, tokens]."""
        with tf.device("CPU"):
            codes, rows, character, symbols = self._symbols(texts)
            first_bytes = tf.where(symbols >= 0)[:, 0]
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
        return tf.strings.unicode_transcode(self._bytes_of(ids), "UTF-8", "UTF-8")

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode_whole(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """What `decode` gives, without a character at the end of a text of which some bytes are missing."""
        return tf.strings.unicode_transcode(whole_characters(self._bytes_of(ids)), "UTF-8", "UTF-8")

    def _bytes_of(self, ids: tf.RaggedTensor) -> tf.Tensor:
        tokens = ids.with_flat_values(tf.gather(self._token_bytes, ids.flat_values))
        return tf.strings.reduce_join(tokens, axis=-1)

    def _symbols(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """The bytes of UTF-8 strings [B] after all merges.

        Returns:
            Four tensors: the code points, int32 [B, characters]; for each character the number of its text, int64; for
            each byte of all texts the number of its character, int32 [N]; for each byte the id of the token that
            starts there, or -1 if none does, int32 [N].
        """
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
        codes = tf.strings.unicode_decode(texts, "UTF-8")
        rows = codes.value_rowids()
        raw = tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8)
        character = tf.cumsum(tf.cast(raw & 0xC0 != 0x80, tf.int32)) - 1
        starts = tf.cast(piece_starts(codes.flat_values, rows), tf.int32)
        piece = tf.gather(tf.cumsum(starts) - 1, character)
        return codes, rows, character, self._merges(tf.cast(raw, tf.int32) + 1, piece, tf.reduce_sum(starts))


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
