"""docs/extending.md says what the contracts ask for: its tables are those of the code, and its programs run."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lmkeras.networks.contract import Body, EncoderDecoder, Head, Writer
from lmkeras.tasks.base import Task
from lmkeras.tasks.whole_texts import TextLengths, WholeTextTask

DOCS = Path(__file__).parents[1] / "docs"
#: the word for "required" in each language
PAGES = {"extending.md": "required", "extending.zh.md": "必须"}
CONTRACTS = [Body, Writer, EncoderDecoder, Head, WholeTextTask, Task]


def programs(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def tables(page):
    """The rows of each table, as (what, required or default): the tables stand in the order of CONTRACTS."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^\|---\|---\|---\|\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    assert len(found) == len(CONTRACTS)
    return [[[cell.strip() for cell in row.split(" | ")][:2] for row in rows.splitlines()] for rows in found]


def described(page):
    """For every name in the tables: the contract, the name, its arguments or "", and what is said of its default."""
    for contract, rows in zip(CONTRACTS, tables(page), strict=True):
        for what, default in rows:
            for name, arguments in re.findall(r"`(\w+)(\(.*?\))?`", what):
                yield contract, name, arguments, default


def members(contract):
    """The public names that a class itself defines or annotates."""
    return {name for name in {**vars(contract), **inspect.get_annotations(contract)} if not name.startswith("_")}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
def test_the_tables_name_all_that_a_contract_has_and_nothing_else(page, contract):
    named = [name for of, name, *_ in described(page) if of is contract]
    wanted = members(contract) | getattr(contract, "__abstractmethods__", set())
    if contract is WholeTextTask:
        wanted |= members(TextLengths)
    of_keras = {"build", "get_config"} if contract is Body else set()  # a body is a layer, but Body is none
    known = {name for base in contract.__mro__ for name in members(base)} | of_keras
    assert len(named) == len(set(named))
    assert wanted <= set(named) <= known


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_name_arguments_as_the_code_does(page):
    for contract, name, arguments, _ in described(page):
        method = getattr(contract, name, None)
        if arguments and getattr(method, "__module__", "").startswith("lmkeras"):
            taken = inspect.signature(method).parameters.values()
            taken = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in taken]
            assert arguments == f"({', '.join(str(one) for one in taken if one.name != 'self')})", f"{contract}.{name}"


@pytest.mark.parametrize(("page", "required"), PAGES.items())
def test_the_tables_say_what_is_required_and_the_defaults_of_the_rest(page, required):
    for contract, name, _, said in described(page):
        value, missing = inspect.getattr_static(contract, name, None), not hasattr(contract, name)
        if inspect.isfunction(value):
            abstract = getattr(value, "__isabstractmethod__", False)
            if value.__module__.startswith("lmkeras"):  # Keras' methods have defaults that do for simple layers
                missing = abstract or "raise NotImplementedError" in inspect.getsource(value)
                assert said.startswith(required) == missing, f"{contract}.{name}"
        elif missing:
            assert said.startswith(required), f"{contract}.{name}"
        elif inspect.isclass(value):
            assert said == f"`{value.__name__}`", f"{contract}.{name}"
        elif not isinstance(value, property | classmethod):
            assert ast.literal_eval(said.strip("`")) == value, f"{contract}.{name}"


def test_the_chinese_page_has_the_same_programs_and_tables():
    english, chinese = PAGES
    assert programs(chinese) == programs(english)
    assert [what for *what, _ in described(chinese)] == [what for *what, _ in described(english)]


def run(program, folder):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_the_programs_run_and_what_they_save_is_loaded_in_another_process(tmp_path):
    module, program = programs("extending.md")
    assert module.startswith("# mine.py\n")
    (tmp_path / "mine.py").write_text(module, encoding="utf-8")
    *_, generated, prediction = run(program, tmp_path)
    assert prediction.startswith("Prediction(label='pos'")
    load = 'import mine, lmkeras\nprint(lmkeras.load("saved").generate("the ", max_new_tokens=20, temperature=0))'
    assert run(load, tmp_path) == [generated]
