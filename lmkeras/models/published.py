"""Published checkpoints: encoders with the head of a task, and decoders, which write; which task it is, its parts."""

import dataclasses
import math
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lmkeras.archives import MEGABYTE, inside, read_json, shortened
from lmkeras.decoding.sampling import published_defaults
from lmkeras.errors import InputError, unknown_argument
from lmkeras.models.folder import is_saved, read_config
from lmkeras.pretrained.bert import family_of, labels_of
from lmkeras.pretrained.decoder_tables import FAMILIES as DECODERS
from lmkeras.pretrained.hub import folder_of
from lmkeras.pretrained.precision import rounding_note
from lmkeras.pretrained.source import Source, open_source
from lmkeras.pretrained.weight_files import FORMATS
from lmkeras.tasks import task_of, tasks
from lmkeras.tasks.base import Task
from lmkeras.tasks.language import Language
from lmkeras.tokenizers.published import PublishedTokenizer

if TYPE_CHECKING:
    from lmkeras.networks.network import Network
    from lmkeras.tokenizers.base import BaseTokenizer

_LARGEST_CONFIG = 64 * MEGABYTE
#: settings of generation that lmkeras does not have, with the values that change nothing
_UNREAD = {
    "num_beams": 1,
    "min_p": 0.0,
    "typical_p": 1.0,
    "no_repeat_ngram_size": 0,
    "suppress_tokens": (),
    "bad_words_ids": (),
}
_ON_THE_HUB = r"[\w-][\w.-]*/[\w-][\w.-]*"


def is_published(source: str | Path) -> bool:
    """Whether a source is a published model, and not one that lmkeras saved.

    It is a folder with a checkpoint of transformers, a GGUF file, or a name on the Hugging Face hub such as
    "HuggingFaceTB/SmolLM2-135M": of two parts, the first of which is no folder here.
    """
    if _is_gguf(source):
        return True
    if not Path(source).exists():
        return re.fullmatch(_ON_THE_HUB, str(source)) is not None and not Path(source).parent.is_dir()
    path = Path(source) / "config.json"
    if not path.is_file() or is_saved(source):
        return False
    try:
        config = read_json(inside(source, path.name), _LARGEST_CONFIG)
    except (InputError, ValueError):
        return False
    return isinstance(config, dict) and ("architectures" in config or "model_type" in config)


def _is_gguf(source: str | Path) -> bool:
    """Whether it is a GGUF file, or would be if it existed: no name on the hub ends so."""
    return Path(source).suffix == ".gguf" and not Path(source).is_dir()


def kind_in(source: str | Path) -> type[Task]:
    """The task of a model, whether lmkeras saved it or it is published; imports no TensorFlow.

    Raises:
        InputError: there is no model, or a published one of no task.
    """
    if is_published(source):
        return type(published_task(published_config(source), source))
    return task_of(read_config(source, whole=False)["kind"])  # `load` checks the other files


def published_config(source: str | Path) -> dict:
    """The config.json of a published model; for a GGUF file, its metadata in the same terms."""
    if _is_gguf(source):
        return open_source(source).config
    folder = folder_of(source, list(FORMATS), tokenizer="vocab.txt, tokenizer.json, or vocab.json with merges.txt")
    if not (path := inside(folder, "config.json")).is_file():
        raise InputError(f"no model in {folder}: config.json is missing")
    return read_json(path, _LARGEST_CONFIG)


def described_source(source: str | Path) -> dict:
    """What a published model is: its config.json, and for a decoder how many numbers it has, in which dtype."""
    config = published_config(source)
    if not is_decoder(config):
        return config
    opened = open_source(source)
    found = {"parameters": sum(math.prod(shape) for shape in opened.shapes.values()), "dtype": opened.kept_dtype}
    return {**config, **found, **({"note": opened.note} if opened.note else {})}


def published_task(config: Mapping, source: object, generation_config: Mapping | None = None, **options) -> Task:
    """The task of a published model.

    Args:
        config: the content of its config.json.
        source: where it is from, for messages.
        generation_config: the content of its generation_config.json, if it has one.
        options: fields of the task that shall differ from what config.json says.

    Raises:
        InputError: the checkpoint is of another family, or has no head of a task, or the task has no such field.
    """
    if is_decoder(config):
        return _with_options(Language(generation=published_defaults(generation_config or {}, source)), options)
    family, named = family_of(config, source), config.get("architectures")
    name = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    architecture = name.removeprefix(family.class_name)
    labels = labels_of(config, source)
    suitable = [task for task in tasks().values() if architecture in task.architectures]
    found = next(filter(None, (task.of_published(architecture, config, labels=labels) for task in suitable)), None)
    if found is None:
        known = ", ".join(sorted({one for task in tasks().values() for one in task.architectures}))
        raise InputError(
            f"{source} holds {shortened(repr(name))}, which has the head of no task (of {known}): give its folder as "
            'weights, as in TextClassifier("bert", weights=…), and train'
        )
    return _with_options(found, options)


def _with_options(task: Task, options: Mapping) -> Task:
    fields = [field.name for field in dataclasses.fields(task)]
    for option in options:
        if option not in fields:
            raise unknown_argument("from_pretrained", option, fields)
    return dataclasses.replace(task, **options)


def is_decoder(config: Mapping) -> bool:
    """Whether a config.json is that of a decoder, which writes, of one of the families that lmkeras has."""
    kind = config.get("model_type")
    return isinstance(kind, str) and kind in DECODERS


def read_published(source: str | Path, dtype: str | None = None, **options) -> "tuple[Task, Network, BaseTokenizer]":
    """The parts of a published model; for the arguments see `from_pretrained`, for errors also `published_task`."""
    if _is_gguf(source) or is_decoder(config := published_config(source)):
        return _read_decoder(source, dtype, **options)
    if dtype not in (None, "float32"):
        raise InputError(f"dtype {dtype!r} is for published decoders, which write text: {source} is held in float32")
    family_of(config, source)  # InputError for another family, before the weights are read
    return _read_encoder(source, **options)


def _read_encoder(source: str | Path, **options) -> "tuple[Task, Network, BaseTokenizer]":
    from lmkeras.networks.bodies.bert import Bert
    from lmkeras.networks.network import Network
    from lmkeras.pretrained.checkpoint import read_checkpoint
    from lmkeras.tokenizers.encoders import encoder_tokenizer

    checkpoint = read_checkpoint(source)
    task = published_task(checkpoint.config, source, **options)
    bert = Bert.of_checkpoint(checkpoint, pooled=False)
    network = Network(bert, task.head(bert))
    bert.read_head(network.head, checkpoint)
    return task, network, encoder_tokenizer(source)


def _read_decoder(source: str | Path, dtype: str | None, **options) -> "tuple[Task, Network, BaseTokenizer]":
    from lmkeras.networks.bodies.decoder import read_decoder

    opened, dtype = open_source(source), "float32" if dtype is None else dtype
    task = published_task(opened.config, source, generation_config=opened.generation_config, **options)
    files = opened.tokenizer_files()
    tokenizer = PublishedTokenizer(files["tokenizer"], files["tokenizer_config"], ends=_ends(opened))
    unread = [
        name for name, neutral in _UNREAD.items() if opened.generation_config.get(name, neutral) not in (None, neutral)
    ]
    if unread:
        warnings.warn(
            f"{source} asks for {', '.join(unread)} in generation_config.json: lmkeras generates without", stacklevel=4
        )
    if opened.note:
        warnings.warn(f"{opened.note} to {dtype}", stacklevel=4)
    network = read_decoder(opened, dtype)
    if not opened.note and network.body.published_dtype != opened.kept_dtype:
        warnings.warn(rounding_note(source, opened.kept_dtype, dtype), stacklevel=4)
    return task, network, tokenizer


def _ends(source: Source) -> list[int]:
    """The ids that end a text: those of generation_config.json, or of config.json where that names none."""
    for config in (source.generation_config, source.config):
        ends = config.get("eos_token_id")
        if ends is not None:
            return ends if isinstance(ends, list) else [ends]
    return []
