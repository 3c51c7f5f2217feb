"""A knowledge base: the passages of texts, among which those that may answer a question are found by their words.

Shape letter: N passages.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lmkeras.corpora.characters import read_lines, require_encoding
from lmkeras.corpora.paths import files_of, find_readers
from lmkeras.corpora.records import has_records, named_columns, read_records
from lmkeras.corpora.sources import BUILTIN_TEXTS, builtin_reader
from lmkeras.errors import InputError
from lmkeras.tokenizers.choice import is_written_without_spaces
from lmkeras.tokenizers.word_spans import word_spans

_LONGEST = 1000  # characters of a passage
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？…][”’」』）]*\s*")


class Passage(NamedTuple):
    """A passage of a text.

    Attributes:
        text: the passage.
        source: the file or other source that it stands in.
        line: the number of the line in which it begins, from 1; in builtin: texts, the number of the text.
        score: how well it suits a question, see `Knowledge.passages`.
    """

    text: str
    source: str
    line: int
    score: float = 0.0


class Knowledge:
    """The passages of texts, ready to be searched for those that suit a question.

    A passage is a paragraph, that is what stands between blank lines; a long one is cut at ends of sentences, so that
    none has more than 1000 characters. It is found by its words in lower case, and where a script has no spaces, such
    as Chinese, by its characters and pairs of neighbouring characters.

    Args:
        sources: files (.txt; or .csv, .tsv and .jsonl with a column of texts; .gz too), globs, folders, or
            builtin:python-docs; one of them or several.
        text_column: the column or key of tables that holds the text.
        encoding: the files' encoding.

    Raises:
        InputError: a source cannot be read, or there is no word in any of them; or bm25s is not installed.

    Source: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond".
    """

    def __init__(self, sources: str | Path | Sequence[str | Path], text_column: str = "text", encoding: str = "utf-8"):
        require_encoding(encoding)
        schemes = {"builtin": lambda source: partial(_builtin_passages, source)}
        how = {"text_column": text_column, "encoding": encoding}
        readers = find_readers(
            sources, schemes, lambda path: [partial(_file_passages, file, **how) for file in files_of(path)]
        )
        self._passages = [passage for read in readers for passage in read()]
        tokens = [search_tokens(passage.text) for passage in self._passages]
        if not any(tokens):
            raise InputError("the knowledge base has no text in it: name files with text")
        bm25s = _imported_bm25s()
        self._index = bm25s.BM25(method="lucene")
        self._index.index(tokens, show_progress=False)

    def __len__(self) -> int:
        return len(self._passages)

    def passages(self, question: str, k: int = 5) -> list[Passage]:
        """The passages that suit a question best, the best first; fewer, or none, if fewer have a word of it.

        Args:
            question: the question, or other words to look for.
            k: the most passages.

        Returns:
            Passages with their BM25 scores, which are above 0.
        """
        if k < 1:
            raise InputError(f"expected at least 1 passage to look for, got {k}")
        if not (tokens := [token for token in search_tokens(question) if token in self._index.vocab_dict]):
            return []
        scores = self._index.get_scores(tokens)
        best = scores.argsort(kind="stable")[::-1][:k]
        return [self._passages[i]._replace(score=float(scores[i])) for i in best if scores[i] > 0]


def search_tokens(text: str) -> list[str]:
    """What a passage is found by.

    Example:
        >>> search_tokens("Ann's CAFÉ, 北京。")
        ['ann', 's', 'café', '北', '京', '北京']
    """
    text = unicodedata.normalize("NFKC", text).lower()
    spans = word_spans(text, "signs")
    words = [text[start:end] for start, end in spans if text[start].isalnum()]
    alone = [(start, end) for start, end in spans if end - start == 1 and is_written_without_spaces(text[start])]
    pairs = itertools.pairwise(alone)
    return words + [text[first[0] : second[1]] for first, second in pairs if first[1] == second[0]]


def paragraphs(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The paragraphs of a text, none with more than 1000 characters, each with the number of its first line.

    Example:
        >>> list(paragraphs(["One.\\n", "Two.\\n", "\\n", " \\n", "Three."]))
        [('One.\\nTwo.', 1), ('Three.', 5)]
    """
    waiting, first = [], 1
    for number, line in enumerate((*lines, ""), 1):
        if line.strip():
            first = first if waiting else number
            waiting.append(line)
        elif waiting:
            yield from _cut("".join(waiting).rstrip(), first)
            waiting = []


def _cut(text: str, line: int) -> Iterator[tuple[str, int]]:
    """A paragraph in pieces that end where sentences do, if there are such places, and else at blanks."""
    while len(text) > _LONGEST:
        ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, _LONGEST)]
        at = (ends and ends[-1]) or text.rfind(" ", 1, _LONGEST) + 1 or _LONGEST
        yield text[:at].rstrip(), line
        line += text.count("\n", 0, at)
        text = text[at:]
    if text:
        yield text, line


def _file_passages(path: str, text_column: str, encoding: str) -> Iterator[Passage]:
    if not has_records(path):
        yield from (Passage(text, path, line) for text, line in paragraphs(read_lines(path, encoding)))
        return
    for record in read_records(path, named_columns(text_column), encoding):
        for text, _ in paragraphs(record.values[0].splitlines(keepends=True)):
            yield Passage(text, path, record.line)


def _builtin_passages(source: str) -> Iterator[Passage]:
    for number, whole in enumerate(builtin_reader(source, BUILTIN_TEXTS)(), 1):
        for text, _ in paragraphs(whole.splitlines(keepends=True)):
            yield Passage(text, source, number)


def _imported_bm25s():
    try:
        import bm25s
    except ImportError:
        raise InputError("passages are found by bm25s, which is not installed: pip install bm25s") from None
    return bm25s
