"""Twins inside a SavedModel, in a process that has TensorFlow alone."""

import json
import subprocess
import sys

import tensorflow as tf

from tests.tokenizers.test_tokenizer_contract import HARD, built, decoded, locating

READER = """
import json, sys
import tensorflow as tf
folder, texts = sys.argv[1], json.loads(sys.argv[2])
loaded = tf.saved_model.load(folder)
found = {}
for name, twin in loaded.twins.items():
    ids = twin.encode(tf.constant(texts))
    columns = [column.to_list() for column in loaded.locate[name](tf.constant(texts))]
    found[name] = [ids.to_list(), [text.decode() for text in twin.decode(ids).numpy()], columns]
assert not any(module.startswith(("lmkeras", "tokenizers", "tensorflow_text")) for module in sys.modules)
print(json.dumps(found))
"""


def test_saved_twins_load_where_there_is_only_tensorflow(tmp_path):
    holder = tf.Module()
    names = ["words", "split at white space", "lower-case characters", "byte pairs", "word pieces", "cased word pieces"]
    names += ["published byte pairs", "published characters"]
    holder.twins = {name: built(name)[1] for name in names}
    holder.locate = {name: locating.__wrapped__(twin) for name, twin in holder.twins.items()}
    tf.saved_model.save(holder, str(tmp_path / "saved"))
    command = [sys.executable, "-I", "-c", READER, str(tmp_path / "saved"), json.dumps(HARD)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    for name in names:
        tokenizer = built(name)[0]
        ids, texts, columns = found[name]
        assert ids == tokenizer.encode_batch(HARD)
        assert texts == [text.decode() for text in decoded(tokenizer, ids)]
        offsets = [tokenizer.offsets(text) for text in HARD]
        starts, ends = ([[offset[side] for offset in row] for row in offsets] for side in (0, 1))
        assert columns == [ids, starts, ends]
