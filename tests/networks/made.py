"""Networks of bodies by name, each with the head that the first task of its kind has."""

from lmkeras.networks import registry
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network


def new_network(name, kind, num_classes=3, **sizes):
    """A network with fresh weights; kind is "readers", "writers" or "encoder_decoders"."""
    body = registry.new_body(name, kind, **sizes)
    if kind in ("writers", "encoder_decoders"):
        return Network(body, LanguageHead(body.vocabulary_size, body.tie_embeddings))
    return Network(body, ClassesHead(num_classes, body.dropout, body.initializer_range))
