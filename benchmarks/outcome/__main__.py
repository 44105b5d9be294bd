"""`python benchmarks/outcome`: the closed loop over simulated homes that nobody tuned on.

Scored is the true PM2.5 while somebody is truly home, not what the sensor says. Every tuned family has the same inputs, the same number of
candidates and the same tuning homes; homes used for tuning are never reported. Our rules are the shipped ones: nothing of them is tuned here.
"""

import argparse
import json
import multiprocessing
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import policies

from appliance.simulate import Home, HomeParameters

# What a day is worth less by, in one unit, fixed before anything was run. Exposure is the true PM2.5 above 5 µg/m³ (the WHO's yearly guideline, 2021) while
# somebody is home, in µg/m³·h. A kWh is 0.30 €; that it weighs like 10 µg/m³·h, a switch like 0.2 and a loud minute at night like 0.2 is assumed.
WEIGHTS = {"exposure": 1.0, "kWh": 10.0, "switches": 0.2, "loud minutes": 0.2}
LOUD_DBA = 40.0
"""At night (22:00 to 07:00) this is loud: the WHO's night noise guideline is 40 dB (2009)."""
SCALES = (0.7, 1.0, 1.6, 2.6, 4.2)
FIGURES = ("exposure", "kWh", "switches", "loud minutes")
START = datetime(2026, 1, 12, 17, 0, tzinfo=UTC)
_classifiers: dict | None = None


def candidate(family: str, rng: np.random.Generator) -> tuple:
    """Draw one candidate of a family, thresholds log-uniformly."""

    def limit(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    away = limit(1.0, 4.0) if family.endswith("presence") else 1.0
    level = int(rng.integers(1, 5))
    if family.startswith("threshold"):
        return (limit(3, 60), level, away)
    if family.startswith("hysteresis"):
        high = limit(4, 60)
        return (high, high * float(rng.uniform(0.3, 1.0)), level, away)
    first = limit(3, 30)
    steps = np.cumprod(rng.uniform(1.2, 3.5, 3))
    return ((first, *(float(first * step) for step in steps)), float(rng.uniform(0.5, 1.0)), away)


def made(family: str, chosen: tuple, scale: float):
    """The policy of a candidate, all limits multiplied by `scale`."""
    if family.startswith("threshold"):
        limit, level, away = chosen
        return policies.Threshold(limit * scale, level, away)
    if family.startswith("hysteresis"):
        high, low, level, away = chosen
        return policies.Hysteresis(high * scale, low * scale, level, away)
    limits, back, away = chosen
    return policies.Ladder(tuple(limit * scale for limit in limits), back, away)


FAMILIES = (
    "threshold on the mean",
    "threshold with presence",
    "hysteresis",
    "hysteresis with presence",
    "ladder",
    "ladder with presence",
)


def classifiers() -> dict:
    global _classifiers  # one load a process
    if _classifiers is None:
        _classifiers = policies.load_classifiers()
    return _classifiers


def home_of(seed: int) -> Home:
    return Home(seed, start=START, parameters=HomeParameters.draw(np.random.default_rng(10_000 + seed)))


def presence_of(seed: int, minutes: int) -> list[bool | None]:
    """What the model says in each minute. No policy moves CO2, so it is the same for all."""
    home, rules, said = home_of(seed), policies.Rules(classifiers()), []
    for minute in range(minutes):
        home.elapse(60)
        rules.decide(minute, home.measure(), None)
        said.append(rules.present())
    return said


def live(seed: int, policy, minutes: int, said: list[bool | None]) -> dict[str, float]:
    """Let a home live under a policy; return the figures of a day."""
    home = home_of(seed)
    exposure = loud = 0.0
    switches, before = 0, "off"
    started = home.truth.energy_kwh
    for minute in range(minutes):
        home.elapse(60)
        seen = home.measure()
        if "pm2_5" in seen:
            action = policy.decide(minute, seen, said[minute])
            switches += action != before
            before = action
            home.set_level(action)
        truth = home.truth
        if truth.people_home:
            exposure += max(0.0, truth.pm2_5 - 5.0) / 60
        hour = home.now.hour
        if (hour >= 22 or hour < 7) and truth.sound_dba >= LOUD_DBA:
            loud += 1
    days = minutes / 1440
    values = (exposure, home.truth.energy_kwh - started, switches, loud)
    return {name: value / days for name, value in zip(FIGURES, values, strict=True)}


def cost(figures: dict[str, float]) -> float:
    return sum(WEIGHTS[name] * figures[name] for name in FIGURES)


def tuning_home(job: tuple) -> list[list[float]]:
    """The cost of every candidate in one tuning home."""
    seed, minutes, candidates = job
    said = presence_of(seed, minutes)
    return [
        [cost(live(seed, made(family, chosen, 1.0), minutes, said)) for chosen in several]
        for family, several in candidates
    ]


def test_home(job: tuple) -> dict[str, dict[str, float]]:
    """Every policy in one home that nobody tuned on."""
    seed, minutes, best = job
    said = presence_of(seed, minutes)
    found = {
        "off": live(seed, policies.Always("off"), minutes, said),
        "always on (medium)": live(seed, policies.Always("medium"), minutes, said),
        "on above 12, off below 8": live(seed, policies.Hysteresis(12, 8, 2), minutes, said),
        "our rules": live(seed, policies.Rules({}), minutes, said),
        "our rules and model": live(seed, policies.Rules(classifiers()), minutes, said),
    }
    for family, chosen in best.items():
        for scale in SCALES:
            found[f"{family} ×{scale:g}"] = live(seed, made(family, chosen, scale), minutes, said)
    return found


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean over homes."""
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def at_energy(curve: list[tuple[float, float]], energy: float) -> float | None:
    """The exposure of a family at `energy`, interpolated between its scales; None outside of what it covers."""
    points = sorted(curve)
    if not points[0][0] <= energy <= points[-1][0]:
        return None
    return float(np.interp(energy, [point[0] for point in points], [point[1] for point in points]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few homes, few candidates: to see that it runs")
    parser.add_argument("--homes", type=int, default=50, help="homes that are reported")
    parser.add_argument("--out", type=Path, help="also write every figure as JSON")
    given = parser.parse_args()
    tuning, candidates, tested, days = (3, 6, 6, 1) if given.quick else (8, 20, given.homes, 1)
    rng = np.random.default_rng(20260112)
    began = time.monotonic()
    drawn = [(family, [candidate(family, rng) for _ in range(candidates)]) for family in FAMILIES]
    with multiprocessing.Pool(2) as pool:
        costs = np.array(pool.map(tuning_home, [(seed, 1440, drawn) for seed in range(tuning)], chunksize=1))
        best = {
            family: several[int(costs.mean(axis=0)[number].argmin())]
            for number, (family, several) in enumerate(drawn)
        }
        print(
            f"tuned on homes 0 to {tuning - 1}, {candidates} candidates a family, {time.monotonic() - began:.0f} s",
            file=sys.stderr,
        )
        results = pool.map(
            test_home, [(1000 + number, 1440 * days, best) for number in range(tested)], chunksize=1
        )

    names = [name for name in results[0] if "×" not in name] + [f"{family} ×1" for family in FAMILIES]
    print(
        f"{tested} homes, {days} days each, per day; mean (95 % interval over homes) and the worst home; exposure in µg/m³·h above 5 while somebody is home"
    )
    print(
        f"{'':<30}{'exposure':>22}{'worst':>8}{'kWh':>8}{'switches':>10}{'worst':>7}{'loud min':>10}{'cost':>8}"
    )
    for name in names:
        table = {figure: np.array([found[name][figure] for found in results]) for figure in FIGURES}
        low, high = interval(table["exposure"], rng)
        total = np.mean([cost(found[name]) for found in results])
        shown = name.replace(" ×1", " (tuned)")
        print(
            f"{shown:<30}{table['exposure'].mean():>8.1f} ({low:.1f}–{high:.1f}){'':>1}{table['exposure'].max():>8.1f}{table['kWh'].mean():>8.3f}"
            f"{table['switches'].mean():>10.1f}{table['switches'].max():>7.0f}{table['loud minutes'].mean():>10.1f}{total:>8.1f}"
        )
    print(
        "\nat equal energy: exposure of each tuned family, its limits scaled so that it needs what ours need"
    )
    for ours in ("our rules", "our rules and model"):
        energy = float(np.mean([found[ours]["kWh"] for found in results]))
        exposure = float(np.mean([found[ours]["exposure"] for found in results]))
        print(f"{ours}: {exposure:.1f} at {energy:.3f} kWh a day")
        for family in FAMILIES:
            curve = [
                (
                    float(np.mean([found[f"{family} ×{scale:g}"]["kWh"] for found in results])),
                    float(np.mean([found[f"{family} ×{scale:g}"]["exposure"] for found in results])),
                )
                for scale in SCALES
            ]
            theirs = at_energy(curve, energy)
            told = (
                "outside of what its scales cover"
                if theirs is None
                else f"{theirs:.1f}, ours {100 * (exposure / theirs - 1):+.0f} %"
            )
            print(f"  {family:<28}{told}")
    print(
        f"\nweights: {WEIGHTS}; chosen: "
        + "; ".join(f"{family}: {_short(chosen)}" for family, chosen in best.items())
    )
    print(f"{time.monotonic() - began:.0f} s")
    if given.out:
        given.out.write_text(json.dumps({"best": best, "homes": results}, indent=1) + "\n")


def _short(chosen) -> str:
    return (
        "(" + ", ".join(_short(part) if isinstance(part, tuple) else f"{part:.3g}" for part in chosen) + ")"
    )


if __name__ == "__main__":
    main()
