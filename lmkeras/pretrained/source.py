"""Published language models, opened without reading their weights: a folder, a name on the hub, or a GGUF file."""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from lmkeras.archives import MEGABYTE, inside, read_text
from lmkeras.errors import InputError
from lmkeras.pretrained.gguf.opening import open_gguf
from lmkeras.pretrained.gguf.tokenizer import tokenizer_of
from lmkeras.pretrained.hub import folder_of
from lmkeras.pretrained.weight_files import Weights, open_weights, read_object

_FORMATS = ("model.safetensors", "pytorch_model.bin")
_BESIDE = ("generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_KEPT = ("bfloat16", "float16", "float32")


@dataclasses.dataclass(frozen=True)
class Source:
    """A published language model. Its weights are read one at a time, when they are asked for."""

    name: str
    """What the user gave, for messages."""
    folder: Path
    """The folder that holds its files."""
    config: dict
    """The content of config.json; for a GGUF file its metadata in the same terms."""
    generation_config: dict
    """The content of generation_config.json, {} where there is none."""
    weights: Weights
    """Its tensors, by PyTorch's names and in PyTorch's layout."""
    read_tokenizer: Callable[[], dict]
    """See `tokenizer_files`."""
    note: str = ""
    """What happens to the weights when they are read, in one line; "" where they stay as they are."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of every tensor."""
        return self.weights.shapes

    @property
    def dtypes(self) -> Mapping[str, str]:
        """The dtype of every tensor, as `read` gives it."""
        return self.weights.dtypes

    def read(self, name: str) -> np.ndarray:
        """One tensor, in its dtype on disk; read-only, and mapped into memory where the format allows it."""
        return self.weights.read(name)

    @property
    def kept_dtype(self) -> str:
        """The dtype of most weights: "bfloat16", "float16" or "float32"."""
        counts = collections.Counter()
        for name, shape in self.shapes.items():
            counts[self.dtypes[name].replace("float64", "float32")] += math.prod(shape)
        return max(_KEPT[::-1], key=lambda dtype: counts[dtype])

    def tokenizer_files(self) -> dict:
        """What the tokenizer is made of: {"tokenizer": tokenizer.json, "tokenizer_config": tokenizer_config.json}.

        The second is {} where there is no such file; its "chat_template" is one text, if there is one, wherever the
        model has it.

        Raises:
            InputError: a file is missing or damaged, or the tokenizer belongs to another model.
        """
        files = self.read_tokenizer()
        _require_same_vocabulary(self, files["tokenizer"])
        return files


def open_source(source: str | Path) -> Source:
    """Opens a published language model.

    Args:
        source: a folder with config.json, the weights (model.safetensors or pytorch_model.bin, which may be split into
            several files with an index) and tokenizer.json; a name on the Hugging Face hub; or a .gguf file.

    Raises:
        InputError: there is no such model; a file is missing, damaged or a link that leads out of the folder; or a
            package that reads the format is not installed.
    """
    if Path(source).suffix == ".gguf":
        return _of_gguf(source)
    tokenizer = "tokenizer.json, tokenizer_config.json and generation_config.json"
    folder = folder_of(source, _FORMATS, _BESIDE, tokenizer=tokenizer)
    config = _object_of(folder, "config.json")
    if config is None:
        raise InputError(f"no model in {folder}: config.json is missing")
    return Source(
        name=str(source),
        folder=folder,
        config=config,
        generation_config=_object_of(folder, "generation_config.json") or {},
        weights=open_weights(folder, _FORMATS),
        read_tokenizer=lambda: _tokenizer_files(folder),
    )


def _of_gguf(source: str | Path) -> Source:
    file = open_gguf(source)
    return Source(
        name=str(source),
        folder=Path(source).parent,
        config={**file.config},
        generation_config=file.generation_config,
        weights=file.weights,
        read_tokenizer=lambda: tokenizer_of(file.header),
        note=file.note,
    )


def _object_of(folder: Path, name: str) -> dict | None:
    path = inside(folder, name)
    return read_object(path) if path.is_file() else None


def _tokenizer_files(folder: Path) -> dict:
    tokenizer = _object_of(folder, "tokenizer.json")
    if tokenizer is None:
        raise InputError(
            f"no tokenizer in {folder}: tokenizer.json is missing; transformers can make it of older files: "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    config = _object_of(folder, "tokenizer_config.json") or {}
    template = _template(folder, config.pop("chat_template", None))
    return {"tokenizer": tokenizer, "tokenizer_config": {**config, **({"chat_template": template} if template else {})}}


def _template(folder: Path, inline: object) -> str | None:
    """The chat template: of chat_template.jinja or, where there is none, of tokenizer_config.json."""
    path = inside(folder, "chat_template.jinja")
    if path.is_file():
        return read_text(path, MEGABYTE)
    if isinstance(inline, list):  # several by name, of which "default" is for chats
        templates = {str(one.get("name")): one.get("template") for one in inline if isinstance(one, dict)}
        inline = templates.get("default")
    if inline is not None and not isinstance(inline, str):
        raise InputError(f"{folder / 'tokenizer_config.json'} has a chat_template that is no text")
    return inline


def _require_same_vocabulary(source: Source, tokenizer: Mapping) -> None:
    """Raises InputError if the tokenizer cannot be the model's: it has other ids, or lacks the end of a text.

    Added tokens may have ids beyond the model's: Gemma 3's tokenizer has one for pictures, which its smallest model,
    of texts alone, lacks.
    """
    sizes = source.config.get("text_config")
    rows = (sizes if isinstance(sizes, dict) else source.config).get("vocab_size")
    vocabulary, added = _ids(tokenizer)
    if not isinstance(rows, int) or not vocabulary:
        return  # who reads the configuration, or the tokenizer, refuses this
    if max(vocabulary) >= rows:
        raise InputError(
            f"the tokenizer of {source.name} is of another model: it has ids up to {max(vocabulary):,}, and the model "
            f"has {rows:,} of them (vocab_size); take both from the same place"
        )
    for settings in (source.generation_config, source.config):
        ends = settings.get("eos_token_id")
        for end in ends if isinstance(ends, list) else [ends]:
            if isinstance(end, int) and 0 <= end < rows and end not in vocabulary | added:
                raise InputError(
                    f"the tokenizer of {source.name} is of another model: a text of the model ends with id {end}, "
                    "which the tokenizer lacks; take both from the same place"
                )


def _ids(tokenizer: Mapping) -> tuple[set[int], set[int]]:
    """The ids of a tokenizer.json: of its model and of added tokens. What is no id is left to who reads it."""
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    # the list of a unigram model has pieces in the order of their ids
    ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary or ()))
    added = [one.get("id") for one in added if isinstance(one, dict)] if isinstance(added, list) else ()
    return {one for one in ids if isinstance(one, int)}, {one for one in added if isinstance(one, int)}
