"""Loads a model from its folder."""

import importlib
from pathlib import Path

from lmkeras.models.model import Model
from lmkeras.models.parts import naming, read_parts
from lmkeras.models.published import is_published, read_published
from lmkeras.tasks import task_of

#: the classes that users hold, by the kind in config.json; another kind is held by Model itself
_CLASSES = {
    "language_model": ("lmkeras.models.language_model", "LanguageModel"),
    "masked_language_model": ("lmkeras.models.masked_language_model", "MaskedLanguageModel"),
    "multi_label_classifier": ("lmkeras.models.text_classifier", "TextClassifier"),
    "question_answerer": ("lmkeras.models.question_answerer", "QuestionAnswerer"),
    "seq2seq_model": ("lmkeras.models.seq2seq_model", "Seq2SeqModel"),
    "tagger": ("lmkeras.models.tagger", "Tagger"),
    "text_classifier": ("lmkeras.models.text_classifier", "TextClassifier"),
}


def model_class(kind: str) -> type[Model]:
    """The class that users hold for a kind of model: Model itself if the kind has no class of its own."""
    if kind not in _CLASSES:
        return Model
    module, name = _CLASSES[kind]
    return getattr(importlib.import_module(module), name)


def from_pretrained(source: str | Path, dtype: str | None = None, **options) -> Model:
    """A published model: a decoder, which writes text, or BERT, DistilBERT or RoBERTa with the head of a task.

    Args:
        source: a folder with config.json, weights and tokenizer, a name on the Hugging Face hub, or a GGUF file.
        dtype: for decoders, the precision in which weights are held: "float32" (the default, which is the fastest on
            CPUs), or "bfloat16" or "float16" as they may be published, for half the memory. Products of matrices are
            computed in float32 with each of them.
        options: fields of the task that shall differ from what config.json says, such as max_length=128, or pairs=True
            for a classifier of pairs of texts.

    Returns:
        A LanguageModel (GPT-2, Llama, Mistral, Qwen 2 and 3, SmolLM3, Gemma 3), a TextClassifier with the published
        labels, a Tagger with the published tags, a QuestionAnswerer, a MaskedLanguageModel, or the model of another
        task with this head.

    Raises:
        InputError: there is no such checkpoint, it is of another family (XLM-R), asks for what lmkeras does
            not have, or has the head of no task.
    """
    task, network, tokenizer = read_published(source, dtype, **options)
    return model_class(task.kind).of_task(task, network, tokenizer)


def load(folder: str | Path, dtype: str | None = None) -> Model:
    """Loads the model that `save` wrote, or a published one, see `from_pretrained`.

    No code from the folder is run, and no more memory used than its files need.

    Args:
        folder: the folder in which a model was saved, such as a training run's folder; or a published model.
        dtype: for decoders that were published, as for `from_pretrained`; None also for one that was saved means as it
            was held then.

    Returns:
        A model of the class that was saved.

    Raises:
        InputError: there is no model, or a file, which the message names, is missing, damaged or from another model; or
            a dtype is given for a model that is no published decoder.
    """
    if is_published(folder):
        return from_pretrained(folder, dtype)
    config, tokenizer, network = read_parts(folder, dtype)
    with naming(folder, f"a {config['kind']}"):
        task = task_of(config["kind"]).from_config(config)
        return model_class(config["kind"]).of_task(task, network, tokenizer)
