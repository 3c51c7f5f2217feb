"""BERT as a network of its own and as a classifier."""

from lmkeras.networks.bert.classifier import BertClassifier, bert_classifier, fresh_bert_classifier
from lmkeras.networks.bert.encoder import Bert, TFBertModel

__all__ = ["Bert", "BertClassifier", "TFBertModel", "bert_classifier", "fresh_bert_classifier"]
