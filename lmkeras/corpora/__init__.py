"""Where text comes from: files, globs, folders, `tfds:` and `builtin:` names, lists of texts."""

from lmkeras.corpora.corpus import Corpus, split
from lmkeras.corpora.sources import as_corpus, open_corpus

__all__ = ["Corpus", "as_corpus", "open_corpus", "split"]
