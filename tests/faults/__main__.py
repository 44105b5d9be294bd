"""The fault matrix: `python -m tests.faults [--quick] [ROW ...]` prints a table, and fails where a figure falls short."""

import argparse
import sys

from tests.faults.row import JOBS, Size, discover, play_all


def main() -> int:
    """Run the rows that are asked for, or all; return 1 where one falls short."""
    asked = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    asked.add_argument("rows", nargs="*", metavar="ROW", help="such as B1; without any: all")
    asked.add_argument("--quick", action="store_true", help="the short form of each, as in the tests")
    asked.add_argument(
        "--jobs", type=int, default=JOBS, help="so many rows at a time, but for those that load the machine"
    )
    asked.add_argument("--list", action="store_true", help="name the rows, run none")
    given = asked.parse_args()
    found = discover()
    unknown = [name for name in given.rows if name.upper() not in found]
    if unknown:
        asked.error(f"no such row: {', '.join(unknown)}; there are {', '.join(found)}")
    chosen = [row.upper() for row in given.rows] or list(found)
    if given.list:
        for name in chosen:
            print(f"{name:<4} {found[name].row.fault}: {found[name].row.promise}")
        return 0
    short = []
    coming = play_all([found[name] for name in chosen], Size(given.quick), given.jobs)
    for name in chosen:
        outcome = coming[name].result()
        if not outcome.holds:
            short.append(name)
        verdict, row = "holds" if outcome.holds else "SHORT", outcome.row
        if outcome.unavailable is not None:
            print(f"{name:<4} n/a    {outcome.unavailable}")
            continue
        print(f"{name:<4} {verdict:<6} {outcome.seconds:5.0f} s  {row.fault}. Promised: {row.promise}")
        for figure in outcome.figures:
            print(f"                    {figure}")
        sys.stdout.flush()
    if short:
        print(f"short: {', '.join(short)}")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
