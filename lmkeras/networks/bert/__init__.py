"""BERT as a network of its own and as a classifier."""

from lmkeras.networks.bert.classifier import BertClassifier, bert_classifier, fresh_bert_classifier
from lmkeras.networks.bert.encoder import Bert, TFBertModel
from lmkeras.networks.bert.packed import PackedBertClassifier

__all__ = [
    "Bert",
    "BertClassifier",
    "PackedBertClassifier",
    "TFBertModel",
    "bert_classifier",
    "fresh_bert_classifier",
]
