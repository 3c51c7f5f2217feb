"""The text classifier that a user holds: text in, labels and probabilities out."""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from lmkeras.corpora import as_labelled_corpus, require_known_labels, require_several_labels, split_labelled
from lmkeras.corpora.labelled import LabelledCorpus, Text
from lmkeras.datasets import TextLayout, TrainingExamples, evaluation_batches
from lmkeras.errors import InputError
from lmkeras.export import export_text_classifier
from lmkeras.models.prediction import Prediction, TextLabeller, of_the_other_kind
from lmkeras.models.recipe import ClassifierRecipe, check_built, layout_for
from lmkeras.models.text_model import TextModel, changed
from lmkeras.networks.classification import ClassificationNetwork
from lmkeras.reports import ClassificationReport
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training import fit as harness
from lmkeras.training.devices import place
from lmkeras.training.layer_rates import freeze, layer_factors
from lmkeras.training.rate_finder import RateFinding, find_learning_rate
from lmkeras.training.settings import ClassifierFitSettings
from lmkeras.training.strategies import strategy_for

Labelled = LabelledCorpus | str | Path | Sequence


class TextClassifier(TextModel):
    """A tokenizer, a classification network and the labels: trains on labelled text and labels text.

    Args:
        network: a name ("dense", "cnn", "lstm", "transformer", "bert"), or a built network for a fitted tokenizer.
        tokenizer: a name ("words", "characters", "byte_pair", "word_piece"), fitted on the corpus by `fit`; or a fitted
            tokenizer. None: "words", and for "bert" WordPiece, that of the weights where there are any.
        vocabulary_size: the most ids a named tokenizer may have; None for the tokenizer's own default.
        max_length: the most ids of a text (or pair) that the network sees, special ones included; None for the
            network's limit, or 512 where it has none.
        long_texts: what is kept of a text that is longer: its "start", its "end", or as much of "both". Of a pair the
            longer text loses its end first.
        weights: for "bert", a folder or hub name of pretrained weights; None to begin from nothing.
        labels: the classes' names in the order of a built network's logits; None to learn them from the corpus.
        pairs: whether a built network classifies pairs of texts; of a named one the corpus decides.
        sizes: of a named network, see `cnn_classifier` and its like.

    Attributes:
        labels: the classes' names in the order of the logits, None until `fit` has seen them.
        pairs: whether an example is a pair of texts.

    Example:
        >>> model = TextClassifier("dense", embedding_dim=8)
        >>> texts, labels = ["good fine great", "bad poor awful"] * 8, ["yes", "no"] * 8
        >>> _ = model.fit((texts, labels), validation_fraction=0, epochs=20, learning_rate=0.05, verbose=0)
        >>> model.predict("great fine").label
        'yes'
    """

    kind = "text_classifier"

    def __init__(
        self,
        network: str | ClassificationNetwork = "cnn",
        tokenizer: str | BaseTokenizer | None = None,
        vocabulary_size: int | None = None,
        max_length: int | None = None,
        long_texts: str = "start",
        weights: str | Path | None = None,
        labels: Sequence[str] | None = None,
        pairs: bool = False,
        **sizes,
    ):
        TextLayout(512 if max_length is None else max_length, long_texts)  # wrong ones are refused here
        self.max_length, self.long_texts = max_length, long_texts
        self.tokenizer = self.network = self.labels = self._recipe = self._labeller = None
        self.pairs = pairs
        if isinstance(network, str):
            if labels is not None:
                raise InputError("labels are for a built network: a named one learns them from the corpus")
            self._recipe = ClassifierRecipe(network, tokenizer, vocabulary_size, max_length, weights, sizes)
        else:
            others = {"vocabulary_size": vocabulary_size, "weights": weights, **sizes}
            check_built(network, tokenizer, labels, [name for name, value in others.items() if value is not None])
            self.network, self.tokenizer, self.labels = network, tokenizer, tuple(labels)
            self._layout()  # a max_length beyond the network's limit is refused here

    def untrained(self) -> "TextClassifier":
        """A new classifier of the same arguments; InputError where the network was given built."""
        if self._recipe is None:
            raise InputError("this takes a classifier made by a network's name, which can be built anew")
        named = dict(vars(self._recipe))
        return type(self)(**named.pop("sizes"), **named, long_texts=self.long_texts)

    def fit(
        self,
        corpus: Labelled,
        validation: Labelled | None = None,
        validation_fraction: float = 0.1,
        run_folder: str | Path | None = None,
        resume: bool = False,
        settings: ClassifierFitSettings | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: str | int = "auto",
        **changes,
    ) -> list[dict[str, float]]:
        """Trains on labelled text, again from where it stands if it has been trained before.

        Args:
            corpus: a labelled corpus, a source that `open_labelled_corpus` takes, a list of (text, label), or two lists
                (texts, labels).
            validation: what to validate on; None takes examples of every label from the corpus at random.
            validation_fraction: share of the corpus taken, in (0, 1); 0 for no validation.
            run_folder: where metrics.jsonl, curves.png, checkpoints and TensorBoard logs go; None: nowhere.
            resume: go on from run_folder's newest checkpoint, if there is one; other arguments are to be as they were.
            settings: how to train, see ClassifierFitSettings; None for the defaults.
            callbacks: further Keras callbacks.
            verbose: 0 shows nothing, 1 a progress bar, 2 a line an evaluation.
            changes: fields of the settings by name, such as epochs=3.

        Returns:
            One dictionary an evaluation: loss (nats a text), accuracy and, with validation, val_loss and val_accuracy.

        Raises:
            InputError: missing labels, one label alone, or one that is not known.
        """
        settings = changed(settings or ClassifierFitSettings(), changes)
        strategy_for(settings.distribute)  # several workers are set up before anything else
        with place(settings.device):
            train, held_out = _parts(as_labelled_corpus(corpus), validation, validation_fraction, settings.seed)
            train = self._prepared(train, held_out, settings)
            digests, validation = {"text": train.digest}, None
            if held_out is not None:
                examples, classes = self._text_labeller().encode(held_out)
                digests["validation"] = functools.partial(examples.digest, classes)
                validation = evaluation_batches(examples, classes)
            with self._as_trained(settings) as factors:
                options = (self._run(run_folder, resume, digests), callbacks, verbose, True, settings.monitor, factors)
                return harness.fit(self.network, train.dataset, train.steps_per_epoch, settings, validation, *options)

    def find_learning_rate(
        self, corpus: Labelled, settings: ClassifierFitSettings | None = None, steps: int = 100, **changes
    ) -> RateFinding:
        """Tries learning rates from small to large on a corpus; weights are what they were afterwards.

        An untrained model gets its tokenizer and its fresh network here, from this corpus.

        Args:
            corpus: as in `fit`.
            settings: how to train; its optimizer, batch size and the like count.
            steps: the most updates tried.
            changes: fields of the settings by name.

        Returns:
            The rates, their losses and a suggestion for settings.learning_rate; its `draw` makes a picture of them.
        """
        settings = changed(settings or ClassifierFitSettings(), changes)
        with place(settings.device):
            train = self._prepared(as_labelled_corpus(corpus), None, settings)
            with self._as_trained(settings) as factors:
                return find_learning_rate(self.network, train.dataset(), settings, steps=steps, rate_factors=factors)

    @contextlib.contextmanager
    def _as_trained(self, settings):
        """Groups of layers frozen as the settings say; gives the learning-rate factors of the others."""
        groups = self.network.layer_groups()
        try:
            with freeze(groups, settings.frozen_groups):
                yield None if settings.layer_decay == 1 else layer_factors(groups, settings.layer_decay)
        finally:
            self._labeller = None  # callbacks may have predicted, and so traced, in the training's precision

    def _prepared(self, train: LabelledCorpus, held_out: LabelledCorpus | None, settings) -> TrainingExamples:
        """Makes what is not made yet; returns what to train on."""
        counts = train.label_counts()
        require_several_labels(counts)
        labels, tokenizer, network = self.labels or tuple(counts), self.tokenizer, self.network
        for part in (counts, {} if held_out is None else held_out.label_counts()):
            require_known_labels(part, labels)
        weights = settings.weights_of({label: counts.get(label, 0) for label in labels})
        pairs = _of_pairs(train)
        if held_out is not None and _of_pairs(held_out) != pairs:
            raise of_the_other_kind(pairs)
        if network is None:
            tokenizer = tokenizer or self._recipe.tokenizer_for(train.texts())
            network = self._recipe.network_for(tokenizer, len(labels), settings.seed)
        elif pairs != self.pairs:
            raise of_the_other_kind(self.pairs)
        with freeze(network.layer_groups(), settings.frozen_groups):
            self._layout(network, tokenizer, pairs)
        # nothing can be wrong from here on
        self.labels, self.tokenizer, self.network, self.pairs, self._labeller = labels, tokenizer, network, pairs, None
        return TrainingExamples(*self._text_labeller().encode(train), settings.batch_size, settings.seed, weights)

    def _layout(self, network=None, tokenizer=None, pairs=None) -> TextLayout:
        parts = (self.network, self.tokenizer, self.pairs) if network is None else (network, tokenizer, pairs)
        return layout_for(*parts, self.max_length, self.long_texts)

    def evaluate(self, corpus: Labelled) -> dict[str, float]:
        """Judges the model on labelled text.

        Args:
            corpus: as in `fit`; InputError where it has labels that the model does not know.

        Returns:
            loss_nats (mean -log P of the true label), accuracy, macro_f1, examples.
        """
        return self.judge(corpus)[0]

    def report(self, corpus: Labelled) -> ClassificationReport:
        """What the model makes of each class of a labelled corpus, as tables and a picture.

        Args:
            corpus: as in `evaluate`.
        """
        return self.judge(corpus)[1]

    def judge(self, corpus: Labelled) -> tuple[dict[str, float], ClassificationReport]:
        """What `evaluate` and `report` return, by one pass over the corpus."""
        labeller = self._text_labeller()
        examples, classes = labeller.encode(as_labelled_corpus(corpus))
        logits = labeller.logits(examples)
        losses = np.logaddexp.reduce(logits, axis=1) - np.take_along_axis(logits, classes[:, None], 1)[:, 0]
        report = ClassificationReport.from_predictions(classes, logits.argmax(axis=1), self.labels)
        scores = {"accuracy": report.accuracy, "macro_f1": report.macro_f1, "examples": report.examples}
        return {"loss_nats": float(losses.mean()), **scores}, report

    def predict(self, text: Text | Sequence[Text]) -> Prediction | list[Prediction]:
        """The likeliest label and the probability of every label.

        Args:
            text: a text, or a tuple (first, second) where the model classifies pairs; or a list of them.

        Returns:
            A Prediction, or a list of them for a list.
        """
        single = isinstance(text, str | tuple)
        predictions = [prediction for _, prediction in self.predict_each([text] if single else text)]
        return predictions[0] if single else predictions

    def predict_each(self, texts: Iterable[Text], at_a_time: int = 1024) -> Iterator[tuple[Text, Prediction]]:
        """Each text with its Prediction, in the order of the texts, read as they are needed.

        Args:
            texts: any number of them, as in `predict`; such as what `open_examples` reads from a file.
            at_a_time: how many are read before the first is answered; texts of like length among them go together.
        """
        if isinstance(texts, str) or not isinstance(texts, Iterable):
            got = "one" if isinstance(texts, str) else type(texts).__name__
            raise InputError(f"expected texts, got {got}: put a text into a list, [text], or give it to predict")
        return self._text_labeller().predict(texts, at_a_time)

    def _text_labeller(self) -> TextLabeller:
        self._require_network()
        if self._labeller is None:
            self._labeller = TextLabeller(self.network, self.tokenizer, self._layout(), self.labels, self.pairs)
        return self._labeller

    def export(self, folder: str | Path, overwrite: bool = False, dtype: str = "float32") -> None:
        """Writes a SavedModel with the signature `classify`, see `lmkeras.export`.

        Args:
            folder: a new folder, or an empty one.
            overwrite: whether a SavedModel that is there already is replaced.
            dtype: precision of matrix products: "float32", or of BERT "bfloat16", which is twice to three times as fast
                on CPUs with instructions for it, slow on others, and keeps about two digits of a probability.

        Raises:
            InputError: the folder is in use, the tokenizer cannot be exported, or not in this precision.
        """
        self._require_network()
        parts = (self.network, self.tokenizer, self._layout(), self.labels, self.pairs)
        export_text_classifier(*parts, folder, overwrite, dtype)

    def _own_config(self) -> dict:
        names = ("labels", "pairs", "max_length", "long_texts")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def _from_folder(cls, config, tokenizer, network):
        options = {name: config[name] for name in ("labels", "pairs", "max_length", "long_texts")}
        return cls(network, tokenizer, **options)


def _parts(corpus, validation, fraction, seed) -> tuple[LabelledCorpus, LabelledCorpus | None]:
    if validation is not None or not fraction:
        return corpus, None if validation is None else as_labelled_corpus(validation)
    require_several_labels(corpus.label_counts())  # before its examples are fewer
    return split_labelled(corpus, fraction, seed)


def _of_pairs(corpus: LabelledCorpus) -> bool:
    return isinstance(next(iter(corpus))[0], tuple)
