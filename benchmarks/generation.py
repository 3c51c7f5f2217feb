"""Generating with a transformer: tokens a second of lmkeras, transformers' GPT-2 in PyTorch and KerasHub's GPT-2.

6 layers, 384 wide, 6 heads, vocabulary 10,000, random weights; prompts of 16 tokens, 256 new tokens drawn from the 40
likeliest, 1 text and 16 texts at once. Nobody may end a text early. Compilation is left out of the rate and given
beside it, as first_seconds. Each peer's fastest setting counts, of those below.

    python benchmarks/generation.py [--rounds 1]
"""

import argparse
import time

from measuring import Side, bandwidth, fastest, print_figures, report, run_sides, seconds_per_call

VOCABULARY, WIDTH, HEADS, LAYERS, CONTEXT = 10_000, 384, 6, 6, 512
PROMPT, NEW, TOP_K, BATCHES = 16, 256, 40, (1, 16)
WEIGHT_BYTES = 4 * (12 * LAYERS * WIDTH**2 + WIDTH * VOCABULARY)
# keys and values of a text, as they are on the average over the text
CACHE_BYTES = 4 * 2 * LAYERS * WIDTH * (PROMPT + NEW / 2)


def prompts(batch):
    import numpy as np

    return np.random.default_rng(0).integers(1, VOCABULARY, (batch, PROMPT)).astype("int32")


def measure(new_generate):
    """Figures of a side, given what makes a function that generates from ids [B, P] and returns all of them."""
    figures = {}
    for batch in BATCHES:
        ids, generate = prompts(batch), new_generate(batch)
        start = time.perf_counter()
        written = generate(ids)
        figures[f"first_seconds_{batch}"] = time.perf_counter() - start
        assert written.shape == (batch, PROMPT + NEW), written.shape
        figures[f"batch_{batch}"] = batch * NEW / seconds_per_call(lambda g=generate, i=ids: g(i), 2.0, warm_up=1)
    print_figures(**figures)


def lmkeras_side():
    import numpy as np
    import tensorflow as tf

    from lmkeras.decoding.generate import GenerationLoop
    from lmkeras.decoding.sampling import Sampling
    from lmkeras.networks.bodies.transformer import transformer_language_model
    from lmkeras.tokenizers.special import SpecialIds

    network = transformer_language_model(VOCABULARY, WIDTH, HEADS, LAYERS, context_length=CONTEXT)
    # no id ends a text
    loop, sampling = GenerationLoop(network, SpecialIds(padding=0)), Sampling(top_k=TOP_K).tensors()

    def generate(ids):
        # the 0 in front stands for the start of a text, which the peers do not have
        ids = np.pad(ids, ((0, 0), (1, 0)))
        state = loop.start(tf.constant(ids), tf.fill([len(ids)], PROMPT + 1), tf.constant(1), tf.constant(NEW))
        return loop.advance(state, sampling, tf.constant(NEW))["ids"].numpy()[:, 1:]

    measure(lambda batch: generate)


def pytorch_side(bfloat16, static):
    import torch
    from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS)
    network = GPT2LMHeadModel(config).eval().requires_grad_(False)
    if bfloat16:
        network = network.bfloat16()
    settings = GenerationConfig(
        max_new_tokens=NEW,
        do_sample=True,
        top_k=TOP_K,
        use_cache=True,
        eos_token_id=None,
        bos_token_id=None,
        pad_token_id=0,
        cache_implementation="static" if static else None,
    )

    def generate(ids):
        ids = torch.from_numpy(ids).long()
        with torch.inference_mode():
            return network.generate(ids, generation_config=settings, attention_mask=torch.ones_like(ids)).numpy()

    measure(lambda batch: generate)


def kerashub_side(policy, jit_compile):
    import keras
    import keras_hub
    import numpy as np

    keras.config.set_dtype_policy(policy)
    sizes = {"num_layers": LAYERS, "num_heads": HEADS, "hidden_dim": WIDTH, "intermediate_dim": 4 * WIDTH}
    backbone = keras_hub.models.GPT2Backbone(VOCABULARY, max_sequence_length=CONTEXT, dropout=0.0, **sizes)
    network = keras_hub.models.GPT2CausalLM(backbone)
    network.compile(sampler=keras_hub.samplers.TopKSampler(k=TOP_K), jit_compile=jit_compile)

    def generate(ids):
        # without a preprocessor it takes ids that are padded to the whole length
        padded = np.pad(ids, ((0, 0), (0, NEW)))
        mask = np.pad(np.ones_like(ids), ((0, 0), (0, NEW)))
        inputs = {"token_ids": padded, "padding_mask": mask}
        return np.asarray(network.generate(inputs, stop_token_ids=None)["token_ids"])

    measure(lambda batch: generate)


SIDES = {
    "lmkeras": (lmkeras_side, None),
    "pytorch float32": (lambda: pytorch_side(False, False), "pytorch"),
    "pytorch bfloat16": (lambda: pytorch_side(True, False), "pytorch"),
    "pytorch float32 static": (lambda: pytorch_side(False, True), ("pytorch", "compiler")),
    "kerashub float32": (lambda: kerashub_side("float32", False), "kerashub"),
    "kerashub bfloat16": (lambda: kerashub_side("bfloat16", False), "kerashub"),
    "kerashub float32 xla": (lambda: kerashub_side("float32", True), "kerashub"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=SIDES, help="fewer sides")
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        return SIDES[options.side][0]()
    names = options.only or SIDES
    found = run_sides(__file__, [Side(name, SIDES[name][1]) for name in names], options.rounds)
    if options.only:
        return None
    rows = []
    for batch in BATCHES:
        row = {
            "what": f"generating, transformer 6 x 384, vocabulary 10,000, {batch} at once, 256 new tokens, top-k 40",
            "ours": found["lmkeras"][f"batch_{batch}"],
            "unit": "tokens/s",
            "goal": "3x",
            "floor": batch * bandwidth() / (WEIGHT_BYTES + batch * CACHE_BYTES),  # every step reads all of them
        }
        for prefix in ("pytorch", "kerashub"):
            peer, theirs = fastest(found, f"batch_{batch}", prefix)
            rows.append(row | {"peer": peer, "theirs": theirs})
    return report("generation", rows)


if __name__ == "__main__":
    main()
