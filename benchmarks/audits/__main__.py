"""`python benchmarks/audits`: how a model's authority falls when it comes into a room that it does not know, and rises again.

The shipped model of presence and its teacher look at the office that their cards speak of, then for a month at a simulated home that neither saw, then at
the office again, while audits are drawn as on the device. Printed: what audits find over many draws, and how many are needed for what. Never in
here: the statistics themselves (appliance.core.trust).
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from picture import picture
from rooms import elsewhere, office

from appliance.bundle import TEACHER_OPERATORS, load_bundle, shipped
from appliance.core.clock import SECOND
from appliance.core.trust import Audits, audited, next_audit_ns, standing
from appliance.core.trust.audits import LEVEL, RISE, audits_to_rise, days_to_fall
from appliance.core.trust.sequences import interval

DAY_NS = 86_400 * SECOND
MINUTE_NS = 60 * SECOND


def live(phases, labels, budget: float, a_day: int, seed: int, watch=None) -> tuple[Audits | None, list]:
    """Audit through `phases` of (first day, last day, room); return the last state and the changes as (day, fell)."""
    now, state, changes = 0, None, []
    end = phases[-1][1] * DAY_NS
    while (now := next_audit_ns(now, round(DAY_NS / a_day), seed)) < end:
        room = next(room for _, last, room in phases if now < last * DAY_NS)
        minute = now // MINUTE_NS % len(room.sure)
        if not room.sure[minute]:
            continue
        before = state is not None and state.fallen
        state = audited(
            state,
            version=1,
            edge_version=1,
            local=labels[room.local[minute]],
            edge=labels[room.edge[minute]],
            day=now // DAY_NS,
            budget=budget,
            better=True,
        )
        if state.fallen is not before:
            changes.append((now / DAY_NS, state.fallen))
        if watch is not None and state.trials:
            watch.append((now / DAY_NS, standing(state, 1)))
    return state, changes


def spread(days: list[float], of: int) -> str:
    if not days:
        return "never"
    found = sorted(days)
    at = lambda share: found[min(len(found) - 1, int(share * len(found)))]  # noqa: E731
    return f"{len(found)} of {of}: half within {at(0.5):.1f} days, nine of ten within {at(0.9):.1f}"


def needs(budget: float, a_day: int) -> None:
    print(
        f"\nto fall at a budget of {budget:.2%}, by days of {a_day} audits: half of all models, nine of ten"
    )
    print("it disagrees in       the first time     after five changes    with 24 audits a day")
    for times in (1, 1.5, 2, 3, 5, 10):
        print(
            f"  {times:4g} x budget  {days(budget, times, a_day, 1):>18}  {days(budget, times, a_day, 6):>20}  {days(budget, times, 24, 1):>20}"
        )
    print(f"to rise again, by audits (in days of {a_day})")
    for times in (0, 0.25, 0.5, 1, 1.5):
        found = [audits_to_rise(budget, times * budget, share=share) for share in (0.5, 0.9)]
        print(
            f"  {times:4g} x budget  "
            + ", ".join(f"{one} ({one / a_day:.0f} days)" if one else "too many" for one in found)
        )
    print("\nthe interval of 95 % after so many audits of which 1.4 % disagreed")
    for trials in (50, 100, 500, 1000, 5000, 20_000):
        low, high = interval(round(trials * 0.014), trials, 0.05)
        print(f"  {trials:6}  {low:6.2%} to {high:6.2%}")


def days(budget: float, times: float, a_day: int, number: int) -> str:
    found = days_to_fall(budget, times * budget, a_day, number)
    return "not, as promised" if found is None else f"{found[0]} days, {found[1]} days"


def costs(budget: float) -> None:
    state, began = None, time.perf_counter()
    for number in range(20_000):
        state = audited(
            state,
            version=1,
            edge_version=1,
            local="nobody",
            edge="somebody" if number % 150 == 7 else "nobody",
            day=number // 48,
            budget=budget,
            better=True,
        )
    fold = (time.perf_counter() - began) / 20_000
    began = time.perf_counter()
    for number in range(200):
        interval(number // 10, 1000 + number, 0.0251)
    look = (time.perf_counter() - began) / 200
    print(
        f"\nan audit costs {1e6 * fold:.0f} us, an interval that is not cached {1e6 * look:.0f} us; the state {len(msgspec.json.encode(state))} bytes of JSON after"
        f" {20_000 // 48} days"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--a-day", type=int, default=48, help="audits a day")
    parser.add_argument("--homes", type=int, default=3, help="so many simulated homes to be moved to")
    parser.add_argument("--draws", type=int, default=100, help="so many draws of audits a home")
    parser.add_argument("--days", type=int, nargs=3, default=(30, 30, 60))
    parser.add_argument(
        "--out", type=Path, help="write a picture there, as SVG: of the draw that rose when half had"
    )
    given = parser.parse_args()
    local = load_bundle(shipped("presence"))
    teacher = load_bundle(shipped("presence-teacher"), allowed=TEACHER_OPERATORS)
    budget = local.card.disagreement
    assert budget is not None
    labels = local.card.labels
    first, second, third = given.days
    here = office(local, teacher)
    print(
        f"{here.told()}\n  (the budget is {budget:.2%}, of all rows of held-out days; from these days both learnt)"
    )
    for seed in range(given.homes):
        away = elsewhere(local, teacher, seed)
        print(away.told())
        phases = [
            (0, first, here),
            (first, first + second, away),
            (first + second, first + second + third, here),
        ]
        falls, wrong = [], 0
        rose: list[tuple[float, int]] = []
        for draw in range(given.draws):
            _, changes = live(phases, labels, budget, given.a_day, draw)
            wrong += any(fell and day < first for day, fell in changes)
            falls += [day - first for day, fell in changes if fell and first <= day < first + second][:1]
            rose += [
                (day - first - second, draw) for day, fell in changes if not fell and day >= first + second
            ][:1]
        rises = [days for days, _ in rose]
        if given.out and not seed:
            watch: list = []
            middle = sorted(rose)[len(rose) // 2][1] if rose else 0
            live(phases, labels, budget, given.a_day, middle, watch)
            shown = [(0, first, "the office", False), (first, first + second, "another room", True)]
            shown += [(first + second, first + second + third, "the office again", False)]
            title = "A model in a room that it does not know: disagreement with its teacher, by audits"
            given.out.write_text(picture(watch, shown, budget, RISE * budget, title), "utf-8")
        print(f"  fell before the move: {wrong} of {given.draws} (at most {LEVEL / 2:.1%} are promised)")
        print(f"  fell after it: {spread(falls, given.draws)}")
        print(f"  rose after coming back: {spread(rises, given.draws)}")
    needs(budget, given.a_day)
    costs(budget)


if __name__ == "__main__":
    main()
