"""A masked language model as a SavedModel runs it: texts with masks to the tokens that fill them in.

Shape letters: B batch, M masks of the text with the most, K tokens.
"""

import tensorflow as tf

from lmkeras.tasks.filling import TOKENS


class ExportedMaskedLanguage(tf.Module):
    """Tokenizer, network and answers in one graph of TensorFlow's operations.

    The signature `fill`: text [B] → tokens, string [B, M, K], and probabilities, float32 [B, M, K], of the five
    likeliest tokens for each mask, the likeliest first; and masks, int32 [B], how many masks each text has. Places of
    masks that a text does not have hold empty tokens and probabilities of 0. Texts are read up to the network's limit.

    Args:
        task: a MaskedLanguage.
        network: a trained network.
        tokenizer: the tokenizer, whose `in_graph()` is used.
        dtype: precision of matrix products, see `Network.exported`.

    Raises:
        InputError: the tokenizer has no form in the graph, or the network cannot be exported in this precision.
    """

    def __init__(self, task, network, tokenizer, dtype: str):
        super().__init__()
        self.tokenizer = tokenizer.in_graph()
        self._special, self._room = tokenizer.special, task.length(network) - 2
        self._vocabulary = tf.constant([tokenizer.token(id).encode() for id in range(network.body.vocabulary_size)])
        # the variables themselves, not the Keras objects that hold them, see `ExportedWholeTextTask`
        self._outputs, self.weights = network.exported(dtype)
        self.fill = tf.function(self._fill, autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "text")])

    def _fill(self, text):
        special, count = self._special, tf.size(text)
        # if there are no texts, a blank one is added, because some operations fail without any text
        text = tf.concat([text, tf.fill([tf.cast(count == 0, tf.int32)], "")], axis=0)
        ids = tf.cast(self.tokenizer.encode(text), tf.int32)[:, : self._room]
        ends = [tf.fill([tf.size(text), 1], tf.constant(id)) for id in (special.classification, special.separator)]
        ids = tf.concat([ends[0], ids, ends[1]], axis=1)
        padded = ids.to_tensor(special.filler)
        masked = padded == special.mask
        masks = tf.reduce_sum(tf.cast(masked, tf.int32), axis=1)
        most = tf.maximum(1, tf.reduce_max(masks))
        # the places of masks first, in their order
        order = tf.argsort(tf.cast(~masked, tf.int32), axis=1, stable=True)
        mask = tf.sequence_mask(ids.row_lengths(), tf.shape(padded)[1], tf.int32)
        inputs = {"input_ids": padded, "attention_mask": mask, "masked_positions": order[:, :most]}
        outputs = self._outputs(inputs)
        logits = outputs["masked_words"] if isinstance(outputs, dict) else outputs
        values, tokens = tf.math.top_k(tf.nn.softmax(logits), min(TOKENS, logits.shape[-1]))
        real = tf.sequence_mask(masks, most)[..., None]
        return {
            "tokens": tf.where(real, tf.gather(self._vocabulary, tokens), "")[:count],
            "probabilities": tf.where(real, values, 0.0)[:count],
            "masks": masks[:count],
        }
