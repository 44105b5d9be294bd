"""`python benchmarks/outcome`: the closed loop over simulated homes that nobody tuned on, one table, and ours at equal energy.

Scored is the true PM2.5 while somebody is truly home, not what the sensor says. Every tuned family has the same inputs, the same number
of candidates and the same tuning homes; homes used for tuning are never reported. Ours is the shipped profile: the benchmark
tunes nothing of it. Never in here: a home, a policy or a statistic.
"""

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import comparing
import families
import homes
import policies

# Fixed in advance. Exposure in µg/m³·h while somebody is home is the unit. A kWh at 0.30 € weighs like 20 of it: WHO's review
# (Chen & Hoek 2020) has 8 % more deaths per 10 µg/m³; at 1 death in 100 a year, and a death at 1 to 3.6 million € (a dozen
# life years; OECD's value of a statistical life), an hour of 1 µg/m³ costs one person 0.01 to 0.03 €: 0.015 is taken.
# That a switch weighs like 0.25, and a loud minute at night while somebody is home like 0.5, is assumed.
WEIGHTS = {"exposure": 1.0, "kWh": 20.0, "switches": 0.25, "loud": 0.5}
SCALES = (0.3, 0.45, 0.67, 1.0, 1.5, 2.25, 3.4, 5.0)
"""Of the limits of a tuned family."""
OUR_SCALES = (0.6, 1.0, 1.7)
PRICES = (1 / 8, 1 / 2, 2, 8, 32, 128)
"""Times the weight of a kWh: each family is chosen anew from the same candidates, so that it is tuned at other energies too."""
TESTED_FROM = 7000
OURS = ("our rules", "our rules + model")
_weights = np.array([WEIGHTS[name] for name in homes.FIGURES])


def words_of(stage: homes.Stage, said: list) -> dict[str, list]:
    """What each kind of family hears of presence."""
    return {"nothing": [None] * len(said), "model": said, "truth": stage.somebody}


def tuning_home(job: tuple) -> list[list[list[float]]]:
    """The figures (families, candidates, figures) of every candidate in one tuning home."""
    seed, minutes, drawn = job
    stage = homes.Stage(seed, minutes)
    words = words_of(stage, homes.with_model(seed, minutes)[1])
    return [
        [stage.live(families.made(family, chosen), words[families.uses(family)]) for chosen in several]
        for family, several in drawn
    ]


def tested_home(job: tuple) -> dict[str, list[float]]:
    """The figures of every policy in one home that nobody tuned on."""
    seed, minutes, chosen = job
    stage, start = homes.Stage(seed, minutes), homes.start_of(seed)
    figures, said = homes.with_model(seed, minutes)
    words = words_of(stage, said)
    found = {
        "off": stage.live(policies.Always("off"), words["nothing"]),
        **{
            f"always {level}": stage.live(policies.Always(level), words["nothing"])
            for level in ("low", "medium", "turbo")
        },
        "on above 12, off below 8": homes.checked(stage, seed, minutes),
        "our rules": stage.live(policies.Rules("none", start), words["nothing"]),
        "our rules + presence": stage.live(policies.Rules("presence", start), said),
        "our rules + air-event": stage.live(policies.Rules("air-event", start), words["nothing"]),
        "our rules + model": figures,
        "our rules + true presence": stage.live(policies.Rules("told", start), words["truth"]),
    }
    for scale in OUR_SCALES:
        if scale != 1.0:
            for ours, mind in zip(OURS, ("none", "told"), strict=True):
                found[f"{ours} ×{scale:g}"] = stage.live(policies.Rules(mind, start, scale), said)
    for family, by_price in chosen.items():
        heard = words[families.uses(family)]
        for scale in SCALES:
            name = family if scale == 1.0 else f"{family} ×{scale:g}"
            found[name] = stage.live(families.made(family, by_price[1], scale), heard)
        for price in PRICES:
            found[f"{family} at {price:g}"] = stage.live(families.made(family, by_price[price]), heard)
    pairs = list(zip(said, stage.somebody, strict=True))[homes.WARM_UP :]
    known = [(word, real) for word, real in pairs if word is not None]
    found["presence"] = [
        len(known),
        sum(word == real for word, real in known),
        sum(real for _, real in pairs),
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few homes, few candidates: to see that it runs")
    parser.add_argument("--homes", type=int, default=50, help="homes that are reported")
    parser.add_argument("--days", type=int, default=1, help="scored days of each, after one that is not")
    parser.add_argument("--out", type=Path, help="also write every figure as JSON")
    given = parser.parse_args()
    tuning, candidates, tested, days = (
        (2, 8, 4, 1) if given.quick else (16, 40, max(2, given.homes), max(1, given.days))
    )
    minutes = 1440 * days
    rng = np.random.default_rng(20260112)
    drawn = [
        (family, [families.candidate(family, rng) for _ in range(candidates)]) for family in families.NAMES
    ]
    began = time.monotonic()
    with multiprocessing.Pool(2) as pool:
        tuned = np.array(
            pool.map(tuning_home, [(seed, minutes, drawn) for seed in range(tuning)], chunksize=1)
        ).mean(axis=0)
        chosen = {
            family: {price: several[best(tuned[number], price)] for price in (1, *PRICES)}
            for number, (family, several) in enumerate(drawn)
        }
        print(f"tuned in {time.monotonic() - began:.0f} s", file=sys.stderr)
        jobs = [(TESTED_FROM + number, minutes, chosen) for number in range(tested)]
        results = pool.map(tested_home, jobs, chunksize=1)
    tables = {name: np.array([found[name] for found in results]) for name in results[0]}
    sure, right, somebody = tables.pop("presence").sum(axis=0)
    print(
        f"{tested} homes (seeds from {TESTED_FROM}), {days} scored days each, figures per day: mean over homes, 95 % interval, worst home.\n"
        f"Tuned on {tuning} other homes (seeds from 0), {candidates} candidates a family. Weights: {WEIGHTS}.\n"
        f"exposure: true PM2.5 in µg/m³·h while somebody is home; loud: minutes ≥ {homes.LOUD_DBA:g} dB(A), 22:00 to 07:00, somebody home.\n"
        f"Presence is the shipped model's word, sure in {sure / tested / minutes:.0%} of the minutes and then right in {right / max(1, sure):.0%}\n"
        f"(somebody is home in {somebody / tested / minutes:.0%}); true presence is what no policy can know.\n"
    )
    picked = comparing.draws(tested, np.random.default_rng(1))
    show_table(tables, picked)
    equal = show_equal(tables, picked)
    print("\nchosen: " + "; ".join(f"{family} {short(several[1])}" for family, several in chosen.items()))
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if given.out:
        out = {
            "weights": WEIGHTS,
            "tuning": {"homes": tuning, "candidates": candidates},
            "days": days,
            "chosen": {
                family: {f"{price:g}": values for price, values in several.items()}
                for family, several in chosen.items()
            },
            "figures": homes.FIGURES,
            "homes": {TESTED_FROM + number: found for number, found in enumerate(results)},
            "equal": equal,
        }
        given.out.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


def best(figures: np.ndarray, price: float) -> int:
    """The candidate of the least cost, a kWh weighing `price` times its weight."""
    return int((figures @ (_weights * np.array([1.0, price, 1.0, 1.0]))).argmin())


def show_table(tables: dict[str, np.ndarray], picked: np.ndarray) -> None:
    names = [name for name in tables if "×" not in name and " at " not in name]
    print(
        f"{'':<26}{'exposure (95 % interval)':>24}{'worst':>8}{'kWh':>8}{'worst':>7}{'switches':>10}{'worst':>7}{'loud':>7}{'worst':>7}"
        f"{'cost':>8}{'cost of ours + model minus this':>36}{'worst':>8}"
    )
    ours = tables["our rules + model"] @ _weights
    for name in names:
        table = tables[name]
        mean, worst = table.mean(axis=0), table.max(axis=0)
        _, low, high = comparing.spread(comparing.means(table[:, 0], picked))
        cost = table @ _weights
        less, from_, to = comparing.spread(comparing.means(ours - cost, picked))
        told = "" if name == "our rules + model" else f"{less:>+13.1f} ({from_:+.1f} to {to:+.1f})"
        far = "" if name == "our rules + model" else f"{(ours - cost).max():+.1f}"
        print(
            f"{name:<26}{mean[0]:>8.1f}{f'({low:.0f} to {high:.0f})':>16}{worst[0]:>8.0f}{mean[1]:>8.3f}{worst[1]:>7.2f}"
            f"{mean[2]:>10.1f}{worst[2]:>7.0f}{mean[3]:>7.1f}{worst[3]:>7.0f}{cost.mean():>8.1f}{told:>36}{far:>8}"
        )


def show_equal(tables: dict[str, np.ndarray], picked: np.ndarray) -> list[dict]:
    """Print and return what ours have more than each curve, where the other figure is equal."""
    print(
        "\nAt equal energy: exposure of ours against each curve; at equal exposure: energy. Minus: ours is less. Mean (95 % interval).\n"
        "scaled: the chosen candidate, its limits multiplied; repriced: chosen anew for other weights of a kWh.\n"
        f"{'':<60}{'exposure at equal energy':>32}{'energy at equal exposure':>32}"
    )
    rows = []
    for ours in OURS:
        own = tables[ours]
        print(f"{ours}: {own[:, 0].mean():.1f} µg/m³·h with {own[:, 1].mean():.3f} kWh a day")
        curves = {
            f"{other}, scaled": [other, *(f"{other} ×{scale:g}" for scale in OUR_SCALES if scale != 1.0)]
            for other in OURS
            if other != ours
        }
        for family in families.NAMES:
            curves[f"{family}, scaled"] = [
                family if scale == 1.0 else f"{family} ×{scale:g}" for scale in SCALES
            ]
            curves[f"{family}, repriced"] = [family, *(f"{family} at {price:g}" for price in PRICES)]
        for name, points in curves.items():
            curve = np.stack([tables[point] for point in points])
            at_energy = comparing.at_equal(curve, own, picked, comparing.KWH)
            at_exposure = comparing.at_equal(curve, own, picked, comparing.EXPOSURE)
            print(f"  {'against ' + name:<58}{percent(at_energy):>32}{percent(at_exposure):>32}")
            rows.append(
                {"ours": ours, "curve": name, "exposure": known(at_energy), "kWh": known(at_exposure)}
            )
    return rows


def known(found: tuple[float, float, float]) -> tuple[float, float, float] | None:
    return None if np.isnan(found[0]) else found


def percent(found: tuple[float, float, float]) -> str:
    value, low, high = (100 * share for share in found)
    return "not covered" if np.isnan(value) else f"{value:+.1f} % ({low:+.1f} to {high:+.1f})"


def short(chosen: tuple) -> str:
    parts = [short(part) if isinstance(part, tuple) else f"{part:.3g}" for part in chosen]
    return f"({', '.join(parts)})"


if __name__ == "__main__":
    main()
