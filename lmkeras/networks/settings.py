"""Kinds and sizes of networks, documented once for the command line; the defaults are those of the bodies."""

import dataclasses
from typing import Literal


class _Sizes:
    """Fields that are sizes of a network; None stands for the body's default."""

    weights: str | None = None

    def sizes(self) -> dict:
        """The sizes that were given, by name."""
        others = ("network", "weights")
        return {name: value for name, value in vars(self).items() if name not in others and value is not None}


@dataclasses.dataclass(frozen=True)
class WriterSettings(_Sizes):
    """The network of a language model: its kind and sizes. A size that is not given has the default of its kind."""

    network: Literal["auto", "transformer", "lstm", "gru", "simple_rnn"] = "auto"
    """The kind of network; auto: a transformer whose tokenizer, sizes and training follow the amount of text, where
    they are not given; the defaults of sizes are those of a network by name."""
    num_layers: int | None = None
    """Number of blocks, or of recurrent layers; None: 4 for transformers, 1 for recurrent networks."""
    dropout: float | None = None
    """Share of values dropped in training, from 0 to below 1; None: 0.0."""
    tie_embeddings: bool | None = None
    """Whether the embedding is also used as the last layer's matrix; None: False."""
    d_model: int | None = None
    """Width of a transformer; None: 128."""
    num_heads: int | None = None
    """Number of attention heads in each block of a transformer; None: 4."""
    dff: int | None = None
    """Inner width of a transformer's feed-forward networks; None: 4 times d_model."""
    context_length: int | None = None
    """The most tokens that a transformer looks at; None: 128."""
    block: Literal["pre_norm", "post_norm"] | None = None
    """Blocks of a transformer: new ones with RMSNorm and rotary positions, or the original ones; None: pre_norm."""
    embedding_dim: int | None = None
    """Width of a recurrent network's embedding; None: 256."""
    units: int | None = None
    """Size of each recurrent layer's state; None: 128."""


@dataclasses.dataclass(frozen=True)
class ReaderSettings(_Sizes):
    """A network that reads whole texts: its kind and sizes. A size that is not given has the default of its kind."""

    network: Literal["auto", "ngrams", "dense", "cnn", "lstm", "transformer", "bert"] = "auto"
    """The kind of network; auto: ngrams, or what suits the texts, with sizes and training that follow their amount,
    where they are not given; the defaults of sizes are those of a network by name."""
    weights: str | None = dataclasses.field(default=None, metadata={"metavar": "FOLDER"})
    """For bert, a folder or hub name of pretrained weights, or the folder of a saved model with a BERT, such as one
    that train masked-lm made; None: fresh, random weights."""
    dropout: float | None = None
    """Share of values dropped in training, in [0, 1); None: 0.5, 0.1 for transformer and bert, 0.0 for ngrams."""
    embedding_dim: int | None = None
    """Width of the embedding of dense, cnn and lstm; None: 128, and 300 for cnn."""
    units: int | None = None
    """Size of dense's hidden layer, or of lstm's state in each direction; None: no hidden layer, 64 for lstm."""
    filters: int | None = None
    """Number of filters of each width of cnn; None: 100."""
    widths: tuple[int, ...] | None = None
    """Widths of the filters of cnn, and of the n-grams of tokens of ngrams; None: 3 4 5, and 2 3 4 5 for ngrams."""
    word_widths: tuple[int, ...] | None = None
    """Lengths of the n-grams of words that ngrams reads; None: 1 2."""
    buckets: int | None = None
    """Number of the vectors of n-grams that ngrams has; None: 262144."""
    gram_dropout: float | None = None
    """Share of the n-grams that ngrams leaves out in training, in [0, 1); None: 0.5."""
    smoothing: float | None = None
    """What ngrams adds to the counts of n-grams before it begins, more than 0; None: 1.0."""
    num_layers: int | None = None
    """Number of layers of lstm, or of blocks of transformer and bert; None: 1, and 2 for bert."""
    bidirectional: bool | None = None
    """Whether lstm also reads texts backwards; None: True."""
    pooling: Literal["max", "mean", "last"] | None = None
    """How the outputs of lstm for all tokens become one vector: largest, mean or last values; None: max."""
    d_model: int | None = None
    """Width of transformer and bert; None: 64, and 128 for bert."""
    num_heads: int | None = None
    """Number of attention heads in each block; None: 4."""
    dff: int | None = None
    """Inner width of the feed-forward networks; None: 4 times d_model."""


@dataclasses.dataclass(frozen=True)
class TaggerSettings(_Sizes):
    """A network that reads words: its kind and sizes. A size that is not given has the default of its kind."""

    network: Literal["auto", "lstm", "transformer", "bert"] = "auto"
    """The kind of network; auto: lstm, or bert where weights are given."""
    weights: str | None = dataclasses.field(default=None, metadata={"metavar": "FOLDER"})
    """For bert, a folder or hub name of pretrained weights; None: fresh, random weights."""
    dropout: float | None = None
    """Share of values dropped in training, in [0, 1); None: 0.5, 0.2 for transformer, 0.1 for bert."""
    word_dropout: float | None = None
    """Share of words of which lstm and transformer see only parts and context in training; None: 0.1."""
    embedding_dim: int | None = None
    """Width of each kind of vectors of words and their parts, of lstm and transformer; None: 64."""
    character_dim: int | None = None
    """Width of the vectors of characters, of lstm and transformer; None: 25."""
    affixes: int | None = None
    """The most letters of what words begin and end with, of lstm and transformer; None: 4."""
    buckets: int | None = None
    """Number of the vectors of words and their parts, of lstm and transformer; None: 131072."""
    units: int | None = None
    """Size of the state of lstm in each direction; None: 128."""
    num_layers: int | None = None
    """Number of layers of lstm, or of blocks of transformer and bert; None: 1, and 2 for transformer and bert."""
    d_model: int | None = None
    """Width of transformer and bert; None: 128."""
    num_heads: int | None = None
    """Number of attention heads in each block; None: 4."""
    dff: int | None = None
    """Inner width of the feed-forward networks; None: 4 times d_model."""


@dataclasses.dataclass(frozen=True)
class EncoderDecoderSettings(_Sizes):
    """A network that reads a source and writes a target: its kind and sizes. A size that is not given has the default
    of its kind."""

    network: Literal["auto", "transformer", "lstm"] = "auto"
    """The kind of network; auto: transformer."""
    num_layers: int | None = None
    """Number of blocks, or of LSTM layers, of the encoder; None: 3, and 1 for lstm."""
    decoder_layers: int | None = None
    """Number of blocks of transformer's decoder; None: num_layers."""
    dropout: float | None = None
    """Share of values dropped in training, in [0, 1); None: 0.1, and 0.2 for lstm."""
    tie_embeddings: bool | None = None
    """Whether the embedding is also used as the last layer's matrix; None: True."""
    d_model: int | None = None
    """Width of transformer; None: 256."""
    num_heads: int | None = None
    """Number of attention heads in each block of transformer; None: 4."""
    dff: int | None = None
    """Inner width of transformer's feed-forward networks; None: 4 times d_model."""
    block: Literal["pre_norm", "post_norm"] | None = None
    """Blocks of transformer: new ones with RMSNorm and rotary positions, or the original ones; None: pre_norm."""
    embedding_dim: int | None = None
    """Width of lstm's embedding; None: 256."""
    units: int | None = None
    """Size of each LSTM layer's state, of which each direction of the encoder has half; None: 256."""


#: the settings of each kind of body
NETWORK_SETTINGS = {
    "readers": ReaderSettings,
    "writers": WriterSettings,
    "taggers": TaggerSettings,
    "encoder_decoders": EncoderDecoderSettings,
}
#: sizes that follow from the tokenizer or from the task's options, so that they are no options of the network
FROM_ELSEWHERE = ("vocabulary_size", "source_vocabulary_size", "max_length", "max_target_length", "num_labels")
#: options that `lmkeras train` has for every task and every network
TRAIN_OPTIONS = (
    *("text", "output", "validation", "validation_fraction", "encoding", "tokenizer", "vocabulary_size"),
    *("network", "weights", "overwrite", "resume", "config", "quiet", "verbose", "help"),
)
