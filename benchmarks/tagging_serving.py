"""A tagger (BERT 6 x 384) from text to entities: latency of one sentence, sentences a second in batches of 32.

Our exported SavedModel in a process with TensorFlow alone, beside the pipeline of transformers 5 in PyTorch with the
same weights and the same sentences in the same order, those of CoNLL-2003's test part with blanks between the words.
The weights are MiniLM's after some updates on the training part, so that there are as many entities as there should be.

The pipeline's strategy `simple`, whose speed is measured, tags every piece of a word by itself; `first` tags words by
their first piece, as our side does: that both find the same entities is checked. A tagger with a conditional random
field, which our users get where they say nothing and which the pipeline does not have, is measured beside them.

    python benchmarks/tagging_serving.py PATH/conll2003 [--rounds 1]
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from bert_serving import BATCH, CORES, SENTENCES, WEIGHTS, rows, speed
from measuring import Side, print_figures, report, run_sides

GOALS = {"milliseconds": {"pytorch simple": "1x"}, "rate": {"pytorch simple": "3x"}}


def write_models(folder, data, updates):
    """Our SavedModels, a checkpoint for the peer, the sentences, and how long they are."""
    from lmkeras import Tagger
    from lmkeras.corpora.tagged import open_tagged_corpus
    from lmkeras.tasks.tagging import Tagging

    train, test = (list(open_tagged_corpus(data / f"{part}.conll")) for part in ("train", "test"))
    types = sorted({span.type for _, spans in train for span in spans})
    labels = ["O", *(f"{letter}-{kind}" for kind in types for letter in "BI")]
    for name, learnt in {"crf": {"crf": True}, "alone": {"crf": False, "labels": labels}}.items():
        # the pipeline's words are cut at every sign, too
        model = Tagger.of_task(Tagging(types=types, splitting="signs", **learnt), "bert", weights=WEIGHTS)
        model.fit(train, validation_fraction=0, steps=updates, batch_size=BATCH, verbose=0)
        for dtype in ("float32", "bfloat16"):
            model.export(folder / f"{name} {dtype}", dtype=dtype)
    model.network.save_pretrained(folder / "checkpoint", labels)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(WEIGHTS / name, folder / "checkpoint")
    chosen = np.random.default_rng(0).choice(len(test), SENTENCES, replace=False)
    texts = [" ".join(test[number].words) for number in chosen]
    (folder / "sentences.json").write_text(json.dumps(texts))
    return {"tokens": float(np.mean([len(model.tokenizer.encode(text)) + 2 for text in texts]))}


def figures_of(folder, side, many):
    """The figures of `many(texts)`, which gives the entities (type, start, end) of each text; they go to a file."""
    texts = json.loads((folder / "sentences.json").read_text())
    figures = speed(texts, lambda text: many([text]), many)
    found = [entities for start in range(0, len(texts), BATCH) for entities in many(texts[start : start + BATCH])]
    (folder / f"{side}.json").write_text(json.dumps(found))
    return figures


def lmkeras_side(folder, side, model):
    import tensorflow as tf

    tag = tf.saved_model.load(str(folder / model)).signatures["tag"]

    def many(texts):
        found = {name: value.numpy() for name, value in tag(text=tf.constant(texts)).items()}
        ends = np.cumsum(found["counts"])[:-1]
        each = zip(found["types"].astype(str).tolist(), found["starts"].tolist(), found["ends"].tolist(), strict=True)
        each = list(each)
        return [each[start:end] for start, end in zip([0, *ends], [*ends, len(each)], strict=True)]

    return figures_of(folder, side, many)


def pytorch_side(folder, side, strategy, dtype_name, autocast=False):
    import torch
    from transformers import logging, pipeline

    logging.set_verbosity_error()
    torch.set_num_threads(CORES)
    dtype, model = getattr(torch, dtype_name), str(folder / "checkpoint")
    tag = pipeline("token-classification", model, aggregation_strategy=strategy, dtype=dtype, device="cpu")

    def many(texts):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = tag(texts, batch_size=len(texts))
        return [[(one["entity_group"], one["start"], one["end"]) for one in entities] for entities in found]

    return figures_of(folder, side, many)


SIDES = {
    "lmkeras float32": (lmkeras_side, "alone float32"),
    "lmkeras bfloat16": (lmkeras_side, "alone bfloat16"),
    "lmkeras with a CRF float32": (lmkeras_side, "crf float32"),
    "lmkeras with a CRF bfloat16": (lmkeras_side, "crf bfloat16"),
    "pytorch simple float32": (pytorch_side, "simple", "float32"),
    "pytorch simple bfloat16": (pytorch_side, "simple", "bfloat16"),
    "pytorch simple autocast": (pytorch_side, "simple", "float32", True),
    "pytorch first float32": (pytorch_side, "first", "float32"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conll", type=Path, help="folder of train.conll and test.conll")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--updates", type=int, default=200, help="of the weights, before they are exported")
    parser.add_argument("--side", choices=["models", *SIDES], help="what the script calls itself with")
    parser.add_argument("--folder", type=Path, help="where the models are")
    options = parser.parse_args()
    if options.side == "models":
        print_figures(**write_models(options.folder, options.conll, options.updates))
    elif options.side:
        run, *arguments = SIDES[options.side]
        print_figures(**run(options.folder, options.side, *arguments))
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), options)


def compare(folder, options):
    """All sides in turn, the comparison of what they find, and the report."""
    given = (options.conll, "--folder", folder, "--updates", options.updates)
    tokens = run_sides(__file__, [Side("models", arguments=given)], 1)["models"]["tokens"]
    references = {pytorch_side: "pytorch", lmkeras_side: None}
    sides = [Side(name, references[SIDES[name][0]], given) for name in SIDES]
    found = run_sides(__file__, sides, options.rounds)
    entities = {side: entities_of(folder / f"{side}.json") for side in found}
    ours = entities["lmkeras float32"]
    for side, theirs in entities.items():
        print(f"  {side}: {len(theirs)} entities, {len(theirs & ours)} of them the {len(ours)} of lmkeras float32")
    if entities["pytorch first float32"] != ours:
        sys.exit("lmkeras and the pipeline find other entities")
    table = []
    for name, what in {"lmkeras": "text to entities", "lmkeras with a CRF": "text to entities by a CRF"}.items():
        for dtype in ("float32", "bfloat16"):
            table += rows(found, f"{name} {dtype}", tokens, GOALS, what)
    report("tagging_serving", table)


def entities_of(path):
    """The entities that a side has written: (number of the text, type, start, end)."""
    return {(number, *entity) for number, some in enumerate(json.loads(path.read_text())) for entity in some}


if __name__ == "__main__":
    main()
