"""BERT: as a Keras model of its own, as the body of a network, and with a classifier's head."""

from lmkeras.networks.bodies.bert.classifier import bert_classifier, fresh_bert
from lmkeras.networks.bodies.bert.encoder import Bert, TFBertModel

__all__ = ["Bert", "TFBertModel", "bert_classifier", "fresh_bert"]
