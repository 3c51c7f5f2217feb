"""Opens a GGUF file: its configuration, its weights and its tokenizer."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from lmkeras.archives import inside
from lmkeras.errors import InputError
from lmkeras.pretrained.gguf.config import config_of, origins_of
from lmkeras.pretrained.gguf.header import QUANTISED, Header, read_header
from lmkeras.pretrained.gguf.tensors import GgufWeights
from lmkeras.pretrained.weight_files import naming_damage


@dataclasses.dataclass(frozen=True)
class GgufFile:
    """A GGUF file that has been opened; its weights have not been read."""

    header: Header
    """What it says before its tensors."""
    config: dict
    """Its configuration, in transformers' terms."""
    weights: GgufWeights
    """Its tensors, by PyTorch's names."""

    @property
    def generation_config(self) -> dict:
        """The ids that end a text, in transformers' terms."""
        keys = ("eos", "eot", "eom")
        ends = [self.header.get(f"tokenizer.ggml.{key}_token_id", int) for key in keys]
        ends = list(dict.fromkeys(end for end in ends if end is not None))
        return {"eos_token_id": ends} if ends else {}

    @property
    def note(self) -> str:
        """What happens to quantised weights, in one line; "" where there are none."""
        kinds = sorted({entry.kind for entry in self.header.entries.values()} & set(QUANTISED))
        if not kinds:
            return ""
        return f"{self.header.path.name} is quantised ({', '.join(kinds)}): its weights are unpacked"


def open_gguf(path: str | Path) -> GgufFile:
    """Opens a GGUF file.

    Args:
        path: the file.

    Raises:
        InputError: there is no such file, it is damaged or truncated, or it holds what is not read.
    """
    path = inside(Path(path).parent, Path(path).name)
    if not path.is_file():
        raise InputError(f"no file {path}: give the path of a .gguf file, a folder with config.json or a hub name")
    with naming_damage(path):
        state = path.stat()
        return _opened(path, (state.st_ino, state.st_size, state.st_mtime_ns))


@functools.lru_cache(maxsize=1)
def _opened(path: Path, state: tuple[int, ...]) -> GgufFile:
    """The file, kept while it is the same: whoever asks what a model is goes on to read it.

    Args:
        path: the file.
        state: changes with the file.
    """
    numbers = np.memmap(path, "uint8", mode="r")
    header = read_header(path, numbers)
    config = config_of(header, numbers)
    return GgufFile(header, config, GgufWeights(numbers, header.entries, origins_of(header, config)))
