"""Does lmkeras.tokenizers' Tokenizer give what tf.keras' Tokenizer gives? On random Unicode texts, output by output.

    python benchmarks/tokenizer_parity.py [--texts 20000] [--seed 0]

Texts are fitted in groups, each group under a random configuration, half of them at character level. Compared are
the tables and their order (but where Keras leaves it to chance), ids, texts, matrices, JSON, and each side's reading
of the other's JSON. Prints the number of texts and outputs compared and the number of differences; exits with 1 if
there is any.
"""

import argparse
import collections
import json
import random
import sys

from lmkeras.tokenizers.keras_words import Tokenizer

TABLES = ("word_counts", "word_docs", "word_index", "index_word", "index_docs")
UNORDERED = ("word_docs", "index_docs")  # in the order of a set, which is another in every process
# What lower-casing and splitting may trip over: sigmas in all contexts, İ, ligatures, marks, joiners, NUL, odd spaces.
TRICKY = (
    "aAbB zZ ΣσςΆ'.:\u00b7\u00ad\u0301\u0307İıŞßẞǅﬁ ΐÅK\u200d\u200c\x00\t\n\x0b\x1c\x85\xa0\u2028\u3000"
    "!?<>-_天空😀👩🏽‍🚀𝐀𐐀ⅷ"
)
GROUP = 20


def outputs(tokenizer, texts: list) -> dict[str, object]:
    """Everything that a fitted tokenizer tells about texts; "ValueError" where it refuses."""
    ids = tokenizer.texts_to_sequences(texts)
    top = len(tokenizer.word_index)
    strange_ids = [*ids, [], [0, 1, 2, top, top + 1, top + 2, 10**6, -1]]
    found = {name: list(getattr(tokenizer, name).items()) for name in TABLES}
    found |= {name: sorted(found[name]) for name in UNORDERED}
    found |= {"document_count": tokenizer.document_count, "ids": ids}
    found["texts"] = tokenizer.sequences_to_texts(strange_ids)
    for mode in ("binary", "count", "freq", "tfidf"):
        found[f"matrix {mode}"] = _or_refusal(lambda mode=mode: tokenizer.texts_to_matrix(texts, mode).tolist())
    written = json.loads(tokenizer.to_json())
    written["config"] = _ordered(written["config"])
    return found | {"config": _ordered(tokenizer.get_config()), "json": json.dumps(written)}


def _ordered(config: dict) -> dict:
    """A tokenizer's config, where JSON in it whose order Keras leaves to chance has an order."""
    return {**config, **{name: sorted(json.loads(config[name]).items()) for name in UNORDERED if name in config}}


def differences(ours: dict[str, object], theirs: dict[str, object]) -> list[str]:
    """The names of the outputs that are not equal."""
    return [name for name in theirs if ours[name] != theirs[name]]


def random_configuration(rng: random.Random, char_level: bool) -> dict:
    """Arguments of a Tokenizer."""
    configuration = {
        "num_words": rng.choice([None, None, 0, 1, 2, 10, 100]),
        "lower": rng.random() < 0.7,
        "oov_token": rng.choice([None, None, "<OOV>", "a", ""]),
        "char_level": char_level,
    }
    if rng.random() < 0.6:
        configuration["split"] = rng.choice([" ", "\n", "ab", "aa", "::", "\\", "天", None])
    if rng.random() < 0.6:
        configuration["filters"] = rng.choice(
            ["", "a", "iς", "\\]^-", "\x00 \u0307", "".join(rng.choices(TRICKY, k=9))]
        )
    return configuration


def random_text(rng: random.Random) -> str | list[str]:
    """A text of up to 60 characters, or, now and then, a list of tokens."""
    if rng.random() < 0.05:
        return [_random_string(rng, 4) for _ in range(rng.randrange(6))] + ["<OOV>"]
    return _random_string(rng, rng.randrange(60))


def _random_string(rng: random.Random, length: int) -> str:
    return "".join(
        rng.choice(TRICKY) if rng.random() < 0.8 else chr(rng.randrange(0x110000 if rng.random() < 0.3 else 0x500))
        for _ in range(length)
    )


def _or_refusal(call):
    try:
        return call()
    except ValueError:
        return "ValueError"


def main(arguments: list[str] | None = None) -> int:
    """Compares and prints; returns the exit code."""
    import tensorflow as tf

    text_module = tf.keras.preprocessing.text
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=20_000, help="number of random texts to compare")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random texts and configurations")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    compared, different = 0, collections.Counter()
    for start in range(0, options.texts, GROUP):
        configuration = random_configuration(rng, char_level=start // GROUP % 2 == 1)
        texts = [random_text(rng) for _ in range(GROUP)]
        unseen = [random_text(rng) for _ in range(3)]
        ours, theirs = Tokenizer(**configuration), text_module.Tokenizer(**configuration)
        ours.fit_on_texts(texts)
        theirs.fit_on_texts(texts)
        expected = outputs(theirs, texts + unseen)
        read_by_us = Tokenizer.from_json(theirs.to_json())
        read_by_them = text_module.tokenizer_from_json(ours.to_json())
        for tokenizer in (ours, read_by_us, read_by_them):
            different.update(differences(outputs(tokenizer, texts + unseen), expected))
            compared += len(expected)
    print(f"{-(-options.texts // GROUP) * GROUP} texts, {compared} outputs compared, {different.total()} differences")
    for name, count in different.most_common():
        print(f"  {name}: {count}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
