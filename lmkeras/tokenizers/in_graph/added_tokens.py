"""Finds added tokens in texts: tokens that stand for themselves, before anything else is made of a text."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from lmkeras.tokenizers.in_graph.barriers import INSIDE, Characters, stand_in
from lmkeras.tokenizers.in_graph.code_points import CodePointTable, white_space
from lmkeras.tokenizers.published_tables import Added

_NODE_BITS = 21  # of a code point in the key of an edge
_PLAIN = -1  # the id of a token that is found but stays plain text


class AddedTokensInGraph(tf.Module):
    """Finds tokens from left to right, at each place the longest; a found token ends where the next search begins.

    Args:
        added: the tokens by what is looked for; those without an id stay plain text but hide what begins inside them.
    """

    def __init__(self, added: Mapping[str, Added]):
        super().__init__()
        edges, ids, strips = {}, [_PLAIN], [False]
        found = {0: None}
        for token, one in added.items():
            node = 0
            for character in token:
                node = edges.setdefault((node << _NODE_BITS) + ord(character), len(found))
                found.setdefault(node, None)
            found[node] = len(ids)
            ids.append(_PLAIN if one.id is None else one.id)
            strips.append(one.strips)
        self._token_of_node = tf.constant([found[node] or 0 for node in range(len(found))], tf.int32)
        self._ids = tf.constant(ids, tf.int32)
        self._strips = tf.constant(strips)
        keys, values = tf.constant([*edges], tf.int64), tf.constant([*edges.values()], tf.int32)
        self._edges = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -1)
        first = np.zeros(0x110000, np.int32)
        first[[ord(token[0]) for token in added]] = 1
        self._is_first = CodePointTable(first)
        self._blank = white_space() if any(strips) else None

    def __call__(self, characters: Characters) -> tuple[Characters, None]:
        """The characters with the stand-in of a token in the place of its first one, INSIDE at its others."""
        codes = characters.codes
        begins = tf.cast(tf.where(self._is_first(codes) != 0)[:, 0], tf.int32)
        codes = tf.cond(tf.size(begins) > 0, lambda: self._replaced(codes, begins), lambda: codes)
        return characters._replace(codes=tf.ensure_shape(codes, [None])), None

    def _replaced(self, codes: tf.Tensor, begins: tf.Tensor) -> tf.Tensor:
        length, token = self._longest(codes, begins)
        begins, length, token = (tf.boolean_mask(each, token > 0) for each in (begins, length, token))
        ids = tf.gather(self._ids, token)
        chosen = _one_after_another(begins, length) & (ids != _PLAIN)
        begins, length, ids, token = (tf.boolean_mask(each, chosen) for each in (begins, length, ids, token))
        codes = _filled(codes, begins, begins + length)
        if self._blank is not None:
            first = tf.where(tf.gather(self._strips, token), self._first_blanks(codes, begins), begins)
            codes, begins = _filled(codes, first, begins), first
        return tf.tensor_scatter_nd_update(codes, begins[:, None], stand_in(ids))

    def _first_blanks(self, codes: tf.Tensor, begins: tf.Tensor) -> tf.Tensor:
        """For each of some places, where the white space before it begins; int32 [K]."""
        others = tf.cast(tf.where(self._blank(codes) == 0)[:, 0], tf.int32)
        before = tf.concat([[-1], others], axis=0)
        return tf.gather(before, tf.searchsorted(others, begins)) + 1

    def _longest(self, codes: tf.Tensor, begins: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The length of the longest token at each of some places, and its number, 0 for none; int32 [K] both."""
        padded = tf.concat([codes, [INSIDE]], axis=0)

        def one_character_on(depth, at, node, lengths, tokens):
            code = tf.gather(padded, tf.minimum(tf.gather(begins, at) + depth, tf.size(codes)))
            key = tf.bitwise.left_shift(tf.cast(node, tf.int64), _NODE_BITS) + tf.cast(code, tf.int64)
            node = tf.where(code >= 0, self._edges.lookup(key), -1)
            at, node = tf.boolean_mask(at, node >= 0), tf.boolean_mask(node, node >= 0)
            token = tf.gather(self._token_of_node, node)
            ending = tf.boolean_mask(at, token > 0)[:, None]
            tokens = tf.tensor_scatter_nd_update(tokens, ending, tf.boolean_mask(token, token > 0))
            lengths = tf.tensor_scatter_nd_update(lengths, ending, tf.fill(tf.shape(ending)[:1], depth + 1))
            return depth + 1, at, node, lengths, tokens

        nothing, any_size = tf.zeros_like(begins), tf.TensorShape([None])
        _, _, _, lengths, tokens = tf.while_loop(
            lambda depth, at, *_: tf.size(at) > 0,
            one_character_on,
            (0, tf.range(tf.size(begins)), nothing, nothing, nothing),
            shape_invariants=(tf.TensorShape([]), any_size, any_size, any_size, any_size),
        )
        return lengths, tokens


def _filled(codes: tf.Tensor, begins: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """The codes with INSIDE at the places from each of `begins` to before each of `ends`."""
    inside = tf.ragged.range(begins, ends).flat_values
    return tf.tensor_scatter_nd_update(codes, inside[:, None], tf.fill(tf.shape(inside), INSIDE))


def _one_after_another(begins: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Which of some spans are found from left to right, where each begins behind the end of the one before; bool [K].

    Args:
        begins: int32 [K], ascending.
        lengths: int32 [K], at least 1.
    """
    following = tf.searchsorted(begins, begins + lengths)

    def next_span(at, chosen):
        return tf.gather(following, at), tf.tensor_scatter_nd_update(chosen, [[at]], [True])

    _, chosen = tf.while_loop(lambda at, _: at < tf.size(begins), next_span, (0, tf.zeros_like(begins, tf.bool)))
    return chosen
