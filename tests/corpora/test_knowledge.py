import math
from collections import Counter

import pytest

from lmkeras.corpora.knowledge import Knowledge, paragraphs, search_tokens
from lmkeras.errors import InputError

pytest.importorskip("bm25s")

TOWNS = """Oslo is the capital of Norway.
It lies at a fjord.

Paris is the capital of France, and the largest town of France.

北京是中国的首都。 上海是中国的城市。

The fjord is deep.
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "towns.txt").write_text(TOWNS, encoding="utf-8")
    (tmp_path / "more.jsonl").write_text('\n{"text": "Rome is old.\\n\\nIt lies at the Tiber."}\n', encoding="utf-8")
    return tmp_path


def test_passages_are_found_by_their_words_and_say_where_they_stand(folder):
    knowledge = Knowledge(folder)
    assert len(knowledge) == 6
    found = {q: knowledge.passages(q)[0] for q in ("capital of FRANCE?", "what lies at the Tiber", "中国的首都是？")}
    assert [(one.source[-10:], one.line) for one in found.values()] == [
        ("/towns.txt", 4),
        ("more.jsonl", 2),
        ("/towns.txt", 6),
    ]
    assert knowledge.passages("zebra") == knowledge.passages("?!") == []
    assert len(knowledge.passages("the capital", k=2)) == 2


def test_scores_are_those_of_the_formula(folder):
    texts = [text for text, _ in paragraphs(TOWNS.splitlines(keepends=True))]
    counts = [Counter(search_tokens(text)) for text in texts]
    mean = sum(count.total() for count in counts) / len(counts)
    for question in ("the capital of France France", "a fjord", "中国的首都"):
        scores = []
        for count in counts:
            score = 0.0
            for token in search_tokens(question):
                containing = sum(token in other for other in counts)
                rarity = math.log(1 + (len(counts) - containing + 0.5) / (containing + 0.5))
                length = 1.5 * (0.25 + 0.75 * count.total() / mean)
                score += rarity * count[token] / (count[token] + length)
            scores.append(score)
        found = Knowledge(folder / "towns.txt").passages(question)
        expected = sorted(((score, text) for score, text in zip(scores, texts, strict=True) if score), reverse=True)
        assert [one.text for one in found] == [text for _, text in expected]
        assert [one.score for one in found] == pytest.approx([score for score, _ in expected], rel=1e-5)


def test_long_paragraphs_are_cut_at_ends_of_sentences_and_lose_nothing():
    text = "".join(f"This is sentence {i}, and it is not short.{' ' if i % 3 else chr(10)}" for i in range(100))
    pieces = list(paragraphs(text.splitlines(keepends=True)))
    assert len(pieces) > 4
    assert all(len(piece) <= 1000 and piece.endswith(".") for piece, _ in pieces)
    assert " ".join(piece for piece, _ in pieces).split() == text.split()
    lines = text.split("\n")
    for piece, line in pieces:
        assert piece.split("\n")[0] in lines[line - 1]
    chinese = "这是一句话。" * 400
    assert "".join(piece for piece, _ in paragraphs([chinese])) == chinese
    assert [len(piece) for piece, _ in paragraphs(["x" * 2500])] == [1000, 1000, 500]


def test_bad_input(tmp_path):
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(InputError, match="has no text in it"):
        Knowledge(tmp_path)
    (tmp_path / "signs.txt").write_text("!!!\n\n...", encoding="utf-8")
    with pytest.raises(InputError, match="has no text in it"):
        Knowledge(tmp_path / "signs.txt")
    with pytest.raises(InputError, match="no such file"):
        Knowledge(tmp_path / "none.txt")
    (tmp_path / "a.txt").write_text("a b", encoding="utf-8")
    with pytest.raises(InputError, match="at least 1 passage"):
        Knowledge(tmp_path / "a.txt").passages("a", k=0)
