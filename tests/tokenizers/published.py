"""Small tokenizers of the kinds that published models have, trained on texts by the `tokenizers` library."""

import json

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
BEHIND_WORDS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + BEHIND_WORDS,
    "qwen2": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + BEHIND_WORDS,
    "gpt_oss": rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"
    rf"{CONTRACTIONS}?|\p{{N}}{{1,3}}" + BEHIND_WORDS.replace(r"[\r\n]*", r"[\r\n/]*", 1),
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_level(pre_tokenizer, texts, vocabulary_size=700, normalizer=None, **model) -> dict:
    """The tokenizer.json of byte pairs, learnt from texts."""
    library = tokenizers.Tokenizer(models.BPE(**model))
    library.pre_tokenizer, library.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer:
        library.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    library.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocabulary_size, initial_alphabet=alphabet, show_progress=False)
    )
    library.add_special_tokens(SPECIAL)
    return json.loads(library.to_str())


def split(pattern: str):
    """The pre-tokenizer that cuts texts with one of the PATTERNS."""
    cut = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentence_pieces(texts, vocabulary_size=900, normalizer=None, pre_tokenizer=None, decoder=None) -> dict:
    """The tokenizer.json of characters and merges, and of bytes for other characters, with a start before each text."""
    learner = tokenizers.Tokenizer(models.BPE())
    learner.normalizer = normalizer or normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    texts = [text.replace("<", "") for text in texts]  # so that no merges spell names of special tokens
    names = ["<pad>", "<s>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size, special_tokens=names, limit_alphabet=150, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    learnt = json.loads(learner.to_str())["model"]
    merges = [tuple(merge) for merge in learnt["merges"]]
    library = tokenizers.Tokenizer(
        models.BPE(learnt["vocab"], merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    library.normalizer = learner.normalizer
    if pre_tokenizer:
        library.pre_tokenizer = pre_tokenizer
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    library.decoder = decoder or decoders.Sequence(steps)
    library.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    library.add_special_tokens(names[:4])
    return json.loads(library.to_str())


def llama2(texts) -> dict:
    """As of Llama 2: a space before each text, which decoding takes away again."""
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    before = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return sentence_pieces(texts, normalizer=before, decoder=decoders.Sequence(steps))


def with_added(tokenizer: dict, *tokens: AddedToken) -> dict:
    """A tokenizer.json with more added tokens."""
    library = tokenizers.Tokenizer.from_str(json.dumps(tokenizer))
    library.add_tokens(list(tokens))
    return json.loads(library.to_str())
