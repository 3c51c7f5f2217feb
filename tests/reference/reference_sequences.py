"""What PyTorch's nn.Transformer makes of random sources and targets: outputs, and gradients of all weights.

With .reference/pytorch first on PYTHONPATH:

    python tests/reference/reference_sequences.py FOLDER

writes FOLDER/pytorch.npz. The network is that of Vaswani et al. 2017: without norms after the last layers, which
nn.Transformer has beside those of the paper.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

WIDTH, HEADS, LAYERS, INNER, VOCABULARY = 16, 4, 2, 24, 13
LENGTHS, TOKENS = (7, 3, 1), 6


def positions(length):
    """The sinusoids of the paper, [T, D]."""
    angles = torch.arange(length)[:, None] / 10_000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, WIDTH)


def new_transformer():
    """Two layers on each side, in float64, with norms and biases of all values."""
    options = {"dim_feedforward": INNER, "dropout": 0.0, "layer_norm_eps": 1e-6, "batch_first": True}
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, HEADS, **options), LAYERS)
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(WIDTH, HEADS, **options), LAYERS)
    network = nn.Transformer(WIDTH, HEADS, custom_encoder=encoder, custom_decoder=decoder, batch_first=True)
    network.embedding = nn.Embedding(VOCABULARY, WIDTH)
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return network.double().train()


def main(folder):
    torch.manual_seed(0)
    network = new_transformer()
    sources, targets = (torch.randint(VOCABULARY, (len(LENGTHS), length)) for length in (max(LENGTHS), TOKENS))
    padding = torch.arange(max(LENGTHS)) >= torch.tensor(LENGTHS)[:, None]
    source, target = (network.embedding(ids) * WIDTH**0.5 + positions(ids.shape[1]) for ids in (sources, targets))
    states = network(
        source,
        target,
        tgt_mask=torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1),
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    direction = torch.randn_like(states)
    (states * direction).sum().backward()
    found = {"sources": sources, "targets": targets, "mask": ~padding, "states": states, "direction": direction}
    for name, parameter in network.named_parameters():
        found |= {f"weight {name}": parameter, f"gradient {name}": parameter.grad}
    np.savez(folder / "pytorch.npz", **{name: tensor.detach().numpy() for name, tensor in found.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
