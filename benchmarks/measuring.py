"""What benchmarks share: sides that take turns in processes of their own, the machine's rates, and the report.

A benchmark calls itself once a side and round, `python benchmarks/NAME.py --side SIDE ...`; a side ends with
`print_figures(...)`. Everything that can change a library's number of threads is taken out of the environment.
"""

import dataclasses
import datetime
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from table import line

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".bench"
CHANGES_SPEED = ("OMP_", "GOMP_", "KMP_", "MKL_", "ONEDNN_", "DNNL_", "TF_", "XLA_", "RAYON_", "TOKENIZERS_", "KERAS_")


@dataclasses.dataclass(frozen=True)
class Side:
    """One of those that are compared.

    Args:
        name: what the script's --side names it.
        reference: the folder of .reference that it runs with, or several ("onnx", "pytorch"); None for .venv alone.
        arguments: further arguments of the script for this side.
    """

    name: str
    reference: str | tuple[str, ...] | None = None
    arguments: tuple = ()

    def environment(self) -> dict[str, str]:
        """What its process inherits: nothing that changes threads or kernels, and its own libraries first."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(CHANGES_SPEED)}
        folders = (self.reference,) if isinstance(self.reference, str) else self.reference or ()
        for folder in folders:
            if not (ROOT / ".reference" / folder / "ready").exists():
                sys.exit(f"{self.name} needs .reference/{folder}: run `make .reference/{folder}/ready`")
        paths = [str(ROOT / ".reference" / folder) for folder in folders]
        return kept | {
            "PYTHONPATH": os.pathsep.join(paths),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": "tensorflow",
            "HF_HUB_OFFLINE": "1",
        }


def run_sides(script: str, sides: Iterable[Side], rounds: int) -> dict[str, dict[str, float]]:
    """The median of every figure of every side, over rounds in which all take turns.

    Args:
        script: the benchmark's __file__.
        sides: who is compared.
        rounds: how often; every other round goes backwards, so that nobody always runs on a warm machine.

    Returns:
        {side's name: {figure: median}}, process_seconds among them, from the interpreter's start to its end; text,
        such as a setting's name, is that of the last round.
    """
    sides = list(sides)
    found = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            found[side.name].append(_run(script, side))
    return {name: {key: _middle([one[key] for one in rows]) for key in rows[0]} for name, rows in found.items()}


def _run(script: str, side: Side) -> dict:
    command = [sys.executable, str(script), "--side", side.name, *map(str, side.arguments)]
    start = time.perf_counter()
    done = subprocess.run(command, env=side.environment(), capture_output=True, text=True)
    process_seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{side.name} failed with exit code {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    figures = json.loads(done.stdout.splitlines()[-1]) | {"process_seconds": process_seconds}
    shown = [f"{name} {f'{value:,.4g}' if _is_number(value) else value}" for name, value in figures.items()]
    print(f"  {side.name}: {', '.join(shown)}", flush=True)
    return figures


def _middle(values: list):
    return statistics.median(values) if all(map(_is_number, values)) else values[-1]


def _is_number(value) -> bool:
    return isinstance(value, int | float)


def print_figures(**figures: float | str | None) -> None:
    """What a side says at its end: one JSON line."""
    print(json.dumps(figures), flush=True)


def fastest(
    found: dict[str, dict[str, float]], figure: str, prefix: str = "", lowest: bool = False
) -> tuple[str, float]:
    """The best of a peer's settings: (side's name, figure).

    Args:
        found: what `run_sides` returned.
        figure: which figure; sides without it, or with None, do not count.
        prefix: how the names of the peer's sides begin.
        lowest: whether less is better, as with seconds and MiB.
    """
    values = {
        name: side[figure] for name, side in found.items() if name.startswith(prefix) and _is_number(side.get(figure))
    }
    name = (min if lowest else max)(values, key=values.get)
    return name, values[name]


def seconds_per_call(call: Callable[[], object], seconds: float = 1.0, warm_up: int = 2) -> float:
    """Median seconds of a call, which is repeated for about so many seconds.

    Args:
        call: must return when its work is done, not when it is queued.
        seconds: how long to measure; at least five calls.
        warm_up: calls before, which compile and fill caches.
    """
    for _ in range(warm_up):
        call()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@functools.cache
def matrix_rate(dtype_name: str) -> float:
    """FLOP/s of a large matrix product in TensorFlow, outside XLA, in a process of its own.

    Args:
        dtype_name: "float32" or "bfloat16".
    """
    return _run(__file__, Side("matrix_rate", arguments=(dtype_name,)))["flops"]


@functools.cache
def bandwidth() -> float:
    """Bytes/s that TensorFlow reads from memory when it sums a large array, in a process of its own."""
    return _run(__file__, Side("bandwidth"))["bytes"]


def report(name: str, rows: list[dict]) -> None:
    """Prints the table's lines and writes .bench/NAME.json, which the table is made of.

    Args:
        name: the script's name without .py.
        rows: dictionaries of what, unit, ours and, where there are, peer, theirs (same unit), goal ("2x", "0.3 s"),
            floor (the limit in the same unit) and note. A unit that ends in "/s", and only such a one, is better
            when it is higher; ratio and shares of the floor follow from that.
    """
    RESULTS.mkdir(exist_ok=True)
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes")
    result = {"name": name, "date": date, "cores": len(os.sched_getaffinity(0)), "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    for row in rows:
        print(line(row), flush=True)


def _measure_matrix_rate(dtype_name: str) -> None:
    import tensorflow as tf

    left, right = (tf.cast(tf.random.normal([4096, 2048]), dtype_name) for _ in range(2))
    product = tf.function(lambda: tf.reduce_max(tf.matmul(left, right, transpose_b=True)[:1, :1]))
    print_figures(flops=2 * 4096 * 4096 * 2048 / seconds_per_call(lambda: product().numpy()))


def _measure_bandwidth() -> None:
    import tensorflow as tf

    array = tf.ones([64, 2**21])  # 512 MiB: no cache holds it
    total = tf.function(lambda: tf.reduce_sum(array))
    print_figures(bytes=4 * 64 * 2**21 / seconds_per_call(lambda: total().numpy()))


if __name__ == "__main__":
    {"matrix_rate": _measure_matrix_rate, "bandwidth": _measure_bandwidth}[sys.argv[2]](*sys.argv[3:])
