"""The twin of WordPieceTokenizer. N is the number of characters of all words, W the number of words."""

from typing import TYPE_CHECKING

import tensorflow as tf
from tokenizers import decoders

from lmkeras.tokenizers.bert_inputs import pair_lengths, room_for_text
from lmkeras.tokenizers.bert_text import LONGEST_WORD
from lmkeras.tokenizers.in_graph.bert_text import STAND_INS, InGraphBertText
from lmkeras.tokenizers.word_piece_training import PREFIX

if TYPE_CHECKING:
    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

# All pieces are paths in one tree. A step in it is an entry of a table, from (node, character) to (next node, 1 + id
# of the piece that ends there), each of the two in one int64; 0 stands for no node and for no piece.
_CHARACTER_BITS, _PIECE_BITS = 21, 32
_ROOT = 1
_UNKNOWN = -1


class InGraphWordPieces(tf.Module):
    """Word pieces to ids and back, and what BERT reads of them.

    Args:
        tokenizer: the tokenizer whose twin this is.
    """

    def __init__(self, tokenizer: "WordPieceTokenizer"):
        super().__init__()
        self._unknown_id, self._cls_id, self._sep_id = tokenizer.unknown_id, tokenizer.cls_id, tokenizer.sep_id
        self._text = InGraphBertText(tokenizer.rules, tokenizer.special_tokens.names())
        steps, self._root_inside_words = _tree(tokenizer)
        keys, values = tf.constant([*steps], tf.int64), tf.constant([*steps.values()], tf.int64)
        self._steps = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 0)
        decoder = decoders.WordPiece(prefix=PREFIX)
        ids = {token: id for id, token in enumerate(tokenizer.vocabulary)}
        self._has_text = tf.constant([0 < id == ids[token] for id, token in enumerate(tokenizer.vocabulary)])
        self._at_start = tf.constant([decoder.decode([token]) for token in tokenizer.vocabulary])
        self._behind = tf.constant([decoder.decode(["a", token])[1:] for token in tokenizer.vocabulary])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text's pieces, int32 [B, pieces]."""
        with tf.device("CPU"):  # where strings and tables are: a loop on another device would copy in every round
            codes, rows, words, starts = self._text.words(texts)
            lengths = tf.concat([starts[1:], tf.size(codes)[None]], axis=0) - starts
            pieces = self._longest_pieces(codes, starts, lengths)
            unknown = tf.gather(tf.math.segment_min(pieces, words) == _UNKNOWN, words)
            at_start = tf.range(tf.size(codes)) == tf.gather(starts, words)
            pieces = tf.where(unknown, tf.where(at_start, 1 + self._unknown_id, 0), pieces)
            there = tf.where(pieces > 0)[:, 0]
            ids, id_rows = tf.gather(pieces, there) - 1, tf.gather(rows, there)
            return tf.RaggedTensor.from_value_rowids(ids, id_rows, nrows=tf.size(texts, tf.int64), validate=False)

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """The text of each row of ids; InvalidArgumentError for an id outside the vocabulary."""
        ids = tf.ragged.boolean_mask(ids, ids.with_flat_values(tf.gather(self._has_text, ids.flat_values)))
        rows = ids.value_rowids()
        first = tf.concat([tf.ones_like(rows[:1], tf.bool), rows[1:] != rows[:-1]], axis=0)
        texts = tf.where(first, tf.gather(self._at_start, ids.flat_values), tf.gather(self._behind, ids.flat_values))
        return tf.strings.reduce_join(ids.with_flat_values(texts), axis=-1)

    def assemble(
        self, ids: tf.RaggedTensor, pair_ids: tf.RaggedTensor | None = None, max_length: int | None = None
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
        """What BERT reads of texts or of pairs of texts: [CLS] a [SEP], or [CLS] a [SEP] b [SEP].

        Args:
            ids: int32 [B, tokens].
            pair_ids: int32 [B, tokens] of the second texts; None where there are none.
            max_length: the most ids of a row; ids at the end of the longer text go first. None for all of them.

        Returns:
            The ids, and as many token types, 0 up to the first [SEP] and 1 behind it; int32 [B, T] both.

        Raises:
            InputError: max_length does not even hold the special tokens.
        """
        if max_length is not None:
            ids, pair_ids = _cut(ids, pair_ids, room_for_text(max_length, pair_ids is not None))
        column = tf.ones([ids.nrows(), 1], tf.int32)
        first = tf.concat([self._cls_id * column, ids, self._sep_id * column], axis=1)
        if pair_ids is None:
            return first, tf.zeros_like(first)
        second = tf.concat([pair_ids, self._sep_id * column], axis=1)
        return tf.concat([first, second], axis=1), tf.concat([tf.zeros_like(first), tf.ones_like(second)], axis=1)

    def _longest_pieces(self, codes: tf.Tensor, starts: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """For words of characters [N], with starts and lengths [W], what stands at each character, int32 [N].

        That is 1 + id of the piece that starts there, 0 where none does, _UNKNOWN where one should and there is none.
        All words walk down the tree at once, one character in a round. A word that cannot go on takes the longest
        piece that it came by, and starts again behind it.
        """
        too_long = lengths > LONGEST_WORD
        pieces = tf.where(too_long, _UNKNOWN, 0)
        pieces = tf.tensor_scatter_nd_update(tf.zeros_like(codes), starts[:, None], pieces)
        start, end = tf.boolean_mask(starts, ~too_long), tf.boolean_mask(starts + lengths, ~too_long)

        def one_character_of_each_word(pieces, end, start, at, node, longest, longest_end):
            key = tf.bitwise.left_shift(node, _CHARACTER_BITS) + tf.cast(tf.gather(codes, at), tf.int64)
            found = self._steps.lookup(key)
            node, piece = tf.bitwise.right_shift(found, _PIECE_BITS), tf.cast(found & (2**_PIECE_BITS - 1), tf.int32)
            at += 1
            longest, longest_end = tf.where(piece > 0, piece, longest), tf.where(piece > 0, at, longest_end)
            over = (node == 0) | (at == end)
            taken = tf.where(tf.boolean_mask(longest, over) > 0, tf.boolean_mask(longest, over), _UNKNOWN)
            pieces = tf.tensor_scatter_nd_update(pieces, tf.boolean_mask(start, over)[:, None], taken)
            walking = tf.where(~over | ((longest > 0) & (longest_end < end)))[:, 0]
            start, at = tf.where(over, longest_end, start), tf.where(over, longest_end, at)
            node = tf.where(over, tf.constant(self._root_inside_words, tf.int64), node)
            longest = tf.where(over, 0, longest)
            return pieces, *(tf.gather(state, walking) for state in (end, start, at, node, longest, longest_end))

        root = tf.fill(tf.shape(start), tf.constant(_ROOT, tf.int64))
        return tf.while_loop(
            lambda pieces, end, *_: tf.size(end) > 0,
            one_character_of_each_word,
            (pieces, end, start, start, root, tf.zeros_like(start), start),
            shape_invariants=(tf.TensorShape([None]),) * 7,
        )[0]


def _cut(ids: tf.RaggedTensor, pair_ids: tf.RaggedTensor | None, room: int):
    """The ids that fit."""
    if pair_ids is None:
        return _first(ids, tf.minimum(ids.row_lengths(), room)), None
    kept = pair_lengths(ids.row_lengths(), pair_ids.row_lengths(), room, tf.minimum, tf.maximum)
    return _first(ids, kept[0]), _first(pair_ids, kept[1])


def _first(ids: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """The first `lengths` [B] ids of each row."""
    place = tf.ragged.range(ids.row_lengths())
    return tf.ragged.boolean_mask(ids, place < lengths[:, None])


def _tree(tokenizer: "WordPieceTokenizer") -> tuple[dict[int, int], int]:
    """The steps in the tree of all pieces, and the node behind the prefix of those inside words."""
    ids = {token: id for id, token in enumerate(tokenizer.vocabulary)}
    for place, name in enumerate(tokenizer.special_tokens.names()):
        ids[chr(STAND_INS + place)] = ids.pop(name)
    nodes = {"": _ROOT}
    for token in [*ids, PREFIX]:
        for length in range(1, len(token) + 1):
            nodes.setdefault(token[:length], len(nodes) + _ROOT)
    inner = {path[:-1] for path in nodes}
    steps = {}
    for path, node in nodes.items():
        if path:
            key = nodes[path[:-1]] << _CHARACTER_BITS | ord(path[-1])
            steps[key] = (node if path in inner else 0) << _PIECE_BITS | ids.get(path, -1) + 1
    return steps, nodes[PREFIX]
