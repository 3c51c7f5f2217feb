"""How well texts were rewritten, such as translated or summarised: values, lengths, copies, the best and the worst."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmkeras.display import Described, html_table, number, shown
from lmkeras.durable import replacing
from lmkeras.errors import InputError, unknown_name
from lmkeras.overlap import Overlap, bleu_chrf, overlap_tokens, rouge
from lmkeras.reports.tables import share

_SHOWN = 5  # best examples, and as many of the worst
_TEXT_CELLS = 96  # a text of an example is shortened to this width
_BINS = 25
_HIGHEST = {"chrf": 100, "rouge_1": 1, "rouge_2": 1, "rouge_l": 1}


class Rewritten(NamedTuple):
    """A text that was rewritten, and how well.

    Attributes:
        number: which one of all it is, from 1.
        score: its own value by the metric of the report.
        source: the text.
        output: what was written.
        reference: what is right.
    """

    number: int
    score: float
    source: str
    output: str
    reference: str


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RewritingReport(Described):
    """A comparison of texts that were written with the right ones.

    Args:
        sources: [N], the texts that were rewritten.
        outputs: [N], what was written.
        references: [N], what is right.
        overlap: BLEU, chrF and ROUGE of the outputs.
        ranked_by: the metric that orders examples: chrf, rouge_1, rouge_2 or rouge_l.
        language: that of the references, as for `bleu_chrf`.

    Example:
        >>> report = RewritingReport.of(["Guten Tag", "ja"], ["good day", ""], ["good day", "yes"])
        >>> round(report.scores()["chrf"], 1), report.length_ratio, report.copies, report.empty
        (90.2, 0.6666666666666666, 0, 1)
        >>> report.best(1)
        [Rewritten(number=1, score=100.0, source='Guten Tag', output='good day', reference='good day')]
    """

    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    references: tuple[str, ...]
    overlap: Overlap
    ranked_by: str = "chrf"
    language: str = "auto"

    @classmethod
    def of(
        cls,
        sources: Iterable[str],
        outputs: Iterable[str],
        references: Iterable[str],
        *,
        language: str = "auto",
        ranked_by: str = "chrf",
    ) -> "RewritingReport":
        """The report of outputs; the arguments are those of the class.

        Raises:
            InputError: the three differ in length or are empty, or language or ranked_by is none that there is.
        """
        texts = tuple(map(tuple, (sources, outputs, references)))
        if len(texts[0]) != len(texts[1]):
            raise InputError(f"expected an output for each of {len(texts[0])} sources, got {len(texts[1])}")
        if ranked_by not in _HIGHEST:
            raise unknown_name("metric of single texts", ranked_by, _HIGHEST)
        parts = [measure(*texts[1:], language) for measure in (bleu_chrf, rouge)]
        overlap = Overlap(*({**first, **second} for first, second in zip(*parts, strict=True)))
        return cls(*texts, overlap=overlap, ranked_by=ranked_by, language=language)

    @classmethod
    def together(cls, reports: Sequence["RewritingReport"]) -> "RewritingReport":
        """One report on the texts of several reports."""
        names = ("sources", "outputs", "references")
        texts = {name: [text for report in reports for text in getattr(report, name)] for name in names}
        return cls.of(**texts, language=reports[0].language, ranked_by=reports[0].ranked_by)

    def scores(self) -> dict[str, float]:
        """The values of all texts together: bleu and chrf, from 0 to 100; rouge_1, rouge_2 and rouge_l, from 0 to 1."""
        return dict(self.overlap.values)

    @property
    def length_ratio(self) -> float:
        """Tokens of all outputs over tokens of all references, by `overlap_tokens`."""
        written, right = (sum(len(overlap_tokens(text)) for text in texts) for texts in (self.outputs, self.references))
        return float(share(written, right))

    @property
    def copies(self) -> int:
        """The number of outputs that are their source."""
        return sum(output == source for output, source in zip(self.outputs, self.sources, strict=True))

    @property
    def empty(self) -> int:
        """The number of outputs that are empty or blank."""
        return sum(not output.strip() for output in self.outputs)

    def best(self, most: int = _SHOWN) -> list[Rewritten]:
        """The texts with the highest scores, the best first."""
        return self._ordered[:most]

    def worst(self, most: int = _SHOWN) -> list[Rewritten]:
        """The texts with the lowest scores, the worst first."""
        return self._ordered[::-1][:most]

    @functools.cached_property
    def _ordered(self) -> list[Rewritten]:
        columns = (self.overlap.examples[self.ranked_by], self.sources, self.outputs, self.references)
        rows = (Rewritten(number, *row) for number, row in enumerate(zip(*columns, strict=True), 1))
        return sorted(rows, key=lambda one: -one.score)

    def _chosen(self) -> dict[str, list[Rewritten]]:
        """The best and the worst texts; of few texts, each is one or the other."""
        worst = min(_SHOWN, len(self.sources) // 2)
        best = min(_SHOWN, len(self.sources) - worst)
        return {"best": self.best(best), "worst": self.worst(worst)}

    def table(self) -> str:
        """The values, and what else is counted, as plain text; then what the values depend on.

        Example:
            >>> print(RewritingReport.of(["一"], ["二"], ["二"]).table().partition("signature")[0].rstrip())
            bleu            0.0000
            chrf          100.0000
            rouge_1         1.0000
            rouge_2         0.0000
            rouge_l         1.0000
            length ratio    1.0000
            copies               0
            empty                0
            examples             1
        """
        facts = self._facts()
        names, values = (
            [name.replace("length_ratio", "length ratio") for name in facts],
            list(map(number, facts.values())),
        )
        wide, high = max(map(len, names)), max(map(len, values))
        rows = [f"{name:<{wide}}  {value:>{high}}" for name, value in zip(names, values, strict=True)]
        return "\n".join([*rows, *(f"signature of {names}: {text}" for names, text in self._signatures().items())])

    def _signatures(self) -> dict[str, str]:
        """What values depend on, by the names of all metrics of which it is true."""
        names: dict[str, list[str]] = {}
        for name, signature in self.overlap.signatures.items():
            names.setdefault(signature, []).append(name)
        return {", ".join(some): signature for signature, some in names.items()}

    def examples_table(self) -> str:
        """The best and the worst texts as plain text, each with its score, its source and the right text."""
        lines = []
        for name, some in self._chosen().items():
            lines.append(f"{name} by {self.ranked_by}" if some else "")
            for one in some:
                score = f"{one.score:.{1 if _HIGHEST[self.ranked_by] > 1 else 3}f}"
                for at, field in enumerate(("source", "output", "reference")):
                    before = score if at == 0 else ""
                    lines.append(f"{before:>6}  {field:<9}  {shown(getattr(one, field), _TEXT_CELLS)}".rstrip())
        return "\n".join(lines).rstrip()

    def text(self) -> str:
        """Both tables, one below the other."""
        return f"{self.table()}\n\n{self.examples_table()}"

    def __str__(self) -> str:
        return self.text()

    def data(self) -> dict[str, object]:
        """What the tables show, as JSON takes it.

        Example:
            >>> RewritingReport.of(["一"], ["二"], ["二"]).data()["best"]
            [{'number': 1, 'score': 100.0, 'source': '一', 'output': '二', 'reference': '二'}]
        """
        chosen = {name: [one._asdict() for one in some] for name, some in self._chosen().items()}
        return {**self._facts(), "signatures": dict(self.overlap.signatures), "ranked_by": self.ranked_by, **chosen}

    def _facts(self):
        counts = {"copies": self.copies, "empty": self.empty, "examples": len(self.sources)}
        return {**self.scores(), "length_ratio": self.length_ratio, **counts}

    def _repr_html_(self) -> str:
        values = html_table([[name, number(value)] for name, value in self._facts().items()], has_header=False)
        rows = [
            [name, f"{one.score:.3f}", *(shown(text, _TEXT_CELLS) for text in one[2:])]
            for name, some in self._chosen().items()
            for one in some
        ]
        return values + html_table([["", self.ranked_by, "source", "output", "reference"], *rows])

    def draw(self, picture: str | Path) -> None:
        """Draws how many texts have which score.

        Args:
            picture: the PNG file to write; an existing file is replaced.
        """
        # matplotlib's Figure, not pyplot, because pyplot would look for a window system
        from matplotlib.figure import Figure

        scores, highest = np.array(self.overlap.examples[self.ranked_by]), _HIGHEST[self.ranked_by]
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot(xlabel=f"{self.ranked_by} of a text", ylabel="texts", xlim=(0, highest))
        axes.hist(scores, bins=_BINS, range=(0, highest), color="tab:blue", edgecolor="white")
        axes.axvline(
            scores.mean(), color="black", linestyle="--", label=f"mean {scores.mean():.{3 if highest == 1 else 1}f}"
        )
        axes.legend()
        axes.yaxis.get_major_locator().set_params(integer=True)
        values = ", ".join(
            f"{name} {value:.{3 if name in _HIGHEST and _HIGHEST[name] == 1 else 1}f}"
            for name, value in self.scores().items()
        )
        axes.set_title(f"{values}, {len(scores):,} texts", size=9)
        with replacing(picture) as aside:
            figure.savefig(aside, format="png", dpi=120)
