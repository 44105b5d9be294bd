"""What the mere existence of an edge costs an easy case: the same sure word settled with an edge behind the model and without, in turns.

An easy case is one of which the local model is sure while no audit is due; nearly all are..
"""

import argparse
import statistics
import sys
import time
import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.core import guards, inference
from appliance.core.assembly import assemble
from appliance.core.clock import SECOND, Instant
from appliance.core.edge import BiggerModel
from appliance.core.features import Feature, FeatureSpec
from appliance.core.home import Home
from appliance.core.profile import Binding, read_profile
from appliance.core.registry import discover
from appliance.core.trust import Trust

PROFILE = """
name = "fan"
title = "A fan"
actions = ["off", "on"]
rest = "off"
safe = "off"
[channels.co2]
[channels.presence]
model = "nose"
words = ["nobody", "somebody"]
[fallback]
because = "nobody asks"
[commands.zigbee2mqtt]
off = { set = { state = "OFF" } }
on = { set = { state = "ON" } }
"""
BATCH = 10_000
NOW = Instant("boot", 10_000 * SECOND, 1_767_225_600 * SECOND)


class Nose:
    """A model that is sure; only its trust is looked at."""

    spec = FeatureSpec((Feature("co2", "mean", "co2", 120),))
    labels = ("nobody", "somebody")
    trust = Trust(labels, 0.8)


def main() -> int:
    """Print one table."""
    asked = argparse.ArgumentParser(prog="python benchmarks/edge_easy", description=__doc__)
    asked.add_argument(
        "--cases", type=int, default=1_000_000, help="in all, of each kind (default 1,000,000)"
    )
    given = asked.parse_args()
    found = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
    binding = Binding("fan", "zigbee2mqtt/fan", channels={"co2": (("zigbee2mqtt/air", None),)})
    spec = assemble(read_profile(tomllib.loads(PROFILE), where="profile"), binding, found, where="profile")
    edge = BiggerModel(
        "nose-teacher",
        1,
        Nose.spec,
        Nose.trust,
        (20.0,),
        better=True,
        budget=0.01,
        audit_every_ns=3600 * SECOND,
    )
    cases = {}
    for name, edges in (("without an edge", {}), ("with one", {"nose": edge})):
        home = Home([spec], {"nose": Nose()}, ZoneInfo("UTC"), edges=edges)  # type: ignore[dict-item]
        state = home.at_start({}, NOW).appliances["fan"]
        # The first look draws when the next audit is; from then on none is due.
        state = inference.conclude(home, spec, state, ROWS, SAID, NOW, [])
        cases[name] = (home, state)
    took: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(max(1, given.cases // BATCH)):
        for name, (home, state) in cases.items():
            began = time.perf_counter()
            for _ in range(BATCH):
                inference.conclude(home, spec, state, ROWS, SAID, NOW, [])
            took[name].append((time.perf_counter() - began) / BATCH * 1e6)
    print(f"{'':<18}{'median µs':>10}{'least':>8}{'most':>8}")
    for name, each in took.items():
        print(f"{name:<18}{statistics.median(each):>10.2f}{min(each):>8.2f}{max(each):>8.2f}")
    more = [two - one for one, two in zip(*took.values(), strict=True)]
    print(
        f"{'an edge costs':<18}{statistics.median(more):>10.2f}{'':>16}  of {given.cases:,} easy cases, aim 2 µs at most"
    )
    return 0


ROWS: list[inference.Row] = [("presence", "nose", 0)]
SAID: inference.Said = {"nose": ([[0.05, 0.95]], [None])}

if __name__ == "__main__":
    sys.exit(main())
