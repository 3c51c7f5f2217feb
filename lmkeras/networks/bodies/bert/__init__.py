"""BERT: as a Keras model of its own, as the body of a network, and with the heads that it is published with."""

from lmkeras.networks.bodies.bert.classifier import bert_classifier, fresh_bert
from lmkeras.networks.bodies.bert.drop_in import (
    TFBertForMaskedLM,
    TFBertForPreTraining,
    TFBertForQuestionAnswering,
    TFBertForSequenceClassification,
    TFBertForTokenClassification,
)
from lmkeras.networks.bodies.bert.encoder import Bert, TFBertModel

__all__ = [
    "Bert",
    "TFBertForMaskedLM",
    "TFBertForPreTraining",
    "TFBertForQuestionAnswering",
    "TFBertForSequenceClassification",
    "TFBertForTokenClassification",
    "TFBertModel",
    "bert_classifier",
    "fresh_bert",
]
