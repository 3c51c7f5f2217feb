"""Published language models: what is counted, what may come next, and what is no model."""

import json

import numpy as np
import pytest

import lmkeras
from lmkeras import InputError, LanguageModel
from tests.models.published_llama import END, START, TEXT_END, write_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return LanguageModel.from_pretrained(write_llama(tmp_path_factory.mktemp("published") / "llama"))


def test_unknown_tokens_are_counted_among_those_that_are_judged(tmp_path):
    folder, text = write_llama(tmp_path / "llama"), "sat on the mat"
    content = json.loads((folder / "tokenizer.json").read_text())
    ids = lmkeras.load(folder).tokenizer.encode(text)
    content["model"]["unk_token"] = next(token for token, id in content["model"]["vocab"].items() if id == ids[0])
    (folder / "tokenizer.json").write_text(json.dumps(content))
    model = lmkeras.load(folder)
    assert model.tokenizer.special.unknown == ids[0]
    assert model.evaluate([text])["unknown_tokens"] == ids[1:].count(ids[0])


def test_special_tokens_that_may_come_next_have_names(model):
    tokens = [token for token, _ in model.predict("the cat", top_k=10**6)]
    assert tokens.count(START) == 1
    assert not {END, TEXT_END} & {*tokens}


def test_counts_may_be_integers_of_numpy(model):
    expected = model.generate("the cat", max_new_tokens=3, num_samples=2)
    assert model.generate("the cat", max_new_tokens=np.int64(3), num_samples=np.int64(2)) == expected
    beams = {"num_beams": np.int64(2), "num_samples": np.int64(2)}
    assert len(model.generate("the cat", max_new_tokens=np.int64(3), **beams)) == 2


def test_a_file_that_does_not_exist_is_no_name_on_the_hub():
    with pytest.raises(InputError, match=r"no file models/x\.gguf"):
        lmkeras.load("models/x.gguf")
