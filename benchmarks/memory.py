"""Peak memory of one training step of an LSTM language model with a large vocabulary: lmkeras beside plain Keras.

Vocabulary 50,000, embedding 256, 512 units, 32 x 128 tokens. The figure is the most memory that the process ever held
minus the most it held before the network was built. The side "keras" is a Keras model of an embedding, an LSTM and a
softmax over the vocabulary, trained by Keras' own `fit` with integer targets; the side "lmkeras" is a LanguageModel
trained with its default settings.

    python benchmarks/memory.py [--rounds 1]
"""

import argparse
from pathlib import Path

from measuring import Side, print_figures, report, run_sides
from training_speed import corpus, plain_keras_lstm, windows, zipf_ids

VOCABULARY, EMBEDDING, UNITS, BATCH, LENGTH = 50_000, 256, 512, 32, 128
WORDS = 20_000
# The least that Adam can do with, in float32: all weights, their gradients and two moments of each. The embedding's
# gradient is left out, since it has rows for the ids of the batch only.
WEIGHTS = VOCABULARY * EMBEDDING + 4 * UNITS * (EMBEDDING + UNITS + 1) + (UNITS + 1) * VOCABULARY
FLOOR_MIB = 4 * (4 * WEIGHTS - VOCABULARY * EMBEDDING) / 2**20


def peak_mib() -> float:
    """The most memory that this process has ever held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def lmkeras_side():
    from lmkeras import LanguageModel

    text, tokenizer = corpus(VOCABULARY, WORDS)
    before = peak_mib()
    model = LanguageModel("lstm", tokenizer, embedding_dim=EMBEDDING, units=UNITS)
    model.fit([text], validation_fraction=0, steps=1, batch_size=BATCH, window_length=LENGTH, verbose=0)
    return peak_mib() - before


def keras_side():
    import keras  # noqa: F401 (TensorFlow itself is not a step's memory)

    inputs, targets = next(windows(zipf_ids(VOCABULARY, WORDS), BATCH, LENGTH))
    before = peak_mib()
    network = plain_keras_lstm(VOCABULARY, EMBEDDING, UNITS)
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(inputs, targets, batch_size=BATCH, verbose=0)
    return peak_mib() - before


SIDES = {"lmkeras": lmkeras_side, "keras": keras_side}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        return print_figures(mebibytes=SIDES[options.side]())
    found = run_sides(__file__, map(Side, SIDES), options.rounds)
    row = {
        "what": "peak memory of a training step of an LSTM language model, vocabulary 50,000",
        "ours": found["lmkeras"]["mebibytes"],
        "unit": "MiB",
        "peer": "keras",
        "theirs": found["keras"]["mebibytes"],
        "goal": "3x",
        "floor": FLOOR_MIB,
    }
    return report("memory", [row])


if __name__ == "__main__":
    main()
