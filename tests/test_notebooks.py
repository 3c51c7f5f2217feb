"""Every notebook runs from top to bottom, in a kernel of this very Python, and is kept with its outputs."""

import importlib.util
import re
import sys
from pathlib import Path

import nbformat
import pytest

_REPOSITORY = Path(__file__).parents[1]
_NOTEBOOKS = sorted((_REPOSITORY / "notebooks").glob("*.ipynb"))
#: what a notebook needs beside lmkeras: it is in place, or the notebook is not run
_NEEDED = {"002_dialogue": (Path(sys.prefix) / "smollm2" / "ready", "`make chat` installs its model")}
_DOCUMENTS = ("000", "001", "002", "003", "004")

every_notebook = pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)


def _program():
    spec = importlib.util.spec_from_file_location("execute", _REPOSITORY / "notebooks" / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute = _program()


def _cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def _outputs(path):
    return [output for cell in _cells(path, "code") for output in cell.outputs]


def test_every_document_has_a_notebook():
    assert {path.name[:3] for path in _NOTEBOOKS} == set(_DOCUMENTS)


@every_notebook
def test_notebook_runs_and_shows_a_plot(path, tmp_path):
    needed, where = _NEEDED.get(path.stem, (path, ""))
    if not needed.exists():
        pytest.skip(where)
    executed = execute.execute(path, tmp_path)  # raises where a cell does
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    # a cell tagged raises-exception would get past nbclient
    assert not [output for output in outputs if output.output_type == "error"]
    assert [output for output in outputs if "image/png" in output.get("data", ())], "no plot is shown"


def test_kernel_is_this_python(tmp_path):
    code = "import sys, lmkeras; print(sys.executable, lmkeras.__file__)"
    path = tmp_path / "which.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), path)
    [output] = execute.execute(path, tmp_path).cells[0].outputs
    assert output.text.split() == [sys.executable, str(_REPOSITORY / "lmkeras" / "__init__.py")]


@every_notebook
def test_notebook_is_kept_with_its_outputs(path):
    counts = [cell.execution_count for cell in _cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks`"
    outputs = _outputs(path)
    assert [output for output in outputs if "image/png" in output.get("data", ())], "no plot is kept"
    assert [output for output in outputs if output.output_type == "stream"], "nothing printed is kept"
    assert not [output for output in outputs if output.output_type == "error"]


@every_notebook
def test_no_log_lines_are_kept(path):
    streams = [output for output in _outputs(path) if output.output_type == "stream"]
    assert not [output.text for output in streams if output.name == "stderr"]
    shown = "\n".join(output.text for output in streams)
    assert not re.search(r"absl|oneDNN|cuda|INFO:|/tmp/|\x1b|\r", shown)


@every_notebook
def test_every_text_is_in_both_languages(path):
    for cell in _cells(path, "markdown"):
        text = re.sub(r"```.*?```|\$.*?\$", "", cell.source, flags=re.DOTALL)
        assert re.search(r"[\u4e00-\u9fff]", text), cell.source
        assert re.search(r"[A-Za-z]{3}", text), cell.source


def test_a_progress_bar_is_kept_as_the_screen_shows_it_at_the_end():
    drawn = "Epoch 1/2\n\x1b[1m1/9\x1b[0m loss: 3.25\b\b\b\b\r\x1b[1m9/9\x1b[0m loss: 0.5 \nend"
    assert execute.as_shown(drawn) == "Epoch 1/2\n9/9 loss: 0.5\nend"
