"""The model that a user holds: a task, a tokenizer and a network that belong together."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras

from lmkeras.errors import InputError
from lmkeras.export.saved_model import write_saved_model
from lmkeras.models.given import Given, one_validation, options_of
from lmkeras.models.preparing import (
    Parts,
    as_trained,
    calibrated,
    noted,
    prepared,
    require_judge,
    run_of,
    settings_for,
    tell,
)
from lmkeras.models.recipe import AUTO, Recipe, require_built
from lmkeras.models.saving import save_model
from lmkeras.models.showing import ShownModel
from lmkeras.models.telling import fit_and_tell
from lmkeras.networks.network import Network
from lmkeras.tasks.base import Runner, Task, TextColumns
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training.devices import place
from lmkeras.training.history import History
from lmkeras.training.policy import without_cudnn
from lmkeras.training.randomness import random_seed
from lmkeras.training.rate_finder import RateFinding, find_learning_rate
from lmkeras.training.settings import TrainingSettings
from lmkeras.training.strategies import is_chief, replicas_of, strategy_for


class Model(ShownModel):
    """A task, a tokenizer and a network: trains on a corpus, is evaluated, answers texts, and is saved in one folder.

    Args:
        task: what the model does with texts, such as continuing (Language) or classifying (Classification) them.
        network: the name of a body for this kind of task, or a built network for a fitted tokenizer. "auto" (or None):
            the network that suits the corpus, with sizes and settings that suit it too.
        tokenizer: the name of a tokenizer that `fit` fits on the corpus; or a fitted tokenizer. "auto" (or None): the
            tokenizer that suits network and corpus.
        vocabulary_size: the most ids that a tokenizer given by name may have; None for its default.
        weights: a folder or hub name of pretrained weights, or the folder of a saved model, for a network that has
            them; None for fresh weights.
        sizes: sizes of a network given by name.

    Attributes:
        task: the task, with what it has learnt from the corpus, such as labels.
        tokenizer: text ↔ ids; None until `fit` has made it.
        network: ids → outputs; None until `fit` has built it.
        findings: what is odd about the data of the last `fit`, a line for each, such as texts that stand in both parts.
    """

    def __init__(
        self,
        task: Task,
        network: str | Network | None = None,
        tokenizer: str | BaseTokenizer | None = "auto",
        vocabulary_size: int | None = None,
        weights: str | Path | None = None,
        **sizes,
    ):
        network = AUTO if network is None else network
        self.task = task
        self.network = self.tokenizer = self._recipe = self._kept_runner = None
        self.findings: tuple[str, ...] = ()
        if isinstance(network, str):
            others = {"vocabulary_size": vocabulary_size, "weights": weights, "sizes": sizes}
            self._recipe = Recipe(task, network, tokenizer, **others)
            self.tokenizer = tokenizer if isinstance(tokenizer, BaseTokenizer) else None
            return
        require_built(network, tokenizer, {"vocabulary_size": vocabulary_size, "weights": weights, **sizes})
        task.check(network, tokenizer)
        self.network, self.tokenizer = network, tokenizer

    @classmethod
    def of_task(cls, task: Task, *args, **kwargs) -> "Model":
        """A model of this class for a task; the other arguments are those of `Model`."""
        model = cls.__new__(cls)
        Model.__init__(model, task, *args, **kwargs)
        return model

    def untrained(self) -> "Model":
        """A new, untrained model with the same arguments; InputError if this model was made from a built network."""
        if self._recipe is None:
            raise InputError("this takes a model made by a network's name, which can be built anew")
        recipe = self._recipe
        others = {"vocabulary_size": recipe.vocabulary_size, "weights": recipe.weights, **recipe.sizes}
        return self.of_task(recipe.task, recipe.network, recipe.tokenizer, **others)

    def fit(
        self,
        corpus,
        y=None,
        validation=None,
        validation_fraction: float = 0.1,
        run_folder: str | Path | None = None,
        resume: bool = False,
        settings: TrainingSettings | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: str | int = "auto",
        encoding: str = "utf-8",
        validation_data=None,
        **changes,
    ) -> History:
        """Trains on a corpus; a model that has been trained before is trained further.

        Args:
            corpus: a corpus; files, as for --text on the command line; or examples in memory, whatever holds them: a
                list, an array, a pandas Series or DataFrame, a Dataset of datasets or tf.data, an iterator (read once).
                They are texts for a language model, (text, label) or a tuple (texts, labels) for a classifier.
            y: the answers to the texts, such as labels, if `corpus` holds texts alone; or what `validation` takes.
            validation: the corpus to validate on; None takes random examples, or the end of a language model's corpus.
            validation_fraction: share of the corpus that this part has, in (0, 1); 0 for no validation.
            run_folder: folder for metrics.jsonl, curves.png, checkpoints and TensorBoard logs; None to write nothing.
            resume: continue from the newest checkpoint in run_folder, if any; all other arguments must be as before.
            settings: how to train, see FitSettings and ClassifierFitSettings; None for the defaults.
            callbacks: further Keras callbacks.
            verbose: 0 shows nothing; "auto" or 1 what is trained, a line for each evaluation, a bar in terminals and
                notebooks, and what came of it; 2 the same without a bar; 3 more.
            encoding: the files' encoding.
            validation_data: another name for `validation`, which Keras has.
            changes: settings by name, such as epochs=3, and columns of tables, such as text_column="review".

        Returns:
            A list with one dictionary for each evaluation: loss (nats per token, or per text), the task's metrics (a
            classifier's accuracy) and, with validation, the same values with val_ before their names. Its attribute
            `history` has the same values as lists by name, like Keras' History.

        Raises:
            InputError: nothing can be learnt from the corpus, or arguments do not go together.
        """
        given, changes = Given.to(self.fit, self.task, named=changes, encoding=encoding)
        settings = settings_for(self.task, settings, changes)
        validation = one_validation(validation, validation_data)
        self.task.monitored(settings)  # raises InputError for an unknown monitor
        replicas = replicas_of(settings.distribute)  # several workers are set up before anything else
        with place(settings.device), random_seed(settings.seed):
            train, held_out = given.corpora(corpus, y, validation, fraction=validation_fraction, seed=settings.seed)
            require_judge(settings, held_out)
            ready = prepared(self._parts, self._recipe, train, held_out=held_out, settings=settings, replicas=replicas)
            run = run_of(ready, folder=run_folder, resume=resume)
            noting = noted(callbacks, run, ready, corpus=corpus, settings=settings)
            self._become(ready.parts)  # all checks have been passed
            settings, self.findings = ready.settings, ready.findings
            tell(self.findings, bool(verbose) and is_chief(strategy_for(settings.distribute)))
            with self._training(settings) as factors:
                history = fit_and_tell(ready, verbose, run=run, callbacks=noting, rate_factors=factors)
            self._become(calibrated(self._parts, held_out))
            return history

    def find_learning_rate(
        self, corpus, y=None, settings: TrainingSettings | None = None, steps: int = 100, encoding="utf-8", **changes
    ) -> RateFinding:
        """Tries learning rates from small to large on a corpus; afterwards the weights are what they were before.

        An untrained model gets its tokenizer and its fresh network here, from this corpus.

        Args:
            corpus: as in `fit`.
            y: the answers to the texts, if they stand apart.
            settings: how to train, such as the optimizer and the batch size; None for the defaults.
            steps: the most updates to try.
            encoding: the files' encoding.
            changes: fields of the settings, and columns, by name.

        Returns:
            The rates, their losses and a suggestion for settings.learning_rate; its `draw` makes a picture of them.
        """
        given, changes = Given.to(self.find_learning_rate, self.task, named=changes, encoding=encoding)
        settings = settings_for(self.task, settings, changes)
        with place(settings.device), random_seed(settings.seed):
            ready = prepared(self._parts, self._recipe, given.corpus(corpus, y), settings=settings)
            self._become(ready.parts)
            settings = ready.settings
            batches = ready.batches.train(0)
            with self._training(settings) as factors:
                return find_learning_rate(self.network, batches, settings, steps=steps, rate_factors=factors)

    @property
    def _parts(self) -> Parts:
        return Parts(self.task, self.tokenizer, self.network)

    def _become(self, parts: Parts) -> None:
        self.task, self.tokenizer, self.network = parts
        self._kept_runner = None

    @contextlib.contextmanager
    def _training(self, settings: TrainingSettings) -> Iterator[Mapping[str, float] | None]:
        """The context `as_trained`; at its end the runner is dropped: callbacks may have traced it in low precision."""
        try:
            with as_trained(self.network, settings) as factors:
                yield factors
        finally:
            self._kept_runner = None

    def evaluate(self, corpus, y=None, encoding: str = "utf-8", **options) -> dict[str, float]:
        """Judges the model on a corpus.

        Args:
            corpus: as in `fit`.
            y: the answers to the texts, if they stand apart.
            encoding: the files' encoding.
            options: columns of files and tables, as in `fit`; and the task's, such as a language model's stride.

        Returns:
            Values by name; for a classifier loss_nats (mean -log P of the true label), accuracy, macro_f1, examples.

        Raises:
            InputError: the model is not trained, or the corpus does not suit it, such as one with other labels.
        """
        return self.judge(corpus, y, encoding, **options)[0]

    def report(self, corpus, y=None, encoding: str = "utf-8", **options):
        """The result of an evaluation on a corpus, as tables and a picture; None if the task has no report.

        Args: those of `evaluate`.
        """
        return self.judge(corpus, y, encoding, **options)[1]

    def judge(self, corpus, y=None, encoding: str = "utf-8", **options) -> tuple[dict[str, float], object]:
        """The results of both `evaluate` and `report`, from one pass over the corpus."""
        judge = self._runner.judge
        others = options_of(judge)
        given, options = Given.to(self.evaluate, self.task, named=options, encoding=encoding, others=others)
        return judge(given.corpus(corpus, y), **options)

    def predict(self, text, **options):
        """The model's answer to a text; a classifier's is a Prediction with label and probabilities.

        Args:
            text: a text, or a tuple (first, second) if the model takes pairs; or several: a list, a series, an array,
                a table, the Path of a file.
            options: as for `predict_each`.

        Returns:
            The answer, or a list of answers for several texts.
        """
        single = isinstance(text, str | bytes | tuple)
        answers = [answer for _, answer in self.predict_each([text] if single else text, **options)]
        return answers[0] if single else answers

    def predict_each(self, texts, at_a_time: int = 1024, encoding: str = "utf-8", **columns) -> Iterator[tuple]:
        """Each text with its answer, in the order of the texts, which are read as they are needed.

        Args:
            texts: any number of texts: files and other sources, as for `open_examples`, or what `predict` takes.
            at_a_time: how many texts are read before they are answered, in batches of similar length.
            encoding: the files' encoding.
            columns: text_column and, for pairs, pair_column: where files and tables hold the texts.
        """
        runner, how = self._runner, {"named": columns, "columns": TextColumns, "others": ()}
        given, _ = Given.to(self.predict_each, self.task, encoding=encoding, **how)
        return runner.predict(given.texts(texts), at_a_time)

    @property
    def _runner(self) -> Runner:
        """The Runner of the trained network; kept until the network is trained again."""
        self._require_network()
        if self._kept_runner is None:
            self._kept_runner = self.task.runner(self.network, self.tokenizer)
        return self._kept_runner

    def _require_network(self) -> None:
        if self.network is None:
            raise InputError("this model has not been trained yet: call fit first, or load one that has been saved")

    def export(self, folder: str | Path, overwrite: bool = False, dtype: str = "float32") -> list[str]:
        """Writes a SavedModel that takes text and needs only TensorFlow; gives the names of its signatures.

        Args:
            folder: a new folder, or an empty one.
            overwrite: whether to replace a SavedModel that is there already.
            dtype: precision of matrix products: "float32", or for BERT also "bfloat16", which is two to three times as
                fast on CPUs with instructions for it, slow on others, and keeps about two digits of a probability.

        Raises:
            InputError: the folder is in use, or tokenizer or network cannot be exported, or not in this precision.
        """
        self._require_network()
        with without_cudnn():
            module, signatures = self.task.exported(self.network, self.tokenizer, dtype)
            write_saved_model(module, signatures=signatures, folder=folder, overwrite=overwrite)
        return list(signatures)

    def save(self, folder: str | Path) -> None:
        """Writes config.json, tokenizer.json and model.safetensors, from which `lmkeras.load` makes the same model.

        Args:
            folder: created if it does not exist; files of an earlier model are replaced once all new ones are complete.
        """
        self._require_network()
        save_model(folder, task=self.task, tokenizer=self.tokenizer, network=self.network)
