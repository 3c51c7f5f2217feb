"""1,000 texts of generate and 1,000 of predict: memory stays, and nothing is compiled anew."""

import json
import os
import subprocess
import sys

import pytest

ROUNDS = 500  # of two language models and two classifiers


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What there was after the warm-up and after each tenth of the calls."""
    folder = tmp_path_factory.mktemp("compiled")
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={folder} --xla_dump_hlo_as_text"
    command = [sys.executable, "-m", "tests.soaking", str(ROUNDS), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "XLA_FLAGS": flags})
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_memory_stays_within_5_percent(found):
    held = [then["bytes"] for then in found]
    assert max(held) < 1.05 * held[0]
    assert held[-1] < 1.02 * held[len(held) // 2], "it grows on and on"


def test_nothing_is_traced_after_the_warm_up(found):
    assert found[0]["python_calls"] > 0
    assert {then["python_calls"] for then in found} == {found[0]["python_calls"]}


def test_nothing_is_compiled_after_the_warm_up(found):
    assert found[0]["compiled"] > 0
    assert {then["compiled"] for then in found} == {found[0]["compiled"]}
