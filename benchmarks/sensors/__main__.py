"""`python benchmarks/sensors`: what watching a sensor over time would find of faults that novelty, which looks at one row, does not.

Two watches with a few numbers of memory a channel: for how long a value has not moved, against the longest of the other days; and CUSUM sums of a
figure of each day against the first days (Page 1954). Neither is part of the daemon: this measures whether either would be worth it.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.core.quantities import QUANTITIES
from appliance.errors import LearnError
from appliance.learn.data import TRAINING, rows
from appliance.learn.faults import auroc, broken
from appliance.learn.sources import recorded
from appliance.simulate.rooms import lived

STUCK_MIN = (15.0, 30.0, 60.0, 120.0)
KEPT = 0.995
REFERENCE, DRIFTING = 10, 30
"""Days that a home is known by before its sensor begins to drift, and for which it then drifts: 1 % a day up to 10 %."""
SLACK, ALARM = 0.5, 5.0
"""Of the CUSUM, in standard deviations of the reference days: what is let pass each day, and where the alarm is (the usual choice)."""
FIGURES: dict[str, Callable[[np.ndarray], float]] = {
    "least": lambda day: float(np.nanmin(day)),
    "twentieth": lambda day: float(np.nanquantile(day, 0.05)),
    "median": lambda day: float(np.nanmedian(day)),
}
SEED = 7000


def unmoved_min(values: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    """Return for each reading (N,) for how many minutes it has been what it is."""
    moved = np.concatenate([[True], values[1:] != values[:-1]])
    last = np.maximum.accumulate(np.where(moved, np.arange(len(values)), 0))
    found: np.ndarray = (at_s - at_s[last]) / 60
    return found


def stuck() -> None:
    """Print how well sensors that stand still are told from the recorded office, each day held out of the limit."""
    office = recorded(rows(TRAINING))
    at_s, days = office.at_ns / 1e9, office.days
    print(
        "| stuck | channel | limit, min | AUROC (worst to best day) | rows found (worst to best day) | faults found | clean rows beyond |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, values in office.values.items():
        values = np.round(values / QUANTITIES[name].resolution)
        clean = unmoved_min(values, at_s)
        for minutes in STUCK_MIN:
            altered, faulty = broken(values, "stuck", minutes, office.interval_s, np.random.default_rng(0))
            found = unmoved_min(altered, at_s)
            ends = faulty & ~np.append(faulty[1:], [False])
            each = []
            for day in np.unique(days):
                own, limit = days == day, float(np.quantile(clean[days != day], KEPT))
                if (faulty & own).sum() >= 20:
                    told = found[faulty & own]
                    each.append(
                        (
                            limit,
                            auroc(clean[own], told),
                            (told > limit).mean(),
                            (found[ends & own] > limit).mean(),
                            (clean[own] > limit).mean(),
                        )
                    )
            limit, area, row, fault, false = np.array(each).T
            print(
                f"| {minutes:g} min | {name} | {limit.mean():.0f} | {area.mean():.2f} ({area.min():.2f} to {area.max():.2f}) | {row.mean():.0%} ({row.min():.0%} to"
                f" {row.max():.0%}) | {fault.mean():.0%} | {false.mean():.1%} |"
            )


def sums(figure: np.ndarray) -> np.ndarray:
    """Return the greater of the two CUSUM sums after each day (D,), in deviations of the reference days."""
    known = figure[:REFERENCE]
    deviation = max(float(known.std(ddof=1)), 1e-3 * abs(float(known.mean())), 1e-9)
    up = down = 0.0
    greater = np.zeros(len(figure))
    for day, off in enumerate((figure - known.mean()) / deviation):
        if day >= REFERENCE:
            up, down = max(0.0, up + off - SLACK), max(0.0, down - off - SLACK)
        greater[day] = max(up, down)
    return greater


def drift(homes: int) -> None:
    """Print how well sensors that drift are told from those that do not, in simulated homes."""
    whole = REFERENCE + DRIFTING
    some = [lived(SEED + number, float(whole), 300.0) for number in range(homes)]
    print(
        f"\n{homes} simulated homes, {REFERENCE} days of reference, then 1 % a day up to 10 %, upwards and downwards"
    )
    print(
        "| channel | figure of a day | AUROC after 10, 20, 30 days | alarms of drifting sensors | of sound ones |"
    )
    print("|---|---|---|---|---|")
    after = [REFERENCE + days - 1 for days in (10, 20, 30)]
    for name in some[0].values:
        for told, figure in FIGURES.items():
            sound: list[np.ndarray] = []
            drifting: list[np.ndarray] = []
            for home in some:
                place = np.arange(len(home.at_s)) * whole // len(home.at_s)
                grown = np.clip(
                    0.01 * (np.arange(len(home.at_s)) * whole / len(home.at_s) - REFERENCE), 0, 0.10
                )
                for sign in (0, 1, -1):
                    values = home.values[name] * (1 + sign * grown)
                    each = np.array([figure(values[place == day]) for day in range(whole)])
                    (drifting if sign else sound).append(sums(each)[after])
            clean, faulty = np.array(sound), np.array(drifting)
            areas = ", ".join(f"{auroc(clean[:, at], faulty[:, at]):.2f}" for at in range(3))
            alarms = [
                ", ".join(f"{share:.0%}" for share in (one > ALARM).mean(axis=0)) for one in (faulty, clean)
            ]
            print(f"| {name} | {told} | {areas} | {alarms[0]} | {alarms[1]} |", flush=True)


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--homes", type=int, default=12)
    given = parser.parse_args()
    try:
        stuck()
    except LearnError as missing:
        print(f"without the recorded office: {missing.message}", file=sys.stderr)
    drift(given.homes)


if __name__ == "__main__":
    main()
