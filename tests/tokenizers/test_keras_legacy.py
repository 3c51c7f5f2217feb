import pytest

from lmkeras.errors import InputError
from lmkeras.tokenizers.keras_words import Tokenizer


@pytest.mark.parametrize("wrong", [None, float("nan"), 3])
@pytest.mark.parametrize("verb", ["fit_on_texts", "texts_to_sequences", "fit"])
def test_what_is_no_text_is_named_by_its_number(verb, wrong):
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["a"])
    with pytest.raises(InputError, match=f"text 3: expected a string, got {wrong}"):
        getattr(tokenizer, verb)(["a", "b c", wrong, "d"])
