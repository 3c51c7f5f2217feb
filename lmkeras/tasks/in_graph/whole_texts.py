"""Tasks of whole texts as a SavedModel runs them.

Shape letters: B batch, T tokens.
"""

import tensorflow as tf


class ExportedWholeTextTask(tf.Module):
    """Tokenizer, layout, network and answers in one graph of TensorFlow's operations.

    Args:
        task: a WholeTextTask.
        network: a trained network.
        tokenizer: the tokenizer, whose `in_graph()` is used.
        dtype: precision of matrix products, see `Network.exported`.

    Raises:
        InputError: the tokenizer has no form in the graph, or the network cannot be exported in this precision.
    """

    def __init__(self, task, network, tokenizer, dtype: str):
        super().__init__()
        self.tokenizer = tokenizer.in_graph()
        self._task, self._filler = task, tokenizer.special.filler
        self._layout = task.layout(network, tokenizer)
        # the variables themselves, not the Keras objects that hold them: those would bring along the optimizer's state,
        # and TensorFlow's session loader (saved_model_cli) would not restore them
        self._outputs, self.weights = network.exported(dtype)
        names = ["text", "pair"] if task.pairs else ["text"]
        signature = [tf.TensorSpec([None], tf.string, name) for name in names]
        self.answer = tf.function(self._answer, autograph=False, input_signature=signature)

    def _answer(self, text, pair=None):
        count = tf.size(text)
        # if there are no texts, a blank one is added, because some operations fail without any text
        none = tf.fill([tf.cast(count == 0, tf.int32)], "")
        texts = [tf.concat([part, none], axis=0) for part in ([text] if pair is None else [text, pair])]
        ids, first_lengths = self._layout.arrange_in_graph(*map(self.tokenizer.encode, texts))
        lengths, padded = ids.row_lengths(), ids.to_tensor(self._filler)
        nothing = tf.cast(tf.shape(padded)[1] == 0, tf.int32)  # 1 if all texts are empty
        padded = tf.pad(padded, [[0, 0], [0, nothing]], constant_values=self._filler)
        mask = tf.sequence_mask(lengths, tf.shape(padded)[1], tf.int32)
        inputs = {"input_ids": padded, "attention_mask": mask}
        if self._layout.token_types:
            second = tf.range(tf.shape(padded)[1]) >= first_lengths[:, None]
            inputs["token_type_ids"] = tf.cast(second, tf.int32) * mask
        return self._task.in_graph_answers(self._outputs(inputs)[:count])
