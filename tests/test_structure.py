"""The house rules that a machine can check: one direction of imports, sizes of files and functions, docstrings."""

import ast
import doctest
import importlib
import inspect
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lmkeras
from lmkeras.tasks import tasks
from tests.conftest import missing_slow_tests
from tests.street import STREET

PACKAGE = Path(lmkeras.__file__).parent


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if name_of(path)}


def imported_modules(tree: ast.Module) -> set[str]:
    """lmkeras modules that a module imports anywhere, when it runs or for type checkers alone."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lmkeras"):
            module = node.module.removeprefix("lmkeras").lstrip(".")
            for alias in node.names:
                inner = f"{module}.{alias.name}".lstrip(".")
                found.add(inner if inner in MODULES else module)
        elif isinstance(node, ast.Import):
            found.update(
                alias.name.removeprefix("lmkeras.") for alias in node.names if alias.name.startswith("lmkeras.")
            )
    return found


def test_the_street_lists_every_module():
    assert sorted(STREET) == sorted(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    upward = [other for other in imported_modules(tree) if STREET.index(other) >= STREET.index(name)]
    assert not upward, f"{name} imports {upward}, which stand below it"


def test_a_module_that_imports_upward_would_be_found():
    tree = ast.parse("def f():\n    from lmkeras.models import language_model\n    import lmkeras.cli")
    assert imported_modules(tree) == {"models.language_model", "cli"}


def test_an_upward_import_for_type_checkers_alone_would_be_found():
    tree = ast.parse("if TYPE_CHECKING:\n    from lmkeras.tokenizers.byte_pair import BytePairTokenizer")
    assert imported_modules(tree) == {"tokenizers.byte_pair"}
    assert STREET.index("tokenizers.byte_pair") > STREET.index("tokenizers.in_graph.byte_pair")


# Where families may be told apart; everything else works over their contracts.
FAMILIES_AT_HOME = ("tasks", "networks", "pretrained")


def classes_of_families() -> set[str]:
    """The names of all bodies, heads, tasks and the models that users hold."""
    homes = [name for name in MODULES if name.startswith(("networks.bodies.", "networks.heads.", "tasks."))]
    homes = [name for name in homes if name not in ("tasks.base", "tasks.registry")]
    homes += ["models.language_model", "models.text_classifier", "models.masked_language_model"]
    trees = (ast.parse(MODULES[name].read_text(encoding="utf-8")) for name in homes)
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}


def families_told_apart(tree: ast.Module) -> list[str]:
    """What a module asks `isinstance` or `issubclass` of a family's class, and where it spells the kind of a model."""
    found, classes, kinds = [], classes_of_families(), set(tasks())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            named = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
            found += sorted(named & classes)
        if isinstance(node, ast.Constant) and node.value in list(kinds):
            found.append(node.value)
    return sorted(found)


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] not in FAMILIES_AT_HOME])
def test_no_list_of_kinds_and_no_isinstance_on_a_family(name):
    found = families_told_apart(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    assert found == (sorted(tasks()) if name == "models.loading" else []), "only the table of loading has kinds"


def test_a_module_that_tells_families_apart_would_be_found():
    tree = ast.parse("KINDS = ('language_model',)\nif isinstance(body, (RecurrentWriter, Body)): pass")
    assert families_told_apart(tree) == ["RecurrentWriter", "language_model"]


#: called with tensors that have no names (tf.custom_gradient), with what is formatted, or with an iterator's bounds
UNNAMED = {"add_norm", "recur", "_compiled_cell_gradient", "warning", "partial"}


def test_no_function_takes_twelve_positionals_and_calls_name_more_than_three():
    """Signatures of what users hold may be long; each of their arguments has a name there."""
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                without_default = len(node.args.args) - len(node.args.defaults)
                assert without_default < 12, f"{name}.{node.name} takes {without_default} arguments by their place"
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", None))
                most = 5 if called in UNNAMED else 3
                assert len(node.args) <= most, f"{name} line {node.lineno}: name the arguments"


ROOT = PACKAGE.parent
BESIDE = sorted(path for folder in ("tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", [*MODULES.values(), *BESIDE], ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300, "a file has at most 300 lines"
    for node in ast.walk(ast.parse(text)):
        limit = {ast.FunctionDef: 60, ast.ClassDef: 150}.get(type(node))
        if limit:
            size = node.end_lineno - node.lineno + 1
            if isinstance(node, ast.ClassDef):  # a contract may be as long as it needs to be
                size -= sum(map(docstring_lines, ast.walk(node)))
            assert size <= limit, f"{node.name} has {size} lines, at most {limit} are allowed"


def docstring_lines(node: ast.AST) -> int:
    documented = isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)
    return node.body[0].end_lineno - node.body[0].lineno + 1 if documented else 0


@pytest.mark.parametrize("name", [name for name in lmkeras.__all__ if name != "__version__"])
def test_public_objects_are_documented(name):
    value = getattr(lmkeras, name)
    assert inspect.getdoc(value), f"{name} has no docstring"
    if inspect.isclass(value):
        for member, function in inspect.getmembers(value, inspect.isfunction):
            if not member.startswith("_") and function.__module__.startswith("lmkeras"):
                assert inspect.getdoc(function), f"{name}.{member} has no docstring"
    elif value.__module__.startswith("lmkeras"):
        for parameter in inspect.signature(value).parameters:
            assert f"{parameter}:" in inspect.getdoc(value), f"{name} says nothing of its argument {parameter}"


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__main__"])
def test_doctests(name):
    module = importlib.import_module(f"lmkeras.{name}")
    globals_ = {**vars(module), "math": math, "np": np, "lmkeras": lmkeras}
    assert doctest.testmod(module, extraglobs=globals_).failed == 0


def test_there_are_doctests():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(f"lmkeras.{name}") for name in MODULES if name != "__main__"]
    assert sum(len(test.examples) for module in modules for test in finder.find(module)) > 20


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_brings_no_tensorflow():
    code = "import sys, lmkeras; print(sorted({'tensorflow', 'keras', 'numpy', 'argparse'} & set(sys.modules)))"
    assert run_python(code) == "[]"


def test_tensorflow_starts_without_its_notes():
    code = "import lmkeras; lmkeras.TextClassifier"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


def test_tensorflow_starts_without_standard_error():
    code = "import os, sys; os.close(2); sys.stderr = None; import lmkeras; lmkeras.TextClassifier; print('here')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "here\n"


def test_help_and_settings_bring_no_tensorflow():
    code = "import sys, lmkeras.cli; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    assert run_python(code) == "[]"


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'LanguageModle'"):
        _ = lmkeras.LanguageModle


def test_dir_offers_what_all_names():
    assert set(dir(lmkeras)) == set(lmkeras.__all__)
    assert {"Tokenizer", "pad_sequences", "LanguageModel", "load", "perplexity"} <= set(lmkeras.__all__)


def test_what_is_listed_as_slow_is_there():
    assert missing_slow_tests() == []


@pytest.mark.parametrize("path", [*MODULES.values(), *BESIDE], ids=lambda path: str(path.relative_to(ROOT)))
def test_bytes_become_numbers_in_an_order_that_is_said(path):
    """Python 3.10 has no default for it, which `make lint` does not see."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) in ("from_bytes", "to_bytes"):
            assert len(node.args) + len(node.keywords) >= 2, f"line {node.lineno}: give the byte order"
