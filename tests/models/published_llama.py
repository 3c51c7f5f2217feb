"""A published language model of our own making: a tiny Llama with a byte-level tokenizer and a chat template."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from lmkeras.pretrained.checkpoint import write_checkpoint

TEXTS = ["the cat sat on the mat.", "user and assistant talk: hello, how are you?", "猫坐在垫子上。你好，世界！"] * 3
TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48, "max_position_embeddings": 128}
START, END, TEXT_END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


def write_tokenizer(folder: Path, template: str | None = TEMPLATE) -> int:
    """Writes tokenizer.json and tokenizer_config.json; gives the number of ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    marks = [TEXT_END, START, END]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=alphabet,
        show_progress=False,
        special_tokens=[AddedToken(one) for one in marks],
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"bos_token": START, "eos_token": END, "pad_token": TEXT_END}
    config |= {} if template is None else {"chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer.get_vocab_size()


def put_start_before_texts(folder: Path) -> None:
    """Changes a tokenizer so that it puts START before every text that is read alone."""
    path = folder / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    start = (START, tokenizer.token_to_id(START))
    tokenizer.post_processor = processors.TemplateProcessing(f"{START} $A", special_tokens=[start])
    tokenizer.save(str(path))


def write_llama(folder: Path, dtype: str = "float32", template: str | None = TEMPLATE, seed: int = 0, **more) -> Path:
    """Writes the whole model with random weights; `more` are further entries of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = write_tokenizer(folder, template) + 4  # a few more than the tokenizer has ids, as published models have
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": rows, **SIZES}
    config |= {"num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "hidden_act": "silu"}
    config |= {"tie_word_embeddings": True, "rope_theta": 10000.0, "eos_token_id": 2, "bos_token_id": 1, **more}
    random = np.random.default_rng(seed)

    def matrix(*shape):
        return (random.normal(size=shape) * 1.5 / np.sqrt(shape[-1])).astype(ml_dtypes.bfloat16).astype(dtype)

    width, inner, keys = SIZES["hidden_size"], SIZES["intermediate_size"], 16
    tensors = {"model.embed_tokens.weight": matrix(rows, width), "model.norm.weight": np.ones(width, dtype)}
    for i in range(config["num_hidden_layers"]):
        shapes = {
            "self_attn.q_proj": (width, width),
            "self_attn.k_proj": (keys, width),
            "self_attn.v_proj": (keys, width),
            "self_attn.o_proj": (width, width),
            "mlp.gate_proj": (inner, width),
            "mlp.up_proj": (inner, width),
            "mlp.down_proj": (width, inner),
        }
        block = {f"{name}.weight": matrix(*shape) for name, shape in shapes.items()}
        block |= {f"{name}.weight": np.ones(width, dtype) for name in ("input_layernorm", "post_attention_layernorm")}
        tensors |= {f"model.layers.{i}.{name}": tensor for name, tensor in block.items()}
    write_checkpoint(folder, config, tensors)
    generation = {"eos_token_id": [2, 0], "do_sample": False, "max_new_tokens": 24}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder
