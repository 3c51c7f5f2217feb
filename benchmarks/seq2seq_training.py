"""Training a transformer that reads one text and writes another: tokens a second of lmkeras, PyTorch and KerasHub.

3 + 3 layers, 256 wide, 4 heads, inner width 1024, vocabulary 6,000, one embedding for both sides and the last layer,
dropout 0.1, label smoothing 0.1; batches of 64 pairs of 20 and 24 tokens (with the end). All train by AdamW. PyTorch is
nn.Transformer, KerasHub its TransformerEncoder and TransformerDecoder layers, each in its settings below, of which the
fastest counts. lmkeras has its own blocks, `pre_norm`, and the original ones of the peers, `post_norm`.

    python benchmarks/seq2seq_training.py [--rounds 1] [--all-settings]
"""

import argparse

import numpy as np
from measuring import Side, fastest, matrix_rate, print_figures, report, run_sides
from training_speed import clock, time_steps, zipf_ids

VOCABULARY, WIDTH, HEADS, LAYERS, BATCH = 6_000, 256, 4, 3, 64
SOURCE, TARGET = 20, 24
STEPS, WARM_UP = 24, 4
DROPOUT = SMOOTHING = 0.1
# six operations a weight: of the encoder for a source's tokens; of the decoder, its attention to the source and the
# last layer for a target's; keys and values of that attention are made of the source
_FLOP_SOURCE = 6 * LAYERS * (12 + 2) * WIDTH**2
_FLOP_TARGET = 6 * (LAYERS * (12 + 2) * WIDTH**2 + WIDTH * VOCABULARY)
FLOP_PER_TOKEN = (SOURCE * _FLOP_SOURCE + TARGET * _FLOP_TARGET) / (SOURCE + TARGET)


def batches() -> tuple[np.ndarray, np.ndarray]:
    """Random sources and targets, each with its end, id 0."""
    ids = [
        zipf_ids(VOCABULARY, STEPS * BATCH * size, seed).reshape(STEPS, BATCH, size)
        for seed, size in enumerate((SOURCE, TARGET))
    ]
    for side in ids:
        side[:, :, -1] = 0
    return tuple(ids)


def read(targets: np.ndarray) -> np.ndarray:
    """What a decoder reads to learn targets: the start, then the targets without their ends."""
    return np.pad(targets[..., :-1], [(0, 0)] * (targets.ndim - 1) + [(1, 0)])


def lmkeras_side(block):
    import lmkeras

    sources, targets = (side.reshape(-1, side.shape[-1])[:, :-1] for side in batches())
    tokenizer = lmkeras.Tokenizer(filters="", lower=False)
    tokenizer.fit([" ".join(f"w{id}" for id in range(1, VOCABULARY))])
    pairs = [tuple(" ".join(f"w{id}" for id in side) for side in pair) for pair in zip(sources, targets, strict=True)]
    sizes = {"d_model": WIDTH, "num_heads": HEADS, "num_layers": LAYERS, "dropout": DROPOUT, "block": block}
    model = lmkeras.Seq2SeqModel("transformer", tokenizer, label_smoothing=SMOOTHING, **sizes)
    settings = {"optimizer": "adamw", "steps": STEPS, "batch_size": BATCH}
    model.fit(pairs, validation_fraction=0, callbacks=[timer := clock(WARM_UP)], verbose=0, **settings)
    return timer.steps_per_second


def pytorch_side(compiled, bfloat16):
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, WIDTH)
            self.positions = nn.Embedding(SOURCE + TARGET, WIDTH)
            sizes = {"num_encoder_layers": LAYERS, "num_decoder_layers": LAYERS, "dim_feedforward": 4 * WIDTH}
            self.body = nn.Transformer(WIDTH, HEADS, **sizes, dropout=DROPOUT, batch_first=True)
            self.dropout = nn.Dropout(DROPOUT)

        def embedded(self, ids):
            return self.dropout(self.embedding(ids) * WIDTH**0.5 + self.positions.weight[: ids.shape[1]])

        def forward(self, sources, read):
            causal = nn.Transformer.generate_square_subsequent_mask(read.shape[1])
            states = self.body(self.embedded(sources), self.embedded(read), tgt_mask=causal, tgt_is_causal=True)
            return nn.functional.linear(states, self.embedding.weight)

    network = Network()
    forward, optimizer = (
        torch.compile(network) if compiled else network,
        torch.optim.AdamW(network.parameters(), 1e-3, fused=True),
    )
    stream = iter(zip(*(torch.from_numpy(side.astype(np.int64)) for side in batches()), strict=True))

    def step():
        sources, targets = next(stream)
        inputs = torch.from_numpy(read(targets.numpy()))
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = forward(sources, inputs).flatten(0, 1)
            loss = nn.functional.cross_entropy(logits, targets.flatten(), label_smoothing=SMOOTHING)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return time_steps(step, STEPS, WARM_UP)


def kerashub_side(policy="float32", jit_compile="auto"):
    import keras
    import tensorflow as tf
    from keras_hub.layers import TokenAndPositionEmbedding, TransformerDecoder, TransformerEncoder

    keras.config.set_dtype_policy(policy)
    sources, read_ids = keras.Input((SOURCE,), dtype="int32"), keras.Input((TARGET,), dtype="int32")
    embedding = TokenAndPositionEmbedding(VOCABULARY, max(SOURCE, TARGET), WIDTH, tie_weights=True)
    sizes = {"intermediate_dim": 4 * WIDTH, "num_heads": HEADS, "dropout": DROPOUT}
    dropout = keras.layers.Dropout(DROPOUT)
    memory, x = dropout(embedding(sources)), dropout(embedding(read_ids))
    for _ in range(LAYERS):
        memory = TransformerEncoder(**sizes)(memory)
    for _ in range(LAYERS):
        x = TransformerDecoder(**sizes)(x, memory)
    network = keras.Model([sources, read_ids], embedding.token_embedding(x, reverse=True))

    def smoothed(targets, logits):
        logs = tf.nn.log_softmax(tf.cast(logits, tf.float32))
        right = tf.gather(logs, tf.cast(targets, tf.int32), batch_dims=2)
        return -(1 - SMOOTHING) * right - SMOOTHING * tf.reduce_mean(logs, axis=-1)

    network.compile(optimizer=keras.optimizers.AdamW(1e-3), loss=smoothed, jit_compile=jit_compile)
    of_sources, targets = batches()
    data = tf.data.Dataset.from_tensor_slices(((of_sources, read(targets)), targets)).prefetch(tf.data.AUTOTUNE)
    network.fit(data, callbacks=[timer := clock(WARM_UP)], verbose=0)
    return timer.steps_per_second


COMPILED = ("pytorch", "compiler")
SIDES = {
    "lmkeras pre_norm": (lambda: lmkeras_side("pre_norm"), None),
    "lmkeras post_norm": (lambda: lmkeras_side("post_norm"), None),
    "pytorch float32": (lambda: pytorch_side(False, False), "pytorch"),
    "pytorch bfloat16": (lambda: pytorch_side(False, True), "pytorch"),
    "pytorch compiled float32": (lambda: pytorch_side(True, False), COMPILED),
    "pytorch compiled bfloat16": (lambda: pytorch_side(True, True), COMPILED),
    "kerashub": (kerashub_side, "kerashub"),
    "kerashub xla": (lambda: kerashub_side(jit_compile=True), "kerashub"),
    "kerashub bfloat16": (lambda: kerashub_side("mixed_bfloat16"), "kerashub"),
    "kerashub bfloat16 xla": (lambda: kerashub_side("mixed_bfloat16", True), "kerashub"),
}
SLOWER = ("pytorch compiled float32", "kerashub", "kerashub xla")
GOALS = {"pytorch": "1.2x", "kerashub": "2x"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--all-settings", action="store_true", help="measure the peers' slower settings too")
    parser.add_argument("--peers", nargs="+", choices=GOALS, default=list(GOALS), help="only these")
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        return print_figures(tokens_per_second=BATCH * (SOURCE + TARGET) * SIDES[options.side][0]())
    wanted = [name for name in SIDES if name.startswith(("lmkeras", *options.peers))]
    names = [name for name in wanted if options.all_settings or name not in SLOWER]
    found = run_sides(__file__, [Side(name, SIDES[name][1]) for name in names], options.rounds)
    rows = []
    for ours in ("pre_norm", "post_norm"):
        row = {
            "what": f"training an encoder-decoder ({ours}), 3 + 3 x 256, batches of 64 pairs",
            "ours": found[f"lmkeras {ours}"]["tokens_per_second"],
            "unit": "tokens/s",
            "floor": matrix_rate("bfloat16") / FLOP_PER_TOKEN,
        }
        for prefix in options.peers:
            peer, theirs = fastest(found, "tokens_per_second", prefix)
            rows.append(row | {"peer": peer, "theirs": theirs, "goal": GOALS[prefix]})
    return report("seq2seq_training", rows)


if __name__ == "__main__":
    main()
