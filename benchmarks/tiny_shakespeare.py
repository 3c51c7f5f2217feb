"""Tiny Shakespeare by characters: seconds to 1.88 and to 1.4697 nats, and the lowest loss that ten minutes reach.

Losses are those of the whole validation split (the last tenth), every character once; seconds are those of a whole
process, from the interpreter's start until that split is judged.

- quick: nanoGPT's CPU recipe, which its README gives 1.88 nats, written in PyTorch (4 layers, 4 heads, 128 wide,
  context 64; 2,000 updates of 12 x 64 tokens by AdamW), in float32, with bfloat16 autocast, compiled, beside lmkeras.
- reach: lmkeras alone to 1.4697 nats, which nanoGPT's README gives three minutes on an A100.
- ten_minutes: lmkeras alone.

    python benchmarks/tiny_shakespeare.py PATH/input.txt [--parts quick reach ten_minutes] [--rounds 1]
"""

import argparse
import math
from pathlib import Path

import numpy as np
from measuring import Side, fastest, matrix_rate, print_figures, report, run_sides

QUICK_NATS, REACH_NATS, TEN_MINUTES = 1.88, 1.4697, 600
CHARACTERS = 65
# what lmkeras is asked for in each part: the network's sizes, and the trainings that follow one another. Short windows
# first: an update on as many tokens is quicker, and what is learnt first is learnt from them as well.
PROTOTYPE = {"num_layers": 6, "d_model": 256, "num_heads": 4, "context_length": 256}
SHORT = {"batch_size": 64, "window_length": 64, "schedule": "constant"}
WHOLE = {"batch_size": 16, "window_length": 256, "warmup_steps": 5}
SETTINGS = {
    "quick": (
        {"num_layers": 2, "d_model": 128, "num_heads": 4, "context_length": 32},
        [{"steps": 165, "batch_size": 96, "window_length": 32}],
    ),
    "reach": (PROTOTYPE, [{"steps": 220, **SHORT}, {"steps": 440, **WHOLE}]),
    "ten_minutes": (
        {**PROTOTYPE, "dropout": 0.1},
        [{"steps": 220, **SHORT}, {"steps": 1450, **WHOLE, "weight_decay": 0.1}],
    ),
}
WIDTH, HEADS, LAYERS, CONTEXT, BATCH, STEPS, WARM_UP = 128, 4, 4, 64, 12, 2000, 100
HIGHEST_RATE, LOWEST_RATE = 1e-3, 1e-4


def halves(path: Path) -> tuple[str, str]:
    """Training and validation text."""
    text = path.read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    return text[:cut], text[cut:]


def lmkeras_side(path, part):
    from lmkeras import LanguageModel

    train, validation = halves(path)
    sizes, trainings = SETTINGS[part]
    model = LanguageModel("transformer", "characters", **sizes)
    for training in trainings:
        model.fit([train], validation_fraction=0, verbose=0, **training)
    return model.evaluate([validation])["loss_nats"]


def learning_rate(step: int) -> float:
    """A line up, then a cosine down."""
    if step < WARM_UP:
        return HIGHEST_RATE * (step + 1) / (WARM_UP + 1)
    progress = (step - WARM_UP) / (STEPS - WARM_UP)
    return LOWEST_RATE + 0.5 * (1 + math.cos(math.pi * progress)) * (HIGHEST_RATE - LOWEST_RATE)


def pytorch_side(path, bfloat16=False, compiled=False):
    import torch
    from pytorch_gpt import Gpt, adamw
    from training_speed import windows

    torch.manual_seed(1337)
    train, validation = halves(path)
    characters = {character: id for id, character in enumerate(sorted(set(train + validation)))}
    ids, held_out = (np.array([characters[one] for one in text], "int32") for text in (train, validation))
    network = Gpt(len(characters), WIDTH, HEADS, LAYERS, CONTEXT)
    forward, optimizer = torch.compile(network) if compiled else network, adamw(network)

    def loss_of(inputs, targets):
        inputs, targets = (torch.from_numpy(part.astype("int64")) for part in (inputs, targets))
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return torch.nn.functional.cross_entropy(forward(inputs).flatten(0, 1), targets.flatten())

    stream = windows(ids, BATCH, CONTEXT)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.zero_grad(set_to_none=True)
        loss_of(*next(stream)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        judged = [(float(loss_of(*batch)), batch[1].size) for batch in judged_batches(held_out)]
    return sum(loss * size for loss, size in judged) / sum(size for _, size in judged)


def judged_batches(ids: np.ndarray):
    """Windows side by side, which make every character but the first a target once; the last one is shorter."""
    count = (len(ids) - 1) // CONTEXT
    inputs, targets = (ids[start:][: count * CONTEXT].reshape(count, CONTEXT) for start in (0, 1))
    for start in range(0, count, 64):
        yield inputs[start : start + 64], targets[start : start + 64]
    if rest := len(ids) - 1 - count * CONTEXT:
        yield ids[None, -rest - 1 : -1], ids[None, -rest:]


SIDES = {
    "lmkeras quick": (lambda path: lmkeras_side(path, "quick"), None),
    "pytorch float32": (pytorch_side, "pytorch"),
    "pytorch bfloat16": (lambda path: pytorch_side(path, bfloat16=True), "pytorch"),
    "pytorch compiled": (lambda path: pytorch_side(path, compiled=True), ("pytorch", "compiler")),
    "lmkeras reach": (lambda path: lmkeras_side(path, "reach"), None),
    "lmkeras ten_minutes": (lambda path: lmkeras_side(path, "ten_minutes"), None),
}


def floor_seconds(part: str) -> float:
    """Seconds of lmkeras' training alone, if its matrix products ran at the rate of large ones in bfloat16."""
    sizes, trainings = SETTINGS[part]
    width, layers = sizes["d_model"], sizes["num_layers"]
    flop = 0
    for training in trainings:
        length = training["window_length"]
        flop_per_token = 6 * (12 * layers * width**2 + CHARACTERS * width) + 12 * layers * length * width
        flop += training["steps"] * training["batch_size"] * length * flop_per_token
    return flop / matrix_rate("bfloat16")


def measure(path: Path, part: str, rounds: int) -> dict:
    """The row of a part. It has no figure of ours where the loss is not reached, or not in time."""
    own = [name for name in SIDES if name == f"lmkeras {part}" or (part == "quick" and name.startswith("pytorch"))]
    found = run_sides(__file__, [Side(name, SIDES[name][1], (path,)) for name in own], rounds)
    ours = found[f"lmkeras {part}"]
    nats, seconds = ours["nats"], ours["process_seconds"]
    if part == "ten_minutes":
        row = {
            "what": "validation loss on Tiny Shakespeare after ten minutes",
            "unit": "nats",
            "goal": "below 1.43 nats",
        }
        return row | {"ours": nats if seconds <= TEN_MINUTES else None, "note": f"{seconds:.0f} s"}
    goal_nats, goal = {"quick": (QUICK_NATS, "8x"), "reach": (REACH_NATS, "240 s")}[part]
    row = {"what": f"Tiny Shakespeare to {goal_nats} nats, whole process", "unit": "s", "goal": goal}
    row |= {"ours": seconds if nats <= goal_nats else None, "note": f"{nats:.4f} nats after {seconds:.1f} s"}
    row["floor"] = floor_seconds(part)
    if part == "quick":
        peer, theirs = fastest(found, "process_seconds", "pytorch", lowest=True)
        row |= {"peer": peer, "theirs": theirs, "note": f"{row['note']}, peer {found[peer]['nats']:.4f} nats"}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="input.txt, 1,115,394 characters")
    parser.add_argument("--parts", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--rounds", type=int, default=1, help="of the quick part")
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        return print_figures(nats=SIDES[options.side][0](options.data))
    rounds = {"quick": options.rounds}  # the long parts run once
    rows = [measure(options.data, part, rounds.get(part, 1)) for part in options.parts]
    return report("tiny_shakespeare", rows)


if __name__ == "__main__":
    main()
