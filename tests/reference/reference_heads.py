"""PyTorch's BERT, DistilBERT and RoBERTa with each of their heads: checkpoints, inputs, outputs, losses and gradients.

With .reference/pytorch first on PYTHONPATH:

    python tests/reference/reference_heads.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers

SIZES = {"vocab_size": 50, "max_position_embeddings": 20}
BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
DISTILBERT = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
ROBERTA = {**BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}
OF_FAMILY = {"Bert": BERT, "DistilBert": DISTILBERT, "Roberta": ROBERTA}
NO_DROPOUT = {
    "Bert": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "Roberta": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "DistilBert": ("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"),
}
ROWS, TOKENS, LABELS, UPDATES = 4, 7, 3, 20


def inputs_for(family, rng):
    """Ids of four texts; two of them have padding, but not its id, whose vector has no gradient in PyTorch."""
    mask = (np.arange(TOKENS) < np.array([7, 5, 3, 7])[:, None]).astype("int64")
    inputs = {"input_ids": rng.integers(5, 50, (ROWS, TOKENS)), "attention_mask": mask}
    types = {"token_type_ids": (np.arange(TOKENS) > 3).astype("int64")[None].repeat(ROWS, 0)}
    return {**inputs, **(types if family == "Bert" else {})}


def labels_for(name, rng):
    """Labels of every kind; among them -100, and a position after the last token."""
    some = rng.random((ROWS, TOKENS)) < 0.5
    words = np.where(some, rng.integers(1, 50, some.shape), -100)
    return {
        "ForSequenceClassification": {"labels": np.array([0, 2, 1, 1])},
        "multi_label": {"labels": rng.integers(0, 2, (ROWS, LABELS)).astype("float32")},
        "regression": {"labels": rng.normal(size=ROWS).astype("float32")},
        "ForTokenClassification": {"labels": np.where(some, rng.integers(0, LABELS, some.shape), -100)},
        "ForQuestionAnswering": {"start_positions": np.array([0, 2, 9, 1]), "end_positions": np.array([3, 2, 9, 4])},
        "ForMaskedLM": {"labels": words},
        "ForPreTraining": {"labels": words, "next_sentence_label": np.array([0, 1, 1, 0])},
    }[name]


def new_model(family, name):
    """A model whose weights are large enough that no layer is nearly linear."""
    num_labels = {"ForQuestionAnswering": 2, "regression": 1}.get(name, LABELS)
    sizes = {**SIZES, **OF_FAMILY[family], **dict.fromkeys(NO_DROPOUT[family], 0.0)}
    config = getattr(transformers, f"{family}Config")(**sizes, num_labels=num_labels)
    architecture = name if name.startswith("For") else "ForSequenceClassification"
    model = getattr(transformers, family + architecture)(config).train()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def tensors(arrays):
    return {name: torch.tensor(array) for name, array in arrays.items()}


def write_case(folder, family, name, rng):
    model, inputs, labels = new_model(family, name), inputs_for(family, rng), labels_for(name, rng)
    folder.mkdir()
    model.save_pretrained(folder)
    outputs = model(**tensors({**inputs, **labels}))
    outputs.loss.backward()
    found = {f"output {name}": value for name, value in outputs.items()}
    found |= {f"gradient {name}": one.grad for name, one in model.named_parameters() if one.grad is not None}
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "labels.npz", **labels)
    np.savez(folder / "pytorch.npz", **{name: value.detach().numpy() for name, value in found.items()})


def write_spans(folder, rng):
    """Questions with texts of one length: where there is padding, PyTorch's loss counts it."""
    model, inputs = new_model("Bert", "ForQuestionAnswering"), inputs_for("Bert", rng)
    del inputs["attention_mask"]
    labels = {"start_positions": rng.integers(0, TOKENS, ROWS), "end_positions": rng.integers(0, TOKENS, ROWS)}
    folder.mkdir()
    model.save_pretrained(folder)
    outputs = model(**tensors({**inputs, **labels}))
    outputs.loss.backward()
    found = {name: outputs[name] for name in ("loss", "start_logits", "end_logits")}
    found |= {"kernel": model.qa_outputs.weight.grad.T, "bias": model.qa_outputs.bias.grad}
    found = {name: tensor.detach().numpy() for name, tensor in found.items()}
    np.savez(folder / "spans.npz", **inputs, **labels, **found)


def write_updates(folder, rng):
    """The first updates of masked words from scratch: the same batches, Adam without weight decay."""
    model = new_model("Bert", "ForMaskedLM")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    folder.mkdir()
    model.save_pretrained(folder)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    losses, batches = [], {}
    for update in range(UPDATES):
        batch = {**inputs_for("Bert", rng), **labels_for("ForMaskedLM", rng)}
        batches |= {f"{name} {update}": array for name, array in batch.items()}
        loss = model(**tensors(batch)).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.savez(folder / "updates.npz", losses=np.array(losses), **batches)


def main(folder):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    bert = ("ForPreTraining", "multi_label", "regression")
    both = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM")
    for family, names in (("Bert", (*both, *bert)), ("DistilBert", both)):
        for name in names:
            write_case(folder / f"{family}{name}", family, name, rng)
    write_updates(folder / "updates", rng)
    write_spans(folder / "spans", rng)
    for name in (*both, *bert[1:]):
        write_case(folder / f"Roberta{name}", "Roberta", name, rng)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
