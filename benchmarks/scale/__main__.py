"""`python benchmarks/scale`: what one reading costs in a home of 1, 10, 100 and 1,000 appliances, and what each takes of the memory;
then how long the questions take that the API asks of a history of 1 to 1,000,000 rows.

Prints two tables. The first compares homes of one round with each other: at an equal total rate a reading should cost the same.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).resolve().parents[1] / "speed"), str(Path(__file__).resolve().parents[2])]

# Where what both benchmarks use lies, and the checkout beside this file, whatever else is installed.
import broker  # noqa: E402
import building  # noqa: E402
import history  # noqa: E402
import measuring  # noqa: E402
import table  # noqa: E402
from systems import PATIENCE_S, Daemon  # noqa: E402

HOMES = (1, 10, 100, 1000)
CHANNELS = ("pm2_5", "co2", "temperature")
"""Three sensors an appliance. The model lacks humidity: its rows are made and put to it, and it says that it does not know."""
RATE = 1000
SECONDS = 40
"""Longer than a bin of half a minute, whose end every appliance looks at."""
ROWS = (1, 1000, 10_000, 100_000, 1_000_000)


class Home(Daemon):
    """The daemon in a home of many appliances, all with the same past."""

    def __init__(self) -> None:
        super().__init__(CHANNELS, alike=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks/scale", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="each home once a round (default 5)")
    parser.add_argument(
        "--quick", action="store_true", help="one round, short, and 10,000 rows at most: two minutes"
    )
    parser.add_argument("--only", choices=("homes", "history"), help="only one of the tables")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="also write every figure of every round, as JSON"
    )
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda caught, _: sys.exit(128 + caught))
    told: dict[str, object] = {"machine": table.machine(Path(tempfile.gettempdir()))}
    print(", ".join(f"{key} {value}" for key, value in told["machine"].items()))
    if given.only != "history":
        broker.program()
        building.build()
        told["homes"] = homes(1 if given.quick else given.rounds, 10 if given.quick else SECONDS)
    if given.only != "homes":
        told["history"] = questions([rows for rows in ROWS if not given.quick or rows <= 10_000])
    if given.out:
        given.out.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def homes(count: int, seconds: int) -> dict[int, list[dict[str, float]]]:
    found: dict[int, list[dict[str, float]]] = {size: [] for size in HOMES}
    notes = []
    for number in range(1, count + 1):
        for size in HOMES:
            print(f"round {number}: {size} appliances", file=sys.stderr)
            figures, doubts = one(size, seconds)
            found[size].append(figures)
            notes += [f"{size} appliances, round {number}: {doubt}" for doubt in doubts]
    least, most = found[HOMES[0]], found[HOMES[-1]]
    print(
        f"\n{len(CHANNELS)} sensors an appliance, {RATE:,} messages a second in all, for {seconds} s; medians of {count} rounds\n"
    )
    columns = (
        "appliances",
        "CPU, µs a message",
        "× one",
        "p50, µs",
        "p99, µs",
        "PSS, MB",
        "first decision, ms",
    )
    lines = []
    for size, rounds in found.items():
        pairs = zip(rounds, least, strict=True)
        ratio = statistics.median(own["cpu_us"] / one["cpu_us"] for own, one in pairs)
        middle = {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
        lines.append((f"{size:,}", f"{middle['cpu_us']:.0f}", f"{ratio:.2f}", f"{middle['p50_us']:,.0f}", f"{middle['p99_us']:,.0f}",
                      f"{middle['pss_mb']:.1f}", f"{middle['cold_start_ms']:,.0f}"))  # fmt: skip
    show(columns, lines)
    each = statistics.median(
        (many["pss_mb"] - few["pss_mb"]) * 1024 / (HOMES[-1] - HOMES[0])
        for many, few in zip(most, least, strict=True)
    )
    print(f"\nmemory: {each:.0f} KiB an appliance more, with {most[0]['heard_s'] / 3600:.1f} h of its past")
    for note in notes:
        print(f"note: {note}")
    return found


def one(size: int, seconds: int) -> tuple[dict[str, float], list[str]]:
    """Return the figures of one home, and what speaks against them."""
    notes = []
    system = Home()
    with tempfile.TemporaryDirectory(prefix="appliance-scale-") as name, broker.broker(Path(name)) as port:
        process, began = system.start(port, size, Path(name))
        try:
            start = measuring.load(port, "--probe", f"{PATIENCE_S:.0f}", "--t0", str(began), devices=size)
            while not system.ready(Path(name)):
                time.sleep(0.05)
            before_s = measuring.cpu_s(process.pid)
            count = RATE * seconds
            paced = measuring.load(
                port, "-r", str(RATE), "-n", str(count), devices=size, within_s=seconds + 60
            )
            figures = {
                "cpu_us": (measuring.cpu_s(process.pid) - before_s) / count * 1e6,
                "p50_us": paced["lat_us"]["p50"],
                "p99_us": paced["lat_us"]["p99"],
                "pss_mb": measuring.pss_mb(process.pid),
                "cold_start_ms": start["ms"],
                "heard_s": float(system.heard_s),
            }
        finally:
            broker.end(process)
    if paced["lost"]:
        notes.append(f"{paced['lost']} of {count} readings went unanswered")
    if paced["send_lag_us"]["p99"] > figures["p99_us"] / 2:
        notes.append(
            f"the load itself was up to {paced['send_lag_us']['p99']:,.0f} µs late (p99): distrust that p99"
        )
    return figures, notes


def questions(sizes: list[int]) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for rows in sizes:
        print(f"a history of {rows:,} rows", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="appliance-scale-") as name:
            found[rows] = history.times(Path(name), rows)
    print(
        "\nmilliseconds a question, the slowest of its kind, with so many readings and so many decisions kept\n"
    )
    kinds = list(found[sizes[0]])
    show(
        ("", *(f"{rows:,}" for rows in sizes)),
        [(kind, *(f"{found[rows][kind]:.2f}" for rows in sizes)) for kind in kinds],
    )
    return found


def show(columns: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    widths = [max(len(line[at]) for line in (columns, *lines)) for at in range(len(columns))]
    for number, line in enumerate((columns, *lines)):
        print(
            "  ".join(
                [
                    line[0].ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
                ]
            )
        )
        if number == 0:
            print("-" * (sum(widths) + 2 * (len(widths) - 1)))


if __name__ == "__main__":
    main()
