"""BERT with a classifier's head, from published weights or with fresh ones.

Shape letters: B batch, T tokens, C classes.
"""

from pathlib import Path

from lmkeras.networks.bodies.bert.encoder import Bert
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.registry import register_body

_FRESH_LEARNING_RATE = 0.0005


def bert_classifier(bert: Bert | str | Path, num_classes: int, dropout: float | None = None) -> Network:
    """Builds a classifier on top of a BERT, to be fine-tuned.

    Args:
        bert: a Bert, or a folder or a name on the Hugging Face hub from which `Bert.from_pretrained` reads one.
        num_classes: C, at least 2.
        dropout: share of the pooled output dropped in training, in [0, 1); None for bert's hidden_dropout_prob.

    Returns:
        A built network, int32 ids [B, T] or a dictionary of inputs → float32 logits [B, C]; its last layer has fresh
        weights.

    Example:
        >>> bert = Bert(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
        >>> bert_classifier(bert, num_classes=3)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    bert = bert if isinstance(bert, Bert) else Bert.from_pretrained(bert)
    dropout = bert.dropout if dropout is None else dropout
    return Network(bert, ClassesHead(num_classes, dropout, bert.initializer_range))


def _tokenizer(source: str | Path):
    from lmkeras.tokenizers.encoders import encoder_tokenizer

    return encoder_tokenizer(source)


_OF_BERT = {
    "tokenizer": "word_piece",
    "pretrained": Bert.from_pretrained,
    "pretrained_tokenizer": _tokenizer,
}


@register_body("bert", "taggers", **_OF_BERT)
@register_body("bert", "readers", **_OF_BERT)
def fresh_bert(
    vocabulary_size: int,
    d_model: int = 128,
    num_heads: int = 4,
    num_layers: int = 2,
    dff: int | None = None,
    max_length: int = 512,
    dropout: float = 0.1,
) -> Bert:
    """Builds a BERT with fresh weights.

    Args:
        vocabulary_size: number of ids, id 0 included.
        d_model: width, a multiple of num_heads.
        num_heads: attention heads of each block.
        num_layers: number of blocks.
        dff: inner width of the feed-forward networks; None for 4 d_model.
        max_length: the most tokens that one pass looks at.
        dropout: share of values dropped in training after the embeddings, in the blocks, of attention weights and
            before the last layer, in [0, 1).

    Returns:
        A built Bert, whose default_learning_rate suits fresh weights.

    Raises:
        InputError: d_model is no multiple of num_heads.

    Source: Devlin et al. 2019; the default sizes are near the smallest of Turc et al. 2019.
    """
    bert = Bert(
        vocab_size=vocabulary_size,
        hidden_size=d_model,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=4 * d_model if dff is None else dff,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=max_length,
    )
    bert.default_learning_rate = _FRESH_LEARNING_RATE
    return bert
