"""`python benchmarks/speed`: the daemon with everything on, beside the C floor and a plain paho loop, in interleaved rounds.

Prints one table. The figures to look at are the ratios to the floor of the same round: machines differ, and are noisy.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

import broker
import building
import measuring
import table
from node_red import NodeRed
from profiling import profile
from systems import ROOT, Daemon, Floor, HungEdge, Paho, PahoFull, System

# The daemon's home is made with the checkout beside this file, whatever else is installed.
sys.path.insert(1, str(ROOT))


SYSTEMS: tuple[System, ...] = (Floor(), Paho(), PahoFull(), NodeRed(), Daemon())
"""In the order of the table; ratios are to the first."""
ASKED_FOR: tuple[System, ...] = (HungEdge(),)
"""Only with --only."""
WRITING_S = 920
"""So long what a home writes is counted: three batches of readings, a snapshot of the senses, and the checkpoint of the start."""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="each system once a round (default 5)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round, to see that it runs: some one and a half minutes",
    )
    parser.add_argument("--only", action="append", choices=[system.name for system in (*SYSTEMS, *ASKED_FOR)], metavar="SYSTEM",
                        help=f"only this one, may be given again: {', '.join(system.name for system in (*SYSTEMS, *ASKED_FOR))}")  # fmt: skip
    parser.add_argument(
        "--writing", type=int, default=WRITING_S, metavar="SECONDS",
        help=f"count so long what a quiet home writes to the disk (default {WRITING_S}; 0 and --quick: not at all)",
    )  # fmt: skip
    parser.add_argument("--profile", action="store_true", help="only say where the daemon's own time goes")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="also write every figure of every round, as JSON"
    )
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    # So that what was started is ended, and folders are removed, also when somebody ends us.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda caught, _: sys.exit(128 + caught))
    broker.program()
    building.build()

    if given.profile:
        print(profile(Daemon(), quick=given.quick))
        return

    chosen = [system for system in SYSTEMS if not given.only or system.name in given.only]
    chosen += [system for system in ASKED_FOR if given.only and system.name in given.only]
    rounds: dict[str, list[dict[str, float]]] = {system.name: [] for system in chosen}
    notes: list[str] = []
    machine = table.machine(Path(tempfile.gettempdir()))
    if machine["disk"] == "tmpfs":
        notes.append("the store lies in memory, so its syncs cost nothing: set TMPDIR to a folder on a disk")
    for system in list(chosen):
        if (why := system.lacks()) is not None:
            notes.append(f"{system.name} is left out: {why}")
            chosen.remove(system)
    if not chosen:
        sys.exit("\n".join(notes))
    for number in range(1, 2 if given.quick else given.rounds + 1):
        for system in chosen:
            print(f"round {number}: {system.name}", file=sys.stderr)
            try:
                figures, doubts = measuring.one_round(system, quick=given.quick)
            except RuntimeError as broken:
                if not isinstance(system, Daemon | Floor):
                    # A rival that fails costs its own figures, not everybody's.
                    notes.append(f"{system.name}, round {number}: {broken}")
                    rounds[system.name].append({})
                    continue
                sys.exit(str(broken))
            rounds[system.name].append(figures)
            notes += [f"{system.name}, round {number}: {doubt}" for doubt in doubts]

    if given.writing and not given.quick and Daemon.name in rounds:
        print(f"what is written, for {given.writing} s", file=sys.stderr)
        # Once, since it is counted, not timed.
        written = measuring.written_mb_a_day(lambda: Daemon(channels=("pm2_5",)), given.writing)
        rounds[Daemon.name][0]["written_mb_a_day"] = written

    count = max(map(len, rounds.values()))
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    spread = f"median (least–greatest) of {count} rounds" if count > 1 else "one round"
    print(
        f"{measuring.DEVICES} devices, every reading owes a command; {spread}; × the floor of the same round\n"
    )
    print(table.table(rounds))
    print()
    for system in chosen:
        print(f"{system.name}: {system.what}")
    for note in notes:
        print(f"note: {note}")
    if given.out:
        told = {
            "machine": machine,
            "devices": measuring.DEVICES,
            "quick": given.quick,
            "rounds": rounds,
            "notes": notes,
        }
        given.out.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
