"""What is said of odd data before a training begins, and what is not said of data that are as usual."""

import logging
import random

import numpy as np
import pytest

import lmkeras
from lmkeras.datasets import TokenShards, notes, write_shards
from lmkeras.datasets.notes import TextNotes
from lmkeras.models.preparing import prepared
from lmkeras.tasks.checks import NotedTexts, findings_of_answers, findings_of_labels
from lmkeras.tokenizers import new_tokenizer
from tests.test_extending import Rating

WORDS = ["good", "bad", "film", "long", "好", "坏", "电影"]


def found(train, held_out=None, model=None, **changes):
    """What is found in a training part and a validation part; nothing is trained."""
    model = model or lmkeras.TextClassifier("dense")
    parts = [None if part is None else model.task.corpus(part) for part in (train, held_out)]
    settings = model.task.Settings(**changes)
    return prepared(model._parts, model._recipe, parts[0], held_out=parts[1], settings=settings).findings


def usual(count, first=0):
    """Examples of which nothing is to be said: all different, as many of each label."""
    return [(f"text {chr(0x4E00 + number)} so", "ab"[number % 2]) for number in range(first, first + count)]


def characters():
    return lmkeras.TextClassifier("dense", tokenizer="characters")


def test_of_usual_data_nothing_is_said():
    assert found(usual(400), [(text[::-1], label) for text, label in usual(150)], characters()) == ()
    texts = ["".join(random.Random(number).choices("abcdef ", k=400)) for number in range(40)]
    assert found(texts[:30], texts[30:], lmkeras.LanguageModel("lstm", "characters", units=4)) == ()


@pytest.mark.parametrize("seed", range(4))
def test_texts_in_both_parts_and_duplicates_are_counted_as_by_hand(seed):
    chance = random.Random(seed)

    def part(count):
        texts = [" ".join(chance.choices(WORDS, k=chance.randint(1, 3))) for _ in range(count)]
        return [(text, chance.choice("ab")) for text in texts]

    train, held_out = part(150), part(100)
    labels = {}
    for text, label in train:
        labels.setdefault(text, set()).add(label)
    both = [(text, label) for text, label in held_out if text in labels]
    others = sum(label not in labels[text] for text, label in both)
    repeated = len(train) - len(labels)
    several = sum(len(set_) > 1 for set_ in labels.values())
    said = "\n".join(found(train, held_out, characters()))
    assert f"{repeated} of 150 training texts ({repeated / 150:.1%}) repeat another one" in said
    assert f"{several} of {len(labels)} different training texts ({several / len(labels):.1%}) have more than" in said
    assert f"{len(both)} of 100 validation texts ({len(both) / 100:.1%}) stand in the training part too" in said
    assert (f"too, {others} of them with another label: values" in said) == (others > 0)


def test_pairs_are_the_same_only_if_both_texts_are():
    train = [(("one", chr(0x4E00 + number)), "ab"[number % 2]) for number in range(200)]
    swapped = [((second, first), label) for (first, second), label in train]
    assert found(train, swapped[:100] + train[:3], characters())[0].startswith("3 of 103 validation texts (2.9%) stand")


def test_empty_texts_are_counted_and_the_first_is_named():
    train, held_out = usual(200), [(text[::-1], label) for text, label in usual(120)]
    train[6], train[9], held_out[3] = ("", "a"), (" \n\u3000", "b"), ("\t", "a")
    assert found(train, held_out, characters()) == (
        "2 of 200 training texts (1.0%) are empty, the first is number 7: leave them out",
        "1 of 120 validation texts (0.8%) are empty, the first is number 4: leave them out",
    )


def test_cut_texts_are_counted_with_the_length_that_would_hold_nearly_all():
    train = [("ab " * number, "ab"[number % 2]) for number in range(1, 101)]
    model = lmkeras.TextClassifier("dense", tokenizer="words", max_length=20)
    said = (
        "80 of 100 training texts (80.0%) have more than 20 tokens and are cut: max_length 95 would hold 95 % of them"
    )
    assert said in found(train, model=model)
    assert sorted(len(text.split()) for text, _ in train)[94] == 95
    assert found(train, model=lmkeras.TextClassifier("dense", tokenizer="words", max_length=95)) == ()


def test_where_the_network_cannot_read_more_it_is_not_advised():
    train = [("ab " * number, "ab"[number % 2]) for number in range(1, 101)]
    model = lmkeras.TextClassifier("transformer", "words", d_model=4, num_heads=1, num_layers=1, max_length=20)
    assert any(
        "95 % of them have up to 95, and the network reads 20: long_texts" in line for line in found(train, model=model)
    )


def test_unknown_tokens_are_counted_in_both_parts():
    train = [(f"word{number} word{number + 1}", "ab"[number % 2]) for number in range(200)]
    held_out = [(f"new{number} word{number}", "ab"[number % 2]) for number in range(100)]
    assert found(train, held_out, lmkeras.TextClassifier("dense", tokenizer="words")) == (
        "0% of the training tokens and 50% of the validation tokens are unknown to the tokenizer: a larger "
        "vocabulary_size, byte_pair or characters know more",
    )


@pytest.mark.parametrize(("texts", "error"), [(99, "0.05"), (25, "0.10"), (4, "0.25")])
def test_a_validation_part_is_too_small_where_a_share_of_it_is_uncertain(texts, error):
    (line,) = found(usual(300), [(text[::-1], label) for text, label in usual(texts)], characters())
    assert line.startswith(f"the validation part has {texts} texts: ")
    assert f"standard error of up to {error}, too much to choose by; 100 texts or more" in line
    assert error == f"{np.sqrt(0.5 * 0.5 / texts):.2f}"


def test_labels_with_one_example_and_labels_of_most():
    counts = {"a": 90, "b": 1, "c": 1, "d": 8}
    assert list(findings_of_labels(counts, 100, "accuracy")) == [
        "one training example alone has the label 'b', 'c': give more, or merge labels",
        "90 of 100 training examples (90.0%) have the label 'a', so that accuracy says little: look at macro_f1 "
        "(monitor val_macro_f1), or try class_weights balanced",
    ]
    assert not list(findings_of_labels({"a": 80, "b": 20}, 100, "accuracy"))


@pytest.mark.parametrize(("having", "expected"), [(9, "9 of 10 training examples (90.0%) have the label 'a'"), (8, "")])
def test_of_texts_with_several_labels_the_texts_are_counted(having, expected):
    labels = [["a"] * (number < having) + ["b", "c"][: number % 3] for number in range(10)]
    train = [(f"text {chr(0x4E00 + number)} so", of_one) for number, of_one in enumerate(labels)]
    said = [line for line in found(train, model=characters()) if "have the label" in line]
    assert [line.partition(", so that micro_f1 says little")[0] for line in said] == [expected] * bool(expected)


def test_a_task_of_the_users_own_names_its_answers():
    train = [(f"film {number // 2}", number % 2 + 3.0) for number in range(300)]
    model = lmkeras.Model(Rating(), "dense", tokenizer="characters")
    assert found(train, model=model) == (
        "150 of 300 training texts (50.0%) repeat another one: remove what is there by mistake",
        "150 of 150 different training texts (100.0%) have more than one stars",
    )


def test_language_models_are_told_of_too_little_text():
    model = lmkeras.LanguageModel("lstm", "characters", units=4)
    said = found(["好" * 900] * 2, ["好" * 50], model)
    assert said[0] == "the training text is one token over and over: there is nothing to learn in it"
    assert said[1] == "1 of 2 training texts (50.0%) repeat another one: remove what is there by mistake"
    assert "50 tokens: a mean loss of so few has a standard error of about 0.28 nats" in said[2]
    said = found(["abcd" * 20], model=lmkeras.LanguageModel("lstm", "characters", units=4))
    assert said == (
        "the training text has 80 tokens, fewer than 10 windows of 64: a network learns so little by heart",
    )


def test_texts_of_tokenized_corpora_are_compared_too(tmp_path):
    tokenizer = new_tokenizer("characters").fit(["ab"])
    texts = ["ab" * number for number in range(400, 440)]
    texts[3] = texts[39] = texts[1]
    shards = write_shards(texts, str(tmp_path / "tokens"), lambda: tokenizer, {}, 10**6)
    train, held_out = shards.split(0.2)
    assert (train.num_texts, held_out.num_texts) == (32, 8)
    model = lmkeras.LanguageModel("lstm", tokenizer, units=4)
    assert [line[:40] for line in found(train, held_out, model)] == [
        "1 of 32 training texts (3.1%) repeat ano",
        "1 of 8 validation texts (12.5%) stand in",
    ]


def test_of_a_corpus_in_shards_only_the_first_is_read_for_it(tmp_path, monkeypatch):
    tokenizer = new_tokenizer("characters").fit(["ab"])
    shards = write_shards(["ab" * 50] * 40, str(tmp_path / "tokens"), lambda: tokenizer, {}, 1000)
    read, texts = [], TokenShards.texts
    monkeypatch.setattr(TokenShards, "texts", lambda self, part: read.append(part) or texts(self, part))
    said = found(shards, model=lmkeras.LanguageModel("lstm", tokenizer, units=4))
    assert read == [shards.parts[0]] != list(shards.parts)
    assert said[-1].startswith(f"{shards.parts[0].texts - 1} of {shards.parts[0].texts} training texts")


def test_of_a_huge_corpus_only_the_first_texts_are_compared(monkeypatch):
    monkeypatch.setattr(notes, "_MOST_COMPARED", 150)
    assert found([*usual(150), *usual(150)], model=characters()) == ()
    monkeypatch.setattr(notes, "_MOST_COMPARED", 160)
    assert [line.split(" repeat")[0] for line in found([*usual(150), *usual(150)], model=characters())] == [
        "10 of 160 training texts (6.2%)"
    ]


def test_findings_are_logged_once_and_kept_unless_all_is_silent(caplog):
    train = [*usual(20), ("", "a")]
    for verbose in (2, 0):
        caplog.clear()
        model = characters()
        model.fit(train, validation_fraction=0, epochs=1, verbose=verbose)
        assert model.findings == ("1 of 21 training texts (4.8%) are empty, the first is number 21: leave them out",)
        logged = [record.getMessage() for record in caplog.records if record.name == "lmkeras"]
        assert [line for line in logged if line in model.findings] == list(model.findings) * bool(verbose)
        assert all(record.levelno == logging.WARNING for record in caplog.records if record.name == "lmkeras")


def test_digests_of_answers_are_those_of_whole_rows():
    """Several answers a text, as rows of 0 and 1."""
    noted = TextNotes()
    for text in ("one", "two", "two"):
        noted.add(text, [1])
    same = NotedTexts(noted, np.ones(3, np.int32), np.array([[0, 1], [1, 1], [1, 1]], np.float32))
    other = same._replace(targets=np.array([[0, 1], [1, 1], [1, 0]], np.float32))
    assert not list(findings_of_answers(same, None, "label"))
    assert list(findings_of_answers(other, None, "label")) == [
        "1 of 2 different training texts (50.0%) have more than one label"
    ]
