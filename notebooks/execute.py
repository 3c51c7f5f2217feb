"""Runs the notebooks from top to bottom and keeps what they print and draw: `make notebooks`.

Without arguments, all notebooks in this folder; or `python notebooks/execute.py notebooks/000_next_word.ipynb`.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from ipykernel.kernelspec import write_kernel_spec
from nbclient import NotebookClient

_FOLDER = Path(__file__).parent
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
#: lines that TensorFlow writes at its start, and while it saves; every machine has others
_OF_TENSORFLOW = re.compile(r"^(WARNING: All log messages before absl|[IWE]\d{4} |INFO:tensorflow).*\n", re.MULTILINE)


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of this run, in a kernel of this very Python; raises if a cell does.

    Args:
        path: the notebook; the file stays as it is.
        folder: where the kernel runs; the user's own Jupyter folders are left alone.
    """
    write_kernel_spec(folder / "kernels" / "python3")  # its command is sys.executable
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"JUPYTER_PATH": str(folder), "IPYTHONDIR": str(folder / "ipython")}
    environment["PYTHONPATH"] = os.pathsep.join([str(_FOLDER.parent), os.environ.get("PYTHONPATH", "")])
    environment.pop("MPLBACKEND", None)  # the kernel then draws into the notebook
    notebook = nbformat.read(path, as_version=4)
    previous = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment, JUPYTER_RUNTIME_DIR=str(folder / "runtime"))
    try:
        NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=300,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        ).execute()
    finally:
        os.environ.clear()
        os.environ.update(previous)
    notebook.metadata["language_info"] = {"name": "python"}  # without the version of this Python
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_tidied, cell.outputs) if output is not None]
    return notebook


def _tidied(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """An output as a screen would show it at the end; None for one that says nothing, such as an object's address."""
    if output.output_type == "stream":
        output.text = _OF_TENSORFLOW.sub("", as_shown(output.text))
        return output if output.text.strip() else None
    text = output.get("data", {}).get("text/plain", "")
    return None if set(output.get("data", {})) == {"text/plain"} and " at 0x" in text else output


def as_shown(text: str) -> str:
    """What is left on a screen: progress bars redraw their line, and colours are not text.

    Example:
        >>> as_shown("1/2 loss 3\\r2/2 loss 1\\nend")
        '2/2 loss 1\\nend'
    """
    lines = []
    for line in _ESCAPES.sub("", text).split("\n"):
        shown, place = "", 0
        for part in re.findall(r"[\r\b]|[^\r\b]+", line):
            if part in "\r\b":
                place = 0 if part == "\r" else max(0, place - 1)
            else:
                shown, place = shown[:place] + part + shown[place + len(part) :], place + len(part)
        lines.append(shown.rstrip())
    return "\n".join(lines)


def main() -> None:
    """Executes the notebooks that the arguments name, or all, and writes them where they were."""
    for path in map(Path, sys.argv[1:] or sorted(map(str, _FOLDER.glob("*.ipynb")))):
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(execute(path, Path(folder)), path)
        print(f"{path} has been run")


if __name__ == "__main__":
    main()
