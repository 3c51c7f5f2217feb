"""The contracts of bodies and heads: what each of them must provide.

A network consists of a body, which reads the text, and a head, which computes what a task asks for. A body that reads
whole texts at once is a reader. A body that reads a text from its start, and can also read it one token at a time, is a
writer; language models need a writer. An encoder-decoder reads a whole source, and writes a target for it.
"""

from lmkeras.networks.contract.body_and_head import Body, Head, require_sizes
from lmkeras.networks.contract.writers import EncoderDecoder, Writer

__all__ = ["Body", "EncoderDecoder", "Head", "Writer", "require_sizes"]
