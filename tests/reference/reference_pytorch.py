"""What PyTorch's BertModel (or RobertaModel) and BertForSequenceClassification make of every case, see cases.py.

With .reference/pytorch first on PYTHONPATH:

    python tests/reference/reference_pytorch.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, BertForSequenceClassification


def read_inputs(folder):
    return {name: torch.tensor(array) for name, array in np.load(folder / "inputs.npz").items()}


def encode(folder, inputs):
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    if inputs.get("attention_mask", inputs["input_ids"]).ndim == 3:  # what it adds to the scores [B, H, T, T]
        inputs["attention_mask"] = (1.0 - inputs["attention_mask"][:, None]) * torch.finfo(torch.float32).min
    with torch.no_grad():
        outputs = model(**inputs, output_hidden_states=True, output_attentions=True)
    return {
        "hidden_states": torch.stack(outputs.hidden_states),
        "attentions": torch.stack(outputs.attentions),
        "pooled": outputs.pooler_output,
    }


def gradients(folder, inputs):
    model = BertForSequenceClassification.from_pretrained(folder).train()
    loss = model(**inputs).loss
    loss.backward()
    found = {f"gradient {name}": parameter.grad for name, parameter in model.named_parameters()}
    return {"loss": loss.detach(), **found}


def main(folder):
    for path in sorted(folder.glob("*/inputs.npz")):
        case, inputs = path.parent, read_inputs(path.parent)
        outputs = (gradients if "labels" in inputs else encode)(case, inputs)
        np.savez(case / "pytorch.npz", **{name: tensor.numpy() for name, tensor in outputs.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
