"""RobertaTokenizer against RobertaTokenizerFast of transformers, live; its twin is held to both."""

import contextlib
import functools
import itertools
import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import RobertaTokenizerFast

from lmkeras.errors import InputError
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.encoders import encoder_tokenizer
from lmkeras.tokenizers.roberta import RobertaTokenizer
from lmkeras.tokenizers.word_piece import WordPieceTokenizer
from tests.tokenizers.roberta import MASK, of_transformers, tokenizer, write_old

MASKS = [f"a {MASK} b", f" \n{MASK}{MASK}"]
HARD = ["", " ", "Hello  world", *MASKS, "<s>x</s> <pad>", "é 天 👩🏽 \u3000x", "don't  \t\n", "<unk"]
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(HARD),
    st.lists(st.sampled_from([MASK, "<s>", " ", "film", "\u2003", "<", "Ġ", "é"]), max_size=8).map("".join),
)


@pytest.fixture(scope="module", params=[False, True], ids=["as it is", "with a blank before texts"])
def both(request, tmp_path_factory):
    """Ours and transformers' tokenizers of one folder, which transformers wrote."""
    theirs, folder = of_transformers(add_prefix_space=request.param), tmp_path_factory.mktemp("theirs")
    theirs.save_pretrained(folder)
    return RobertaTokenizer.from_pretrained(folder), theirs


calls = st.fixed_dictionaries(
    {"padding": st.sampled_from([False, True]), "max_length": st.integers(5, 14), "truncation": st.just(True)}
)


@settings(max_examples=60, deadline=None)
@example(batch=[(one, other) for one, other in zip(HARD, HARD[::-1], strict=True)], paired=True, call={})
@given(batch=st.lists(st.tuples(texts, texts), min_size=1, max_size=4), paired=st.booleans(), call=calls)
def test_inputs_of_texts_and_pairs_are_those_of_transformers(both, batch, paired, call):
    ours, theirs = both
    first, second = map(list, zip(*batch, strict=True))
    arguments = (first, second) if paired else (first,)
    assert ours(*arguments, **call) == dict(theirs(*arguments, **call))


@settings(max_examples=60, deadline=None)
@example(text="a  <mask> b")
@given(text=texts)
def test_offsets_leave_out_the_blank_that_a_piece_begins_with(both, text):
    ours, theirs = both
    found = ours.encode_with_offsets(text)
    theirs = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
    assert found.ids == theirs["input_ids"]
    for (start, end), (first, last) in zip(found.offsets, theirs["offset_mapping"], strict=True):
        if first == last or MASK in text[start:end]:  # white space alone, and what "<mask>" takes in
            assert 0 <= start < end <= len(text)
        else:
            assert (start, end) == (first, last)


@settings(max_examples=30, deadline=None)
@example(batch=HARD)
@given(batch=st.lists(texts, max_size=4))
def test_words_are_those_of_a_split_text(batch):
    words = [word for text in batch for word in text.split() if "<" not in word] or ["a"]
    ours, theirs = tokenizer(), of_transformers(add_prefix_space=True)
    expected = theirs(words, is_split_into_words=True, add_special_tokens=False)["input_ids"]
    assert [id for ids in ours.encode_batch([ours.before_words + word for word in words]) for id in ids] == expected


@pytest.mark.parametrize("config", [{}, {"add_prefix_space": True, "model_max_length": 9}])
def test_the_files_that_the_first_checkpoints_have(tmp_path, config):
    write_old(tmp_path, **config)
    ours, theirs = encoder_tokenizer(tmp_path), of_transformers(add_prefix_space=bool(config))
    assert type(ours) is RobertaTokenizer
    assert [ours(text)["input_ids"] for text in HARD] == [theirs(text)["input_ids"] for text in HARD]
    assert ours.model_max_length == config.get("model_max_length")
    (tmp_path / "added_tokens.json").write_text('{"<new>": 900}')
    with pytest.raises(InputError, match=r"has tokens in added_tokens.json, and no tokenizer.json"):
        encoder_tokenizer(tmp_path)


def test_what_it_writes_is_what_transformers_reads(tmp_path, both):
    ours, theirs = both
    ours.save_vocabulary(tmp_path)
    again = RobertaTokenizerFast.from_pretrained(tmp_path)
    for text in HARD:
        assert again(text, text) == theirs(text, text)
    assert RobertaTokenizer.from_pretrained(tmp_path)(HARD) == ours(HARD)


def test_json_keeps_it_whole(both):
    ours, _ = both
    again = tokenizer_from_json(ours.to_json())
    assert type(again) is RobertaTokenizer
    assert (again.special, again(HARD, HARD), again.to_json()) == (ours.special, ours(HARD, HARD), ours.to_json())


def test_special_ids_and_what_ids_stand_for():
    ours = tokenizer()
    special = ours.special
    assert (special.classification, special.padding, special.separator, special.unknown) == (0, 1, 2, 3)
    assert (special.separators, special.mask) == (2, ours.vocabulary_size - 1)
    assert [ours.token(id) for id in (0, special.mask, *ours.encode(" the"), 10**6)] == ["<s>", MASK, " the", ""]
    assert ours.decode(ours("The film <mask>")["input_ids"]) == "The film"


def test_the_tokenizer_json_says_how_many_separators_stand_between_two_texts(tmp_path):
    of_transformers().save_pretrained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    special = {name: {"id": name, "ids": [id], "tokens": [name]} for name, id in (("<s>", 0), ("</s>", 2))}

    def part(name):
        return {"Sequence" if name in "AB" else "SpecialToken": {"id": name, "type_id": 0}}

    def template(*pair):
        parts = [part(name) for name in pair]
        made = {"type": "TemplateProcessing", "single": parts[:3], "pair": parts, "special_tokens": special}
        return {**content, "post_processor": made}

    one = RobertaTokenizer(template("<s>", "A", "</s>", "B", "</s>"))
    assert one("a", "b")["input_ids"] == [0, *one.encode("a"), 2, *one.encode("b"), 2]
    assert one.special.separators == 1
    with pytest.raises(InputError, match="expected ids before, between and behind two texts"):
        RobertaTokenizer(template("A", "</s>", "B", "</s>"))
    special["<s>"]["ids"] = [10**6]  # which the network would not know
    with pytest.raises(InputError, match="expected ids before, between and behind two texts"):
        RobertaTokenizer(template("<s>", "A", "</s>", "B", "</s>"))


def test_other_tokenizers_are_told_apart_or_refused(tmp_path):
    with pytest.raises(InputError, match="holds no byte-level tokenizer"):
        RobertaTokenizer.from_pretrained(tmp_path)
    WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]).save_vocabulary(tmp_path)
    assert type(encoder_tokenizer(tmp_path)) is WordPieceTokenizer
    assert type(encoder_tokenizer(tmp_path / "vocab.txt")) is WordPieceTokenizer
    content = json.loads(tokenizer().to_json())["tokenizer"]
    with pytest.raises(InputError, match=r"byte-level tokenizer\.json, as RoBERTa has, whose decoder is ByteLevel"):
        RobertaTokenizer({**content, "decoder": None})
    for config in ([], "", 1):
        with pytest.raises(InputError, match=r"tokenizer_config\.json, an object"):
            RobertaTokenizer(content, config)
    model = {**content["model"], "vocab": {k: v for k, v in content["model"]["vocab"].items() if k != "<s>"}}
    with pytest.raises(InputError, match=r"the vocabulary lacks the special tokens \['<s>'\]"):
        RobertaTokenizer({"pre_tokenizer": content["pre_tokenizer"], "decoder": content["decoder"], "model": model})


@settings(max_examples=60, deadline=None)
@example(batch=HARD)
@given(batch=st.lists(texts, max_size=4))
def test_the_twin_gives_the_same_ids_and_offsets(both, batch):
    ours, _ = both
    twin = _twin(ours)
    ids, starts, ends = (column.to_list() for column in twin(tf.constant(batch, tf.string)))
    expected = ours.encode_batch_with_offsets(batch)
    assert ids == [one.ids for one in expected]
    assert [list(zip(*row, strict=True)) for row in zip(starts, ends, strict=True)] == [one.offsets for one in expected]


def _twin(ours, made={}):  # noqa: B006 (twins are traced once)
    if id(ours) not in made:
        found = tf.function(ours.in_graph().encode_with_offsets, input_signature=[tf.TensorSpec([None], tf.string)])
        made[id(ours)] = found
    return made[id(ours)]


def test_arrays(both):
    ours, theirs = both
    for kind, dtype in (("np", np.int64), ("tf", tf.int32)):
        found, expected = ours(HARD, padding=True, return_tensors=kind), theirs(HARD, padding=True, return_tensors="np")
        assert list(found) == list(expected) == ["input_ids", "attention_mask"]
        assert all(np.array_equal(found[name], expected[name]) and found[name].dtype == dtype for name in found)


HOSTILE = [None, 0, -1, "x", "\ud800", [], {}, True, 10**12, 1.5, ["a"], {"type": "Sequence"}, "<s>"]


def places(content, at=()):
    """The places in what a JSON file holds; of long lists and objects, the first ones."""
    yield at
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in itertools.islice(inner, 20):
        yield from places(value, (*at, key))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_with_an_input_error(tmp_path_factory, both, data):
    contents = both[0].files()
    name = data.draw(st.sampled_from(sorted(contents)))
    damaged = json.loads(json.dumps(contents))
    *above, last = data.draw(st.sampled_from(list(places(damaged[name]))[1:]))
    functools.reduce(lambda inner, key: inner[key], above, damaged[name])[last] = data.draw(st.sampled_from(HOSTILE))
    folder = tmp_path_factory.mktemp("damaged")
    for file, content in damaged.items():
        (folder / f"{file}.json").write_text(json.dumps(content))
    with contextlib.suppress(InputError):
        found = encoder_tokenizer(folder)
        found("a film <mask> b", "c"), found.encode_with_offsets(" é"), found.to_json(), found.files(), found.token(0)
