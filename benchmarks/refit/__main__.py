"""`python benchmarks/refit`: a month in simulated rooms that no model was trained on, week by week, with refits and without.

A person tells twice a day what was so for an hour or two; each Sunday night the model is refitted behind the gate and, where that holds,
promoted. The week that follows is scored, which no refit has seen. Then hostile labels try the same gate, and what was promoted is rolled back.
Never in here: what a refit does.
"""

import argparse
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.adapters.classifier import OnnxClassifier
from appliance.bundle import Bundle, Shelf, load_bundle, shipped
from appliance.config import shipped_profiles
from appliance.core import guards
from appliance.core.assembly import assemble
from appliance.core.clock import SECOND, Instant
from appliance.core.events import Labelled, ReadingArrived
from appliance.core.profile import Binding, read_profile
from appliance.core.readings import Reading
from appliance.core.registry import discover
from appliance.refit import Gathered, Material, Outcome, gather, refit, score, told
from appliance.simulate import Home, HomeParameters

WEEKS = 4
DEVICE = "zigbee2mqtt/air"
START = datetime(2026, 2, 2, 0, 0, tzinfo=UTC)


def appliance_in(channels):
    import tomllib

    profile = tomllib.loads(shipped_profiles()["air_purifier"].read_text("utf-8"))
    found = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
    bound = Binding("purifier", "zigbee2mqtt/purifier", channels=dict.fromkeys(channels, ((DEVICE, None),)))
    return assemble(read_profile(profile, where="air_purifier"), bound, found, where="air_purifier")


class Room:
    """A simulated room: the rows that the model would see, and the truth at each."""

    def __init__(self, seed: int, weeks: int, bundle: Bundle) -> None:
        home = Home(
            seed,
            start=START,
            step_s=30.0,
            parameters=HomeParameters.draw(np.random.default_rng(20_000 + seed)),
        )
        spec = appliance_in(sorted(bundle.card.features.channels))
        units = {name: channel.quantity.unit for name, channel in spec.channels.items()}
        began = Instant("room", SECOND, round(START.timestamp()) * SECOND)
        history, self.truth_at = [], []
        for minute in range(weeks * 7 * 1440):
            home.elapse(60.0)
            at = began.plus(minute * 60 * SECOND)
            heard = home.measure()
            readings = tuple(
                Reading(DEVICE, name, heard[name], units[name])
                for name in sorted(bundle.card.features.channels)
                if name in heard
            )
            history.append((at, ReadingArrived(DEVICE, readings)))
            self.truth_at.append(home.truth.people_home > 0)
        self.rows: Gathered = gather(spec, bundle.card.features, history, UTC)
        minutes = (self.rows.walls - began.wall_ns) // (60 * SECOND)
        self.truth = np.array(self.truth_at)[minutes].astype(np.int64)
        self.known = np.isfinite(self.rows.rows).all(axis=1)
        self.week = (self.rows.days - self.rows.days.min()) // 7
        self.began = began
        self.said = np.full((len(self.truth), len(bundle.card.labels)), np.nan)
        self.said[self.known] = OnnxClassifier(bundle).before_head(self.rows.rows[self.known])

    def labels(self, words, lie=None) -> list[Labelled]:
        """What a person tells each day: two stretches of an hour or two, at any time from 6 to 24, as long as nothing changed in them."""
        rng = np.random.default_rng(5)
        found = []
        for day in range(len(self.truth_at) // 1440):
            for _ in range(2):
                first = day * 1440 + int(rng.integers(360, 1320))
                last = first
                while (
                    last < min(first + int(rng.integers(60, 120)), len(self.truth_at) - 1)
                    and self.truth_at[last + 1] == self.truth_at[first]
                ):
                    last += 1
                truth = int(self.truth_at[first])
                number = truth if lie is None else lie(truth, rng)
                wall = self.began.wall_ns
                found.append(
                    Labelled(
                        "purifier",
                        "presence",
                        words[number],
                        wall + first * 60 * SECOND,
                        wall + last * 60 * SECOND,
                        "page",
                    )
                )
        return found

    def material(self, labels, words, until_week: int) -> Material:
        numbers, contradicted = told(self.rows, labels, words)
        past = self.known & (self.week < until_week)
        use = past & (numbers >= 0)
        return Material(
            self.rows.rows[use],
            self.said[use],
            numbers[use],
            self.rows.days[use],
            self.rows.rows[past],
            self.rows.days[past],
            contradicted,
        )


def judged(room: Room, card, week: int) -> str:
    use = room.known & (room.week == week)
    said = room.said[use] if card.refit is None else card.refit.head.apply(room.said[use])
    got = score(said, room.truth[use], card.sets, card.threshold)
    outside = (
        0.0
        if card.novelty is None
        else np.mean([card.novelty.unlike(row) is not None for row in room.rows.rows[use]])
    )
    return f"{got.accuracy:8.3f}  {got.macro_f1:8.3f}  {got.sure:6.1%}  {got.sure_right:6.1%}  {outside:7.1%}"


def month(seed: int, weeks: int, bundle: Bundle, shelf: Shelf) -> list[tuple[float, float]]:
    room, costs = Room(seed, weeks, bundle), []
    labels = room.labels(bundle.card.labels)
    print(f"\nroom {seed}: somebody is home {room.truth.mean():.0%} of the time; {len(labels)} labels")
    print("week  version   accuracy  macro F1    sure   right  unlike")
    for week in range(weeks):
        if week:
            before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
            current = shelf.bundle(shelf.standing().current).card
            at = (START + timedelta(weeks=week)).isoformat()
            outcome = refit(bundle, current, room.material(labels, bundle.card.labels, week), at=at)
            costs.append(
                (
                    time.perf_counter() - began,
                    (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
                )
            )
            said(outcome)
            if outcome.card is not None:
                shelf.put(bundle, outcome.card)
                shelf.promote()
        number = shelf.standing().current
        print(f"{week + 1:4}  shipped   {judged(room, bundle.card, week)}")
        if number:
            print(f"{week + 1:4}  own {number:<5} {judged(room, shelf.bundle(number).card, week)}")
    for name, lie in (
        ("random", lambda _truth, rng: int(rng.integers(0, 2))),
        ("inverted", lambda truth, _rng: 1 - truth),
    ):
        hostile = room.material(room.labels(bundle.card.labels, lie), bundle.card.labels, weeks)
        outcome = refit(bundle, shelf.bundle(shelf.standing().current).card, hostile, at=START.isoformat())
        print(
            f"{name} labels: {'PASSED THE GATE' if outcome.card else 'refused: ' + '; '.join(check.asked for check in outcome.checks if not check.holds)}"
        )
    while shelf.standing().before:
        standing = shelf.rollback()
        print(f"rolled back to {standing.current or 'the shipped version'}")
    return costs


def said(outcome: Outcome) -> None:
    failed = [f"{check.asked}: {check.found}" for check in outcome.checks if not check.holds]
    print(f"      refit: {'holds' if outcome.card else 'refused: ' + '; '.join(failed)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rooms", type=int, default=3)
    parser.add_argument("--weeks", type=int, default=WEEKS)
    parser.add_argument("--model", type=Path, help="the folder of another bundle than the shipped presence")
    given = parser.parse_args()
    bundle = load_bundle(given.model or shipped("presence"))
    costs = []
    for seed in range(given.rooms):
        with tempfile.TemporaryDirectory() as folder:
            costs += month(seed, given.weeks, bundle, Shelf(Path(folder), "presence"))
    if costs:
        print(
            f"\na refit took {max(one for one, _ in costs):.3f} s at most and {max(two for _, two in costs):.1f} MB more"
        )


if __name__ == "__main__":
    main()
