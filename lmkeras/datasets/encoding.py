"""Turns texts into the records of shards, in one or several processes, in the order of the texts."""

import collections
import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from lmkeras.datasets.shards import HEADER
from lmkeras.datasets.windows import Frame
from lmkeras.errors import InputError
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.base import BaseTokenizer, in_blocks

_BLOCK_CHARACTERS = 1 << 19  # how much text a worker gets at a time


def ids_dtype(tokenizer: BaseTokenizer) -> np.dtype:
    """The dtype of ids on disk: two bytes if the vocabulary is small enough for that, else four."""
    return np.dtype("<u2" if tokenizer.vocabulary_size <= 1 << 16 else "<i4")


def encoded(texts: Iterable[str], tokenizer_json: str, workers: int) -> Iterator[tuple[str, bytes]]:
    """Each text with its record, in the order of the texts; only a few blocks of text are in memory at a time.

    Args:
        texts: the texts, which this process reads, not the workers.
        tokenizer_json: a fitted tokenizer, as its `to_json` gives it.
        workers: number of processes that tokenize; 1 tokenizes in this process.

    Raises:
        InputError: another process or the system has killed a worker.
    """
    if workers == 1:
        encode = functools.partial(_encode, tokenizer_from_json(tokenizer_json))
        for block in in_blocks(texts, _BLOCK_CHARACTERS):
            yield from zip(block, encode(block), strict=True)
        return
    spawn = multiprocessing.get_context("spawn")  # not a fork, which would lose TensorFlow's threads
    pool = ProcessPoolExecutor(workers, spawn, initializer=_start_worker, initargs=(tokenizer_json,))
    waiting = collections.deque()
    try:
        for block in itertools.chain(in_blocks(texts, _BLOCK_CHARACTERS), itertools.repeat(None)):
            if block is not None:
                waiting.append((block, pool.submit(_work, block)))
            if not waiting:
                return
            # at most 2 * workers blocks wait at a time, so that memory stays bounded
            if block is None or len(waiting) > 2 * workers:
                block, records = waiting.popleft()
                yield from zip(block, records.result(), strict=True)
    except BrokenProcessPool as error:
        raise InputError(
            "a worker was ended from outside: is memory short? Give fewer --workers, and --resume"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _encode(tokenizer: BaseTokenizer, texts: list[str]) -> list[bytes]:
    """The records of texts."""
    unknown, dtype, frame = tokenizer.special.unknown, ids_dtype(tokenizer), Frame.of(tokenizer.special)
    return [
        HEADER.pack(len(text), 0 if unknown is None else ids.count(unknown))
        + np.array(frame.around(ids), dtype).tobytes()
        for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True)
    ]


def _start_worker(tokenizer_json: str) -> None:
    """Prepares a new worker process, which works without importing TensorFlow."""
    global _work_with
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the worker processes keep all cores busy already
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work_with = tokenizer_from_json(tokenizer_json)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # this thread ends the worker, since a parent that was killed cannot


def _work(texts: list[str]) -> list[bytes]:
    return _encode(_work_with, texts)
