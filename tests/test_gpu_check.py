"""The check for GPUs, tried on CPUs: what it would say, and that it needs few packages."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu_check.py"

# packages that somebody who only wants to check a GPU need not install
WITHOUT = "transformers huggingface_hub tensorflow_datasets matplotlib sklearn importlib_resources tensorboard"
PROGRAM = f"""
import importlib.util, sys
sys.modules.update(dict.fromkeys({WITHOUT.split()!r}))
spec = importlib.util.spec_from_file_location("gpu_check", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.UPDATES = 3
{{}}
"""


def run(program, **environment):
    command = [sys.executable, "-c", PROGRAM.replace("{}", program), str(SCRIPT)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_without_a_gpu_it_says_so_and_ends_well():
    found = run("sys.exit(module.main())", CUDA_VISIBLE_DEVICES="")
    assert found.returncode == 0, found.stderr[-2000:]
    assert "finds no GPU on this machine: there is nothing to check" in found.stdout


def test_two_devices_that_agree_pass_and_the_table_names_what_was_chosen():
    found = run("sys.exit(module.check(tested='auto', scale=16, timed=4))", CUDA_VISIBLE_DEVICES="")
    assert found.returncode == 0, found.stdout + found.stderr[-2000:]
    assert found.stdout.count("well: ") == 7
    table = [line.split()[:2] for line in found.stdout.splitlines()[-6:]]
    assert table == [[name, device] for name in ("transformer", "lstm", "classifier") for device in ("cpu", "auto")]


def test_a_device_that_computes_otherwise_fails():
    spoil = "losses = module.losses; module.losses = lambda n, d, s: ([x * (1 + (d == 'auto') / 9) for x in "
    spoil += "losses(n, 'cpu', s)[0]], None); module.MODELS = {'classifier': module.MODELS['classifier']}; "
    found = run(spoil + "sys.exit(module.check(tested='auto', scale=16, timed=4))", CUDA_VISIBLE_DEVICES="")
    assert found.returncode == 1, found.stderr[-2000:]
    assert "FAILED: classifier: losses of 3 updates differ by at most 1.1e-01" in found.stdout
