"""A GPT in PyTorch for the benchmarks to compare with: GPT-2's blocks, without biases and dropout."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm, self.inner_norm = (nn.LayerNorm(width, bias=False) for _ in range(2))
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width, bias=False)
        self.inner = nn.Sequential(
            nn.Linear(width, 4 * width, bias=False), nn.GELU(), nn.Linear(4 * width, width, bias=False)
        )

    def forward(self, x):
        heads = self.query_key_value(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [B, H, T, D / H]
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mix(attended.transpose(1, 2).flatten(2))
        return x + self.inner(self.inner_norm(x))


class Gpt(nn.Module):
    """Ids [B, T] to logits [B, T, V]; learned positions, and the embedding is also the last layer's matrix."""

    def __init__(self, vocabulary_size, width, num_heads, num_layers, context_length):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.positions = nn.Embedding(context_length, width)
        self.blocks = nn.Sequential(*[Block(width, num_heads) for _ in range(num_layers)])
        self.norm = nn.LayerNorm(width, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                # Radford et al. 2019: what is added to the residual stream is smaller, the more of it there is
                ends_a_branch = name.endswith(("mix.weight", "inner.2.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * num_layers) ** 0.5 if ends_a_branch else 0.02)

    def forward(self, ids):
        x = self.embedding(ids) + self.positions.weight[: ids.shape[1]]
        return functional.linear(self.norm(self.blocks(x)), self.embedding.weight)


def adamw(network, learning_rate=1e-3, weight_decay=0.1):
    """AdamW in one kernel, which decays matrices alone."""
    parameters = list(network.parameters())
    groups = [
        {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": weight_decay},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, learning_rate, betas=(0.9, 0.99), fused=True)
