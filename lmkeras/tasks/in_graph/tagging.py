"""Taggers as a SavedModel runs them: text → words → windows → network → entities, in TensorFlow's operations.

Shape letters: B texts, W words, M words of all texts, N windows, K tags.
"""

import tensorflow as tf

from lmkeras.datasets.words import WordLayout
from lmkeras.layers.entities import Entities, entities_in
from lmkeras.tokenizers.in_graph.word_spans import in_graph_word_spans


class ExportedTagging(tf.Module):
    """Words, tokenizer, windows, network and entities in one graph.

    Args:
        task: a Tagging.
        network: a trained network.
        tokenizer: the tokenizer, whose `in_graph()` is used.
        dtype: precision of matrix products, see `Network.exported`.
    """

    def __init__(self, task, network, tokenizer, dtype: str):
        super().__init__()
        self.tokenizer = tokenizer.in_graph()
        special = tokenizer.special
        self._filler, self._before_words = special.filler, tokenizer.before_words
        self._nothing = special.filler if special.unknown is None else special.unknown
        self._layout, self._splitting, self._head = task.layout(network, tokenizer), task.splitting, network.head
        self._types = tf.constant([name.encode() for name in task.types])
        self._outputs, self.weights = network.exported(dtype)
        signature = [tf.TensorSpec([None], tf.string, "text")]
        self.tag = tf.function(self._ragged, autograph=False, input_signature=signature)
        self.flat = tf.function(self._flat, autograph=False, input_signature=signature)

    def _ragged(self, text):
        """For each text its entities: ragged starts, ends, types, texts and probabilities, each [B, entities]."""
        found, rows = self._answers(text)
        return {
            name: tf.RaggedTensor.from_value_rowids(value, rows, nrows=tf.size(text, tf.int64), validate=False)
            for name, value in found.items()
        }

    def _flat(self, text):
        """The same one after the other, [entities of all texts]; `counts` [B] says how many are of each text."""
        found, rows = self._answers(text)
        return {**found, "counts": tf.math.bincount(tf.cast(rows, tf.int32), minlength=tf.size(text))}

    def _answers(self, text):
        codes = tf.strings.unicode_decode(text, "UTF-8")
        starts, ends = in_graph_word_spans(codes, self._splitting)
        found = self._entities(codes, starts, ends)
        rows = tf.cast(found.rows, tf.int64)
        first, last = (
            tf.gather(part.flat_values, tf.gather(part.row_splits, rows) + tf.cast(at, tf.int64))
            for part, at in ((starts, found.starts), (ends, found.ends - 1))
        )
        inside = tf.ragged.range(first, last)
        offsets = tf.cast(tf.gather(codes.row_starts(), rows), tf.int32)
        characters = tf.gather(codes.flat_values, inside.flat_values + tf.gather(offsets, inside.value_rowids()))
        return {
            "starts": first,
            "ends": last,
            "types": tf.gather(self._types, found.types),
            "texts": tf.strings.unicode_encode(inside.with_flat_values(characters), "UTF-8"),
            "probabilities": found.probabilities,
        }, rows

    def _entities(self, codes, starts, ends) -> Entities:
        ids = self._word_ids(codes, starts, ends)
        rows = starts.value_rowids()
        # if there are no words at all, one is added, because some operations fail without any
        nothing = tf.cast(tf.size(rows) == 0, tf.int64)
        ids = tf.concat([ids, tf.RaggedTensor.from_tensor(tf.fill([nothing, 1], self._nothing))], axis=0)
        emissions = self._emissions(ids, tf.pad(rows, [[0, nothing]]), codes.nrows() + nothing)
        lengths = tf.pad(tf.cast(starts.row_lengths(), tf.int32), [[0, nothing]])
        return entities_in(emissions, lengths, scores=self._head.scores(), tags=self._head.tags)

    def _word_ids(self, codes, starts, ends) -> tf.RaggedTensor:
        """The ids of the words of all texts, ragged int32 [M, ids]; each word has at least one."""
        offsets = tf.cast(tf.gather(codes.row_starts(), starts.value_rowids()), tf.int32)
        inside = tf.ragged.range(starts.flat_values + offsets, ends.flat_values + offsets)
        words = tf.strings.unicode_encode(
            inside.with_flat_values(tf.gather(codes.flat_values, inside.flat_values)), "UTF-8"
        )
        ids = self.tokenizer.encode(self._before_words + words)[:, : self._layout.longest_word]
        missing = tf.fill([ids.nrows()], self._nothing)[:, None]
        empty = tf.RaggedTensor.from_tensor(missing, tf.cast(ids.row_lengths() == 0, tf.int64))
        return tf.concat([ids, empty], axis=1)

    def _emissions(self, ids, rows, num_texts):
        """The scores of tags of all words, float32 [B, W, K], from their ids and the number of the text of each."""
        windows = in_graph_windows(tf.cast(ids.row_lengths(), tf.int32), rows, num_texts, layout=self._layout)
        words, of_window = windows.words.flat_values, windows.words.value_rowids()
        read = tf.gather(ids, words)
        tokens = tf.RaggedTensor.from_value_rowids(
            read.flat_values, tf.gather(of_window, read.value_rowids()), nrows=windows.words.nrows()
        )
        before, after = (
            tf.RaggedTensor.from_tensor(tf.fill([tokens.nrows(), int(id is not None)], id or 0))
            for id in (self._layout.first, self._layout.last)
        )
        tokens = tf.concat([before, tokens, after], axis=1)
        sizes = tf.cast(read.row_lengths(), tf.int32)
        places = tf.cumsum(sizes, exclusive=True) - tf.gather(
            tf.cast(tf.gather(read.row_splits, windows.words.row_starts()), tf.int32), of_window
        )
        places += int(self._layout.first is not None)
        padded = tokens.to_tensor(self._filler)
        inputs = {
            "input_ids": padded,
            "attention_mask": tf.sequence_mask(tokens.row_lengths(), tf.shape(padded)[1], tf.int32),
            "word_starts": windows.words.with_flat_values(places).to_tensor(),
            "word_ends": windows.words.with_flat_values(places + sizes).to_tensor(),
        }
        outputs = tf.gather_nd(self._outputs(inputs), tf.stack([windows.owners, windows.places], axis=1))
        return tf.RaggedTensor.from_value_rowids(outputs, rows, nrows=num_texts).to_tensor()


class InGraphWindows(tf.experimental.ExtensionType):
    """The windows of texts.

    Attributes:
        words: ragged int32 [N, words], the words of each window, by their numbers among those of all texts.
        owners: int32 [M], the window that answers for each word.
        places: int32 [M], where the word stands in this window.
    """

    words: tf.RaggedTensor
    owners: tf.Tensor
    places: tf.Tensor


def in_graph_windows(sizes, rows, num_texts, layout: WordLayout) -> InGraphWindows:
    """The windows of all texts, as `windows_of` makes them.

    Args:
        sizes: int32 [M], how many tokens each word has.
        rows: int64 [M], the number of its text, ascending.
        num_texts: int64 scalar.
        layout: how windows are made.
    """
    ends = tf.cumsum(sizes)
    starts = ends - sizes
    tokens = tf.math.unsorted_segment_sum(sizes, rows, num_texts)
    bases = tf.cumsum(tokens, exclusive=True)
    counts = tf.maximum(0, -tf.math.floordiv(layout.room - tokens, layout.stride)) + 1
    first_windows = tf.cumsum(counts, exclusive=True)
    own = starts - tf.gather(bases, rows)
    number = tf.math.floordiv(own - layout.longest_word, layout.stride)
    owners = tf.gather(first_windows, rows) + tf.clip_by_value(number, 0, tf.gather(counts, rows) - 1)
    within = tf.ragged.range(counts)
    text = within.value_rowids()
    begins = within.flat_values * layout.stride
    stops = tf.minimum(begins + layout.room, tf.gather(tokens, text))
    base = tf.gather(bases, text)
    first = tf.searchsorted(starts, begins + base, side="left")
    behind = tf.searchsorted(ends, stops + base, side="right")
    places = tf.range(tf.size(sizes)) - tf.gather(first, owners)
    return InGraphWindows(words=tf.ragged.range(first, behind), owners=owners, places=places)
