"""One table of what the benchmarks wrote to .bench/*.json, with machine and date: .bench/table.md.

python benchmarks/table.py
"""

import json
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / ".bench"
HEAD = "| what | ours | peer | theirs | ratio | goal | floor | ours / theirs, share of the floor |"


def line(row: dict) -> str:
    """A row of the table, in Markdown; see `measuring.report` for what it holds."""
    ours, theirs, floor = row["ours"], row.get("theirs"), row.get("floor")
    higher = row["unit"].endswith("/s")

    def times(value, other):
        return None if value is None or other is None else (value / other if higher else other / value)

    shares = [times(value, floor) for value in (ours, theirs)]
    cells = [
        row["what"] + (f" ({row['note']})" if row.get("note") else ""),
        _number(ours, row["unit"]),
        row.get("peer") or "",
        _number(theirs, row["unit"]),
        _ratio(times(ours, theirs)),
        row.get("goal") or "",
        _number(floor, row["unit"]),
        " / ".join(f"{share:.0%}" for share in shares if share is not None),
    ]
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 4 if unit == "nats" else 0 if value >= 100 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f} {unit}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def machine() -> str:
    """Processor, its cores and memory, in one sentence."""
    info = Path("/proc/cpuinfo")
    names = [text.split(":")[1].strip() for text in info.read_text().splitlines() if text.startswith("model name")]
    extensions = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {name}" in info.read_text()]
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {names[0] if names else platform.processor()} ({', '.join(extensions)}), "
        f"{gibibytes:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}"
    )


def table(results: list[dict]) -> str:
    """The table of several results, in Markdown."""
    dates = sorted(result["date"][:10] for result in results)
    days = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    # fewer than the machine has where the process was pinned: such figures are not those of the machine
    used = " and ".join(str(cores) for cores in sorted({result["cores"] for result in results}))
    columns = HEAD.count("|") - 1
    lines = [line(row) for result in results for row in result["rows"]]
    return (
        "\n".join([f"{machine()}; measured on {used} of its cores; {days}.", "", HEAD, "|" + "---|" * columns, *lines])
        + "\n"
    )


def main():
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    text = table(results)
    (RESULTS / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
