"""Training an LSTM language model: tokens a second of lmkeras, plain Keras and PyTorch.

Vocabulary 10,000, embedding 256, 512 units, batches of 64 x 32 tokens; Keras as in document 003 (softmax, Adam, sparse
targets), PyTorch's nn.LSTM in float32 and with bfloat16 autocast, lmkeras as LanguageModel trains by default.

    python benchmarks/lstm_training.py [--rounds 1]
"""

import argparse

from measuring import Side, fastest, matrix_rate, print_figures, report, run_sides
from training_speed import clock, corpus, plain_keras_lstm, pytorch_step, time_steps, windows, zipf_ids

VOCABULARY, EMBEDDING, UNITS, BATCH, LENGTH = 10_000, 256, 512, 64, 32
STEPS, WARM_UP = 30, 6
WORDS = 300_000
# a product of forward pass, and two of the backward one, two operations a weight each
FLOP_PER_TOKEN = 6 * (4 * UNITS * (EMBEDDING + UNITS) + UNITS * VOCABULARY)


def lmkeras_side():
    from lmkeras import LanguageModel

    text, tokenizer = corpus(VOCABULARY, WORDS)
    model, timer = LanguageModel("lstm", tokenizer, embedding_dim=EMBEDDING, units=UNITS), clock(WARM_UP)
    shape = {"batch_size": BATCH, "window_length": LENGTH}
    model.fit([text], validation_fraction=0, steps=STEPS, callbacks=[timer], verbose=0, **shape)
    return timer.steps_per_second


def keras_side():
    import tensorflow as tf

    network = plain_keras_lstm(VOCABULARY, EMBEDDING, UNITS)
    network.compile("adam", "sparse_categorical_crossentropy")
    stream = windows(zipf_ids(VOCABULARY, WORDS), BATCH, LENGTH)
    inputs, targets = zip(*[next(stream) for _ in range(STEPS)], strict=True)
    batches = tf.data.Dataset.from_tensor_slices((list(inputs), list(targets))).prefetch(tf.data.AUTOTUNE)
    network.fit(batches, callbacks=[timer := clock(WARM_UP)], verbose=0)
    return timer.steps_per_second


def pytorch_side(bfloat16=False):
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(VOCABULARY, EMBEDDING)
            self.lstm = torch.nn.LSTM(EMBEDDING, UNITS, batch_first=True)
            self.head = torch.nn.Linear(UNITS, VOCABULARY)

        def forward(self, ids):
            return self.head(self.lstm(self.embedding(ids))[0])

    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    step = pytorch_step(network, optimizer, windows(zipf_ids(VOCABULARY, WORDS), BATCH, LENGTH), bfloat16)
    return time_steps(step, STEPS, WARM_UP)


SIDES = {
    "lmkeras": (lmkeras_side, None),
    "keras": (keras_side, None),
    "pytorch float32": (pytorch_side, "pytorch"),
    "pytorch bfloat16": (lambda: pytorch_side(bfloat16=True), "pytorch"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        return print_figures(tokens_per_second=BATCH * LENGTH * SIDES[options.side][0]())
    found = run_sides(__file__, [Side(name, reference) for name, (_, reference) in SIDES.items()], options.rounds)
    row = {
        "what": "training an LSTM language model, 256 and 512 units, vocabulary 10,000",
        "ours": found["lmkeras"]["tokens_per_second"],
        "unit": "tokens/s",
        "floor": matrix_rate("bfloat16") / FLOP_PER_TOKEN,
        "note": f"float32's floor {matrix_rate('float32') / FLOP_PER_TOKEN:,.0f}",
    }
    peers = [("pytorch", "2.5x"), ("keras", "2x")]
    rows = []
    for prefix, goal in peers:
        peer, theirs = fastest(found, "tokens_per_second", prefix)
        rows.append(row | {"peer": peer, "theirs": theirs, "goal": goal})
    return report("lstm_training", rows)


if __name__ == "__main__":
    main()
