"""Writing with a published decoder: tokens a second, and seconds until the first token, of lmkeras and transformers.

The same weights on both sides, greedy, no end of a text: prompts of 64 tokens and 128 new ones, 1 text and 16 texts at
once; the seconds until the first token after a prompt of 1,024; and those in which the model is read, once the
libraries are imported ("ready"). PyTorch's fastest dtype counts for one text; for 16
and for prompts its float32, which is exact as we are, with bfloat16 beside it. Compilation is left out of the rates and
given as first_seconds.

    python benchmarks/published_decoders.py MODEL       # a .gguf file or a folder, such as .venv/smollm2/…/….gguf
    python benchmarks/published_decoders.py gpt2        # random weights of GPT-2's size, 12 x 768
"""

import argparse
import tempfile
import time
from pathlib import Path

from measuring import Side, bandwidth, fastest, print_figures, report, run_sides, seconds_per_call

PROMPT, NEW, BATCHES, LONG = 64, 128, (1, 16), 1024


def measure(vocabulary_size, generate, read, **figures):
    """Figures of a side.

    Args:
        vocabulary_size: ids below it make the prompts.
        generate: ids [B, PROMPT] → the new ids [B, NEW].
        read: ids [1, LONG] → logits of the next token.
        figures: further ones.
    """
    import numpy as np

    random = np.random.default_rng(0)
    for batch in BATCHES:
        ids = random.integers(1000, vocabulary_size, (batch, PROMPT)).astype("int32")
        start = time.perf_counter()
        assert generate(ids).shape == (batch, NEW)
        figures[f"first_seconds_{batch}"] = time.perf_counter() - start
        figures[f"batch_{batch}"] = batch * NEW / seconds_per_call(lambda i=ids: generate(i), 10.0, warm_up=1)
    ids = random.integers(1000, vocabulary_size, (1, LONG)).astype("int32")
    figures["read_seconds"] = seconds_per_call(lambda: read(ids), 5.0)
    print_figures(**figures)


def lmkeras_side(folder):
    import tensorflow as tf

    from lmkeras.decoding.generate import GenerationLoop
    from lmkeras.decoding.sampling import Sampling
    from lmkeras.networks.bodies.decoder import read_decoder
    from lmkeras.pretrained.source import open_source
    from lmkeras.tokenizers.special import SpecialIds

    start = time.perf_counter()
    network = read_decoder(open_source(folder), "float32")
    figures = {"ready_seconds": time.perf_counter() - start, "weight_bytes": 4 * network.count_params()}
    loop, sampling = GenerationLoop(network, SpecialIds(padding=0)), Sampling(temperature=0.0).tensors()

    def begin(ids, new):
        lengths = tf.fill([len(ids)], ids.shape[1])
        return loop.start(tf.constant(ids), lengths, samples=tf.constant(1), max_new_tokens=tf.constant(new))

    def generate(ids):
        return loop.advance(begin(ids, NEW), sampling, tf.constant(NEW))["ids"].numpy()[:, PROMPT:]

    measure(network.body.vocabulary_size, generate, lambda ids: begin(ids, 1)["logits"].numpy(), **figures)


def pytorch_side(folder, dtype):
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    start = time.perf_counter()
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval().requires_grad_(False)
    ready_seconds = time.perf_counter() - start
    settings = GenerationConfig(
        max_new_tokens=NEW, do_sample=False, use_cache=True, eos_token_id=None, bos_token_id=None, pad_token_id=0
    )

    def generate(ids):
        ids = torch.from_numpy(ids).long()
        with torch.inference_mode():
            found = network.generate(ids, generation_config=settings, attention_mask=torch.ones_like(ids))
        return found.numpy()[:, PROMPT:]

    def read(ids):
        with torch.inference_mode():
            return network(torch.from_numpy(ids).long(), use_cache=True, logits_to_keep=1).logits.float().numpy()

    measure(network.config.vocab_size, generate, read, ready_seconds=ready_seconds)


def prepare_side(model, folder):
    """Writes the model as a folder that both sides read."""
    if model == "gpt2":
        from transformers import GPT2Config, GPT2LMHeadModel

        GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=None)).save_pretrained(folder)
    else:
        from lmkeras.networks.bodies.decoder import read_decoder, write_decoder
        from lmkeras.pretrained.source import open_source

        write_decoder(read_decoder(open_source(model), "float32"), folder)
    print_figures()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side == "prepare":
        return prepare_side(options.model, options.folder)
    if options.side == "lmkeras":
        return lmkeras_side(options.folder)
    if options.side:
        return pytorch_side(options.folder, options.side.removeprefix("pytorch "))
    with tempfile.TemporaryDirectory() as folder:
        run_sides(__file__, [Side("prepare", "pytorch", arguments=(options.model, folder))], 1)
        sides = [Side("lmkeras", arguments=(options.model, folder))]
        sides += [
            Side(f"pytorch {dtype}", "pytorch", arguments=(options.model, folder)) for dtype in ("float32", "bfloat16")
        ]
        found = run_sides(__file__, sides, options.rounds)
    name = Path(options.model).stem
    return report(f"published_decoders_{name.lower()}", rows_of(found, name))


def rows_of(found, name):
    """The rows of the report; the floor of writing is to read all weights once for every step."""
    ours, float32, rows = found["lmkeras"], found["pytorch float32"], []
    for batch, goal in zip(BATCHES, ("1.2x", "1.3x"), strict=True):
        figure = f"batch_{batch}"
        peer, theirs = fastest(found, figure, "pytorch") if batch == 1 else ("pytorch float32", float32[figure])
        floor = batch * bandwidth() / ours["weight_bytes"]
        what = f"writing, {name}, {batch} at once, prompt {PROMPT}, {NEW} new tokens, greedy"
        sides = {"ours": ours[figure], "peer": peer, "theirs": theirs}
        rows.append({"what": what, "unit": "tokens/s", "goal": goal, "floor": floor, **sides})
    whats = {
        "read_seconds": f"time to the first token, {name}, prompt of {LONG}",
        "ready_seconds": f"ready after the imports, {name}",
    }
    for figure, what in whats.items():
        sides = {"ours": ours[figure], "peer": "pytorch float32", "theirs": float32[figure]}
        rows.append({"what": what, "unit": "s", "goal": "1x", **sides})
    return rows


if __name__ == "__main__":
    main()
