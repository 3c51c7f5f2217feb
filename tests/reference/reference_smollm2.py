"""What transformers' PyTorch makes of SmolLM2-135M-Instruct, read from its GGUF file.

With .reference/pytorch and the root of this repository on PYTHONPATH:

    python tests/reference/reference_smollm2.py FILE FOLDER

It reads FOLDER/asked.json and writes FOLDER/texts.json, conversations as texts and the answers to them, and
FOLDER/pytorch.npz: the ids and logits of texts, greedy continuations of prompts with what the likeliest token of each
step leads by, and the log probabilities of the tokens of a long text, alone and after the token that starts a text.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from reference_sources import peer_checkpoint, peer_tokenizer
from transformers import LlamaForCausalLM


def model_of(path):
    """The model in float32; transformers' own way to it would need one more package, accelerate."""
    config, tensors = peer_checkpoint(path)
    model = LlamaForCausalLM(config).eval()
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected
    assert missing == ["lm_head.weight"]
    assert config.tie_word_embeddings
    return model


def encoded(tokenizer, text):
    """int64 [1, T]."""
    return torch.tensor([tokenizer.encode(text, add_special_tokens=False)])


def log_probabilities(model, ids):
    """Those of all ids [1, T] but the first, float32 [T - 1]."""
    every = model(ids).logits[0, :-1].log_softmax(-1)
    return every.gather(1, ids[0, 1:, None])[:, 0]


def continued(model, prompts, new):
    """Greedy continuations [prompts, new], which no token ends, and by how much each step's likeliest token leads.

    Args:
        model: the model.
        prompts: ids of each prompt, int64 [1, T].
        new: tokens to add to each.
    """
    longest = max(prompt.shape[1] for prompt in prompts)
    padded = [torch.nn.functional.pad(prompt, (longest - prompt.shape[1], 0)) for prompt in prompts]
    counts = [torch.ones_like(prompt) for prompt in prompts]
    mask = torch.cat([torch.nn.functional.pad(count, (longest - count.shape[1], 0)) for count in counts])
    leads = []

    def noting(_, logits):
        best = logits.topk(2).values
        leads.append(best[:, 0] - best[:, 1])
        return logits

    ids = model.generate(
        torch.cat(padded),
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=new,
        eos_token_id=None,
        pad_token_id=0,
        logits_processor=[noting],
    )
    return ids[:, longest:], torch.stack(leads, dim=1)


def answered(tokenizer, model, messages, new):
    """(The text of a conversation, the greedy answer to it)."""
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = encoded(tokenizer, rendered)
    whole = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=new,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=0,
    )
    return rendered, tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)


@torch.no_grad()
def main(path, folder):
    """Answers what was asked."""
    asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    tokenizer = peer_tokenizer(path)
    model = model_of(path)
    found = {}
    for index, text in enumerate(asked["texts"]):
        found[f"ids {index}"] = encoded(tokenizer, text)
        found[f"logits {index}"] = model(found[f"ids {index}"]).logits
    prompts = [encoded(tokenizer, prompt) for prompt in asked["prompts"]]
    found["continued"], found["leads"] = continued(model, prompts, asked["new"])
    ids = encoded(tokenizer, asked["long"])
    found["log probabilities"] = log_probabilities(model, ids)
    np.savez(folder / "pytorch.npz", **{name: np.asarray(value) for name, value in found.items()})
    texts = [answered(tokenizer, model, messages, asked["new"]) for messages in asked["conversations"]]
    named = dict(zip(("rendered", "answers"), zip(*texts, strict=True), strict=True))
    (folder / "texts.json").write_text(json.dumps(named), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*map(Path, sys.argv[1:]))
