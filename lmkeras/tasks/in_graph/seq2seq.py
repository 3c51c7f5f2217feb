"""A sequence-to-sequence model as a SavedModel runs it: texts to the likeliest texts for them.

Shape letters: B texts, P pieces of all texts, T tokens.
"""

import tensorflow as tf

from lmkeras.decoding.beams import BeamSearch
from lmkeras.decoding.sampling import MOST_BEAMS, Beams
from lmkeras.decoding.sources import SourceLoop
from lmkeras.networks.kept import KeptWeights
from lmkeras.tasks.sentences import sentences_in_graph

_MOST = 1 << 14  # tokens of a text


class ExportedSeq2Seq(tf.Module):
    """Sentences, tokenizer, network and beam search in one graph of TensorFlow's operations.

    - rewrite: text [B] and the scalars num_beams and max_new_tokens (0: twice as many as the text has, and ten) → text
      [B], the best text for each, and score [B], see `decoding/beams.py`.
    - serving_default: text [B] → the same, by the defaults of Python.

    Args:
        task: a Seq2Seq.
        network: a trained network.
        tokenizer: the tokenizer, whose `in_graph()` is used.
        dtype: precision of matrix products, see `Network.exported`.

    Raises:
        InputError: the tokenizer has no form in the graph, or the network cannot be exported in this precision.
    """

    def __init__(self, task, network, tokenizer, dtype: str):
        super().__init__()
        self.tokenizer = tokenizer.in_graph()
        self._task, self._special, self._limits = task, tokenizer.special, task.limits(network)
        network.exported(dtype)  # raises InputError for a precision that the network does not have
        self.weights = KeptWeights(network, None)
        loop = SourceLoop(network, tokenizer.special, compiled=False, weights=self.weights.converted)
        self.search = BeamSearch(loop)
        self._start = loop.start
        text, scalar = tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([], tf.int32)
        named = [tf.TensorSpec([], scalar.dtype, name) for name in ("num_beams", "max_new_tokens")]
        self.rewrite = tf.function(self._rewrite, autograph=False, input_signature=[text, *named])
        self.serving_default = tf.function(self._serving_default, autograph=False, input_signature=[text])

    def _serving_default(self, text):
        return self._rewrite(text, tf.constant(Beams.num_beams), tf.constant(0))

    def _rewrite(self, text, num_beams, max_new_tokens):
        refusals = [
            tf.debugging.Assert(
                (num_beams >= 1) & (num_beams <= MOST_BEAMS),
                [f"num_beams must be from 1 to {MOST_BEAMS}", num_beams],
            ),
            tf.debugging.Assert(
                (max_new_tokens >= 0) & (max_new_tokens <= _MOST),
                [f"max_new_tokens must be from 0 to {_MOST}", max_new_tokens],
            ),
        ]
        with tf.control_dependencies(refusals):
            pieces = self._pieces(text)
        # if there are no texts at all, one is added, because some operations fail without any
        none = tf.fill([tf.cast(tf.size(pieces.flat_values) == 0, tf.int32)], "")
        ids, lengths = self._sources(tf.concat([pieces.flat_values, none], axis=0))
        limits = self._most(lengths, max_new_tokens)
        mask = tf.sequence_mask(lengths, tf.shape(ids)[1], tf.int32)
        sources = {"input_ids": ids, "attention_mask": mask}
        state = self._start(sources, samples=tf.constant(1), max_new_tokens=tf.reduce_max(limits))
        penalty = tf.constant(Beams.length_penalty, tf.float32)
        how = {"num_beams": num_beams, "num_best": tf.constant(1), "length_penalty": penalty}
        best = self.search.search(state, limits, **how)
        decode = getattr(self.tokenizer, "decode_whole", self.tokenizer.decode)
        written = decode(tf.RaggedTensor.from_tensor(best.ids[:, 0], best.lengths[:, 0]))
        count = tf.size(pieces.flat_values)
        written = tf.where(pieces.flat_values == "", "", written[:count])  # of nothing, nothing is made
        between = " " if self._task.spaces else ""
        return {
            "text": tf.strings.reduce_join(pieces.with_flat_values(written), axis=1, separator=between),
            "score": tf.reduce_sum(pieces.with_flat_values(best.scores[:count, 0]), axis=1),
        }

    def _pieces(self, text) -> tf.RaggedTensor:
        """The sentences of long texts, if long texts are split; other texts as they are: strings [B, pieces]."""
        task = self._task
        if not task.splits or task.longest_source is None:
            return tf.RaggedTensor.from_uniform_row_length(text, 1)
        is_long = tf.strings.length(text, unit="UTF8_CHAR") > task.longest_source
        pieces = sentences_in_graph(tf.where(is_long, text, ""))
        rows = pieces.value_rowids()
        return pieces.with_flat_values(tf.where(tf.gather(is_long, rows), pieces.flat_values, tf.gather(text, rows)))

    def _sources(self, texts) -> tuple[tf.Tensor, tf.Tensor]:
        """The sources as the network reads them: ids int32 [P, T], and how many there are of each."""
        ids, end = self.tokenizer.encode(texts), self._special.ends[0]
        if self._limits.max_length is not None:
            ids = ids[:, : self._limits.max_length - 1]
        ids = tf.concat([ids, tf.fill([ids.nrows(), 1], end)], axis=1)
        return ids.to_tensor(self._special.filler), tf.cast(ids.row_lengths(), tf.int32)

    def _most(self, lengths, max_new_tokens):
        """The most tokens to write for each piece, int32 [P]."""
        limits = tf.where(max_new_tokens == 0, 2 * lengths + 10, max_new_tokens)
        most = self._limits.max_target_length
        return tf.minimum(limits, _MOST if most is None else most - 1)
