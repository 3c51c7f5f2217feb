import gzip
import json
import logging

import pandas as pd
import pytest

from lmkeras.corpora.question_files import as_questions, open_asked, open_questions
from lmkeras.corpora.questions import Question, answers_of, split_questions
from lmkeras.errors import InputError

CONTEXT = "Ann met Bob. Bob met Ann in Oslo."
ROWS = [
    Question("Where?", CONTEXT, ("Oslo", "in Oslo"), (28, 25), "q1"),
    Question("Who met Bob?", CONTEXT, ("Ann",), (0,), "q2"),
    Question("Why?", CONTEXT, (), (), "q3"),
]
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "T",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": row.id,
                            "question": row.question,
                            "is_impossible": not row.answers,
                            "answers": [
                                {"text": text, "answer_start": start}
                                for text, start in zip(row.answers, row.starts, strict=True)
                            ],
                        }
                        for row in ROWS
                    ],
                }
            ],
        }
    ],
}


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["squad.json", "squad.json.gz", "squad.jsonl", "squad.txt", "squad"])
def test_squad_is_recognised_by_its_content(tmp_path, name):
    text = json.dumps(SQUAD, indent=1 if name == "squad.json" else None)
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    assert list(open_questions(path)) == ROWS
    assert list(as_questions(SQUAD)) == ROWS
    assert [asked[:2] for asked in open_asked(path)] == [row[:2] for row in ROWS]


def test_lines_of_json_may_have_answers_in_any_form(tmp_path):
    forms = [
        {"answers": {"text": ["Oslo", "in Oslo"], "answer_start": [28, 25]}},
        {"answer": "Ann", "answer_start": 0},
        {"answer": None},
        {"answer": [{"text": "Ann", "answer_start": 21}]},
        {"answers": []},
        {"answer": "Oslo", "start": 28},
        {"answer": ["Oslo", "met Bob"]},
    ]
    lines = [json.dumps({"question": "Q?", "context": CONTEXT, **form}) for form in forms]
    found = [row[2:4] for row in open_questions(written(tmp_path / "q.jsonl", "\n\n".join(lines)))]
    assert found == [
        *((row.answers, row.starts) for row in ROWS),
        (("Ann",), (21,)),
        ((), ()),
        (("Oslo",), (28,)),
        (("Oslo", "met Bob"), (28, 4)),
    ]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_tables_with_and_without_a_start(tmp_path, separator):
    name = "q.csv" if separator == "," else "q.tsv"
    rows = [
        ("Q", "C", "A", "at"),
        ("Where?", CONTEXT, "Oslo", "28"),
        ("Who?", CONTEXT, "Ann", "21"),
        ("?", "c", "", ""),
    ]
    path = written(tmp_path / name, "\n".join(map(separator.join, rows)))
    columns = {"question_column": "Q", "context_column": "C", "answer_column": "A"}
    assert [row.starts for row in open_questions(path, **columns, start_column="at")] == [(28,), (21,), ()]
    assert [row.starts for row in open_questions(path, **columns)] == [(28,), (0,), ()]
    with pytest.raises(InputError, match=r"q\.\wsv line 1: column 'question' is missing"):
        open_questions(path)


def test_the_column_of_answers_may_have_either_name(tmp_path):
    text = f"question, answers ,context\nWho?,Ann,{CONTEXT}\n"
    for name in ("answers", "answer"):
        path = written(tmp_path / "q.csv", text.replace("answers", name))
        for option in ({}, {"answer_column": "answers"}):
            assert [row.answers for row in open_questions(path, **option)] == [("Ann",)]
    with pytest.raises(InputError, match="column 'answer' is missing"):
        open_questions(written(tmp_path / "q.csv", text.replace("answers", "A")))


def test_examples_in_memory():
    rows = [
        {"question": row.question, "context": row.context, "answers": list(row.answers), "id": row.id} for row in ROWS
    ]
    squad = [
        {**row, "answers": {"text": list(one.answers), "answer_start": list(one.starts)}}
        for row, one in zip(rows, ROWS, strict=True)
    ]
    columns = {name: [row[name] for row in squad] for name in squad[0]}
    for value in (ROWS, squad, columns, pd.DataFrame(squad), rows, iter(rows)):
        assert list(as_questions(value)) == ROWS
    pairs = [("Where?", CONTEXT, "Oslo"), ("Who?", CONTEXT, "Ann", 21), ("Why?", CONTEXT, None)]
    assert [row.starts for row in as_questions(pairs)] == [(28,), (21,), ()]
    by_column = [[row[i] for row in pairs[:2]] for i in range(3)]
    assert [row.starts for row in as_questions(tuple(by_column))] == [(28,), (0,)]
    assert [row.starts for row in as_questions((*by_column, [28, 21]))] == [(28,), (21,)]
    table = pd.DataFrame(pairs[::2], columns=["question", "context", "answer"])
    assert [row.starts for row in as_questions(table)] == [(28,), ()]


def test_blanks_around_an_answer_are_left_out_where_the_context_has_none(caplog):
    rows = [("Q?", "cd b cd", "cd ", 5), ("Q?", "cd b cd", "\tb ", 2), ("Q?", "a b a", "b ")]
    with caplog.at_level(logging.WARNING, "lmkeras"):
        found = [(row.answers, row.starts) for row in as_questions([*rows, ("Q?", "b cd", "cd\n")])]
    assert found == [(("cd ",), (0,)), (("b",), (3,)), (("b ",), (2,)), (("cd",), (2,))]
    assert len(caplog.records) == 1
    with pytest.raises(InputError, match=r"the answer ' \\n' is not in its context"):
        as_questions([("Q?", "ab", " \n")])


def test_numbers_are_answers(tmp_path):
    lines = [{"question": "When?", "context": "Built in 1889.", "answer": answer} for answer in (1889, [1889, "in"])]
    path = written(tmp_path / "q.jsonl", "\n".join(map(json.dumps, lines)))
    assert [row.answers for row in open_questions(path)] == [("1889",), ("1889", "in")]
    with pytest.raises(InputError, match="expected a text as answer, got True"):
        as_questions([{**lines[0], "answer": True}])


def test_places_that_are_not_sure_are_told_once(caplog):
    with caplog.at_level(logging.WARNING, "lmkeras"):
        found = as_questions([("Q?", "a b a", "a"), ("Q?", "a b a", "a"), ("Q?", "ab ab", "b", 3), ("Q?", "x ab", "b")])
    assert [row.starts for row in found] == [(0,), (0,), (4,), (3,)]
    several, moved = [record.getMessage() for record in caplog.records]
    assert several.startswith("2 answers stand in several places")
    assert moved.startswith("1 answers do not stand where")


WRONG = json.dumps(SQUAD).replace("Ann ", "Eve ")
LINE = '{"question": "Q?", "context": "c", "answer": "A"}'
HEADER = "question,context,answer,start"
BAD = {
    "q.jsonl line 1: the answer 'd' is not in its context": ("q.jsonl", LINE.replace("A", "d") + "\n{}"),
    "line 1: key 'answer' is missing": ("q.jsonl", '{"question": "Q?", "context": "c"}\n{"question": "Q?"}'),
    "q.jsonl line 2: not JSON": ("q.jsonl", LINE.replace("A", "c") + "\n{"),
    "q.json article 1 paragraph 1 question q2: the answer 'Ann' is": ("q.json", WRONG),
    "q.json: not JSON": ("q.json", '{"data": ['),
    "article 1: expected a list of objects under 'paragraphs'": ("q.json", '{"data": [{"paragraphs": 3}]}'),
    "expected SQuAD's form": ("q.json", '{"data": "x"}'),
    "q.csv line 2: expected the start of an answer as a whole": ("q.csv", f"{HEADER}\nQ?,c,c,x"),
    "q.csv line 2: the question is empty": ("q.csv", f"{HEADER}\n ,c,c,0"),
    "no questions": ("q.csv", HEADER),
    "q.txt: expected JSON, JSON lines, or a table whose": ("q.txt", "who"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "name", "text"), [(message, *file) for message, file in BAD.items()])
def test_bad_files_are_named_with_the_place(tmp_path, message, name, text):
    with pytest.raises(InputError, match=message):
        open_questions(written(tmp_path / name, text))


@pytest.mark.parametrize("value", [3, ["Who?"], [("Q?", "c")], [{"question": 3, "context": "c", "answer": ""}], []])
def test_bad_values_in_memory(value):
    with pytest.raises(InputError):
        as_questions(value)


def test_starts_must_be_as_many_as_answers():
    with pytest.raises(InputError, match="a start for each answer, got 2 answers and 1"):
        answers_of(["a", "b"], [1], "here")


def test_no_context_is_in_both_parts():
    rows = [Question(f"{i}?", f"context {i % 7}") for i in range(70)]
    train, held_out = (list(part) for part in split_questions(as_questions(rows), 0.2, seed=1))
    assert sorted(train + held_out) == sorted(rows)
    assert (len(held_out), len({row.context for row in held_out} & {row.context for row in train})) == (20, 0)
    again, other = (list(split_questions(as_questions(rows), 0.2, seed=seed)[1]) for seed in (1, 2))
    assert again == held_out != other
    one = [Question(f"{i}?", "the same") for i in range(10)]
    assert [len(list(part)) for part in split_questions(as_questions(one), 0.2)] == [8, 2]
