"""The tagger that a user holds: text in, what it names out."""

from collections.abc import Sequence
from pathlib import Path

from lmkeras.errors import InputError
from lmkeras.models.model import Model
from lmkeras.models.signatures import naming_settings
from lmkeras.networks.network import Network
from lmkeras.tasks.tagging import Tagging
from lmkeras.tokenizers.base import BaseTokenizer


@naming_settings(Tagging)
class Tagger(Model):
    """A tokenizer, a network that reads words and the types of entities: finds what texts name, and where.

    Args:
        network: a name ("lstm", "transformer", "bert"), or a built network for a fitted tokenizer. "auto": "lstm", or
            "bert" where weights are given.
        tokenizer: a name ("characters"; "word_piece" for "bert") of a tokenizer that `fit` fits on the corpus; or a
            fitted tokenizer. "auto" (or None): what suits the network.
        vocabulary_size: the most ids that a tokenizer given by name may have; None for its default.
        max_length: the most tokens that are read at once, special ones included; longer texts are read in windows that
            overlap. None for the network's limit, or 2048 if it has none.
        crf: whether the scores of tags after each other are learnt too (a conditional random field); else each word's
            tag is learnt by itself, and the best sequence of whole entities is taken.
        weights: for "bert", a folder or hub name of pretrained weights; None for fresh weights.
        types: the names of the entities' types, for a built network; None to learn them from the corpus.
        splitting: how texts are cut into words, for a built network, see `word_spans`; else the corpus decides.
        sizes: sizes of a network given by name.

    Example:
        >>> model = Tagger("lstm", units=8, dropout=0)
        >>> texts = [(["Ada", "met", "Bob"], ["B-PER", "O", "B-PER"]), (["Cy", "met", "Di"], ["B-PER", "O", "B-PER"])]
        >>> _ = model.fit(texts * 8, validation_fraction=0, epochs=8, verbose=0)
        >>> [entity.text for entity in model.predict("Ada met Bob").entities]
        ['Ada', 'Bob']
    """

    def __init__(
        self,
        network: str | Network = "auto",
        tokenizer: str | BaseTokenizer | None = "auto",
        vocabulary_size: int | None = None,
        max_length: int | None = None,
        crf: bool = True,
        weights: str | Path | None = None,
        types: Sequence[str] | None = None,
        splitting: str = "words",
        **sizes,
    ):
        if types is not None and isinstance(network, str):
            raise InputError("types are for a built network: a named one learns them from the corpus")
        task = Tagging(max_length=max_length, crf=crf, types=types, splitting=splitting)
        super().__init__(task, network, tokenizer, vocabulary_size=vocabulary_size, weights=weights, **sizes)

    @property
    def types(self) -> tuple[str, ...] | None:
        """The names of the types; None until `fit` has learnt them."""
        return self.task.types
