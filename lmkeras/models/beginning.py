"""New networks that begin from pretrained weights: those of a published checkpoint, or of a model saved by lmkeras."""

from pathlib import Path

from lmkeras.errors import InputError
from lmkeras.models.folder import is_saved
from lmkeras.models.parts import read_parts, read_tokenizer
from lmkeras.networks.network import Network
from lmkeras.networks.registry import Family
from lmkeras.networks.weights import named_weights
from lmkeras.pretrained.checkpoint import read_checkpoint
from lmkeras.tasks.base import Task
from lmkeras.tokenizers.base import BaseTokenizer


def tokenizer_of(source: str | Path, family: Family) -> BaseTokenizer:
    """The tokenizer that belongs to pretrained weights.

    Args:
        source: the folder of a saved model; or a folder or hub name of a published checkpoint.
        family: the family of the network.
    """
    return read_tokenizer(source) if is_saved(source) else family.pretrained_tokenizer(source)


def network_from(source: str | Path, family: Family, task: Task, dropout: float | None = None) -> Network:
    """A network for a task whose body has pretrained weights; so has a head that is pretrained itself.

    Args:
        source: as for `tokenizer_of`.
        family: the family of the network.
        task: the task, with what it has learnt.
        dropout: of the head; None for the body's.

    Raises:
        InputError: there are no such weights, or those of another family.
    """
    if not is_saved(source):
        body = family.pretrained(source)
        network = Network(body, task.head(body, dropout))
        if network.head.is_pretrained:
            body.read_head(network.head, read_checkpoint(source), partly=True)
        return network
    saved = read_parts(source).network
    if not hasattr(saved.body, "read_head"):
        raise InputError(f"{source} holds a network with a {type(saved.body).__name__}: weights are those of a BERT")
    network = Network(saved.body, task.head(saved.body, dropout))
    if network.head.is_pretrained and type(saved.head) is type(network.head):
        found = named_weights(saved)
        for name, weight in named_weights(network).items():
            if name.startswith("head.") and name in found:
                weight.assign(found[name])
    return network
