"""Tiny Shakespeare by characters, with nanoGPT's CPU network: validation loss for the training tokens spent.

nanoGPT's README gives 1.88 nats for this network (4 layers, 4 heads, 128 wide, context 64) after 2,000 updates of
12 x 64 = 1.54 million tokens. Here: the default training settings, judged on the whole validation split.

    python benchmarks/tiny_shakespeare.py PATH/input.txt [--steps 300] [--seeds 3]
"""

import argparse
import statistics
import time
from pathlib import Path

from lmkeras import LanguageModel

NANOGPT_NATS, NANOGPT_TOKENS = 1.88, 2000 * 12 * 64


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="input.txt, 1,115,394 characters")
    parser.add_argument("--steps", type=int, default=300, help="updates of 32 x 64 tokens")
    parser.add_argument("--seeds", type=int, default=3, help="runs, each with another seed")
    arguments = parser.parse_args()
    text = arguments.data.read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    losses = []
    for seed in range(arguments.seeds):
        model = LanguageModel("transformer", "characters", d_model=128, num_heads=4, num_layers=4, context_length=64)
        start = time.monotonic()
        model.fit(
            [text[:cut]], [text[cut:]], steps=arguments.steps, evaluate_every=arguments.steps, seed=seed, verbose=0
        )
        seconds = time.monotonic() - start
        values = model.evaluate([text[cut:]])
        losses.append(values["loss_nats"])
        tokens = arguments.steps * 32 * 64
        print(
            f"seed {seed}: {values['loss_nats']:.4f} nats on all {values['tokens']:,} validation characters "
            f"after {tokens:,} tokens, {seconds:.0f} s with compilation and validation",
            flush=True,
        )
    print(
        f"median {statistics.median(losses):.4f} nats with {tokens / NANOGPT_TOKENS:.2f} of nanoGPT's tokens; "
        f"nanoGPT: {NANOGPT_NATS}"
    )


if __name__ == "__main__":
    main()
