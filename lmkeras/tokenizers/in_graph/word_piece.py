"""The twin of WordPieceTokenizer. N is the number of characters of all words, W the number of words."""

from collections.abc import Sequence

import tensorflow as tf
from tokenizers import decoders

from lmkeras.tokenizers.bert_inputs import pair_lengths, room_for_text
from lmkeras.tokenizers.bert_text import LONGEST_WORD, BertTextRules
from lmkeras.tokenizers.in_graph.bert_text import STAND_INS, InGraphBertText, Words
from lmkeras.tokenizers.in_graph.offsets import in_rows
from lmkeras.tokenizers.special import SpecialIds
from lmkeras.tokenizers.special_tokens import SpecialTokens
from lmkeras.tokenizers.word_piece_training import PREFIX


class InGraphWordPieces(tf.Module):
    """Word pieces to ids and back, and BERT's inputs of them.

    Args:
        vocabulary: the token of each id from 0 on, special tokens included. If a token occurs twice, its last id
            counts.
        rules: how texts become words.
        special: the names of the special tokens, all of them in the vocabulary.
    """

    def __init__(self, vocabulary: Sequence[str], rules: BertTextRules, special: SpecialTokens):
        super().__init__()
        ids = {token: id for id, token in enumerate(vocabulary)}
        self._unknown_id, self._cls_id, self._sep_id = ids[special.unknown], ids[special.cls], ids[special.sep]
        self._text = InGraphBertText(rules, special.names())
        pieces = _pieces(ids, special)
        keys, values = tf.constant([*pieces], tf.string), tf.constant([*pieces.values()], tf.int32)
        self._pieces = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 0)
        self._longest_piece = max(map(len, pieces))
        decoder = decoders.WordPiece(prefix=PREFIX)
        self._has_text = tf.constant([id == ids[token] != ids[special.pad] for id, token in enumerate(vocabulary)])
        self._at_start = tf.constant([decoder.decode([token]) for token in vocabulary])
        self._behind = tf.constant([decoder.decode(["a", token])[1:] for token in vocabulary])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The ids of each text's pieces, int32 [B, pieces]."""
        with tf.device("CPU"):  # where strings and tables are: a loop on another device would copy in every round
            words = self._text.words(texts)
            places, pieces = self._cut(words)
            rows, count = tf.gather(words.rows, places), tf.size(texts, tf.int64)
            return tf.RaggedTensor.from_value_rowids(pieces - 1, rows, nrows=count, validate=False)

    def encode_with_offsets(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """The ids of each text's pieces, and the starts and ends of what they were made of; int32 [B, pieces] all."""
        with tf.device("CPU"):
            words, spans = self._text.words_with_spans(texts)
            places, pieces = self._cut(words)
            last = tf.concat([places, tf.size(words.codes)[None]], axis=0)[1:] - 1  # the next piece follows at once
            return in_rows(
                rows=tf.gather(words.rows, places),
                num_texts=tf.size(texts, tf.int64),
                ids=pieces - 1,
                starts=tf.gather(spans.starts, places),
                ends=tf.gather(spans.ends, last),
            )

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
        """BERT's inputs for texts or pairs of texts: [CLS] a [SEP], or [CLS] a [SEP] b [SEP].

        Args:
            ids: int32 [B, tokens].
            pair_ids: int32 [B, tokens] of the second texts; None where there are none.
            max_length: the most ids of a row, special ones included. If there are more, the longer text of the row
                loses ids from its end until both are of one length; then both do. None keeps all ids.

        Returns:
            The ids, and a token type for each, 0 up to the first [SEP] and 1 behind it; int32 [B, T] both.

        Raises:
            InputError: max_length does not even hold the special tokens.
        """
        if max_length is not None:
            ids, pair_ids = _cut(ids, pair_ids, room_for_text(max_length, pair_ids is not None, SpecialIds()))
        column = tf.ones([ids.nrows(), 1], tf.int32)
        first = tf.concat([self._cls_id * column, ids, self._sep_id * column], axis=1)
        if pair_ids is None:
            return first, tf.zeros_like(first)
        second = tf.concat([pair_ids, self._sep_id * column], axis=1)
        return tf.concat([first, second], axis=1), tf.concat([tf.zeros_like(first), tf.ones_like(second)], axis=1)

    def _cut(self, words: Words) -> tuple[tf.Tensor, tf.Tensor]:
        """The pieces of words.

        Returns:
            Where pieces start among the characters of all words, ascending, and 1 + id of each; int32 both.
        """
        codes, _, starts = words
        ends = tf.concat([starts[1:], tf.size(codes)[None]], axis=0)
        texts = tf.strings.unicode_encode(tf.RaggedTensor.from_row_starts(codes, starts, validate=False), "UTF-8")
        pieces = tf.where(ends - starts > LONGEST_WORD, 1 + self._unknown_id, self._pieces.lookup(texts))
        # most words are pieces as they stand, in many texts all of them
        return tf.cond(
            tf.reduce_all(pieces > 0),
            lambda: (starts, pieces),
            lambda: self._with_cut_words(texts, starts=starts, ends=ends, pieces=pieces),
        )

    def _with_cut_words(self, words: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor, pieces: tf.Tensor):
        """The pieces of words of which some are no pieces as they stand, and have to be cut.

        Args:
            words: strings [W].
            starts, ends: int32 [W], where their characters are among those of all words.
            pieces: int32 [W], 1 + id of the piece that a word is, or 0 for a word to be cut.

        Returns:
            Where pieces start among the characters, ascending, and 1 + id of each; int32 both.
        """
        cut = tf.where(pieces == 0)[:, 0]
        start = tf.gather(starts, cut)
        place, piece, word = self._longest_pieces(tf.gather(words, cut), start, tf.gather(ends, cut))
        unknown = tf.gather(tf.math.unsorted_segment_min(piece, word, tf.size(start)) == 0, word)
        instead = tf.where(place == tf.gather(start, word), 1 + self._unknown_id, 0)
        piece = tf.where(unknown, instead, piece)
        # scatter_nd adds up what is written to one place: at the start of a word to be cut, 0 and its first piece
        places = tf.concat([starts, place], axis=0)
        pieces = tf.scatter_nd(places[:, None], tf.concat([pieces, piece], axis=0), ends[-1:])
        there = tf.where(pieces > 0)[:, 0]
        return tf.cast(there, tf.int32), tf.gather(pieces, there)

    def _longest_pieces(self, words: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The pieces of words [W] whose characters are those from `start` to `end` [W], in any order.

        In each round of the loop, all beginnings of what is left of each word are looked up, and the longest that is a
        piece is taken off.

        Returns:
            Where each piece starts, 1 + its id, and which word it is of; int32 all. A word whose rest starts with no
            piece has a 0 instead of an id there, and nothing after it.
        """

        def one_piece_of_each_word(found, texts, prefix_length, word, start, end):
            counts = tf.minimum(end - start, self._longest_piece)
            behind = tf.cumsum(counts)
            every = tf.range(behind[-1])
            row, first = tf.searchsorted(behind, every, side="right"), behind - counts
            length = 1 + every - tf.gather(first, row)
            from_start = tf.zeros_like(length)
            beginnings = tf.strings.substr(tf.gather(texts, row), from_start, prefix_length + length, unit="UTF8_CHAR")
            pieces = self._pieces.lookup(beginnings)
            longest = tf.math.segment_max(tf.where(pieces > 0, length, 0), row)
            piece = tf.gather(pieces, first + tf.maximum(longest, 1) - 1)
            found = tf.concat([found, tf.stack([start, piece, word])], axis=1)
            start += longest
            on = tf.where((piece > 0) & (start < end))[:, 0]
            taken = prefix_length + tf.gather(longest, on)
            texts = tf.strings.substr(
                tf.gather(texts, on), taken, tf.fill(tf.shape(taken), LONGEST_WORD), unit="UTF8_CHAR"
            )
            return found, PREFIX + texts, len(PREFIX), *(tf.gather(state, on) for state in (word, start, end))

        vector = tf.TensorShape([None])
        found = tf.while_loop(
            lambda found, texts, *_: tf.size(texts) > 0,
            one_piece_of_each_word,
            (tf.zeros([3, 0], tf.int32), words, 0, tf.range(tf.size(start)), start, end),
            shape_invariants=(tf.TensorShape([3, None]), vector, tf.TensorShape([]), vector, vector, vector),
        )[0]
        return tuple(tf.unstack(found))


def _cut(ids: tf.RaggedTensor, pair_ids: tf.RaggedTensor | None, room: int):
    """The ids of texts, or of pairs of texts, that fit into `room` places in each row."""
    if pair_ids is None:
        return _first(ids, tf.minimum(ids.row_lengths(), room)), None
    kept = pair_lengths(ids.row_lengths(), pair_ids.row_lengths(), budget=room, minimum=tf.minimum, maximum=tf.maximum)
    return _first(ids, kept[0]), _first(pair_ids, kept[1])


def _first(ids: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """The first `lengths` [B] ids of each row."""
    place = tf.ragged.range(ids.row_lengths())
    return tf.ragged.boolean_mask(ids, place < lengths[:, None])


def _pieces(ids: dict[str, int], special: SpecialTokens) -> dict[str, int]:
    """1 + id of each piece; a special token is the one character that stands for it."""
    pieces = {token: 1 + id for token, id in ids.items()}
    for place, name in enumerate(special.names()):
        pieces[chr(STAND_INS + place)] = pieces.pop(name)
    return pieces
