"""The verb that puts runs beside each other: compare."""

import json as json_format
from pathlib import Path
from typing import Annotated

from lmkeras.arguments import Shown
from lmkeras.cli.configuration import NAME, read_entries
from lmkeras.display import aligned, number, shown
from lmkeras.errors import InputError
from lmkeras.models.folder import read_config
from lmkeras.models.published import described_source, is_published
from lmkeras.tasks import tasks
from lmkeras.training.checkpoints import Checkpoints


def compare(
    runs: Annotated[list[str], Shown("RUN", positional=True)],
    json: bool = False,
) -> None:
    """Compare runs: the settings that differ, parameters, updates, and the best value of each metric with its update.

    Runs of different tasks can be compared, also those that still train, were stopped or are damaged, and folders of
    published models, which have no training: the table says so.

    Args:
        runs: folders of runs.
        json: print JSON: for each run an object.
    """
    found = {run: _facts(Path(run)) for run in runs}
    if json:
        print(json_format.dumps(found, indent=2, ensure_ascii=False))
        return
    settings = [name for one in found.values() for name in one["settings"]]
    differing = [name for name in dict.fromkeys(settings) if len({_said(one, name) for one in found.values()}) > 1]
    rows = [["", *(shown(run, 40) for run in found)], ["state", *(one["state"] for one in found.values())]]
    rows += [[name, *(_said(one, name) for one in found.values())] for name in differing]
    rows += [[name, *(number(one[name]) for one in found.values())] for name in ("parameters", "updates")]
    rows.append(["seconds", *("" if one["seconds"] is None else f"{one['seconds']:.1f}" for one in found.values())])
    for metric in dict.fromkeys(name for one in found.values() for name in one["best"]):
        best = [one["best"].get(metric) for one in found.values()]
        rows.append([metric, *(f"{number(one['value'])} at {one['update']:,}" if one else "" for one in best)])
    print(aligned(rows))
    for run, one in found.items():
        for problem in one["problems"]:
            print(f"{run}: {problem}")


def _said(facts: dict, name: str) -> str:
    """A setting as the table shows it; empty where a run does not have it."""
    value = facts["settings"].get(name)
    return "" if value is None else shown(" ".join(map(str, value)) if isinstance(value, list) else value, 40)


def _facts(run: Path) -> dict:
    """What is known of a run; InputError if nothing of a run is in its folder."""
    if run.exists() and is_published(run):
        return _facts_of_published(run)
    problems, config, entries = [], {}, {"settings": {}}
    if not any((run / name).exists() for name in ("config.json", NAME, "metrics.jsonl")):
        raise InputError(f"no run in {run}: it has neither config.json nor {NAME} nor metrics.jsonl")
    saved = (run / "config.json").exists()
    try:
        config = read_config(run, whole=False) if saved else {}
    except InputError as error:
        problems.append(str(error))
    try:
        entries = read_entries(run / NAME)
    except InputError as error:
        problems.append(str(error))
    lines = _evaluations(run / "metrics.jsonl", problems)
    acting = entries["acting"] if isinstance(entries.get("acting"), dict) else {}
    ended = saved and not Checkpoints(run, keep=1).unfinished()
    return {
        "state": "damaged" if problems else "finished" if ended else "stopped" if saved else "running or killed",
        "settings": {"verb": entries.get("verb"), **entries["settings"]},
        "parameters": acting.get("parameters") or config.get("network", {}).get("parameters"),
        "updates": lines[-1]["step"] if lines else 0,
        "seconds": entries["seconds"] if isinstance(entries.get("seconds"), int | float) else None,
        "best": _best(lines),
        "problems": problems,
    }


def _facts_of_published(folder: Path) -> dict:
    """What `_facts` gives for a published model, of which no training is known."""
    problems = ["a published model, of whose training nothing is known: lmkeras evaluate judges it"]
    try:
        parameters = described_source(folder).get("parameters")
    except InputError as error:
        problems, parameters = [str(error)], None
    unknown = dict.fromkeys(("updates", "seconds"))
    return {"state": "published", "settings": {}, "parameters": parameters, **unknown, "best": {}, "problems": problems}


def _evaluations(path: Path, problems: list[str]) -> list[dict]:
    """The lines of a metrics.jsonl; of those that are damaged, a problem is noted, and the file may be missing."""
    found = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for count, line in enumerate(text.splitlines(), 1):
        try:
            values = json_format.loads(line)
            found.append({"step": int(values["step"]), **values})
        except (ValueError, KeyError, TypeError, RecursionError):
            problems.append(f"{path} line {count} is damaged")
    return found


def _best(lines: list[dict]) -> dict[str, dict]:
    """For each metric of which it is known whether higher is better, its best value and after which update it came."""
    higher = {"loss": False} | {metric.name: metric.higher_is_better for t in tasks().values() for metric in t.metrics}
    best = {}
    for name in dict.fromkeys(name for line in lines for name in line):
        if (direction := higher.get(name.removeprefix("val_"))) is not None:
            values = [(line[name], line["step"]) for line in lines if isinstance(line.get(name), int | float)]
            if values:
                value, update = (max if direction else min)(values, key=lambda pair: pair[0])
                best[name] = {"value": value, "update": update}
    return best
