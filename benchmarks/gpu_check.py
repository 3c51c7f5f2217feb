"""Checks on a machine with a GPU that lmkeras trains, generates and exports there as on the CPU, in a few minutes.

It needs TensorFlow, Keras, tokenizers and safetensors alone. Where there is no GPU it says so and ends with 0.

    python benchmarks/gpu_check.py
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

UPDATES = 20  # whose losses are compared
TIMED, WARM = 60, 20  # updates trained for the speed, and how many of them are not timed
LARGEST_DIFFERENCE = 1e-3  # of a loss, relative to the CPU's
LM = {"batch_size": 16, "window_length": 64, "tensorboard": False}
MODELS = {
    "transformer": ("transformer", {"d_model": 256, "num_heads": 4, "num_layers": 4, "context_length": 64}),
    "lstm": ("lstm", {"embedding_dim": 256, "units": 256, "num_layers": 2}),
    "classifier": ("transformer", {"d_model": 128, "num_heads": 4, "num_layers": 2, "dropout": 0.0}),
}

#: what a second process without a GPU does with the export
READER = """
import json, sys
import tensorflow as tf
assert not tf.config.list_physical_devices("GPU")
signatures = tf.saved_model.load(sys.argv[1]).signatures
found = signatures["score"](text=tf.constant(json.loads(sys.argv[2])))["log_probability"]
print(json.dumps(found.numpy().tolist()))
"""


def corpus(name):
    from lmkeras.corpora.sources import open_corpus

    texts = [text for text in open_corpus("builtin:python-docs") if len(text) > 200][:60]
    if name != "classifier":
        return texts
    words = [" ".join(text.split()[:200]) for text in texts]
    lengths = range(5, 60)  # as texts of users, they have many lengths
    parts = [" ".join(text.split()[:length]) for text in words for length in lengths]
    return [(part, str(len(part.split()) % 2)) for part in parts]


def mean_words():
    """Words in a text of the classifier, without padding; each is one token."""
    texts = [text for text, _ in corpus("classifier")]
    return sum(len(text.split()) for text in texts) / len(texts)


def new_model(name, scale=1):
    from lmkeras import LanguageModel, TextClassifier

    network, sizes = MODELS[name]
    if scale > 1:  # smaller, for tests of this script
        names = ("d_model", "embedding_dim", "units")
        sizes = {size: max(8, n // scale) if size in names else n for size, n in sizes.items()}
    if name == "classifier":
        return TextClassifier(network, "words", **sizes)
    return LanguageModel(network, "characters", **sizes)


def settings_of(name):
    return {"batch_size": 32, "tensorboard": False} if name == "classifier" else LM


def losses(name, device, scale):
    """The loss of each of the first updates in float32, and the trained model."""
    model = new_model(name, scale)
    history = model.fit(
        corpus(name),
        validation_fraction=0,
        steps=UPDATES,
        evaluate_every=1,
        precision="float32",
        device=device,
        verbose=0,
        **settings_of(name),
    )
    return [line["loss"] for line in history], model


def speed(name, device, scale, timed):
    """Rows (windows or texts) a second, precision and use of XLA of a training by the defaults."""
    import keras

    class Watch(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.times = []

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter())
            self.policy, self.xla = self.model.dtype_policy.name, self.model.jit_compile

    watch, settings = Watch(), settings_of(name)
    model = new_model(name, scale)
    history = model.fit(
        corpus(name),
        validation_fraction=0,
        steps=timed,
        evaluate_every=timed,
        device=device,
        verbose=0,
        callbacks=[watch],
        **settings,
    )
    if not math.isfinite(history[-1]["loss"]):
        raise SystemExit(f"FAILED: the loss of {name} by default on {device} is {history[-1]['loss']}")
    first = min(WARM, timed // 2)
    seconds = watch.times[-1] - watch.times[first]
    rows = settings["batch_size"] * (len(watch.times) - 1 - first)
    return rows / seconds, watch.policy, watch.xla


def read_export(model, folder, texts):
    """The scores that a process without a GPU gives by an export of the model."""
    model.export(folder)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", READER, str(folder), json.dumps(texts)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"the export cannot be read without a GPU:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def check(plain="cpu", tested="gpu", scale=1, timed=TIMED):
    """Trains on both devices, prints what is found, and gives the number of failures."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(False)
    failures = 0

    def say(well, text):
        nonlocal failures
        failures += not well
        print(f"{'well' if well else 'FAILED'}: {text}", flush=True)

    for name in MODELS:
        expected, _ = losses(name, plain, scale)
        found, model = losses(name, tested, scale)
        worst = max(abs(a - b) / abs(a) for a, b in zip(expected, found, strict=True))
        say(worst <= LARGEST_DIFFERENCE, f"{name}: losses of {UPDATES} updates differ by at most {worst:.1e}")
        if name == "classifier":
            continue
        text = model.generate("The ", max_new_tokens=50, temperature=0)
        say(True, f"{name}: generated {text!r}")
        texts = ["The value of an object", "a list"]
        scores = [model.score(text).log_probability for text in texts]
        with tempfile.TemporaryDirectory() as aside:
            read = read_export(model, Path(aside) / "exported", texts)
        worst = max(abs(a - b) / abs(a) for a, b in zip(scores, read, strict=True))
        say(worst <= LARGEST_DIFFERENCE, f"{name}: scores of its export, read without a GPU, differ by {worst:.1e}")
    tf.config.experimental.enable_tensor_float_32_execution(True)
    print(f"\n{'model':12} {'device':6} {'precision':15} {'XLA':5} {'tokens/s':>12}")
    for name in MODELS:
        for device in (plain, tested):
            rate, policy, xla = speed(name, device, scale, timed)
            rate *= mean_words() if name == "classifier" else LM["window_length"]
            print(f"{name:12} {device:6} {policy:15} {xla!s:5} {rate:12,.0f}", flush=True)
    return failures


def main():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and shutil.which("nvidia-smi"):
        print(f"TensorFlow {tf.__version__} finds no GPU beside NVIDIA's driver: pip install '.[gpu]' brings its CUDA")
        return 1
    if not gpus:
        print(f"TensorFlow {tf.__version__} finds no GPU on this machine: there is nothing to check")
        return 0
    for gpu in gpus:
        details = tf.config.experimental.get_device_details(gpu)
        print(f"{gpu.name}: {details.get('device_name')}, compute capability {details.get('compute_capability')}")
    started = time.perf_counter()
    failures = check()
    print(f"{failures} failures, {time.perf_counter() - started:.0f} seconds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
