"""Penn Treebank by words with a 2 x 200 LSTM: test perplexity after at most 13 epochs.

Zaremba et al. 2014 give 115.91 for their small LSTM of that size (13 epochs). A line end is the token <eos>.

    python benchmarks/penn_treebank.py FOLDER [--epochs 7] [--seed 0]
"""

import argparse
import time
from pathlib import Path

import keras

from lmkeras import LanguageModel, Tokenizer, lstm_language_model

ZAREMBA_SMALL = 115.91


def read(path):
    return path.read_text(encoding="utf-8").replace("\n", " <eos> ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of train.txt, valid.txt and test.txt")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    train, valid, test = (read(arguments.data / f"{part}.txt") for part in ("train", "valid", "test"))
    tokenizer = Tokenizer(filters="", lower=False).fit([train])
    keras.utils.set_random_seed(arguments.seed)
    network = lstm_language_model(tokenizer.vocabulary_size, 200, 200, num_layers=2, dropout=0.25, tie_embeddings=True)
    model = LanguageModel(network, tokenizer)
    start = time.monotonic()
    options = {"epochs": arguments.epochs, "seed": arguments.seed, "batch_size": 20, "window_length": 50}
    model.fit([train], [valid], verbose=2, **options)
    print(f"{arguments.epochs} epochs in {time.monotonic() - start:.0f} s")
    for name, text in (("validation", valid), ("test", test)):
        values = model.evaluate([text])
        print(f"{name} perplexity {values['perplexity']:.2f} over {values['tokens']:,} tokens")
    print(f"Zaremba et al. 2014, small: test perplexity {ZAREMBA_SMALL}")


if __name__ == "__main__":
    main()
