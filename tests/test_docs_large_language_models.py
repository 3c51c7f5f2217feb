"""docs/large_language_models.md: it names the families that are read, and its program talks with an exported model."""

import re
from pathlib import Path

import pytest

from lmkeras import LanguageModel
from lmkeras.cli import verbs
from lmkeras.pretrained.decoder_tables import FAMILIES
from tests.models.published_llama import write_llama

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ["large_language_models.md", "large_language_models.zh.md"]


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_names_is_there(page):
    text = text_of(page)
    table = text[text.index("`model_type`") :].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) - {"model_type"} == set(FAMILIES)
    assert {line.split()[1] for line in text.splitlines() if line.startswith("lmkeras ")} <= set(verbs())
    named = set(re.findall(r"(?<!_)model\.(\w+)\(", text))
    assert named
    assert all(hasattr(LanguageModel, name) for name in named)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (DOCS / target).exists()


def test_its_program_gets_the_answers_of_python(tmp_path):
    model = LanguageModel.from_pretrained(write_llama(tmp_path / "llama"))
    model.export(tmp_path / "exported")
    messages = [{"role": "user", "content": "the cat"}]
    for page in PAGES:
        (program,) = re.findall(r"^```python\n(.*?)^```", text_of(page), flags=re.DOTALL | re.MULTILINE)
        names = {}
        exec(program, names)  # a program of our own documentation
        found = names["answer"](str(tmp_path / "exported"), messages, max_new_tokens=9)
        assert found == model.chat(messages, 9)
