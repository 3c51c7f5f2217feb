"""Published weights in a precision of fewer digits than their own: what is told, saved and exported."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import lmkeras
from lmkeras.networks.kept import KeptWeights
from tests.models.published_llama import write_llama


@pytest.mark.parametrize(
    ("published", "held"), [("float32", "bfloat16"), ("float32", "float16"), ("float16", "bfloat16")]
)
def test_weights_that_are_held_in_fewer_digits_are_written_as_they_are_held(tmp_path, published, held):
    folder = write_llama(tmp_path / "llama", dtype=published)
    with safe_open(folder / "model.safetensors", "numpy") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    name, value = "model.norm.weight", 1 + 2**-9 if held == "bfloat16" else 1 + 2**-13
    save_file({**tensors, name: np.full_like(tensors[name], value)}, folder / "model.safetensors")
    with pytest.warns(UserWarning, match=f"published in {published}: held in {held}, its weights are rounded"):
        rounded = lmkeras.from_pretrained(folder, dtype=held)
    lmkeras.load(folder).save(tmp_path / "whole")
    with pytest.warns(UserWarning, match=f"published in {published}: held in {held}, its weights are rounded"):
        again = lmkeras.load(tmp_path / "whole", dtype=held)
    kind = {"bfloat16": "BF16", "float16": "F16"}[held]
    for number, model in enumerate((rounded, again)):
        model.save_pretrained(tmp_path / f"published{number}")
        model.save(tmp_path / f"saved{number}")
        for written in (f"published{number}", f"saved{number}"):
            with safe_open(tmp_path / written / "model.safetensors", "numpy") as file:
                assert {file.get_slice(key).get_dtype() for key in file.keys()} == {kind}  # noqa: SIM118
        assert json.loads((tmp_path / f"published{number}" / "config.json").read_text())["torch_dtype"] == held
        assert KeptWeights(model.network, model.network.body.published_dtype).variables_kept[0].dtype.name == held
