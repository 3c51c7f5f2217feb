"""Batches for BERT against those of transformers, live: pairs, truncation, padding, arrays."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizerFast

from lmkeras.errors import InputError
from lmkeras.tokenizers.bert_inputs import batched
from lmkeras.tokenizers.word_piece import WordPieceTokenizer
from tests.tokenizers.word_pieces import MANUAL, SETTINGS, of_transformers, texts, trained

# transformers warns where padding to the longest leaves max_length without a use
pytestmark = pytest.mark.filterwarnings("ignore:.max_length. is ignored")

lengths = st.one_of(st.none(), st.integers(3, 12))
calls = st.fixed_dictionaries(
    {
        "padding": st.sampled_from([False, True, "longest", "max_length"]),
        "truncation": st.sampled_from([None, False, True, "longest_first"]),
        "max_length": lengths,
    }
).filter(lambda call: call["max_length"] or (call["padding"] != "max_length" and call["truncation"] in (None, False)))


@settings(max_examples=100)
@given(batch=st.lists(st.tuples(texts, texts), min_size=1, max_size=4), paired=st.booleans(), call=calls)
@pytest.mark.parametrize("name", SETTINGS)
def test_batches_and_pairs_are_those_of_transformers(name, batch, paired, call):
    ours, theirs = trained(name), of_transformers(name)
    first, second = map(list, zip(*batch, strict=True))
    arguments = (first, second) if paired else (first,)
    assert ours(*arguments, **call) == dict(theirs(*arguments, **call))
    one = (first[0], second[0]) if paired else (first[0],)
    assert ours(*one, **call) == dict(theirs(*one, **call))


@pytest.mark.parametrize("name", SETTINGS)
def test_arrays_are_those_of_transformers(name):
    ours, theirs = trained(name), of_transformers(name)
    arguments = {"padding": True, "truncation": True, "max_length": 20, "return_tensors": "np"}
    first, second = ([text[:200] for text in texts] for texts in (MANUAL[:3], MANUAL[3:6]))
    expected = theirs(first, second, **arguments)
    found = ours(first, second, **arguments)
    in_tensorflow = ours(first, second, **arguments | {"return_tensors": "tf"})
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert in_tensorflow[name].dtype == tf.int32
        np.testing.assert_array_equal(in_tensorflow[name], array)
    assert ours("the", return_tensors="np")["input_ids"].tolist() == [ours("the")["input_ids"]]


@pytest.mark.parametrize("model_max_length", [None, 7])
def test_without_a_max_length_the_models_counts(tmp_path, model_max_length):
    ours = WordPieceTokenizer(trained("cased").vocabulary, lowercase=False, model_max_length=model_max_length)
    ours.save_vocabulary(tmp_path)
    theirs = BertTokenizerFast.from_pretrained(tmp_path)
    if model_max_length is None:
        for call in ({"truncation": True}, {"padding": "max_length"}):
            with pytest.raises(InputError, match="give max_length"):
                ours(MANUAL[0], **call)
    else:
        for call in ({"truncation": True}, {"padding": "max_length"}, {"truncation": True, "padding": "max_length"}):
            for text in ("a", MANUAL[0]):
                assert ours(text, **call) == dict(theirs(text, **call))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((5,), "texts and pairs"),
        (([5],), "texts and pairs"),
        (("a", ["b"]), "texts and pairs"),
        ((["a"], "b"), "texts and pairs"),
        ((["a"], ["b", "c"]), "1 texts came with 2 pairs"),
        (("a", None, "always"), "unknown padding 'always'"),
        (("a", None, False, "only_first"), "unknown truncation 'only_first'"),
        (("a", None, False, True, -1), "max_length must be"),
        (("a", None, False, True, 1.5), "max_length must be"),
        (("a", None, False, True, 1), "max_length must be at least 2"),
        (("a", "b", False, True, 2), "max_length must be at least 3"),
        (("a", None, False, None, None, "pt"), "unknown return_tensors 'pt'"),
        ((["a", "a b"], None, False, None, None, "np"), "padding=True"),
    ],
)
def test_calls_that_make_no_sense_are_answered(arguments, complaint):
    with pytest.raises(InputError, match=complaint):
        trained("uncased")(*arguments)


def test_no_texts_make_an_empty_batch():
    assert trained("uncased")([], padding=True) == {"input_ids": [], "token_type_ids": [], "attention_mask": []}
    assert trained("uncased")([], return_tensors="np")["input_ids"].shape == (0, 0)


def test_no_text_is_refused():
    for pairs in (None, "a text", ["a text"]):
        with pytest.raises(InputError, match="texts and pairs must both be"):
            batched(None, pairs)
