"""Texts to the records of shards, in several processes, in the texts' order."""

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

_BLOCK_CHARACTERS = 1 << 19  # how much text a worker is given at a time


def ids_dtype(tokenizer: BaseTokenizer) -> np.dtype:
    """The type of ids on disk."""
    return np.dtype("<u2" if tokenizer.vocabulary_size <= 1 << 16 else "<i4")


def encoded(texts: Iterable[str], tokenizer_json: str, workers: int) -> Iterator[tuple[str, bytes]]:
    """Each text with its record, in the texts' order; in memory are few texts at a time.

    Args:
        texts: read by this process.
        tokenizer_json: of a fitted tokenizer.
        workers: processes that tokenize; 1 for this one.

    Raises:
        InputError: a worker was killed.
    """
    if workers == 1:
        encode = functools.partial(_encode, tokenizer_from_json(tokenizer_json))
        for block in in_blocks(texts, _BLOCK_CHARACTERS):
            yield from zip(block, encode(block), strict=True)
        return
    spawn = multiprocessing.get_context("spawn")  # TensorFlow's threads do not live through a fork
    pool = ProcessPoolExecutor(workers, spawn, _start_worker, (tokenizer_json,))
    waiting = collections.deque()
    try:
        for block in itertools.chain(in_blocks(texts, _BLOCK_CHARACTERS), itertools.repeat(None)):
            if block is not None:
                waiting.append((block, pool.submit(_work, block)))
            if not waiting:
                return
            # few blocks are under way at a time, so that memory stays bounded
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
    """What a new process does first; it never imports TensorFlow."""
    global _work_with
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits for this one
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # there is a process a core already
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work_with = tokenizer_from_json(tokenizer_json)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # a parent that was killed cannot say that there is no more to do


def _work(texts: list[str]) -> list[bytes]:
    return _encode(_work_with, texts)
