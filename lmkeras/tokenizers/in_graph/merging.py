"""Merges of neighbouring symbols, for all pieces of all texts at once."""

from collections.abc import Mapping

import tensorflow as tf

_NEVER = 2**31 - 1  # the rank of pairs that never merge


class MergesInGraph(tf.Module):
    """Byte-pair encoding of pieces.

    Args:
        merges: for each pair of symbols that become one its rank and what they become. The pair of the lowest rank
            merges first; of equal ones the leftmost.
        size: larger than all symbols.
    """

    def __init__(self, merges: Mapping[tuple[int, int], tuple[int, int]], size: int):
        super().__init__()
        self._size = size
        lowest = {}
        for (left, right), (rank, _) in merges.items():
            for part in (left, right):
                lowest[part] = min(rank, lowest.get(part, _NEVER))
        order = sorted((rank, pair, made) for pair, (rank, made) in merges.items())
        self._made = tf.constant([made for _, _, made in order] or [0], tf.int32)
        self._overtaken = tf.constant([lowest.get(made, _NEVER) < rank for rank, _, made in order] or [False])
        # no pair has the key -1, but TensorFlow takes no empty table
        keys = tf.constant([-1, *(left * size + right for _, (left, right), _ in order)], tf.int64)
        places = tf.constant([_NEVER, *range(len(order))], tf.int32)
        self._places = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, places), _NEVER)

    def __call__(self, symbols: tf.Tensor, piece: tf.Tensor, num_pieces: tf.Tensor) -> tf.Tensor:
        """The symbols of all pieces after all merges.

        Each round makes, in every piece, the merges of the lowest rank. All of them are made at once, from left to
        right where they share a symbol: that is their order one by one, unless what one of them makes merges on at a
        lower rank (`_overtaken`); then only the leftmost is made. What is made is written over the left symbol, and -1
        over the right one. `at` holds the places that the next round has to look at: those of symbols in pieces that
        had a merge in this round.

        Args:
            symbols: int32 [N]; those below 0 are left out, so that their neighbours become neighbours of each other.
            piece: int32 [N], which piece each is of, ascending from 0 to num_pieces - 1.
            num_pieces: int32 scalar.

        Returns:
            int32 [N], at the place of the first of the symbols that were merged, -1 at the others.
        """

        def merged_once(symbols, at, piece):
            current = tf.cast(tf.gather(symbols, at), tf.int64)
            rank = self._places.lookup(current[:-1] * self._size + current[1:])
            rank = tf.where(piece[:-1] == piece[1:], rank, _NEVER)
            lowest = tf.math.unsorted_segment_min(rank, piece[:-1], num_pieces)
            left = tf.where((rank < _NEVER) & (rank == tf.gather(lowest, piece[:-1])))[:, 0]
            left = tf.boolean_mask(left, self._made_now(left, tf.gather(rank, left), tf.gather(piece, left)))
            made = tf.gather(self._made, tf.gather(rank, left))
            written = tf.gather(at, tf.concat([left, left + 1], axis=0))
            symbols = tf.tensor_scatter_nd_update(symbols, written[:, None], tf.concat([made, 0 * made - 1], axis=0))
            kept = tf.gather(lowest < _NEVER, piece) & (tf.gather(symbols, at) >= 0)
            return symbols, tf.boolean_mask(at, kept), tf.boolean_mask(piece, kept)

        at = tf.cast(tf.where(symbols >= 0)[:, 0], tf.int32)
        symbols, _, _ = tf.while_loop(
            lambda symbols, at, piece: tf.size(at) > 0,
            merged_once,
            (symbols, at, tf.gather(piece, at)),
            shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([None])),
        )
        return symbols

    def _made_now(self, left: tf.Tensor, rank: tf.Tensor, piece: tf.Tensor) -> tf.Tensor:
        """Which of the pairs of lowest rank are merged in this round; bool [K].

        Args:
            left: int64 [K], ascending, the places of the pairs' left symbols. Pairs that overlap are neighbours here.
            rank: int32 [K].
            piece: int32 [K].
        """
        first = tf.concat([[True], piece[1:] != piece[:-1]], axis=0)[: tf.size(left)]
        apart = tf.concat([[True], left[1:] != left[:-1] + 1], axis=0)[: tf.size(left)]
        order = tf.range(tf.size(left, tf.int64))
        start = tf.gather(tf.where(apart)[:, 0], tf.cumsum(tf.cast(apart, tf.int64)) - 1)
        return tf.where(tf.gather(self._overtaken, rank), first, (order - start) % 2 == 0)
