"""Published decoders equal transformers' PyTorch: logits, greedy continuations, and checkpoints that lmkeras writes.

`make parity` installs PyTorch and runs this; where it is missing, this is skipped.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.decoding.generate import GenerationLoop
from lmkeras.decoding.sampling import Sampling
from lmkeras.networks.bodies.decoder import read_decoder, write_decoder
from lmkeras.pretrained.source import open_source
from lmkeras.tokenizers.special import SpecialIds
from tests.reference.decoder_cases import CASES, NEW, PROMPTS

pytestmark = pytest.mark.reference

ROOT = Path(__file__).parents[2]


def run(action, folder):
    if not (ROOT / ".reference" / "pytorch" / "ready").exists():
        pytest.skip("there is no .reference/pytorch: `make parity` installs it")
    command = [sys.executable, str(ROOT / "tests" / "reference" / "reference_decoders.py"), action, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".reference" / "pytorch")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All cases, and what lmkeras writes of each."""
    folder = tmp_path_factory.mktemp("decoders")
    run("write", folder)
    for name in CASES:
        write_decoder(read_decoder(open_source(folder / name)), folder / f"{name}_by_lmkeras")
    run("read", folder)
    return folder


@pytest.fixture(scope="module", params=CASES)
def case(request, folder):
    """A case's name, its network, and what PyTorch gives: arrays by name."""
    return (
        request.param,
        read_decoder(open_source(folder / request.param)),
        np.load(folder / request.param / "pytorch.npz"),
    )


def require_equal(found, expected):
    """Equal to 1e-4 of their range."""
    assert np.abs(found - expected).max() <= 1e-4 * np.ptp(expected)


def test_logits(case):
    _, network, expected = case
    require_equal(network(tf.constant(expected["ids"], tf.int32)).numpy(), expected["logits"])


def test_logits_of_what_lmkeras_wrote(case, folder):
    name, _, expected = case
    require_equal(np.load(folder / f"{name}_by_lmkeras" / "pytorch.npz")["logits"], expected["logits"])


def test_greedy_continuations_of_prompts_that_are_read_together(case):
    _, network, expected = case
    loop = GenerationLoop(network, SpecialIds(padding=0))
    prompts = np.zeros((len(PROMPTS), max(PROMPTS)), "int32")
    for row, length in enumerate(PROMPTS):
        prompts[row, :length] = expected["ids"][0, :length]
    state = loop.start(tf.constant(prompts), tf.constant(PROMPTS), tf.constant(1), tf.constant(NEW))
    ids = loop.advance(state, Sampling(temperature=0).tensors(), tf.constant(NEW))["ids"].numpy()
    for row, length in enumerate(PROMPTS):
        assert ids[row, : length + NEW].tolist() == expected[f"continued {length}"].tolist()
