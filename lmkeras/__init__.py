"""lmkeras: language models on Keras 3 and TensorFlow, from a text file to a SavedModel that writes.

    text → tokens → batches → network → fit → evaluate → decode → export

Everything is imported when it is first used, so that `import lmkeras` costs nothing.
"""

import importlib

__version__ = "0.1.0"

# in the order in which text passes through
_NAMES = {
    "InputError": "lmkeras.errors",
    "Corpus": "lmkeras.corpora",
    "open_corpus": "lmkeras.corpora",
    "split": "lmkeras.corpora",
    "Tokenizer": "lmkeras.tokenizers.keras_words",
    "pad_sequences": "keras.utils",
    "BytePairTokenizer": "lmkeras.tokenizers.byte_pair",
    "new_tokenizer": "lmkeras.tokenizers",
    "tokenizer_from_json": "lmkeras.tokenizers",
    "SelfAttention": "lmkeras.layers.attention",
    "SinusoidalPositionEncoding": "lmkeras.layers.position",
    "TransformerBlock": "lmkeras.layers.blocks",
    "DecoderBlock": "lmkeras.layers.blocks",
    "lstm_language_model": "lmkeras.networks.recurrent",
    "transformer_language_model": "lmkeras.networks.transformer",
    "perplexity": "lmkeras.metrics",
    "bits_per_character": "lmkeras.metrics",
    "FitSettings": "lmkeras.training.settings",
    "LanguageModel": "lmkeras.models.language_model",
    "load": "lmkeras.models.text_model",
}

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str):
    if name not in _NAMES:
        raise AttributeError(f"module 'lmkeras' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
