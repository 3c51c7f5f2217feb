"""Reading text, with labels or without, from files, globs, folders, `tfds:` and `builtin:` names and lists."""

from lmkeras.corpora.corpus import Corpus, Examples, split
from lmkeras.corpora.labelled import LabelledCorpus, require_known_labels, require_several_labels
from lmkeras.corpora.labelled_sources import as_labelled_corpus, open_labelled_corpus
from lmkeras.corpora.labelled_split import folds, split_labelled
from lmkeras.corpora.sources import as_corpus, open_corpus
from lmkeras.corpora.unlabelled import open_examples

__all__ = [
    "Corpus",
    "Examples",
    "LabelledCorpus",
    "as_corpus",
    "as_labelled_corpus",
    "folds",
    "open_corpus",
    "open_examples",
    "open_labelled_corpus",
    "require_known_labels",
    "require_several_labels",
    "split",
    "split_labelled",
]
