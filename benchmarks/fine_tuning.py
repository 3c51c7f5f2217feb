"""What the benchmarks of fine-tuned BERTs share: the same updates in PyTorch, trainings of several seeds, the report.

Both sides start from the same weights and see the same batches (texts, order) with the same optimizer, learning rates
and dropout; only the new head's first values and what dropout drops differ. PyTorch works in a process of its own: its
threads and TensorFlow's would be in each other's way, and spin while they wait.
"""

import argparse
import concurrent.futures
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from table import machine

PARTS = ("train", "dev", "test")


def parser_of(description: str, **defaults) -> argparse.ArgumentParser:
    """The options that all of them have.

    Args:
        description: the script's docstring.
        defaults: of options, by name.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the parts train, dev and test")
    parser.add_argument("weights", type=Path, help="a BERT's folder, with vocab.txt or tokenizer.json")
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings a side: seeds 0, 1, ...")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--limit", type=int, help="the first so many examples of each part, to try the script")
    parser.add_argument("--float32", action="store_true", help="PyTorch computes in float32 instead of bfloat16")
    parser.add_argument(
        "--pytorch", nargs="?", const="", metavar="FOLDER", help="compare with PyTorch, which is in this folder"
    )
    parser.set_defaults(**defaults)
    return parser


def epoch_clock():
    """A Keras callback with the `seconds` of each epoch, without the evaluations between them."""
    import keras

    class EpochSeconds(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seconds = []

        def on_epoch_begin(self, epoch, logs=None):
            self.seconds.append(-time.monotonic())
            self.training = True

        def on_test_begin(self, logs=None):
            if self.training:
                self.seconds[-1] += time.monotonic()
            self.training = False

    return EpochSeconds()


def adam_of(model, updates: int) -> dict:
    """The numbers of our optimizer by their names in Keras, and `rates`, the learning rate of every update."""
    optimizer = model.network.optimizer
    adam = {name: getattr(optimizer, name) for name in ("beta_1", "beta_2", "epsilon", "global_clipnorm")}
    adam["rates"] = [float(optimizer._learning_rate(step)) for step in range(updates)]
    return {**adam, "weight_decay": optimizer.weight_decay or 0.0}


def import_pytorch(folder: str) -> None:
    """Makes PyTorch and transformers ready in this process, without their remarks.

    Args:
        folder: where PyTorch is installed; empty where it can be imported as it is.
    """
    if folder:
        sys.path.insert(0, folder)
    from transformers import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def logits_of(network, float32: bool) -> Callable:
    """The function from ids [B, T], 0 for padding, to a PyTorch network's logits in float32.

    Args:
        network: one of transformers' classes.
        float32: whether it computes in float32, and not in bfloat16.
    """
    import torch

    def forward(ids):
        ids = torch.tensor(ids, dtype=torch.int64)
        with torch.autocast("cpu", torch.bfloat16, enabled=not float32):
            return network(ids, attention_mask=(ids != 0).long()).logits.float()

    return forward


def updates(network, batches: Iterable[tuple], adam: dict, loss_of: Callable) -> Iterator[int]:
    """Trains in PyTorch as our optimizer does; gives the number of each update when it is done.

    Args:
        network: what is trained.
        batches: the arguments of `loss_of` for each update.
        adam: what `adam_of` returned.
        loss_of: the loss of a batch.
    """
    import torch

    betas = (adam["beta_1"], adam["beta_2"])
    optimizer = torch.optim.AdamW(network.parameters(), betas=betas, weight_decay=adam["weight_decay"], fused=True)
    for step, batch in enumerate(batches):
        group = optimizer.param_groups[0]
        group["lr"] = adam["rates"][step]
        # Keras adds epsilon before it corrects the second moment's bias, PyTorch after
        group["eps"] = adam["epsilon"] / (1 - betas[1] ** (step + 1)) ** 0.5
        optimizer.zero_grad(set_to_none=True)
        loss_of(*batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), adam["global_clipnorm"])
        optimizer.step()
        yield step


def best_epoch(network, steps: Iterator[int], steps_per_epoch: int, score: Callable[[str], float]) -> tuple:
    """Trains by `steps`, and leaves in the network the weights of the epoch that is best on dev.

    Args:
        network: what is trained.
        steps: what `updates` returned.
        steps_per_epoch: number of updates between evaluations.
        score: of a part; higher is better.

    Returns:
        The scores of dev and test, and the seconds of each epoch without its evaluation.
    """
    seconds, best, best_weights, start = [], -1.0, None, time.monotonic()
    for step in steps:
        if (step + 1) % steps_per_epoch == 0:
            seconds.append(time.monotonic() - start)
            if (found := score("dev")) > best:
                best, best_weights = found, {name: tensor.clone() for name, tensor in network.state_dict().items()}
            start = time.monotonic()
    network.load_state_dict(best_weights)
    return {part: score(part) for part in PARTS[1:]}, seconds


def compare(options, ours: dict[str, Callable], what_it_saw: Callable, train_pytorch: Callable, unit: str) -> None:
    """Trains all sides with every seed, and prints a line for each training and the means.

    Args:
        options: of `parser_of`.
        ours: by a side's name what trains it with a seed, and returns model, scores by part and seconds of epochs.
        what_it_saw: makes of the first side's model and the seed the batches by part, and what `adam_of` returns.
        train_pytorch: takes (options, batches, adam, steps_per_epoch, seed) in another process, and returns what
            `best_epoch` returns.
        unit: of the scores, such as "%".
    """
    print(machine(), flush=True)
    results, first = [], next(iter(ours))
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for seed in range(options.seeds):
            for side, train in ours.items():
                model, *result = train(seed)
                results.append((side, *result))
                _show(seed, *results[-1], unit=unit)
                if side == first and options.pytorch is not None:
                    batches, adam = what_it_saw(model, seed)
                    steps = len(batches["train"]) // options.epochs
                    found = pool.submit(train_pytorch, options, batches, adam, steps, seed).result()
                    results.append(("pytorch", *found))
                    _show(seed, *results[-1], unit=unit)
    _summary(results, unit)


def _show(seed: int, side: str, scores: dict[str, float], seconds: list[float], unit: str) -> None:
    shown = "  ".join(f"{part} {score:.2f} {unit}" for part, score in scores.items())
    times = " ".join(f"{value:.1f}" for value in seconds)
    print(f"seed {seed}  {side:12s} {shown}  seconds an epoch {times}", flush=True)


def _summary(results: list[tuple], unit: str) -> None:
    """The lines after all seeds: means over seeds, and of the epochs after the first, which compiles."""
    sides = list(dict.fromkeys(side for side, *_ in results))
    tests, times = {}, {}
    for side in sides:
        own = [(scores, seconds) for name, scores, seconds in results if name == side]
        tests[side], dev = (statistics.mean(scores[part] for scores, _ in own) for part in ("test", "dev"))
        times[side] = statistics.mean(second for _, seconds in own for second in seconds[1:] or seconds)
        print(
            f"mean    {side:12s} dev {dev:.2f} {unit}  test {tests[side]:.2f} {unit}  "
            f"{times[side]:.1f} s an epoch after the first"
        )
    for side in sides:
        if side != "pytorch" in tests:
            difference, ratio = tests[side] - tests["pytorch"], times["pytorch"] / times[side]
            print(f"{side} - pytorch: {difference:+.2f} {unit} on test; {ratio:.2f} times the speed of PyTorch")
