"""Translating sentences: sentences a second, greedy and by 4 beams, lmkeras beside transformers' Marian in PyTorch.

Both networks have 3 + 3 layers, 256 wide, 4 heads, inner width 1024, a vocabulary of 6,000 and random weights: speed
does not depend on what they write, only on how long it is. So both sides read the sources as ids of the same lengths
and write, for each, exactly as many tokens as the reference has, and one for its end. Sentences of
similar length go together in batches of 64, the best batch size of those tried for both sides.

    python benchmarks/translating.py PATH/test2016.csv [--rounds 1] [--sentences 1000]
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from measuring import Side, fastest, print_figures, report, run_sides

VOCABULARY, WIDTH, HEADS, LAYERS, BATCH = 6_000, 256, 4, 3, 64
CORES = 2


def lengths(path: Path, most: int) -> np.ndarray:
    """int [N, 2], how many tokens source and reference of each sentence have: about one for four letters."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["source"], row["target"]) for row in csv.DictReader(file)][:most]
    return np.array([[1 + len(text) // 4 for text in row] for row in rows])


def batches(path: Path, most: int):
    """Sources int32 [B, S], their masks, and how many tokens to write for each, the shortest first."""
    sizes, random = lengths(path, most), np.random.default_rng(0)
    order = np.lexsort((sizes[:, 0], sizes[:, 1]))
    for start in range(0, len(order), BATCH):
        some = sizes[order[start : start + BATCH]]
        mask = np.arange(some[:, 0].max()) < some[:, :1]
        yield random.integers(3, VOCABULARY, mask.shape).astype(np.int32) * mask, mask.astype(np.int32), some[:, 1]


def rate(write, path: Path, most: int) -> float:
    """Sentences a second; the first pass, which traces and compiles, does not count."""
    made = list(batches(path, most))
    for _ in range(2):
        start = time.perf_counter()
        for batch in made:
            write(*batch)
        seconds = time.perf_counter() - start
    return sum(len(sizes) for _, _, sizes in made) / seconds


def lmkeras_side(beams, path, most):
    import tensorflow as tf

    from lmkeras.decoding.beams import BeamSearch
    from lmkeras.decoding.sources import SourceLoop
    from lmkeras.networks.bodies.encoder_decoder.transformer import transformer_encoder_decoder
    from lmkeras.tokenizers.special import SpecialIds

    network = transformer_encoder_decoder(VOCABULARY, d_model=WIDTH, num_heads=HEADS, num_layers=LAYERS)
    loop = SourceLoop(network, SpecialIds(padding=0, start=1, ends=()))  # without ends, as many as the limits say
    search = BeamSearch(loop)

    def write(ids, mask, sizes):
        limits = tf.constant(1 + sizes, tf.int32)
        sources = {"input_ids": tf.constant(ids), "attention_mask": tf.constant(mask)}
        state = loop.start(sources, samples=tf.constant(1), max_new_tokens=tf.reduce_max(limits))
        found = search.search(state, limits, tf.constant(beams), tf.constant(1), tf.constant(1.0))
        assert np.array_equal(found.lengths[:, 0], 1 + sizes)

    return rate(write, path, most)


def pytorch_side(beams, bfloat16, path, most):
    import torch
    from transformers import LogitsProcessor, LogitsProcessorList, MarianConfig, MarianMTModel

    torch.set_num_threads(CORES)
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", LAYERS), ("attention_heads", HEADS), ("ffn_dim", 4 * WIDTH))
    }
    config = MarianConfig(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        forced_eos_token_id=None,
        **sides,
    )
    model = MarianMTModel(config).eval()
    model = model.to(torch.bfloat16) if bfloat16 else model

    class EndAtItsLength(LogitsProcessor):
        """Rules the end out before a row has its length, and everything else at it."""

        def __init__(self, sizes):
            self.sizes = torch.from_numpy(np.repeat(sizes, beams))

        def __call__(self, ids, scores):
            ends = (ids.shape[1] - 1 >= self.sizes)[:, None]
            is_end = torch.arange(scores.shape[1]) == 2
            return scores.masked_fill(ends != is_end, float("-inf"))

    def write(ids, mask, sizes):
        inputs = {"input_ids": torch.from_numpy(ids.astype(np.int64)), "attention_mask": torch.from_numpy(mask)}
        how = {
            "num_beams": beams,
            "do_sample": False,
            "max_new_tokens": int(sizes.max()) + 1,
            "early_stopping": True,
            "eos_token_id": 2,
            "pad_token_id": 0,
        }
        with torch.inference_mode():
            found = model.generate(**inputs, **how, logits_processor=LogitsProcessorList([EndAtItsLength(sizes)]))
        written = (found == 2).int().argmax(1).numpy() - 1  # what stands between the start and the end
        assert np.array_equal(written, sizes), (written, sizes)

    return rate(write, path, most)


SIDES = {
    "lmkeras": (lmkeras_side, None),
    "pytorch float32": (lambda beams, *data: pytorch_side(beams, False, *data), "pytorch"),
    "pytorch bfloat16": (lambda beams, *data: pytorch_side(beams, True, *data), "pytorch"),
}
WAYS = {"greedy": 1, "4 beams": 4}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("test", type=Path, help="a table with the columns source and target")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        side, data = SIDES[options.side][0], (options.test, options.sentences)
        return print_figures(**{name: side(beams, *data) for name, beams in WAYS.items()})
    arguments = {"arguments": (options.test, "--sentences", options.sentences)}
    found = run_sides(__file__, [Side(name, SIDES[name][1], **arguments) for name in SIDES], options.rounds)
    rows = []
    for name in WAYS:
        peer, theirs = fastest(found, name, "pytorch")
        ours = {"what": f"translating, 3 + 3 x 256, {name}", "ours": found["lmkeras"][name], "unit": "sentences/s"}
        rows.append(ours | {"peer": peer, "theirs": theirs, "goal": "1.5x"})
    return report("translating", rows)


if __name__ == "__main__":
    main()
