"""Does PublishedTokenizer give what `tokenizers` gives, in Python and in a TensorFlow graph, and how fast?

    python benchmarks/published_tokenizer_parity.py TOKENIZER_JSON [corpus ...] [--texts 50000] [--rounds 3]

Random Unicode texts and the corpus, by paragraph, are encoded and decoded by the library, by the tokenizer and by its
TensorFlow twin. Prints the number of outputs that differ, which must be 0, and exits with 1 if any differ; with --texts
0 nothing is compared. Then the twin and the library are timed, with one thread each, on 256 prompts of 50 words.
"""

import argparse
import itertools
import json
import os
import random
import sys
from pathlib import Path

from measuring import Side, print_figures, report, run_sides, seconds_per_call
from word_piece_parity import batches, paragraphs_of, random_text

PROMPTS, WORDS = 256, 50
PHRASES = (
    *("don't", "I'LL", "we've", "'S", "'\u017f", "HTTPServer", "camelCase", "  ", "\r\n", "\n\n\n", "\t \n", "/\n"),
    *("1234567", "3.14", "\u00bd\u2167\u0663", " \u3000", "e\u0301a", "q\u0323\u0307", "\u1100\u1161\u11a8"),
    *("\u09c7\u09be", "\u0958\u0344", ">\u2581</", "\u2581\u2581", "<0x0A>", "x" * 40, "=" * 40),
    *("\u01c5\u02b0\u00aa", "\ud55c\uad6d", "\u7684\u662f\u4e00"),
)


def texts_of(tokenizer: dict, number: int, seed: int) -> list[str]:
    """Random texts in which the names of added tokens, special or not, and phrases stand, and the empty text."""
    rng = random.Random(seed)
    names = [token["content"] for token in tokenizer.get("added_tokens", [])]
    texts = [""]
    for _ in range(number - 1):
        parts = list(random_text(rng))
        for _ in range(rng.choice((0, 0, 1, 3, 10))):
            source = names if names and rng.random() < 0.3 else PHRASES
            parts.insert(rng.randrange(len(parts) + 1), rng.choice(source))
        texts.append("".join(parts))
    return texts


def differences(texts: list[str], ours, twin, theirs) -> tuple[int, int]:
    """How many outputs were compared, and how many differ."""
    import tensorflow as tf

    locate = tf.function(twin.encode_with_offsets, input_signature=[tf.TensorSpec([None], tf.string)])
    compared = different = 0
    for batch in batches(texts):
        expected = theirs.encode_batch(batch, add_special_tokens=False)
        ids, offsets = [one.ids for one in expected], [one.offsets for one in expected]
        in_graph = twin.encode(tf.constant(batch))
        located, starts, ends = (column.to_list() for column in locate(tf.constant(batch)))
        spans = [list(zip(*pair, strict=True)) for pair in zip(starts, ends, strict=True)]
        spelled = [ours.decode(row) for row in ids]
        for found, wanted in [
            (ours.encode_batch(batch), ids),
            (in_graph.to_list(), ids),
            (located, ids),
            (spans, offsets),
            ([text.decode() for text in twin.decode(in_graph).numpy()], spelled),
            (spelled, theirs.decode_batch(ids)),
        ]:
            compared += len(wanted)
            different += sum(a != b for a, b in zip(found, wanted, strict=True))
    return compared, different


def twin_side(path: str, prompts: list[str]):
    import tensorflow as tf

    from lmkeras.tokenizers.published import PublishedTokenizer

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    twin = PublishedTokenizer(json.loads(Path(path).read_text(encoding="utf-8"))).in_graph()
    prompts = tf.constant(prompts)
    return lambda: twin.encode(prompts)


def library_side(path: str, prompts: list[str]):
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    library = library_of(json.loads(Path(path).read_text(encoding="utf-8")))
    return lambda: library.encode_batch_fast(prompts, add_special_tokens=False)


def library_of(tokenizer: dict):
    """The library's tokenizer, which reads special tokens as plain text."""
    import tokenizers

    # without post-processor, which trims offsets and adds special ids
    library = tokenizers.Tokenizer.from_str(json.dumps({**tokenizer, "post_processor": None}))
    library.encode_special_tokens = True
    return library


SIDES = {"twin": twin_side, "tokenizers": library_side}


def measured(side: str, path: str, corpus: list[str]) -> dict[str, float]:
    words = itertools.chain.from_iterable(text.split() for text in paragraphs_of(corpus))
    prompts = [" ".join(itertools.islice(words, WORDS)) for _ in range(PROMPTS)]
    return {"prompts_per_second": PROMPTS / seconds_per_call(SIDES[side](path, prompts), seconds=2, warm_up=3)}


def main(arguments: list[str] | None = None) -> int | None:
    """Compares, times and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizer", help="path of a tokenizer.json")
    parser.add_argument("corpus", nargs="*", default=["builtin:python-docs"], help="files or other sources of text")
    parser.add_argument("--texts", type=int, default=50_000, help="number of random texts; 0 compares nothing")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random texts")
    parser.add_argument("--rounds", type=int, default=3, help="how often both are timed; 0 times nothing")
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args(arguments)
    if options.side:
        return print_figures(**measured(options.side, options.tokenizer, options.corpus))
    failures = 0
    if options.texts:
        from lmkeras.tokenizers.published import PublishedTokenizer

        tokenizer = json.loads(Path(options.tokenizer).read_text(encoding="utf-8"))
        ours, theirs = PublishedTokenizer(tokenizer), library_of(tokenizer)
        twin = ours.in_graph()
        kinds = {
            "random texts": texts_of(tokenizer, options.texts, options.seed),
            "corpus": paragraphs_of(options.corpus),
        }
        for kind, texts in kinds.items():
            compared, different = differences(texts, ours, twin, theirs)
            failures += different
            print(f"{len(texts)} {kind}: {compared} outputs compared, {different} differences", flush=True)
    if options.rounds:
        arguments = (options.tokenizer, *options.corpus)
        found = run_sides(__file__, [Side(name, arguments=arguments) for name in SIDES], options.rounds)
        ours, theirs = (found[name]["prompts_per_second"] for name in SIDES)
        what = f"twin of a published tokenizer, {PROMPTS} prompts of {WORDS} words"
        row = {"what": what, "unit": "prompts/s", "peer": "tokenizers, one thread", "goal": "0.5x"}
        report("published_tokenizer_parity", [row | {"ours": ours, "theirs": theirs}])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
