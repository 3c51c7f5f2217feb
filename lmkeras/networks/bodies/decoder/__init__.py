"""The body of published large language models, and how it is read from checkpoints and written as such."""

from lmkeras.networks.bodies.decoder.body import PublishedDecoder
from lmkeras.networks.bodies.decoder.publishing import read_decoder, write_decoder

__all__ = ["PublishedDecoder", "read_decoder", "write_decoder"]
