"""How well a model does on a corpus: scores, tables and pictures."""

from lmkeras.reports.classification import ClassificationReport
from lmkeras.reports.multi_label import MultiLabelReport
from lmkeras.reports.spans import SpanReport

__all__ = ["ClassificationReport", "MultiLabelReport", "SpanReport"]
