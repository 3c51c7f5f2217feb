"""Does WordPieceTokenizer give what BertTokenizerFast gives, in Python and in a TensorFlow graph, and how fast?

    python benchmarks/word_piece_parity.py [corpus ...] [--texts 50000] [--seed 0] [--vocabulary FOLDER] [--rounds 3]

For each setting (uncased, cased, accents kept, ideographs inside words) a vocabulary is learnt from the corpus and
from random Unicode texts, or read from FOLDER, a BERT checkpoint's. Then random texts and the corpus, by paragraph, are
encoded by transformers, by the tokenizer and by its TensorFlow twin, alone and in pairs cut to random lengths. Also,
each of Unicode's characters, in two contexts, is cut into words by the library and by the twin. Prints the number of
outputs that differ, which must be 0, and exits with 1 if any differ; with --texts 0 nothing is compared. Then both are
timed, uncased, with one thread each, on batches of sentences and on one sentence of 20 words.
"""

import argparse
import itertools
import os
import random
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from measuring import Side, print_figures, report, run_sides, seconds_per_call

BATCH = 256
SETTINGS = {
    "uncased": {},
    "cased": {"lowercase": False},
    "accents kept": {"strip_accents": False},
    "ideographs inside words": {"lowercase": False, "strip_accents": True, "tokenize_chinese_chars": False},
}
ALPHABETS = [
    "etaoin shrdlu ETAOIN",
    "éèêëÉÀçÇñõåÅøØßİıſ ",
    "αβγάΐΣσς ΑΒΓΆ",
    "абвгдйёЙЁ ",
    "שלום\u05b7\u05bc عربية\u064b\u0651 ",
    "हिन्दी बাংলাো தமிழ்ொ ไทย\u0e34 ",
    "天地玄黄豈龘 日本語がカﾞ 한국어각 \u1100\u1161\u11a8",
    "\u0301\u0302\u0327\u0323\u0345\u034f\u0334\u302e\u302f\u1b44\u0903\U0001d165\U0001d16d\U0001d15e",
    "😀👩🏽\u200d🚀🇩🇪☃\ufe0f",
    ".,;:!?'\"()-–—«»、。「」$€%&/\\#@*_[]{}<>|~^`≠≤\u037e",
    " \t\n\r\x0b\x1c\x85\xa0\u1680\u2003\u2028\u3000",
    "\x00\x01\x7f\x9f\xad\u200b\u200c\u200e\u2060\ufeff\ufffd\ue000\ue005\U000f0000",
]
PHRASES = [
    "[CLS]",
    "[SEP]",
    "[PAD]",
    "[UNK]",
    "[MASK]",
    "[cls]",
    "[C LS]",
    "##ing",
    "x" * 100,
    "y" * 101,
    "don't",
    "U.S.",
]


def random_text(rng: random.Random) -> str:
    """A text of up to 60 characters, most of them of two alphabets, with phrases that matter here in between."""
    alphabets = rng.choices(ALPHABETS, k=2)
    parts = []
    for _ in range(rng.randrange(1, 60)):
        luck = rng.random()
        if luck < 0.03:
            parts.append(rng.choice(PHRASES))
        elif luck < 0.08:
            code = rng.randrange(0x110000 if luck < 0.05 else 0x3000)
            parts.append(chr(code) if not 0xD800 <= code < 0xE000 else " ")
        else:
            parts.append(rng.choice(rng.choice(alphabets)))
    return "".join(parts)


def batches(texts: list[str]) -> Iterable[list[str]]:
    return (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))


def differences(texts: list[str], ours, twin, theirs, lengths: Iterator[int]) -> tuple[int, int]:
    """How many outputs were compared, and how many differ; pairs are cut to each batch's length."""
    import tensorflow as tf

    compared = different = 0
    for batch in batches(texts):
        partners, max_length = batch[::-1], next(lengths)
        alone = theirs(batch, add_special_tokens=False)["input_ids"]
        pairs = theirs(batch, partners, truncation=True, max_length=max_length)
        ids = ours.encode_batch(batch)
        in_graph, partners_in_graph = twin.encode(tf.constant(batch)), twin.encode(tf.constant(partners))
        assembled, types = (part.to_list() for part in twin.assemble(in_graph, partners_in_graph, max_length))
        call = ours(batch, partners, truncation=True, max_length=max_length)
        spelled = [text.decode() for text in twin.decode(in_graph).numpy()]
        for found, expected in [
            (ids, alone),
            (in_graph.to_list(), alone),
            (call["input_ids"], pairs["input_ids"]),
            (call["token_type_ids"], pairs["token_type_ids"]),
            (call["attention_mask"], pairs["attention_mask"]),
            (assembled, pairs["input_ids"]),
            (types, pairs["token_type_ids"]),
            (spelled, [theirs.decode([id for id in row if id]) for row in alone]),
            (spelled, [ours.decode(row) for row in ids]),
        ]:
            compared += len(expected)
            different += sum(a != b for a, b in zip(found, expected, strict=True))
    return compared, different


def differences_of_characters(rules) -> tuple[int, int]:
    """How many texts that hold all characters were cut into words, and how many differently by library and twin."""
    import tensorflow as tf

    from lmkeras.tokenizers.in_graph.bert_text import InGraphBertText

    cut = tf.function(InGraphBertText(rules, ()).words, input_signature=[tf.TensorSpec([None], tf.string)])
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    compared = different = 0
    for context in ("A{}é ", "\u302f\u1b44{}\u302e\u0301가"):
        for start in range(0, len(characters), 200):
            text = "".join(context.format(character) for character in characters[start : start + 200])
            codes, _, starts = cut(tf.constant([text.encode()]))
            joined = "".join(map(chr, codes.numpy()))
            ends = [*starts.numpy()[1:], len(joined)]
            compared += 1
            different += [joined[a:b] for a, b in zip(starts.numpy(), ends, strict=True)] != rules.words(text)
    return compared, different


def paragraphs_of(corpus: list[str]) -> list[str]:
    from lmkeras.corpora import open_corpus

    return [part for text in open_corpus(corpus) for part in text.split("\n\n") if part.strip()]


def twin_side(vocabulary: str, sentences: list[list[str]]):
    import tensorflow as tf

    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    twin = WordPieceTokenizer.from_pretrained(vocabulary, lowercase=True).in_graph()
    return lambda batch: twin.encode(batch), [tf.constant(batch) for batch in sentences]


def fast_side(vocabulary: str, sentences: list[list[str]]):
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast.from_pretrained(vocabulary, do_lower_case=True, model_max_length=10**9)
    ids_alone = {"add_special_tokens": False, "return_attention_mask": False, "return_token_type_ids": False}
    return lambda batch: tokenizer(batch, **ids_alone), sentences


SIDES = {"twin": twin_side, "BertTokenizerFast": fast_side}


def measured(side: str, vocabulary: str, corpus: list[str]) -> dict[str, float]:
    """Sentences per second in batches, and milliseconds that a sentence of 20 words takes alone."""
    sentences = [part for text in paragraphs_of(corpus) for part in re.split(r"(?<=[.!?])\s+", text) if len(part) > 20]
    alone = " ".join(" ".join(sentences).split()[:20])
    sentences = sentences[: 20 * BATCH]
    encode, inputs = SIDES[side](vocabulary, [[alone], *batches(sentences)])
    seconds = seconds_per_call(lambda: [encode(batch) for batch in inputs[1:]], seconds=2)
    return {
        "sentences_per_second": len(sentences) / seconds,
        "alone": 1000 * seconds_per_call(lambda: encode(inputs[0])),
    }


def report_speed(vocabulary: str, corpus: list[str], rounds: int):
    arguments = (*corpus, "--vocabulary", vocabulary)
    found = run_sides(__file__, [Side(name, arguments=arguments) for name in SIDES], rounds)
    ours, theirs = (found[name] for name in SIDES)
    row = {"peer": "BertTokenizerFast, one thread"}
    batched, alone = f"WordPiece in graph, batches of {BATCH} sentences", "WordPiece in graph, one sentence of 20 words"
    figures = [("sentences_per_second", batched, "sentences/s", "0.5x"), ("alone", alone, "ms", None)]
    report(
        "word_piece_parity",
        [
            row | {"what": what, "unit": unit, "ours": ours[figure], "theirs": theirs[figure], "goal": goal}
            for figure, what, unit, goal in figures
        ],
    )


def compare(options, folder: Path) -> int:
    """Compares under every setting, prints, and leaves each one's vocabulary in the folder; the number that differ."""
    from transformers import BertTokenizerFast

    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    rng = random.Random(options.seed)
    noise, paragraphs = [random_text(rng) for _ in range(options.texts)], paragraphs_of(options.corpus)
    print(f"{len(noise)} random texts, {len(paragraphs)} paragraphs of {', '.join(options.corpus)}")
    failures = 0
    for name, settings in SETTINGS.items():
        if options.vocabulary:
            ours = WordPieceTokenizer.from_pretrained(options.vocabulary, **settings)
        else:
            ours = WordPieceTokenizer(vocabulary_size=12_000, **settings).fit([*paragraphs, *noise[:20_000]])
        ours.save_vocabulary(folder / name)
        if not noise:
            return 0
        theirs, twin = BertTokenizerFast.from_pretrained(folder / name, model_max_length=10**9), ours.in_graph()
        found = {
            # not too short for the texts: transformers also returns every combination of what it cuts off
            "random texts": differences(noise, ours, twin, theirs, itertools.cycle(range(12, 60))),
            "corpus": differences(paragraphs, ours, twin, theirs, itertools.cycle(range(100, 400, 7))),
            "every character": differences_of_characters(ours.rules),
        }
        for kind, (compared, different) in found.items():
            failures += different
            print(f"{name}, {kind}: {compared} outputs compared, {different} differences", flush=True)
    return failures


def main(arguments: list[str] | None = None) -> int | None:
    """Compares, times and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="*", default=["builtin:python-docs"], help="files or other sources of text")
    parser.add_argument("--texts", type=int, default=50_000, help="number of random texts; 0 compares nothing")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random texts")
    parser.add_argument(
        "--vocabulary", help="folder of a BERT checkpoint, whose vocabulary takes the learnt one's place"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often both are timed")
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args(arguments)
    if options.side:
        return print_figures(**measured(options.side, options.vocabulary, options.corpus))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        failures = compare(options, Path(folder))
        report_speed(str(Path(folder, "uncased")), options.corpus, options.rounds)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
