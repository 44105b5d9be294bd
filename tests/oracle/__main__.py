"""The long walk: `python -m tests.oracle --steps 1000000` prints progress and one line of verdict."""

import argparse
import sys
import time

from tests.oracle.walk import Failure, Walk

STRETCH = 20_000
"""Steps of one appliance; then another one is drawn."""


def main() -> int:
    """Walk, and return 1 where a promise was broken."""
    asked = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    asked.add_argument("--steps", type=int, default=1_000_000)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--stretch", type=int, default=STRETCH, help="steps of one random appliance")
    asked.add_argument(
        "--keep-going", action="store_true", help="go on to the next appliance after a failure"
    )
    asked.add_argument(
        "--lied-to", action="store_true", help="an edge answers lies and nonsense all the while"
    )
    given = asked.parse_args()
    began = time.monotonic()
    done = commands = violations = restarts = 0
    seed = given.seed
    while done < given.steps:
        walk = Walk(seed, lied_to=given.lied_to)
        try:
            walk.run(min(given.stretch, given.steps - done))
        except Failure as broken:
            violations += 1
            print(broken, file=sys.stderr, flush=True)
            if not given.keep_going:
                done += walk.steps
                break
        done += walk.steps
        commands += walk.oracle.commands
        restarts += walk.starts
        seed += 1
        if (seed - given.seed) % 5 == 0:
            print(f"{done:>9,} steps, {commands:,} commands, {time.monotonic() - began:.0f} s", flush=True)
    verdict = "no promise broken" if not violations else f"{violations} BROKEN"
    print(
        f"{verdict}: {done:,} steps, {seed - given.seed} appliances, {commands:,} commands, {restarts:,} starts, "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
