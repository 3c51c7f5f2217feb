"""What pretraining on plain text of the same kind brings: SST-2 from a small BERT that has read IMDB's reviews.

    python benchmarks/pretraining.py IMDB_FOLDER SST2_FOLDER [--steps 3000] [--seeds 3] [--texts N]

A BERT is pretrained on the texts of IMDB's training part (no labels), then fine-tuned on SST-2. Beside it stands the
same network with the same tokenizer, trained on SST-2 from fresh weights, with the same settings. The weights kept are
those that are best on dev.csv; test.csv is judged once.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

from table import machine

import lmkeras

SIZES = {"d_model": 128, "num_heads": 4, "num_layers": 2, "max_length": 64}
FINE_TUNING = {"learning_rate": 5e-4, "verbose": 0}


def pretrained(texts, steps, folder):
    """Pretrains, saves, and says how well words are filled in."""
    model, start = lmkeras.MaskedLanguageModel("bert", vocabulary_size=8192, **SIZES), time.monotonic()
    model.fit(texts, steps=steps, validation_fraction=0.02, evaluate_every=max(1, steps // 4), verbose=1)
    model.save(folder)
    seconds = time.monotonic() - start
    print(f"pretraining  {steps} updates  {seconds:.0f} s  {model.evaluate(texts[-300:])}", flush=True)
    return model.tokenizer


def fine_tuned(folder, seed, epochs, **network):
    """Test accuracy on SST-2."""
    model = lmkeras.TextClassifier("bert", **network)
    model.fit(str(folder / "train.csv"), validation=str(folder / "dev.csv"), seed=seed, epochs=epochs, **FINE_TUNING)
    return model.evaluate(str(folder / "test.csv"))["accuracy"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("imdb", type=Path)
    parser.add_argument("sst2", type=Path)
    parser.add_argument("--steps", type=int, default=3000, help="updates of the pretraining")
    parser.add_argument("--seeds", type=int, default=3, help="number of fine-tunings: seeds 0, 1, …")
    parser.add_argument("--epochs", type=int, default=5, help="of the fine-tunings")
    parser.add_argument("--texts", type=int, help="the first so many reviews, for a run that takes less time")
    options = parser.parse_args()
    print(machine(), flush=True)
    reviews = itertools.islice(lmkeras.open_corpus(options.imdb / "train.csv.gz"), options.texts)
    texts = [text.replace("<br />", "\n") for text in reviews]
    with tempfile.TemporaryDirectory() as run:
        tokenizer = pretrained(texts, options.steps, run)
        sides = {"pretrained": {"weights": run}, "fresh": {"tokenizer": tokenizer, **SIZES}}
        for name, network in sides.items():
            found = [fine_tuned(options.sst2, seed, options.epochs, **network) for seed in range(options.seeds)]
            shown = " ".join(f"{accuracy:.4f}" for accuracy in found)
            print(f"{name:<12} mean test accuracy {statistics.mean(found):.4f}  ({shown})", flush=True)


if __name__ == "__main__":
    main()
