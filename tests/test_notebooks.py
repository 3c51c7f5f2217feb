"""Every notebook runs from top to bottom, in a kernel of this very Python, and shows a plot."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec
from nbclient import NotebookClient

_REPOSITORY = Path(__file__).parents[1]
_NOTEBOOKS = sorted((_REPOSITORY / "notebooks").glob("*.ipynb"))

every_notebook = pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert _NOTEBOOKS, "a parametrised test without parameters would be skipped"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """The name of a kernel that runs this Python on this checkout and leaves the user's Jupyter folders alone."""
    write_kernel_spec(tmp_path / "kernels" / "this_python")  # its command is sys.executable
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", str(_REPOSITORY), prepend=os.pathsep)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel then draws into the notebook
    return "this_python"


def _execute(notebook, kernel: str, folder: Path):
    return NotebookClient(
        notebook, kernel_name=kernel, timeout=300, resources={"metadata": {"path": str(folder)}}
    ).execute()


@every_notebook
def test_notebook_runs_and_shows_a_plot(path, kernel, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    executed = _execute(notebook, kernel, tmp_path)  # raises where a cell does
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    # a cell tagged raises-exception would get past nbclient
    assert not [output for output in outputs if output.output_type == "error"]
    assert [output for output in outputs if "image/png" in output.get("data", ())], "no plot is shown"


def test_kernel_is_this_python(kernel, tmp_path):
    code = "import sys, lmkeras; print(sys.executable, lmkeras.__file__)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    [output] = _execute(notebook, kernel, tmp_path).cells[0].outputs
    assert output.text.split() == [sys.executable, str(_REPOSITORY / "lmkeras" / "__init__.py")]


@every_notebook
def test_notebook_is_kept_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
