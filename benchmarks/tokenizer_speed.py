"""Fitting and encoding with lmkeras' Tokenizer and with Keras' legacy Tokenizer: MB/s, and the same ids.

    python benchmarks/tokenizer_speed.py [SOURCE ...] [--megabytes 4] [--rounds 3]

A .txt file gives its lines as texts, any other source its texts as they come. The floor is what Python needs at least
where words are strings: the texts, clean and lower-case already, are split, and words are counted, and so are those of
each text, or looked up. Fails where both sides do not give the same words, counts and ids.
"""

import argparse
import itertools
import sys
import zlib
from collections import Counter, _count_elements
from pathlib import Path

from measuring import Side, print_figures, report, run_sides, seconds_per_call

SETTINGS = {"num_words": 10_000, "oov_token": "<OOV>"}
FIGURES = {"fit": "Tokenizer.fit", "encode": "Tokenizer.encode_batch"}


def texts_of(source: str, megabytes: float) -> list[str]:
    from lmkeras.corpora import open_corpus

    texts = list(open_corpus([source]))
    texts = "".join(texts).split("\n") if source.endswith(".txt") else texts
    ends = itertools.accumulate(map(len, texts))
    return [text for text, end in zip(texts, ends, strict=True) if end <= megabytes * 1e6]


def lmkeras_side(texts: list[str]):
    from lmkeras import Tokenizer

    return tokenizer_side(Tokenizer, texts)


def keras_side(texts: list[str]):
    import tensorflow as tf

    return tokenizer_side(tf.keras.preprocessing.text.Tokenizer, texts)


def tokenizer_side(kind, texts: list[str]):
    fitted = kind(**SETTINGS)
    fitted.fit_on_texts(texts)
    tables = [list(fitted.word_counts.items()), list(fitted.word_index.items()), sorted(fitted.word_docs.items())]
    results = zlib.crc32(repr([tables, fitted.texts_to_sequences(texts)]).encode("utf-8", "replace"))
    return lambda: kind(**SETTINGS).fit_on_texts(texts), lambda: fitted.texts_to_sequences(texts), results


def floor_side(texts: list[str]):
    from lmkeras.tokenizers.word_splitter import WordSplitter

    splitter = WordSplitter('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " ")
    clean = [" ".join(words) for words in splitter.split_each([text.lower() for text in texts])]
    ids = {word: id for id, word in enumerate(Counter(" ".join(clean).split()))}

    def fit():
        counts, documents = Counter(), Counter()
        for text in clean:
            words = text.split()
            _count_elements(counts, words)
            _count_elements(documents, set(words))

    return fit, lambda: [list(map(ids.get, text.split())) for text in clean], None


SIDES = {"lmkeras": lmkeras_side, "keras": keras_side, "floor": floor_side}


def measured(side: str, sources: list[str], megabytes: float) -> dict[str, float | None]:
    figures = {}
    for source in sources:
        texts = texts_of(source, megabytes)
        fit, encode, results = SIDES[side](texts)
        size = len("".join(texts).encode()) / 1e6
        figures[f"fit {source}"] = size / seconds_per_call(fit, 0.5, warm_up=1)
        figures[f"encode {source}"] = size / seconds_per_call(encode, 0.5, warm_up=1)
        figures[f"results {source}"] = results
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", default=["builtin:python-docs"], help="files or other sources of text")
    parser.add_argument("--megabytes", type=float, default=4, help="how much of each source is used")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        return print_figures(**measured(options.side, options.sources, options.megabytes))
    arguments = (*options.sources, "--megabytes", options.megabytes)
    found = run_sides(__file__, [Side(name, arguments=arguments) for name in SIDES], options.rounds)
    ours, theirs, floor = (found[name] for name in SIDES)
    rows = []
    for source in options.sources:
        if ours[f"results {source}"] != theirs[f"results {source}"]:
            sys.exit(f"{source}: not the same words, counts and ids")
        for figure, what in FIGURES.items():
            key = f"{figure} {source}"
            row = {"what": f"{what} on {'/'.join(Path(source).parts[-2:])}", "unit": "MB/s", "peer": "keras"}
            rows.append(row | {"ours": ours[key], "theirs": theirs[key], "goal": "4x", "floor": floor[key]})
    return report("tokenizer_speed", rows)


if __name__ == "__main__":
    main()
