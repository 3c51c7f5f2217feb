"""Tables and descriptions for people: plain text that is aligned in a terminal, and HTML for notebooks.

In a terminal a Chinese, Japanese or Korean character is as wide as two Latin letters. Widths are counted in cells, one
for a Latin letter.
"""

import html
import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

#: a label in a table, or on an axis of a picture, is shortened to this width
ROW_CELLS = 24


def cells_of(text: str) -> int:
    """The width of a text in a terminal, in cells: two for a wide character, none for a combining one.

    Example:
        >>> cells_of("good"), cells_of("好评")
        (4, 4)
    """
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)


def shown(text: object, cells: int = ROW_CELLS) -> str:
    """A text on one line, at most `cells` wide; a long text loses its middle, since names differ most at the ends.

    Example:
        >>> shown("a name that is\\nfar too long for a table", 15)
        'a name …a table'
    """
    line = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in str(text)).split())
    if cells_of(line) <= cells:
        return line
    head, tail = len(line), len(line)
    while cells_of(line[:head]) > cells // 2:
        head -= 1
    while cells_of(line[len(line) - tail :]) > (cells - 1) // 2:
        tail -= 1
    return f"{line[:head]}…{line[len(line) - tail :]}"


def number(value: object) -> str:
    """A value as tables show it: counts with commas, other numbers with four decimals, or four digits if they are large
    or small.

    Example:
        >>> number(12345), number(0.5), number(0.00001234), number(None)
        ('12,345', '0.5000', '1.234e-05', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table as text: the first column is left-aligned, the others are right-aligned, two blanks between columns.

    Example:
        >>> print(aligned([["", "F1"], ["好", "0.5"]]))
             F1
        好  0.5
    """
    widths = [max(map(cells_of, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        blanks = [" " * (width - cells_of(text)) for width, text in zip(widths, row, strict=True)]
        parts = [row[0] + blanks[0], *(blank + text for blank, text in zip(blanks[1:], row[1:], strict=True))]
        lines.append("  ".join(parts))
    return "\n".join(lines)


def html_table(rows: Iterable[Sequence[str]], caption: str = "", has_header: bool = True) -> str:
    """A table as HTML, its texts escaped; the first row is its header unless `has_header` is False.

    Example:
        >>> html_table([["label"], ["<b>"]])
        '<table><thead><tr><th>label</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    rows = [[html.escape(text) for text in row] for row in rows]
    header, body = (rows[:1], rows[1:]) if has_header else ([], rows)
    parts = [f"<caption>{html.escape(caption)}</caption>" if caption else ""]
    parts += ["<thead>", *(_html_row(row, "th") for row in header), "</thead>"] if header else []
    parts += ["<tbody>", *(_html_row(row, "td") for row in body), "</tbody>"]
    return f"<table>{''.join(parts)}</table>"


def _html_row(row: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{text}</{tag}>' for text in row)}</tr>"


def html_facts(title: str, facts: Mapping[str, object]) -> str:
    """A title and a row for each fact, as an HTML table; facts that are None are left out."""
    return html_table([[name, value_text(value)] for name, value in facts.items() if value is not None], title, False)


def described(title: str, facts: Mapping[str, object]) -> str:
    """An object in one line, in the form `Title(name=value, …)`; facts that are None are left out.

    Example:
        >>> described("Corpus", {"texts": 12000, "columns": ("text", "label"), "name": None})
        'Corpus(texts=12,000, columns=[text, label])'
    """
    return f"{title}({', '.join(f'{name}={value_text(value)}' for name, value in facts.items() if value is not None)})"


def value_text(value: object, most: int = 6) -> str:
    """A value in one line: of a list the first few, each of them short.

    Example:
        >>> value_text(["ham", "spam", "eggs"], most=2)
        '[ham, spam, … 3 in all]'
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        first = ", ".join(shown(part) for part in value[:most])
        return f"[{first}]" if len(value) <= most else f"[{first}, … {len(value):,} in all]"
    return number(value) if isinstance(value, int | float) else str(value)


class Described:
    """An object that shows its facts: in one line in a terminal, as a table in a notebook."""

    def _facts(self) -> Mapping[str, object]:
        """What to show, by name; facts that are None are left out."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return described(type(self).__name__, self._facts())

    def _repr_html_(self) -> str:
        return html_facts(type(self).__name__, self._facts())


def coloured(text: str) -> str:
    """A text that stands out in a terminal; elsewhere, and where NO_COLOR is set, the text itself."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[36m{text}\x1b[0m"
