import itertools
import random

import pytest

from lmkeras.errors import InputError
from lmkeras.pretrained.source import open_source
from lmkeras.tokenizers.published import PublishedTokenizer
from lmkeras.tokenizers.spelling import stand_ins
from tests.pretrained.gguf.files import LLAMA_SHAPES, TOKENIZER, drawn, write_gguf

KEY = "tokenizer.ggml"


def source_of(folder, architecture="llama", **metadata):
    rows = len(metadata.get(f"{KEY}.tokens") or "x")
    tensors = {**drawn(LLAMA_SHAPES), **drawn({"token_embd.weight": (rows, 32)})}
    return open_source(write_gguf(folder / "model.gguf", architecture, tensors=tensors, **metadata))


def tokenizer_of(folder, architecture="llama", **metadata):
    source = source_of(folder, architecture, **metadata)
    files = source.tokenizer_files()
    return PublishedTokenizer(files["tokenizer"], files["tokenizer_config"])


def test_special_tokens_and_the_template(tmp_path):
    files = source_of(tmp_path, **TOKENIZER).tokenizer_files()
    expected = {"eos_token": "<|end|>", "add_bos_token": False, "chat_template": "{{ messages }}"}
    assert files["tokenizer_config"] == expected
    added = [(one["id"], one["content"], one["special"]) for one in files["tokenizer"]["added_tokens"]]
    assert added == [(0, "<|end|>", True), (5, "<think>", False)]
    tokenizer = tokenizer_of(tmp_path, **TOKENIZER)
    assert tokenizer.encode("ab<think>a b") == [4, 5, 1, 3, 2]
    assert tokenizer.encode_marked("ab<|end|>") == [4, 0]
    assert (tokenizer.special.ends, tokenizer.special.always_before) == ((0,), False)


BYTES = {
    f"{KEY}.model": "gpt2",
    # two letters after each other are merged wherever they may be, so that the pieces show how the text was split
    f"{KEY}.tokens": [*stand_ins(), *(a + b for a in "Ġ1ab'" for b in "Ġ1abs'"), "<s>"],
    f"{KEY}.token_type": [1] * (256 + 30) + [3],
    f"{KEY}.merges": [f"{a} {b}" for a in "Ġ1ab'" for b in "Ġ1abs'"],
    f"{KEY}.bos_token_id": 286,
}


@pytest.mark.parametrize(
    ("pre", "text", "pieces"),
    [
        (None, "ab 111 a's", ["ab", "Ġ1", "11", "Ġa", "'s"]),
        ("gpt-2", "11  1", ["11", "Ġ", "Ġ1"]),
        ("smollm", "11  1 ab", ["1", "1", "ĠĠ", "1", "Ġa", "b"]),
        ("llama-bpe", "1111 1 ab", ["11", "1", "1", "Ġ", "1", "Ġa", "b"]),
        ("qwen2", "11 1 ab", ["1", "1", "Ġ", "1", "Ġa", "b"]),
    ],
)
def test_texts_are_split_as_the_file_says(tmp_path, pre, text, pieces):
    metadata = {**BYTES, **({f"{KEY}.pre": pre} if pre else {})}
    tokenizer = tokenizer_of(tmp_path, **metadata)
    tokens = metadata[f"{KEY}.tokens"]
    assert [tokens[id] for id in tokenizer.encode(text)] == pieces
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.special.always_before == (pre == "llama-bpe")


def test_qwen_composes_characters_and_llama_does_not(tmp_path):
    for pre, length in (("qwen2", 2), ("llama-bpe", 3)):
        assert len(tokenizer_of(tmp_path, **{**BYTES, f"{KEY}.pre": pre}).encode("e\u0301")) == length


@pytest.mark.parametrize("told", [True, False])
def test_the_file_says_whether_texts_begin_with_a_token(tmp_path, told):
    special = tokenizer_of(tmp_path, **{**BYTES, f"{KEY}.add_bos_token": told}).special
    assert (special.start, special.always_before) == (286, told)


def test_padding_of_the_vocabulary_is_no_token(tmp_path):
    metadata = {**TOKENIZER, f"{KEY}.tokens": [*TOKENIZER[f"{KEY}.tokens"], "[PAD6]"]}
    metadata[f"{KEY}.token_type"] = [*TOKENIZER[f"{KEY}.token_type"], 5]
    assert "[PAD6]" not in source_of(tmp_path, **metadata).tokenizer_files()["tokenizer"]["model"]["vocab"]


LETTERS = "▁abcd"


def sentence_pieces(seed):
    """A vocabulary of SentencePiece: letters, bytes, and pieces that are each made of two earlier ones."""
    draw = random.Random(seed)
    pieces = list(LETTERS)
    while len(pieces) < 60:
        piece = draw.choice(pieces) + draw.choice(pieces)
        if piece not in pieces and len(piece) < 7 and piece.strip("▁"):
            pieces.append(piece)
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    merged = pieces[len(LETTERS) :]
    scores = [*[0.0] * 3, *[0.0] * 256, *[-1e4] * len(LETTERS), *(-float(rank) for rank in range(len(merged)))]
    return {
        f"{KEY}.model": "llama",
        f"{KEY}.tokens": ["<unk>", "<s>", "</s>", *bytes_, *pieces],
        f"{KEY}.token_type": [2, 3, 3, *[6] * 256, *[1] * len(pieces)],
        f"{KEY}.scores": scores,
        f"{KEY}.bos_token_id": 1,
        f"{KEY}.eos_token_id": 2,
    }


def greedily_merged(text, metadata):
    """SentencePiece's rule: merge the two neighbours that make the piece of the highest score, the first such ones."""
    ids = {piece: id for id, piece in enumerate(metadata[f"{KEY}.tokens"])}
    scores = metadata[f"{KEY}.scores"]
    parts = list("▁" + text.replace(" ", "▁"))
    while True:
        pairs = [(scores[ids[a + b]], -i) for i, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in ids]
        if not pairs:
            break
        place = -max(pairs)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    found = []
    for part in parts:
        found += [ids[part]] if part in ids else [ids[f"<0x{byte:02X}>"] for byte in part.encode()]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_sentence_pieces_merge_by_their_scores(tmp_path, seed):
    metadata, draw = sentence_pieces(seed), random.Random(seed)
    tokenizer = tokenizer_of(tmp_path, **metadata)
    assert (tokenizer.special.start, tokenizer.special.ends, tokenizer.special.always_before) == (1, (2,), True)
    for _ in range(300):
        text = "".join(draw.choice("aabbcd é") for _ in range(draw.randint(1, 12)))
        assert tokenizer.encode(text) == greedily_merged(text, metadata), text
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_file_may_say_that_no_space_stands_before_a_text(tmp_path):
    metadata = sentence_pieces(0)
    with_space = tokenizer_of(tmp_path, **metadata).encode(" abc")
    without = tokenizer_of(tmp_path, **{**metadata, f"{KEY}.add_space_prefix": False})
    tokens = metadata[f"{KEY}.tokens"]
    assert "".join(tokens[id] for id in with_space) == "▁▁abc"
    assert "".join(tokens[id] for id in without.encode(" abc")) == "▁abc"
    assert without.decode(without.encode(" abc")) == " abc"


def test_gemma_merges_in_the_order_of_its_pieces(tmp_path):
    """Whatever the scores say; its runs of spaces are stored as spaces, and found whole."""
    metadata = sentence_pieces(1)
    count = len(metadata[f"{KEY}.tokens"])
    by_place = {**metadata, f"{KEY}.scores": [-float(id) for id in range(count)]}
    metadata[f"{KEY}.tokens"] = [*metadata[f"{KEY}.tokens"], "   "]
    metadata[f"{KEY}.token_type"] = [*metadata[f"{KEY}.token_type"], 4]
    metadata[f"{KEY}.scores"] = [-1000.0] * (count + 1)
    tokenizer = tokenizer_of(tmp_path, "gemma3", **metadata)
    for text in ("abcabcd", "ddacbbabc", "abab abba"):
        assert tokenizer.encode(text) == without_prefix(text, by_place)
    assert tokenizer.encode("▁▁▁") == [count]


def without_prefix(text, metadata):
    """As `greedily_merged`, for a tokenizer that puts no space before a text."""
    marked = {**metadata, f"{KEY}.tokens": ["\0" if token == "<unk>" else token for token in metadata[f"{KEY}.tokens"]]}
    whole = greedily_merged("\0" + text, marked)
    return whole[whole.index(0) + 1 :]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({f"{KEY}.model": "bert"}, "has a tokenizer of the kind 'bert': expected gpt2"),
        ({f"{KEY}.model": None}, "has a tokenizer of the kind None"),
        ({f"{KEY}.pre": "tekken"}, "splits texts as 'tekken': expected one of default, "),
        ({f"{KEY}.tokens": None}, r"holds no tokenizer .*: take the model's folder"),
        ({f"{KEY}.tokens": [1, 2, 3]}, "tokenizer.ggml.tokens is .*, expected list"),
        ({f"{KEY}.tokens": ["a", "b", "a", "ab", "c", "d"]}, "its vocabulary has 'a' twice"),
        ({f"{KEY}.token_type": [1, 1]}, "6 pieces of text, 2 types of them"),
        ({f"{KEY}.merges": ["a b", "abc"]}, "must be pairs of pieces with a space, got 'abc'"),
        ({f"{KEY}.merges": None}, "must be pairs of pieces with a space, got none"),
        ({f"{KEY}.eos_token_id": 6}, "a special token has the id 6, of 6 there are"),
        ({f"{KEY}.model": "llama"}, "6 pieces of text, 0 scores of them"),
    ],
)
def test_damaged_and_foreign_tokenizers(tmp_path, changed, message):
    metadata = {key: value for key, value in {**TOKENIZER, **changed}.items() if value is not None}
    with pytest.raises(InputError, match=message):
        source_of(tmp_path, **metadata).tokenizer_files()
