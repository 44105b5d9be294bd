"""`python benchmarks/edge_cache`: how long a lookup takes, what the file takes, and how often a cache by buckets knows a hard case and is wrong.

Hard cases are those of simulated homes through the shipped model; the bigger model answers through onnxruntime, so that each hit can be judged.
Never in here: what a cache does.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime as ort

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.adapters.classifier import OnnxClassifier
from appliance.adapters.edge.cache import Cache
from appliance.adapters.edge.entries import Entries
from appliance.adapters.edge.measuring import Exactly
from appliance.bundle import TEACHER_OPERATORS, load_bundle, shipped
from appliance.config import shipped_profiles
from appliance.core import guards
from appliance.core.assembly import assemble
from appliance.core.clock import SECOND, Instant
from appliance.core.events import ReadingArrived
from appliance.core.profile import Binding, read_profile
from appliance.core.readings import Quality, Reading
from appliance.core.registry import discover
from appliance.core.trust import interval, judge
from appliance.refit import gather
from appliance.simulate import Home, HomeParameters

DEVICE = "zigbee2mqtt/air"
START = datetime(2026, 2, 2, 0, 0, tzinfo=UTC)
NOW = round(START.timestamp()) * SECOND
DAY = 86_400 * SECOND
WIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def key(number: int) -> bytes:
    return random.Random(number).randbytes(16)


def quantiles(took_ns: list[int]) -> str:
    took_ns.sort()
    return f"{took_ns[len(took_ns) // 2] / 1e3:>8.1f} {took_ns[len(took_ns) * 99 // 100] / 1e3:>8.1f}"


def lookups(folder: Path, size: int, looks: int) -> None:
    path = folder / f"{size}.sqlite"
    one = Entries(path, size, 30 * DAY, DAY)
    began = time.perf_counter()
    for number in range(size):
        one.put(key(number), (0.25, 0.75), NOW)
    one.close()
    filled_s = time.perf_counter() - began
    began = time.perf_counter()
    one = Entries(path, size, 30 * DAY, DAY)
    one.tallies()
    opened_ms = (time.perf_counter() - began) * 1e3
    print(f"\n{size:,} answers: {path.stat().st_size / 1e6:.1f} MB, {path.stat().st_size / size:.0f} bytes each;"
          f" opened and checked in {opened_ms:.0f} ms; filled in {filled_s:.1f} s")  # fmt: skip
    print(f"{'microseconds':<38}{'p50':>8} {'p99':>8}")
    draw = random.Random(1)
    for name, of in (
        ("a hit, in its thread", lambda: key(draw.randrange(size))),
        ("a miss, in its thread", lambda: key(-1 - draw.randrange(size))),
    ):
        took = []
        for wanted in [of() for _ in range(looks)]:
            began_ns = time.perf_counter_ns()
            one.look(wanted, NOW)
            took.append(time.perf_counter_ns() - began_ns)
        print(f"{name:<38}{quantiles(took)}")
    took = []
    for number in range(looks):
        began_ns = time.perf_counter_ns()
        one.put(key(number), (0.25, 0.75), NOW)
        took.append(time.perf_counter_ns() - began_ns)
    print(f"{'keeping an answer, writing included':<38}{quantiles(took)}")
    one.close()
    print(
        f"{'a hit, as the loop waits for it':<38}{quantiles(asyncio.run(from_the_loop(path, size, looks)))}"
    )


async def from_the_loop(path: Path, size: int, looks: int) -> list[int]:
    cache = Cache(path, size, 30.0, lambda: NOW)
    cache.start()
    await cache.tallies()
    draw = random.Random(2)
    took = []
    for wanted in [key(draw.randrange(size)) for _ in range(looks)]:
        began = time.perf_counter_ns()
        found = await cache.look(wanted)
        took.append(time.perf_counter_ns() - began)
        assert found.kind == "hit"
        await asyncio.sleep(0)
    await cache.close()
    return took


def stream(seed: int, days: int, local, teacher):
    """The hard cases of one simulated home, in order: the bigger model's rows, minute by minute."""
    import tomllib

    home = Home(
        seed, start=START, step_s=30.0, parameters=HomeParameters.draw(np.random.default_rng(40_000 + seed))
    )
    profile = tomllib.loads(shipped_profiles()["air_purifier"].read_text("utf-8"))
    found = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
    channels = sorted(local.card.features.channels | teacher.card.features.channels)
    bound = Binding("purifier", "zigbee2mqtt/purifier", channels=dict.fromkeys(channels, ((DEVICE, None),)))
    spec = assemble(read_profile(profile, where="air_purifier"), bound, found, where="air_purifier")
    units = {name: channel.quantity.unit for name, channel in spec.channels.items()}
    began = Instant("home", SECOND, NOW)
    history = []
    for minute in range(days * 1440):
        home.elapse(60.0)
        heard = home.measure()
        readings = tuple(
            Reading(DEVICE, name, heard[name], units[name]) for name in channels if name in heard
        )
        history.append((began.plus(minute * 60 * SECOND), ReadingArrived(DEVICE, readings)))
    own = gather(spec, local.card.features, history, UTC)
    bigger = gather(spec, teacher.card.features, history, UTC)
    assert np.array_equal(own.walls, bigger.walls)
    said = OnnxClassifier(local).predict(own.rows)
    hard = [
        judge(one.tolist(), row, local.card.trust)[1] is not Quality.GOOD
        for one, row in zip(said, own.rows, strict=True)
    ]
    usable = np.array(hard) & np.isfinite(bigger.rows).all(axis=1) & np.isfinite(own.rows).all(axis=1)
    return bigger.rows[usable], bigger.walls[usable], len(own.walls)


def trade_off(homes: int, days: int) -> None:
    local = load_bundle(shipped("presence"))
    teacher = load_bundle(shipped("presence-teacher"), allowed=TEACHER_OPERATORS)
    session = ort.InferenceSession(teacher.model, providers=["CPUExecutionProvider"])
    steps = np.array(teacher.card.steps)
    streams = [stream(seed, days, local, teacher) for seed in range(homes)]
    truths = [session.run(["probabilities"], {"features": rows})[0] for rows, _, _ in streams]
    cases = sum(len(rows) for rows, _, _ in streams)
    minutes = sum(total for _, _, total in streams)
    print(
        f"\nhard cases: {cases:,} of {minutes:,} minutes ({100 * cases / minutes:.1f} %), {homes} simulated homes of {days} days, each with its own cache"
    )
    print(f"{'buckets of':<16}{'lookups':>9}{'known':>9}{'of them wrong':>15}{'95 % of the rate':>20}")
    with tempfile.TemporaryDirectory() as folder:
        for width in (*WIDTHS, 0.0):
            looks = hits = wrong = 0
            for number, (rows, walls, _) in enumerate(streams):
                truth = truths[number]
                entries = Entries(Path(folder) / f"{width}-{number}", 10_000, 30 * DAY, DAY)
                exactly = Exactly(10_000)
                last = None
                for row, wall, said in zip(rows.tolist(), walls.tolist(), truth.tolist(), strict=True):
                    if not width:
                        exactly.look("teacher", tuple(row))
                        continue
                    case = tuple(round(value / step) for value, step in zip(row, steps, strict=True))
                    if case == last:
                        continue  # the channel still has its answer: nothing is offered
                    last = case
                    bucket = tuple(
                        round(value / (step * width)) for value, step in zip(row, steps, strict=True)
                    )
                    looks += 1
                    name = repr(bucket).encode()
                    found = entries.look(name, int(wall))
                    if found.kind == "hit":
                        hits += 1
                        wrong += int(np.argmax(found.said)) != int(np.argmax(said))
                    else:
                        entries.put(name, said, int(wall))
                entries.close()
                looks += exactly.looks
                hits += exactly.hits
            name = f"{width:g} x steps" if width else "exact rows"
            name += " (the card's)" if width == 1.0 else ""
            low, high = interval(wrong, hits, 0.05)
            shown = f"{100 * wrong / hits:.1f} %" if hits else "-"
            print(
                f"{name:<22}{looks:>6,}{100 * hits / max(looks, 1):>7.1f} %{shown:>14}{100 * low:>12.1f} to {100 * high:.1f} %"
            )
    without_network(streams, truths, steps)


def without_network(streams, truths, steps) -> None:
    """Print what the cache knows after the network is gone, by buckets as wide as the card says and by exact rows: what was answered before is all there is."""
    print("\nthe network is gone for the second half:")
    for name in ("the card's steps", "exact rows"):
        looks = hits = wrong = 0
        with tempfile.TemporaryDirectory() as folder:
            for number, ((rows, walls, _), truth) in enumerate(zip(streams, truths, strict=True)):
                entries = Entries(Path(folder) / str(number), 10_000, 400 * DAY, DAY)
                middle = int(walls[0] + walls[-1]) // 2
                last = None
                for row, wall, said in zip(rows.tolist(), walls.tolist(), truth.tolist(), strict=True):
                    exact = name == "exact rows"
                    case = (
                        tuple(row)
                        if exact
                        else tuple(round(v / step) for v, step in zip(row, steps, strict=True))
                    )
                    if case == last:
                        continue
                    last = case
                    if int(wall) < middle:
                        entries.put(repr(case).encode(), said, int(wall))
                        continue
                    looks += 1
                    found = entries.look(repr(case).encode(), int(wall))
                    if found.kind == "hit":
                        hits += 1
                        wrong += int(np.argmax(found.said)) != int(np.argmax(said))
                entries.close()
        low, high = interval(wrong, hits, 0.05)
        shown = f"{100 * wrong / hits:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)" if hits else "-"
        print(
            f"{name:<18}{looks:>7,} lookups, {100 * hits / max(looks, 1):.1f} % known, of them wrong {shown}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=6)
    parser.add_argument("--days", type=int, default=21)
    parser.add_argument("--rounds", type=int, default=3, help="of the lookups")
    parser.add_argument("--quick", action="store_true", help="one round, two homes of a week")
    given = parser.parse_args()
    rounds, homes, days = (1, 2, 7) if given.quick else (given.rounds, given.homes, given.days)
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            print(f"\nround {number + 1}")
            for size in (10_000, 100_000):
                lookups(Path(folder), size, 5_000)
    trade_off(homes, days)


if __name__ == "__main__":
    main()
