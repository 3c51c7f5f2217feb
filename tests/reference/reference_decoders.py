"""What transformers' PyTorch makes of small random decoders of every family, with every rotary scaling.

With .reference/pytorch first on PYTHONPATH:

    python tests/reference/reference_decoders.py write FOLDER
    python tests/reference/reference_decoders.py read FOLDER

"write" writes a checkpoint for each case into FOLDER/NAME, with ids, logits and greedy continuations in pytorch.npz.
"read" reads the checkpoints that lmkeras wrote, FOLDER/NAME_by_lmkeras, and writes the logits that they give.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from decoder_cases import CASES, LENGTH, NEW, PROMPTS, VOCABULARY
from transformers import AutoConfig, AutoModelForCausalLM


def logits_of(model, ids):
    """float32 logits [1, T, V] of one text."""
    with torch.no_grad():
        return model(torch.tensor(ids)).logits.float().numpy()


def write(folder):
    """Writes every case."""
    rng = np.random.default_rng(0)
    for name, (kind, entries) in CASES.items():
        case = folder / name
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **entries)).eval()
        for parameter in model.parameters():  # norms and biases too
            parameter.data += 0.1 * torch.randn_like(parameter)
        model.save_pretrained(case)
        # the form of the config is that of the case, not the one in which this version of transformers writes it
        config = {"model_type": kind, **entries}
        (case / "config.json").write_text(json.dumps(config), encoding="utf-8")
        model = AutoModelForCausalLM.from_pretrained(case, dtype=torch.float32).eval()
        ids = rng.integers(0, VOCABULARY, (1, LENGTH))
        found = {"ids": ids, "logits": logits_of(model, ids)}
        for length in PROMPTS:
            prompt = torch.tensor(ids[:, :length])
            new = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=NEW, pad_token_id=0
            )
            found[f"continued {length}"] = new[0].numpy()
        np.savez(case / "pytorch.npz", **found)


def read(folder):
    """Reads what lmkeras wrote."""
    for case in sorted(folder.glob("*_by_lmkeras")):
        model = AutoModelForCausalLM.from_pretrained(case, dtype=torch.float32).eval()
        ids = np.load(case.with_name(case.name.removesuffix("_by_lmkeras")) / "pytorch.npz")["ids"]
        np.savez(case / "pytorch.npz", logits=logits_of(model, ids))


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
