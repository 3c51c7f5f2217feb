"""Training a transformer language model: tokens a second of lmkeras, PyTorch and KerasHub's GPT-2.

6 layers, 384 wide, 6 heads, context 256, vocabulary 10,000, batches of 16, no dropout. All train by AdamW, lmkeras in
its default precision, PyTorch (eager and compiled) and KerasHub in bfloat16, which is faster than float32 where
processors multiply it; --all-settings measures float32 and KerasHub with XLA too, and the fastest counts.

    python benchmarks/transformer_training.py [--rounds 1] [--all-settings]
"""

import argparse

from measuring import Side, fastest, matrix_rate, print_figures, report, run_sides
from training_speed import clock, corpus, pytorch_step, time_steps, windows, zipf_ids

VOCABULARY, WIDTH, HEADS, LAYERS, CONTEXT, BATCH = 10_000, 384, 6, 6, 256, 16
STEPS, WARM_UP = 10, 2
WORDS = 300_000
# forward and backward: six operations a weight, and the products of attention with all of the context
FLOP_PER_TOKEN = 6 * (12 * LAYERS * WIDTH**2 + WIDTH * VOCABULARY) + 12 * LAYERS * CONTEXT * WIDTH


def lmkeras_side():
    from lmkeras import LanguageModel

    text, tokenizer = corpus(VOCABULARY, WORDS)
    sizes = {"d_model": WIDTH, "num_heads": HEADS, "num_layers": LAYERS, "context_length": CONTEXT}
    model, timer = LanguageModel("transformer", tokenizer, **sizes), clock(WARM_UP)
    # by the same optimizer as the peers: the default, Muon, does another quarter of the operations
    settings = {"optimizer": "adamw", "steps": STEPS, "batch_size": BATCH}
    model.fit([text], validation_fraction=0, callbacks=[timer], verbose=0, **settings)
    return timer.steps_per_second


def pytorch_side(compiled, bfloat16):
    import torch
    from pytorch_gpt import Gpt, adamw

    network = Gpt(VOCABULARY, WIDTH, HEADS, LAYERS, CONTEXT)
    forward = torch.compile(network) if compiled else network
    batches = windows(zipf_ids(VOCABULARY, WORDS), BATCH, CONTEXT)
    return time_steps(pytorch_step(forward, adamw(network), batches, bfloat16), STEPS, WARM_UP)


def kerashub_side(policy="float32", jit_compile="auto"):
    import keras
    import keras_hub
    import numpy as np
    import tensorflow as tf

    keras.config.set_dtype_policy(policy)
    sizes = {"num_layers": LAYERS, "num_heads": HEADS, "hidden_dim": WIDTH, "intermediate_dim": 4 * WIDTH}
    backbone = keras_hub.models.GPT2Backbone(VOCABULARY, max_sequence_length=CONTEXT, dropout=0.0, **sizes)
    network = keras_hub.models.GPT2CausalLM(backbone)
    network.compile(
        optimizer=keras.optimizers.AdamW(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    stream = windows(zipf_ids(VOCABULARY, WORDS), BATCH, CONTEXT)
    inputs, targets = zip(*[next(stream) for _ in range(STEPS)], strict=True)
    features = {"token_ids": np.array(inputs), "padding_mask": np.ones((STEPS, BATCH, CONTEXT), "int32")}
    batches = tf.data.Dataset.from_tensor_slices((features, np.array(targets))).prefetch(tf.data.AUTOTUNE)
    network.fit(batches, callbacks=[timer := clock(WARM_UP)], verbose=0)
    return timer.steps_per_second


COMPILED = ("pytorch", "compiler")
SIDES = {
    "lmkeras": (lmkeras_side, None),
    "pytorch eager float32": (lambda: pytorch_side(False, False), "pytorch"),
    "pytorch eager bfloat16": (lambda: pytorch_side(False, True), "pytorch"),
    "pytorch compiled float32": (lambda: pytorch_side(True, False), COMPILED),
    "pytorch compiled bfloat16": (lambda: pytorch_side(True, True), COMPILED),
    "kerashub": (kerashub_side, "kerashub"),
    "kerashub xla": (lambda: kerashub_side(jit_compile=True), "kerashub"),
    "kerashub bfloat16": (lambda: kerashub_side("mixed_bfloat16"), "kerashub"),
}
SLOWER = ("pytorch eager float32", "pytorch compiled float32", "kerashub", "kerashub xla")
GOALS = {"pytorch eager": "3x", "pytorch compiled": "1.5x", "kerashub": "2x"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--all-settings", action="store_true", help="measure the peers' slower settings too")
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        return print_figures(tokens_per_second=BATCH * CONTEXT * SIDES[options.side][0]())
    names = [name for name in SIDES if options.all_settings or name not in SLOWER]
    found = run_sides(__file__, [Side(name, SIDES[name][1]) for name in names], options.rounds)
    row = {
        "what": "training a transformer language model, 6 x 384, context 256, vocabulary 10,000",
        "ours": found["lmkeras"]["tokens_per_second"],
        "unit": "tokens/s",
        "floor": matrix_rate("bfloat16") / FLOP_PER_TOKEN,
    }
    rows = []
    for prefix, goal in GOALS.items():
        peer, theirs = fastest(found, "tokens_per_second", prefix)
        rows.append(row | {"peer": peer, "theirs": theirs, "goal": goal})
    float32 = {"floor": matrix_rate("float32") / FLOP_PER_TOKEN, "goal": "60 % of the floor"}
    rows.append(row | float32 | {"note": "beside float32's matrix rate"})
    return report("transformer_training", rows)


if __name__ == "__main__":
    main()
