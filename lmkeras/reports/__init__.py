"""How well a model does on a corpus: scores, tables and pictures."""

from lmkeras.reports.classification import ClassificationReport

__all__ = ["ClassificationReport"]
