"""The masked language model that a user holds: text with masks in, words out."""

from pathlib import Path

from lmkeras.errors import InputError
from lmkeras.models.model import Model
from lmkeras.models.signatures import naming_settings
from lmkeras.networks.network import Network
from lmkeras.tasks.filling import TOKENS, Filling, ShownTokens
from lmkeras.tasks.masked import MaskedLanguage
from lmkeras.tokenizers.base import BaseTokenizer


@naming_settings(MaskedLanguage)
class MaskedLanguageModel(Model):
    """A BERT with the head it is pretrained with: learns from plain text, and fills in the masks of texts.

    Saved, its folder is what other models can begin from: `TextClassifier("bert", weights=folder)`.

    Args:
        network: "bert", or a built network with a MaskedHead for a fitted tokenizer. "auto": "bert".
        tokenizer: "word_piece", which `fit` fits on the corpus; or a fitted tokenizer. "auto" (or None): that of the
            weights, or with which the corpus was tokenized, else "word_piece".
        vocabulary_size: the most ids that a tokenizer given by name may have; None for its default.
        max_length: the most ids of an example, special ones included; None for 128, or the network's limit.
        next_sentence: whether it also learns which pairs of sentences follow one another.
        masked_share: the share of tokens that are masked, in (0, 1).
        whole_words: whether all pieces of a word are masked together.
        weights: a folder or hub name of a published BERT, or the folder of a saved model with a BERT, whose training is
            continued, head included; None for fresh weights.
        sizes: sizes of a network given by name, see `fresh_bert`.

    Example:
        >>> model = MaskedLanguageModel("bert", d_model=16, num_heads=2, num_layers=1, next_sentence=False)
        >>> _ = model.fit(["the cat sat on the mat. "] * 20, steps=2, verbose=0)
        >>> len(model.predict("the cat [MASK] on the [MASK].", top_k=3))
        2
    """

    def __init__(
        self,
        network: str | Network = "auto",
        tokenizer: str | BaseTokenizer | None = "auto",
        vocabulary_size: int | None = None,
        max_length: int | None = None,
        next_sentence: bool = True,
        masked_share: float = 0.15,
        whole_words: bool = False,
        weights: str | Path | None = None,
        **sizes,
    ):
        task = MaskedLanguage(max_length, next_sentence, masked_share=masked_share, whole_words=whole_words)
        super().__init__(task, network, tokenizer, vocabulary_size=vocabulary_size, weights=weights, **sizes)

    def predict(self, text, top_k: int = TOKENS, **options) -> Filling | list[Filling]:
        """The likeliest tokens in the place of each mask.

        Args:
            text: a text with one or several "[MASK]" in it; or several: a list, a series, an array, the Path of a file.
            top_k: how many tokens to return for each mask, from 1 to 100.
            options: as for `Model.predict_each`.

        Returns:
            A Filling, which holds (token, probability) of the likeliest tokens for each mask; for several texts a list.

        Raises:
            InputError: a text has no mask.
        """
        shown, found = ShownTokens(top_k), super().predict(text, **options)
        return [shown.of(one) for one in found] if isinstance(found, list) else shown.of(found)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes a checkpoint with vocabulary that transformers reads, as BertForPreTraining or BertForMaskedLM.

        Args:
            folder: created if it does not exist; the files of an earlier checkpoint are replaced.

        Raises:
            InputError: the model is not trained, or transformers has no such network or tokenizer.
        """
        self._require_network()
        write = getattr(self.tokenizer, "save_vocabulary", None)
        if write is None:
            raise InputError(f"{type(self.tokenizer).__name__} has no form in BERT's checkpoints: use save instead")
        self.network.save_pretrained(folder)
        write(folder)
