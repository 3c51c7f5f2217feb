"""What the benchmarks of language models' training speed share: a corpus, and how each library is timed.

The corpus is random words of Zipf's frequencies: speed depends on the text by nothing but how often words come again.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np


def zipf_ids(vocabulary_size: int, count: int, seed: int = 0) -> np.ndarray:
    """Random ids from 1 to vocabulary_size - 1, the k-th with a frequency of 1 / k: int32 [count]."""
    weights = 1 / np.arange(1, vocabulary_size)
    random = np.random.default_rng(seed)
    return 1 + random.choice(vocabulary_size - 1, size=count, p=weights / weights.sum()).astype(np.int32)


def windows(ids: np.ndarray, batch_size: int, length: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of random windows without end: inputs and targets, each int32 [batch_size, length]."""
    random = np.random.default_rng(seed)
    while True:
        rows = random.integers(0, len(ids) - length, batch_size)[:, None] + np.arange(length + 1)
        yield ids[rows][:, :-1], ids[rows][:, 1:]


def corpus(vocabulary_size: int, count: int):
    """The same words as a text, and the fitted lmkeras.Tokenizer of that vocabulary."""
    import lmkeras

    ids = zipf_ids(vocabulary_size, count)
    tokenizer = lmkeras.Tokenizer(filters="", lower=False)
    tokenizer.fit([" ".join(f"w{id}" for id in range(1, vocabulary_size)), text := " ".join(f"w{id}" for id in ids)])
    if tokenizer.vocabulary_size != vocabulary_size:
        raise AssertionError(f"the tokenizer has a vocabulary of {tokenizer.vocabulary_size}")
    return text, tokenizer


def clock(warm_up: int):
    """A Keras callback whose `steps_per_second` leaves the first updates out."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.before = int(self.model.optimizer.iterations.numpy())
            self.marks = []

        def on_train_batch_end(self, batch, logs=None):
            done = int(self.model.optimizer.iterations.numpy()) - self.before
            if done >= warm_up:
                self.marks.append((done, time.perf_counter()))

        @property
        def steps_per_second(self):
            (first, start), (last, end) = self.marks[0], self.marks[-1]
            return (last - first) / (end - start)

    return Clock()


def time_steps(step: Callable[[], object], steps: int, warm_up: int) -> float:
    """Calls a second of so many calls, the first ones not counted."""
    for _ in range(warm_up):
        step()
    start = time.perf_counter()
    for _ in range(steps - warm_up):
        step()
    return (steps - warm_up) / (time.perf_counter() - start)


def pytorch_step(forward, optimizer, batches, bfloat16: bool) -> Callable[[], float]:
    """One update in PyTorch: logits [B, T, V] of `forward`, their loss, its gradients, the optimizer's step.

    Args:
        forward: a module, compiled or not.
        optimizer: of its parameters.
        batches: what `windows` gives.
        bfloat16: whether the matrix products are automatically cast to bfloat16.
    """
    import torch

    def step():
        inputs, targets = (torch.from_numpy(part.astype(np.int64)) for part in next(batches))
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = torch.nn.functional.cross_entropy(forward(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def plain_keras_lstm(vocabulary_size: int, embedding_dim: int, units: int):
    """Document 003's functional language model, in Keras as it comes."""
    import keras

    words = keras.Input(shape=(None,), dtype="int32")
    x = keras.layers.Embedding(vocabulary_size, embedding_dim)(words)
    x = keras.layers.LSTM(units, return_sequences=True)(x)
    return keras.Model(words, keras.layers.Dense(vocabulary_size, activation="softmax")(x))
