"""A corpus larger than memory: tokenized and trained on with at most 2 GiB resident, in all processes together.

Writes a corpus of text made of Python's documentation, with words and numbers in it that nothing else has, tokenizes
it, trains a few updates, and removes it. A side that holds more than 2048 MiB is ended, and the benchmark fails.
Resident memory is summed over a side's processes, pages that they share counted for each. One worker and all of them
take turns on the first 64 MB, with the same tokenizer.

    python benchmarks/large_corpus.py [--megabytes 2000] [--folder .bench] [--rounds 3]
"""

import argparse
import itertools
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import RESULTS, Side, print_figures, report

LIMIT_MIB = 2048
PART_MEGABYTES = 64
STEPS, BATCH, LENGTH = 20, 32, 128
READ_TOKENS = 50_000_000
LMKERAS = (sys.executable, "-m", "lmkeras")


def write_corpus(folder: Path, megabytes: float) -> list[Path]:
    """Files of 64 MB: paragraphs of the documentation in random order, each after a line of its own."""
    from pydoc_data.topics import topics

    generator = random.Random(0)
    paragraphs = [paragraph for name in sorted(topics) for paragraph in topics[name].split("\n\n") if paragraph]
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
    files, left = [], megabytes * 1e6
    while left > 0:
        files.append(folder / f"part-{len(files):03}.txt")
        size = min(left, PART_MEGABYTES * 1e6)
        with files[-1].open("wb") as file:
            while file.tell() < size:
                words = ["".join(generator.choices(syllables, k=generator.randint(1, 4))) for _ in range(4)]
                text = f"{' '.join(words)} {generator.randrange(10**6)}\n{generator.choice(paragraphs)}\n\n"
                file.write(text.encode())
        left -= size
    return files


def resident_mib(session: int) -> float:
    """What all processes of a session hold now."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                pages += int((folder / "statm").read_text().split()[1])
        except OSError:  # it has ended in the meantime
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(*command: object) -> tuple[float, float, str]:
    """Runs a side; (seconds, peak MiB of all its processes, what it printed)."""
    start, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as out:
        environment = Side("lmkeras").environment()
        process = subprocess.Popen(
            list(map(str, command)), stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        while process.poll() is None:
            peak = max(peak, resident_mib(process.pid))
            if peak > LIMIT_MIB:
                os.killpg(process.pid, 9)
                process.wait()
                sys.exit(f"{' '.join(map(str, command[1:5]))} … held {peak:,.0f} MiB, more than {LIMIT_MIB}")
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        out.seek(0)
        text = out.read()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{text[-4000:]}")
    return seconds, peak, text


def rate(text: str) -> float:
    """The MB/s that `lmkeras tokenize` says at its end."""
    return float(re.findall(r"([\d.]+) MB/s", text)[-1])


def read_windows(folder: str) -> None:
    """The side that reads training windows and does nothing with them."""
    from lmkeras.datasets import ShardedWindows, open_shards

    windows = ShardedWindows(open_shards(folder), LENGTH, BATCH)
    steps = min(windows.steps_per_epoch, READ_TOKENS // (windows.batch_size * windows.length))
    start = time.perf_counter()
    for _ in itertools.islice(windows.epoch(0), steps):
        pass
    tokens = steps * windows.batch_size * windows.length
    print_figures(tokens_per_second=tokens / (time.perf_counter() - start))


def measure(folder: Path, megabytes: float, rounds: int) -> list[dict]:
    """The table's rows."""
    files = write_corpus(folder, megabytes)
    size = sum(file.stat().st_size for file in files) / 1e6
    tokens, workers = folder / "tokens", os.cpu_count()
    seconds, peak, text = run(*LMKERAS, "tokenize", "--text", *files, "--output", tokens)
    print(f"  {size:,.0f} MB tokenized in {seconds:,.0f} s, fitting included; {rate(text)} MB/s; {peak:,.0f} MiB")
    rates = {1: [], workers: []}
    for count, found in itertools.chain.from_iterable(itertools.repeat(rates.items(), rounds)):
        command = ("tokenize", "--text", files[0], "--output", folder / "trial", "--tokenizer-from", tokens)
        found.append(rate(run(*LMKERAS, *command, "--workers", count, "--overwrite")[2]))
        print(f"  {count} workers: {found[-1]} MB/s", flush=True)
    _, windows_peak, windows = run(sys.executable, __file__, "--side", "windows", "--folder", tokens)
    trained = "--network lstm --embedding-dim 128 --units 128 --validation-fraction 0.0001 --no-tensorboard".split()
    trained += ["--steps", STEPS, "--batch-size", BATCH, "--window-length", LENGTH]
    training_seconds, training_peak, _ = run(
        *LMKERAS, "train", "lm", "--text", tokens, "--output", folder / "run", *trained
    )
    one, all_ = (statistics.median(rates[count]) for count in (1, workers))
    manifest = json.loads((tokens / "manifest.json").read_text())
    about = f"{manifest['tokens']:,} tokens in {len(manifest['shards'])} shards"
    limit = {"unit": "MiB", "goal": f"{LIMIT_MIB} MiB"}
    return [
        {
            "what": f"tokenizing text into byte pairs, {workers} workers",
            "unit": "MB/s",
            "ours": all_,
            "peer": "1 worker",
            "theirs": one,
        },
        {
            "what": f"tokenizing {size:,.0f} MB, fitting included",
            "unit": "MB/s",
            "ours": size / seconds,
            "note": f"{about}, {seconds:,.0f} s",
        },
        limit | {"what": f"peak resident memory of tokenizing {size:,.0f} MB, all processes", "ours": peak},
        {
            "what": f"reading training windows of {LENGTH} tokens",
            "unit": "tokens/s",
            "ours": json.loads(windows.splitlines()[-1])["tokens_per_second"],
            "note": f"{windows_peak:,.0f} MiB resident",
        },
        limit
        | {
            "what": f"peak resident memory of {STEPS} updates on {about}",
            "ours": training_peak,
            "note": f"{training_seconds:,.0f} s with start, compilation and evaluation",
        },
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=2000)
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where there is room for 1.5 times as much")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=["windows"], help="what the script calls itself with")
    options = parser.parse_args()
    if options.side:
        return read_windows(str(options.folder))
    options.folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(options.folder).free / 1e6
    if free < 2 * options.megabytes:
        sys.exit(f"{options.folder} has {free:,.0f} MB free: {2 * options.megabytes:,.0f} are needed")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="large_corpus-") as folder:
        rows = measure(Path(folder), options.megabytes, options.rounds)
    return report("large_corpus", rows)


if __name__ == "__main__":
    main()
