"""BERT with the heads that it is published with, as Keras models that are called like transformers' own.

Shape letters: B batch, T tokens, C classes, V vocabulary.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.networks.bodies.bert.with_head import KINDS, BertWithHead, mean_cross_entropy
from lmkeras.networks.heads.masked import NEXT_SENTENCE, WORDS, MaskedHead


@keras.saving.register_keras_serializable("lmkeras")
class TFBertForSequenceClassification(BertWithHead):
    """BERT that gives a text, or a pair of texts, logits of classes [B, C]; called like transformers' class.

    Example:
        >>> sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        >>> model = TFBertForSequenceClassification(labels=3, vocab_size=50, **sizes)
        >>> outputs = model(np.array([[7, 3, 0]]), labels=np.array([2]))
        >>> outputs.logits.shape, outputs.loss.shape
        (TensorShape([1, 3]), TensorShape([]))
    """

    architecture = "ForSequenceClassification"
    dropout_names = ("classifier_dropout", "seq_classif_dropout")

    def answers(self, outputs, training):
        """Logits of the pooled vector."""
        return {"logits": self.head(outputs.pooler_output, training=training)}

    def answers_loss(self, answers, labels):
        """The mean of squared errors, cross-entropies, or binary cross-entropies, by `problem_type`."""
        logits, labels = answers["logits"], labels["labels"]
        whole = "int" in keras.backend.standardize_dtype(labels.dtype)
        kind = self.problem_type or ("regression" if len(self.labels) == 1 else KINDS[1 if whole else 2])
        if kind == "single_label_classification":
            return mean_cross_entropy(logits, labels)
        labels = ops.reshape(ops.cast(labels, "float32"), ops.shape(logits))
        if kind == "regression":
            return ops.mean(ops.square(logits - labels))
        return ops.mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))


@keras.saving.register_keras_serializable("lmkeras")
class TFBertForTokenClassification(BertWithHead):
    """BERT that gives each token logits of classes [B, T, C]; called like transformers' class.

    Labels -100 count not.
    """

    architecture = "ForTokenClassification"


@keras.saving.register_keras_serializable("lmkeras")
class TFBertForQuestionAnswering(BertWithHead):
    """BERT that gives each token start_logits and end_logits, [B, T] each; called like transformers' class."""

    architecture = "ForQuestionAnswering"
    label_names = ("start_positions", "end_positions")
    dropout_names = ("qa_dropout",)

    def new_head(self, dropout):
        """Two logits for each token; only DistilBERT drops values before them."""
        self.labels = ("LABEL_0", "LABEL_1")
        return super().new_head(dropout if self.bert.model_type == "distilbert" else 0.0)

    def answers(self, outputs, training):
        """Logits of being the start and the end of the answer."""
        start, end = ops.unstack(self.head(outputs.last_hidden_state, training=training), axis=-1)
        return {"start_logits": start, "end_logits": end}

    def answers_loss(self, answers, labels):
        """The mean of the losses of starts and ends; positions after the last token count not."""
        length = ops.shape(answers["start_logits"])[1]
        logits = [answers["start_logits"], answers["end_logits"]]
        places = [ops.clip(labels[name], 0, length) for name in self.label_names]
        return sum(map(lambda one, place: mean_cross_entropy(one, place, ignored=length), logits, places)) / 2


@keras.saving.register_keras_serializable("lmkeras")
class TFBertForMaskedLM(BertWithHead):
    """BERT that gives each token logits of what stands there, [B, T, V]; called like transformers' class.

    Labels -100 count not: they stand at all places that are not masked.
    """

    architecture = "ForMaskedLM"

    def new_head(self, dropout):
        """A MaskedHead."""
        bert = self.bert
        form = {"activation": bert.masked_activation, "epsilon": bert.layer_norm_eps}
        follows = self.architecture == "ForPreTraining"
        return MaskedHead(bert.vocab_size, follows, **form, initializer_range=bert.initializer_range)


@keras.saving.register_keras_serializable("lmkeras")
class TFBertForPreTraining(TFBertForMaskedLM):
    """BERT with both heads that it was pretrained with; called like transformers' class.

    It gives prediction_logits [B, T, V], as TFBertForMaskedLM, and seq_relationship_logits [B, 2]: 0 for a second text
    that follows the first, 1 for another. The loss is the sum of both losses.
    """

    architecture = "ForPreTraining"
    label_names = ("labels", "next_sentence_label")

    def answers(self, outputs, training):
        """Both kinds of logits."""
        both = self.head({"states": outputs.last_hidden_state, "summary": outputs.pooler_output}, training=training)
        return {"prediction_logits": both[WORDS], "seq_relationship_logits": both[NEXT_SENTENCE]}

    def answers_loss(self, answers, labels):
        """The sum of both mean losses."""
        return sum(
            mean_cross_entropy(logits, labels[name]) for logits, name in zip(answers.values(), labels, strict=True)
        )
