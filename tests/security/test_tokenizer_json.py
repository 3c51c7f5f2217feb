"""A tokenizer's JSON from strangers."""

import contextlib
import json

import pytest

from lmkeras import InputError
from lmkeras.tokenizers import new_tokenizer, tokenizer_from_json
from lmkeras.tokenizers.published import PublishedTokenizer
from tests.security.hostile import little_memory, pickled
from tests.tokenizers.roberta import learnt

TOKENIZERS = {
    name: new_tokenizer(name).fit(["to be or not to be"] * 3) for name in ("words", "byte_pair", "word_piece")
}
DEEP, LONG = "[" * 10**5, "x" * 10**7


def refused(text):
    with little_memory(), pytest.raises(InputError) as caught:
        tokenizer_from_json(text)
    assert len(str(caught.value)) < 1000


def test_a_pickle_is_not_unpickled(marker):
    refused(pickled(marker).decode("latin-1"))


@pytest.mark.parametrize("text", [DEEP, '{"class_name":' * 10**5, "NaN", "9" * 5000, f'"{LONG}"'], ids=range(5))
def test_json_that_is_too_much_is_refused(text):
    refused(text)


@pytest.mark.parametrize(
    "name", ["os.system", "KerasTokenizer", "../../marker", LONG, ["Tokenizer"], {}, None, 1], ids=range(8)
)
def test_no_other_class_is_looked_up(name):
    refused(json.dumps({"class_name": name, "config": {"command": "touch marker"}}))


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize(
    "value", ["x" * 10**6, 10**4000, -1.5, [[[[[[]]]]]], {"a": {"b": {}}}, None, True], ids=range(7)
)
def test_a_value_of_another_type_is_refused_or_does_no_harm(tokenizer, value):
    """Each field in turn; what is still read encodes as an honest tokenizer does, or as its new settings say."""
    fields = json.loads(TOKENIZERS[tokenizer].to_json())
    places = [(fields, name) for name in fields] + [
        (inner, name) for inner in fields.values() if isinstance(inner, dict) for name in inner
    ]
    for place, name in places:
        before, place[name] = place[name], value
        with little_memory(), contextlib.suppress(InputError):
            again = tokenizer_from_json(json.dumps(fields))
            assert again.vocabulary_size < 1000
            assert all(0 <= id < again.vocabulary_size for id in again.encode("to be"))
        place[name] = before


@pytest.mark.parametrize("id", [2**31 - 1, 2**40, 10**4000, -1, 1.5, "1"], ids=range(6))
def test_ids_beyond_the_number_of_words_are_refused(id):
    """A network that is built for the vocabulary would have a row for each of them."""
    fields = json.loads(TOKENIZERS["words"].to_json())
    words = json.loads(fields["config"]["word_index"])
    fields["config"]["word_index"] = json.dumps({**words, "to": id})
    refused(json.dumps(fields))
    fields = json.loads(TOKENIZERS["words"].to_json())
    places = json.loads(fields["config"]["index_word"])
    fields["config"]["index_word"] = json.dumps({**places, str(id): "to"}) if id != "1" else DEEP
    refused(json.dumps(fields))


@pytest.mark.parametrize(
    "merges", [[[98, 10**9]], [[98, -1]], [[0, 0]], "aa", [["a", "b"]], [[98, 98]] * 2, [[98] * 10**6]], ids=range(7)
)
def test_merges_of_ids_that_are_not_made_are_refused(merges):
    fields = json.loads(TOKENIZERS["byte_pair"].to_json())
    refused(json.dumps({**fields, "merges": merges}))


def test_merges_that_double_are_refused():
    """Forty of them would make a token of a terabyte."""
    fields = json.loads(TOKENIZERS["byte_pair"].to_json())
    doubling = [[98, 98], *([id, id] for id in range(257, 297))]
    refused(json.dumps({**fields, "merges": doubling}))


@pytest.mark.parametrize("token", ["\ud800", "", "\0", "##", "[UNK]" * 1000, "(a+)+$"], ids=range(6))
def test_strange_pieces_are_refused_or_are_pieces(token):
    tokenizer = TOKENIZERS["word_piece"]
    fields = json.loads(tokenizer.to_json())
    fields["vocabulary"].append(token)
    try:
        again = tokenizer_from_json(json.dumps(fields))
    except InputError:
        assert token == "\ud800"
    else:
        text = "to be" + "a" * 40 + "!"
        assert again.encode(text) == tokenizer.encode(text)


@pytest.mark.parametrize("id", [10**6, 2**32 - 1])
@pytest.mark.parametrize("kind", ["TemplateProcessing", "RobertaProcessing"])
def test_ids_before_texts_that_no_token_has_are_refused(kind, id):
    """The network would look for their rows."""
    start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    template = {"single": [start, text], "pair": [text, text]}
    template |= {"special_tokens": {"<s>": {"id": "<s>", "ids": [id], "tokens": ["<s>"]}}}
    roberta = {"sep": ["</s>", 2], "cls": ["<s>", id], "trim_offsets": True, "add_prefix_space": False}
    processor = {"type": kind, **(template if kind == "TemplateProcessing" else roberta)}
    content = {"version": "1.0", "added_tokens": [], "model": learnt(), "post_processor": processor}
    with little_memory(), pytest.raises(InputError, match=f"puts id {id:,} before texts"):
        PublishedTokenizer(content).encode_alone("to be")
