"""Owns measuring whether a home is still controlled, and telling what of it was acknowledged. Never in here: a fault."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.adapters.store import Queries
from tests.faults.handle import Handle
from tests.faults.lab import Lab

PACE_S = 0.6
"""Between two changes of the air, so that following them is no hammering in the oracle's eyes."""
CLEAN, DUSTY = 10.0, 50.0


def follows(lab: Lab, times: int, limit_s: float = 2.0) -> list[float]:
    """Change the air so often; return how long the fan took to follow each time: infinite where it missed one."""
    took = []
    for _ in range(times):
        began = time.monotonic()
        took.append(follow(lab, limit_s))
        time.sleep(max(0.0, began + PACE_S - time.monotonic()))
    return took


def follow(lab: Lab, limit_s: float) -> float:
    """Change the air once; return how long the fan took to follow."""
    wanted, air = ("off", CLEAN) if lab.fan.doing == "high" else ("high", DUSTY)
    lab.air.says(air)
    return lab.took(lambda: lab.fan.doing == wanted, limit_s)


def missed(took: list[float]) -> int:
    """Return how often the fan did not follow."""
    return sum(one == float("inf") for one in took)


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least `share` of all do not exceed."""
    return sorted(values)[max(0, -(-int(share * 1000) * len(values) // 1000) - 1)]


SAID = ("appliance", "action", "source", "because")


@dataclass
class Told:
    """Every decision that a daemon said to be recorded, over HTTP or as retained state, and what of them is in its files."""

    decisions: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    twice: int = 0
    """So many numbers were given to two different decisions."""

    def ask(self, daemon: Handle) -> None:
        """Note what is said to be recorded now."""
        for one in daemon.ask("/v1/decisions?limit=50")["decisions"]:
            if one["recorded"]:
                self._note(one["id"], tuple(one[name] for name in SAID))

    def _note(self, number: int, said: tuple[Any, ...]) -> None:
        self.twice += self.decisions.setdefault(number, said) != said

    def heard(self, lab: Lab) -> None:
        """Note what was told over MQTT."""
        for seen in list(lab.world.seen):
            if seen.topic.startswith("appliance/") and seen.topic.endswith("/decision") and "id" in seen.said:
                said = seen.said
                name = seen.topic.split("/")[1]
                self._note(said["id"], (name, said["action"], said["source"], said["because"]))

    def lost(self, state: Path) -> int:
        """Return how many of them are not in the files, or not as they were told."""
        queries = Queries(state)
        lost = 0
        for number, said in self.decisions.items():
            kept = queries.decision(number)
            found = None if kept is None else tuple(getattr(kept.decision, name) for name in SAID)
            lost += found != said
        return lost
