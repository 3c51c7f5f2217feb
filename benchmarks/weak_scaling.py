"""Weak scaling: two workers of one core each on loopback, beside one process on one core with half of their batch.

Training by `--distribute multi_worker` of a transformer language model and of an LSTM. The floor is twice the speed of
the one process: what cores that share memory and its bandwidth cannot quite have. Gradients go through TCP on the same
two cores, so that networks between machines are not measured here.

    python benchmarks/weak_scaling.py [--rounds 3]
"""

import argparse
import json
import os
import socket
import subprocess
import sys

from measuring import Side, print_figures, report, run_sides
from training_speed import clock, corpus

VOCABULARY, LENGTH, ROWS, STEPS, WARM_UP = 4000, 128, 16, 24, 4
NETWORKS = {
    "transformer": {"num_layers": 4, "d_model": 256, "num_heads": 4, "context_length": LENGTH},
    "lstm": {"embedding_dim": 256, "units": 512},
}


def train(kind: str, rows: int, **options) -> float:
    """Tokens a second of all workers together."""
    from lmkeras import LanguageModel
    from lmkeras.training.strategies import strategy_for

    strategy_for(options.get("distribute", "none"))  # before anything else
    text, tokenizer = corpus(VOCABULARY, 2 * ROWS * LENGTH * 20)
    model, timer = LanguageModel(kind, tokenizer, **NETWORKS[kind]), clock(WARM_UP)
    shape = {"steps": STEPS, "batch_size": rows, "window_length": LENGTH, "evaluate_every": STEPS}
    model.fit([text], validation_fraction=0, callbacks=[timer], verbose=0, **shape, **options)
    return rows * LENGTH * timer.steps_per_second


def one_side():
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    print_figures(**{kind: train(kind, ROWS) for kind in NETWORKS})


def worker_side(kind: str, index: int):
    os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[index]])
    print_figures(rate=train(kind, 2 * ROWS, distribute="multi_worker"))


def two_side():
    figures = {}
    for kind in NETWORKS:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        cluster = {"worker": [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]}
        for one in sockets:
            one.close()
        workers = []
        for index in range(2):
            task = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
            command = [sys.executable, __file__, "--side", "worker", "--kind", kind, "--index", str(index)]
            environment = {**os.environ, "TF_CONFIG": task}
            workers.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        rates = [json.loads(worker.communicate()[0].splitlines()[-1])["rate"] for worker in workers]
        figures[kind] = min(rates)  # both count the same updates
    print_figures(**figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=["one", "two", "worker"], help="what the script calls itself with")
    parser.add_argument("--kind", choices=NETWORKS, help="what the script calls itself with")
    parser.add_argument("--index", type=int, help="what the script calls itself with")
    options = parser.parse_args()
    if options.side == "worker":
        return worker_side(options.kind, options.index)
    if options.side:
        return {"one": one_side, "two": two_side}[options.side]()
    found = run_sides(__file__, map(Side, ("one", "two")), options.rounds)
    rows = [
        {
            "what": f"training a {kind} language model with two workers of one core each (weak scaling)",
            "unit": "tokens/s",
            "ours": found["two"][kind],
            "peer": "one process of one core",
            "theirs": found["one"][kind],
            "floor": 2 * found["one"][kind],
        }
        for kind in NETWORKS
    ]
    return report("weak_scaling", rows)


if __name__ == "__main__":
    main()
