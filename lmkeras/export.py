"""A model as a SavedModel that takes text and gives text or labels, and needs TensorFlow alone to run."""

import contextlib
import fcntl
import functools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from lmkeras.datasets import TextLayout
from lmkeras.decoding.generate import GenerationLoop
from lmkeras.decoding.score import ScoringLoop
from lmkeras.errors import InputError
from lmkeras.networks.bert import BertClassifier, PackedBertClassifier
from lmkeras.networks.classification import ClassificationNetwork
from lmkeras.networks.language import LanguageNetwork
from lmkeras.tokenizers.base import BaseTokenizer

_SAVED_MODEL_NAMES = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


class ExportedLanguageModel(tf.Module):
    """Tokenizer twin, network and loops in one graph.

    Args:
        tokenizer: its twin does the tokenizing.
        generation: the loop over the network.
        scoring: the chain rule over the same network.
    """

    def __init__(self, tokenizer: BaseTokenizer, generation: GenerationLoop, scoring: ScoringLoop):
        super().__init__()
        self.tokenizer = tokenizer.in_graph()
        self._before, self._filler = tokenizer.special.before_text, tokenizer.special.filler
        self.generation = generation
        self.scoring = scoring
        # the weights themselves rather than the Keras objects that hold them, which would bring along the optimizer's
        # state, and which TensorFlow's session loader (saved_model_cli) does not restore
        self.weights = [weight.value for weight in generation.network.weights]
        texts, number, count = (tf.TensorSpec(s, t) for s, t in (([None], tf.string), ([], tf.float32), ([], tf.int32)))
        arguments = {
            "prompt": texts,
            "max_new_tokens": count,
            "temperature": number,
            "top_k": count,
            "top_p": number,
            "seed": count,
        }
        signature = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in arguments.items()]
        self.generate = tf.function(self._generate, autograph=False, input_signature=signature)
        text = tf.TensorSpec([None], tf.string, "text")
        self.score = tf.function(self._score, autograph=False, input_signature=[text])

    def _encode(self, texts):
        """Strings [B] → ids int32 [B, T], after the id before a text where there is one, and how many count."""
        ids = self.tokenizer.encode(texts)
        lengths, ids = tf.cast(ids.row_lengths(), tf.int32), ids.to_tensor(self._filler)
        if self._before is None:
            return ids, lengths
        return tf.pad(ids, [[0, 0], [1, 0]], constant_values=self._before), lengths + 1

    def _decode(self, ids, lengths):
        """The texts [B] of as many of the ids [B, T] as are told, the id before a text being none of theirs."""
        return self.tokenizer.decode(tf.RaggedTensor.from_tensor(ids, lengths)[:, 0 if self._before is None else 1 :])

    def _generate(self, prompt, max_new_tokens, temperature, top_k, top_p, seed):
        ids, lengths = self._encode(prompt)
        if self._before is None:
            refusal = "the tokenizer has no id that starts a text: give prompts that are not empty"
            with tf.control_dependencies([tf.debugging.assert_positive(lengths, refusal)]):
                ids = tf.identity(ids)
        state = self.generation.start(ids, lengths, 1, max_new_tokens)
        sampling = {
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "repetition_penalty": tf.constant(1.0),
            "seed": seed,
        }
        state = self.generation.advance(state, sampling, tf.shape(state["ids"])[1])
        # what was added is what the whole text has more than the prompt: a word's space belongs to it
        before, whole = self._decode(state["ids"], lengths), self._decode(state["ids"], state["lengths"])
        start = tf.strings.length(before)
        return {"text": tf.strings.substr(whole, start, tf.strings.length(whole) - start)}

    def _score(self, text):
        ids, lengths = self._encode(text)
        scores = self.scoring.token_log_probabilities(ids)
        scores = tf.cast(scores, tf.float64)  # the sum over a long text needs more digits than its terms
        counts = tf.maximum(0, lengths - 1)  # the first id of each row is given
        counted = tf.sequence_mask(counts, tf.shape(scores)[1], scores.dtype)
        return {"log_probability": tf.reduce_sum(scores * counted, axis=1), "token_count": counts}


def export_language_model(
    network: LanguageNetwork, tokenizer: BaseTokenizer, folder: str | Path, overwrite: bool = False
) -> None:
    """Writes a SavedModel with two signatures, both on batches of strings.

    - generate: prompt [B] and the scalars max_new_tokens, temperature, top_k, top_p, seed → text [B], what follows
      each prompt.
    - score: text [B] → log_probability [B] in nats (float64), token_count [B], the tokens that were scored.

    Args:
        network: a built language network.
        tokenizer: the tokenizer it was trained with; it must have an in-graph twin.
        folder: a new folder, or an empty one.
        overwrite: whether a SavedModel that is there already is replaced.

    Raises:
        InputError: the tokenizer has no twin, or the folder is in use.
    """
    module = ExportedLanguageModel(
        tokenizer, GenerationLoop(network, tokenizer.special, compiled=False), ScoringLoop(network)
    )
    _write(module, {"generate": module.generate, "score": module.score}, Path(folder), overwrite)


class ExportedTextClassifier(tf.Module):
    """Tokenizer twin, layout and network in one graph.

    Args:
        network: a built classification network.
        tokenizer: its twin does the tokenizing.
        layout: how texts stand in the network's input.
        labels: the classes' names, in the order of the logits.
        pairs: whether an example is a pair of texts.
        dtype: precision of BERT's products with its blocks' matrices, see PackedBertClassifier; other networks are
            exported as they are.

    Raises:
        InputError: another dtype than BERT is exported in, or one for another network.
    """

    def __init__(
        self,
        network: ClassificationNetwork,
        tokenizer: BaseTokenizer,
        layout: TextLayout,
        labels: Sequence[str],
        pairs: bool,
        dtype: str = "float32",
    ):
        super().__init__()
        self.tokenizer = tokenizer.in_graph()
        self._layout, self._labels = layout, tf.constant([label.encode() for label in labels])
        # no Keras objects, see above: `_logits` is none that is tracked
        if isinstance(network, BertClassifier):
            self._logits = PackedBertClassifier(network, dtype)
            self.weights = self._logits.weights
        elif dtype != "float32":
            raise InputError(f"only BERT is exported in another precision than its own: leave out dtype {dtype!r}")
        else:
            self._logits = functools.partial(network, training=False)
            self.weights = [weight.value for weight in network.weights]
        names = ["text", "pair"] if pairs else ["text"]
        signature = [tf.TensorSpec([None], tf.string, name) for name in names]
        self.classify = tf.function(self._classify, autograph=False, input_signature=signature)

    def _classify(self, text, pair=None):
        count = tf.size(text)
        # of no texts at all a blank one is made, because not every operation knows what to make of none
        none = tf.fill([tf.cast(count == 0, tf.int32)], "")
        texts = [tf.concat([part, none], axis=0) for part in ([text] if pair is None else [text, pair])]
        ids, first_lengths = self._layout.arrange_in_graph(*map(self.tokenizer.encode, texts))
        inputs = ids.to_tensor(0)
        inputs = tf.pad(inputs, [[0, 0], [0, tf.cast(tf.shape(inputs)[1] == 0, tf.int32)]])  # nothing but empty texts
        if self._layout.token_types:
            second = (tf.range(tf.shape(inputs)[1]) >= first_lengths[:, None]) & (inputs != 0)
            inputs = {"input_ids": inputs, "token_type_ids": tf.cast(second, tf.int32)}
        probabilities = tf.nn.softmax(self._logits(inputs))[:count]
        label = tf.gather(self._labels, tf.argmax(probabilities, axis=1))
        return {"label": label, "probabilities": probabilities, "labels": self._labels}


def export_text_classifier(
    network: ClassificationNetwork,
    tokenizer: BaseTokenizer,
    layout: TextLayout,
    labels: Sequence[str],
    pairs: bool,
    folder: str | Path,
    overwrite: bool = False,
    dtype: str = "float32",
) -> None:
    """Writes a SavedModel that classifies, as signature `classify` and as `serving_default`.

    It takes strings text [B] (and pair [B] where examples are pairs) and gives label [B], probabilities float32 [B, C]
    and labels [C], the classes' names.

    Args:
        network: a built classification network.
        tokenizer: the tokenizer it was trained with; it must have an in-graph twin.
        layout: how texts stood in the network's input.
        labels: the classes' names, in the order of the logits.
        pairs: whether an example is a pair of texts.
        folder: a new folder, or an empty one.
        overwrite: whether a SavedModel that is there already is replaced.
        dtype: see ExportedTextClassifier. On CPUs that multiply bfloat16 in hardware "bfloat16" is fastest; of
            probabilities it keeps about two digits.

    Raises:
        InputError: the tokenizer has no twin, the folder is in use, or a dtype that the network is not exported in.
    """
    module = ExportedTextClassifier(network, tokenizer, layout, labels, pairs, dtype)
    _write(module, {"serving_default": module.classify, "classify": module.classify}, Path(folder), overwrite)


def _write(module: tf.Module, signatures: dict, folder: Path, overwrite: bool) -> None:
    """Writes the SavedModel aside and moves it into its place, so that the folder is never half of one."""
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise InputError(f"{folder} has files in it already: name a new folder, or say --overwrite")
        others = {path.name for path in folder.iterdir()} - _SAVED_MODEL_NAMES
        if others or not (folder / "saved_model.pb").is_file():
            raise InputError(f"{folder} is not a SavedModel alone: it is not overwritten. Name another folder")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise InputError(f"{nearest} is a file: name a folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".exporting-{folder.name}-"
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as aside, _locked(aside):
        tf.saved_model.save(module, f"{aside}/new", signatures)
        if folder.exists():
            os.replace(folder, f"{aside}/old")
        os.replace(f"{aside}/new", folder)
    # only now: where an export was killed between those two moves, what it left is all that there was
    _remove_leftovers(folder.parent, prefix)


@contextlib.contextmanager
def _locked(folder: str | Path) -> Iterator[None]:
    """A context in which the folder is locked, however the process ends; BlockingIOError where another has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Removes what exports to the same place left aside when they were killed, but not what is being written."""
    for leftover in parent.iterdir():
        if re.fullmatch(rf"{re.escape(prefix)}\w{{8}}", leftover.name):
            with contextlib.suppress(OSError), _locked(leftover):
                shutil.rmtree(leftover)
