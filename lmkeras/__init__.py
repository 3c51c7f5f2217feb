"""lmkeras: models that write, label, tag, answer, translate and summarise, on Keras 3, from text to a SavedModel.

    text → tokens → batches → network → fit → evaluate → decode → export

Everything is imported when it is first used, so that `import lmkeras` costs nothing.
"""

import importlib
import sys

__version__ = "0.2.0"

# in the order in which text passes through
_NAMES = {
    "InputError": "lmkeras.errors",
    "Corpus": "lmkeras.corpora",
    "open_corpus": "lmkeras.corpora",
    "split": "lmkeras.corpora",
    "LabelledCorpus": "lmkeras.corpora",
    "open_labelled_corpus": "lmkeras.corpora",
    "split_labelled": "lmkeras.corpora",
    "Knowledge": "lmkeras.corpora.knowledge",
    "TaggedCorpus": "lmkeras.corpora.tagged",
    "open_tagged_corpus": "lmkeras.corpora.tagged",
    "split_tagged": "lmkeras.corpora.tagged",
    "Tokenizer": "lmkeras.tokenizers.keras_words",
    "pad_sequences": "keras.utils",
    "BytePairTokenizer": "lmkeras.tokenizers.byte_pair",
    "WordPieceTokenizer": "lmkeras.tokenizers.word_piece",
    "RobertaTokenizer": "lmkeras.tokenizers.roberta",
    "new_tokenizer": "lmkeras.tokenizers",
    "tokenizer_from_json": "lmkeras.tokenizers",
    "SelfAttention": "lmkeras.layers.attention",
    "SinusoidalPositionEncoding": "lmkeras.layers.position",
    "TransformerBlock": "lmkeras.layers.blocks",
    "DecoderBlock": "lmkeras.layers.blocks",
    "lstm_language_model": "lmkeras.networks.bodies.recurrent",
    "transformer_language_model": "lmkeras.networks.bodies.transformer",
    "lstm_encoder_decoder": "lmkeras.networks.bodies.encoder_decoder",
    "transformer_encoder_decoder": "lmkeras.networks.bodies.encoder_decoder",
    "ngram_classifier": "lmkeras.networks.bodies.ngrams",
    "dense_classifier": "lmkeras.networks.bodies.dense",
    "cnn_classifier": "lmkeras.networks.bodies.convolutional",
    "lstm_classifier": "lmkeras.networks.bodies.bidirectional",
    "transformer_classifier": "lmkeras.networks.bodies.transformer",
    "Bert": "lmkeras.networks.bodies.bert",
    "TFBertModel": "lmkeras.networks.bodies.bert",
    "TFBertForMaskedLM": "lmkeras.networks.bodies.bert",
    "TFBertForPreTraining": "lmkeras.networks.bodies.bert",
    "TFBertForQuestionAnswering": "lmkeras.networks.bodies.bert",
    "TFBertForSequenceClassification": "lmkeras.networks.bodies.bert",
    "TFBertForTokenClassification": "lmkeras.networks.bodies.bert",
    "bert_classifier": "lmkeras.networks.bodies.bert",
    "perplexity": "lmkeras.metrics",
    "bits_per_character": "lmkeras.metrics",
    "ClassificationReport": "lmkeras.reports",
    "SpanReport": "lmkeras.reports.spans",
    "FitSettings": "lmkeras.training.settings",
    "ClassifierFitSettings": "lmkeras.training.settings",
    "Model": "lmkeras.models.model",
    "LanguageModel": "lmkeras.models.language_model",
    "TextClassifier": "lmkeras.models.text_classifier",
    "Tagger": "lmkeras.models.tagger",
    "QuestionAnswerer": "lmkeras.models.question_answerer",
    "MaskedLanguageModel": "lmkeras.models.masked_language_model",
    "Seq2SeqModel": "lmkeras.models.seq2seq_model",
    "cross_validate": "lmkeras.models.cross_validation",
    "tune": "lmkeras.models.tuning",
    "load": "lmkeras.models.loading",
    "from_pretrained": "lmkeras.models.loading",
}

_WITH_TENSORFLOW = ("lmkeras.models", "lmkeras.networks", "lmkeras.layers", "keras")

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str):
    if name not in _NAMES:
        from lmkeras.errors import did_you_mean

        raise AttributeError(f"module 'lmkeras' has no attribute {name!r}{did_you_mean(name, _NAMES)}")
    if _NAMES[name].startswith(_WITH_TENSORFLOW) and "tensorflow" not in sys.modules:
        importlib.import_module("lmkeras.quiet").quiet_tensorflow()  # else its notes stand in every notebook
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
