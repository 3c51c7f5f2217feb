"""Classifiers trained from scratch on the field's small data sets, beside published figures.

    python benchmarks/text_classification.py trec FOLDER [--seeds 3]      (train.csv, test.csv)
    python benchmarks/text_classification.py mr FOLDER                    (all.csv; a tenth held out, for each seed)
    python benchmarks/text_classification.py subj FOLDER
    python benchmarks/text_classification.py imdb FOLDER --network transformer [--seeds 1]
    python benchmarks/text_classification.py chnsenticorp FOLDER --network cnn (train.csv, dev.csv, test.csv)

The weights kept are those that are best on a part of the training examples (dev.csv where there is one), or the last
ones; the test examples are judged once, at the end. Published: Kim 2014, CNN-rand (trec 91.2, mr 76.1, subj 89.6);
keras.io (imdb: transformer 87.45, cnn 86.42, lstm 84.28).
"""

import argparse
import statistics
import time
from pathlib import Path

import lmkeras

PUBLISHED = {
    ("trec", "cnn"): 0.912,
    ("mr", "cnn"): 0.761,
    ("subj", "cnn"): 0.896,
    ("imdb", "transformer"): 0.8745,
    ("imdb", "cnn"): 0.8642,
    ("imdb", "lstm"): 0.8428,
}
# What differs from the defaults, chosen on training examples alone.
MODELS = {
    ("imdb", "transformer"): {"vocabulary_size": 20_000, "max_length": 400},
    ("imdb", "cnn"): {"vocabulary_size": 20_000, "max_length": 400, "embedding_dim": 100},
    ("imdb", "lstm"): {"vocabulary_size": 20_000, "max_length": 300, "embedding_dim": 64, "units": 32},
    ("chnsenticorp", "cnn"): {"tokenizer": "characters"},
    ("chnsenticorp", "lstm"): {"tokenizer": "characters"},
    ("chnsenticorp", "transformer"): {"tokenizer": "characters"},
}
TRAININGS = {
    ("imdb", "transformer"): {"epochs": 2},
    ("imdb", "cnn"): {"epochs": 3, "batch_size": 64},
    ("imdb", "lstm"): {"epochs": 2, "batch_size": 64, "learning_rate": 0.003},
    # sets so small that every example is trained on; the last weights are kept, after epochs that splits of the
    # training examples chose
    ("trec", "cnn"): {"epochs": 6, "validation_fraction": 0},
    ("mr", "cnn"): {"epochs": 5, "validation_fraction": 0},
    ("subj", "cnn"): {"epochs": 5, "validation_fraction": 0},
}


def parts(data, folder, seed):
    """Training examples, those that choose the weights (None: a tenth of the training ones), test examples."""
    if data in ("mr", "subj"):
        train, test = lmkeras.split_labelled(lmkeras.open_labelled_corpus(folder / "all.csv"), 0.1, seed)
        return train, None, test
    found = {part: next(folder.glob(f"{part}.csv*"), None) for part in ("train", "dev", "test")}
    train, dev, test = (None if path is None else lmkeras.open_labelled_corpus(path) for path in found.values())
    return train, dev, test


def without_known(test, train):
    """The test examples whose texts do not stand among the training examples."""
    known = {text for text, _ in train}
    texts, labels = zip(*[(text, label) for text, label in test if text not in known], strict=True)
    return lmkeras.LabelledCorpus.from_examples(texts, labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["trec", "mr", "subj", "imdb", "chnsenticorp"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", default="cnn")
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings: seeds 0, 1, …")
    options = parser.parse_args()
    accuracies = []
    for seed in range(options.seeds):
        train, dev, test = parts(options.data, options.folder, seed)
        recipe = dict(MODELS.get((options.data, options.network), {}))
        if options.data in ("trec", "mr", "subj"):  # these texts come as tokens between spaces, cased where it matters
            recipe["tokenizer"] = lmkeras.Tokenizer(filters="", lower=False, oov_token="<OOV>").fit(train.texts())
        model = lmkeras.TextClassifier(options.network, **recipe)
        start = time.monotonic()
        training = TRAININGS.get((options.data, options.network), {})
        history = model.fit(train, dev, seed=seed, verbose=0, **training)
        seconds = time.monotonic() - start
        values = model.evaluate(test)
        accuracies.append(values["accuracy"])
        line = f"seed {seed}  test {values['accuracy']:.4f}"
        if "val_accuracy" in history[0]:
            line += f"  held-out part of training {max(each['val_accuracy'] for each in history):.4f}"
        line += f"  macro F1 {values['macro_f1']:.4f}  {seconds:.0f} s"
        if options.data == "chnsenticorp":
            unseen = model.evaluate(without_known(test, train))
            line += f"  test without texts of the training part {unseen['accuracy']:.4f} of {unseen['examples']}"
        print(line, flush=True)
    mean = statistics.mean(accuracies)
    published = PUBLISHED.get((options.data, options.network))
    beside = f"  published {published:.4f}  ratio {mean / published:.4f}" if published else ""
    print(f"{options.data} {options.network}: mean test accuracy {mean:.4f} of {options.seeds} trainings{beside}")


if __name__ == "__main__":
    main()
