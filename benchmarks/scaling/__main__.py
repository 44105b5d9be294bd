"""`python benchmarks/scaling`: what one edge server can do, measured; what a million homes would want of it, worked out; and what becomes of a burst.

Never in here: choosing a server, or a figure that is not printed with where it comes from.
"""

import argparse
import sys
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "edge"))

from homes import DAY, Asks, rooms
from serving import FRAMES, Costs, measure
from storm import Clients, Load, storm

from appliance.bundle import TEACHER_OPERATORS, load_bundle, shipped

AUDITS_A_DAY = 48
CHECKS_A_DAY = 24 / 0.9
"""A model is proved again after 0.8 to 1 hour."""
CHECK_ROWS = 16
HOMES = 1_000_000
FULL = 0.6
"""How much of a core is used at the peak: the rest is for what is not even (assumed)."""
CONNECTIONS = 65_536
"""The most that `--max-connections` allows."""
TLS_BYTES = 5000
"""Of a new encrypted connection, with a chain of two certificates, both ways (assumed)."""
HELD = Clients("the daemon's")
STUBBORN = Clients("asks until it is answered", share=None, breaker=False, retries=True)
ONCE = Clients("asks once, no breaker, no budget", share=None, breaker=False)


def costs_told(costs: Costs) -> None:
    print(f"one server, one row a request, {costs.clients} connections, no cache: processor time, medians")
    print(
        f"  a request {1e6 * costs.whole:.0f} us, of which the model {1e6 * (costs.whole - costs.request):.1f} us in batches of {costs.batch:.0f} rows on average;"
    )
    print(f"  so one core answers {costs.per_core:,.0f} a second; memory {costs.memory / 1e6:.0f} MB")
    print(
        f"  a case is {costs.sent} bytes out and {costs.received} in, and {FRAMES} bytes of frames (assumed)"
    )
    if costs.handshake is not None:
        print(
            f"  private-key work of a new encrypted connection {1e6 * costs.handshake:.0f} us (openssl speed: P-256, X25519)"
        )
    print("the batching curve: session.run alone, one thread")
    print("  rows        " + "".join(f"{rows:>9}" for rows, _ in costs.run))
    print("  us          " + "".join(f"{1e6 * seconds:9.0f}" for _, seconds in costs.run))
    print("  us a row    " + "".join(f"{1e6 * seconds / rows:9.2f}" for rows, seconds in costs.run))


def asks_told(found: list[Asks]) -> tuple[float, float]:
    """Print when each room asks; return what the simulated homes send a day, and how much more in their busiest hour."""
    print(
        "\nwhen homes ask, minute by minute (a day, after the first two; `sent`: what their own cache does not know)"
    )
    print("  room                     hard   offered a day   sent a day   busiest hour")
    sent, peaks = [], []
    for one in found:
        hours = [one.sent[2 * DAY :][one.clock[2 * DAY :] // 60 == hour].sum() for hour in range(24)]
        peak = max(hours) * 24 / max(1, sum(hours))
        print(
            f"  {one.name:22} {one.hard.sum() / max(1, one.known.sum()):6.1%} {one.a_day('offered', after=2):15.0f} {one.a_day('sent', after=2):12.0f} {peak:10.1f} x"
        )
        if one is not found[0]:
            sent.append(one.a_day("sent", after=2))
    away = found[1:]
    if away:
        hours = [
            sum(one.sent[2 * DAY :][one.clock[2 * DAY :] // 60 == hour].sum() for one in away)
            for hour in range(24)
        ]
        peaks.append(max(hours) * 24 / max(1, sum(hours)))
        print(
            f"  all simulated homes together: {sum(sent) / len(sent):.0f} a day, {peaks[0]:.1f} x in their busiest hour"
        )
        return sum(sent) / len(sent), peaks[0]
    return found[0].a_day("sent", after=2), 24.0


def million(costs: Costs, sent: float, peak: float, percent: float) -> None:
    print(
        f"\na million homes (one channel each, a case a minute, cases_percent {percent:g}, {AUDITS_A_DAY} audits a day)"
    )
    capped = min(sent, percent / 100 * DAY)
    requests = capped + AUDITS_A_DAY + CHECKS_A_DAY
    second = HOMES * requests / 86_400
    most = HOMES * (capped * peak + AUDITS_A_DAY + CHECKS_A_DAY) / 86_400
    per = costs.whole
    rows = CHECKS_A_DAY * CHECK_ROWS / requests
    print(
        f"  requests a home and day: {capped:.0f} cases ({sent:.0f} wanted), {AUDITS_A_DAY} audits, {CHECKS_A_DAY:.0f} checks of {CHECK_ROWS} rows = {requests:.0f}"
    )
    print(f"  requests a second: {second:,.0f} on average, {most:,.0f} in the busiest hour")
    print(
        f"  cores, on connections that stay: {most * per:.1f} busy, {most * per / FULL:.0f} at {FULL:.0%}; of that the model {most * (1 + rows) * costs.of_run(64) / 64:.2f}"
    )
    if costs.handshake is not None:
        print(
            f"  cores, with a new encrypted connection each time (homes ask every {DAY / requests:.0f} minutes, idle ones are closed after 75 s): at least {most * (per + costs.handshake):.1f} busy, {most * (per + costs.handshake) / FULL:.0f} at {FULL:.0%}"
        )
    each = costs.sent + costs.received + FRAMES
    print(
        f"  bytes: {requests * each / 1e3:.0f} kB a home and day, {requests * (each + TLS_BYTES) / 1e3:.0f} kB with {TLS_BYTES} for each new encrypted connection; {8 * most * (each + TLS_BYTES) / 1e6:,.0f} Mbit/s in the busiest hour"
    )
    print(
        f"  a core carries {1 / per / (most / HOMES):,.0f} homes at 100 %, {FULL / per / (most / HOMES):,.0f} at {FULL:.0%}"
    )


def burst(costs: Costs) -> None:
    print("\na burst of the million: each home once within so many seconds, then again each minute")
    new = costs.handshake or 0.0
    for within in (60, 10, 1):
        second = HOMES / within
        first, then = second * (costs.whole + new), second * costs.whole
        print(
            f"  {within:3} s  {second:11,.0f} a second: {first / FULL:6,.0f} cores at {FULL:.0%} for the first minute, whose connections are new, {then / FULL:6,.0f} after it"
        )
    print(
        f"  connections that stay open meanwhile: {HOMES:,}, of which an instance takes {CONNECTIONS:,} at most: {-(-HOMES // CONNECTIONS)} instances"
    )


def row(load: Load, clients: Clients, costs: Costs) -> None:
    began = time.perf_counter()
    came = storm(load, clients, costs)
    within = f"{load.within_s:g} s" if load.together else "-"
    print(
        f"  {load.homes:7,} {within:>5}  {clients.name:34} {came.wanted:9,} {came.sent + came.checks:10,} {came.spared_budget + came.spared_breaker:9,}"
        f" {came.shed:8,} {came.late:9,} {came.answered / max(1, came.wanted):8.1%} {came.p99_ms:8.0f}"
        f" {came.after_answered / max(1, came.after):8.1%}   ({time.perf_counter() - began:.0f} s)",
        flush=True,
    )


def storms(costs: Costs, usual: float, quick: bool) -> None:
    print(
        f"\na burst: homes that each ask {usual:.1f} times an hour by themselves, and, while it lasts, every minute; what they have in common reaches all within so"
    )
    print(
        f"many seconds of a minute. One server of {costs.per_core:,.0f} a second, line of 8,192; answers later than 300 ms are none"
    )
    print(
        "    homes within  client                                wanted   requests    spared     shed      late  in time   p99 ms after it"
    )
    sizes = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    for homes in sizes:
        row(Load(homes, usual, 1.0, together=False), HELD, costs)
        for within in (60.0, 10.0, 1.0):
            row(Load(homes, usual, within), HELD, costs)
    print(
        "  the same for one minute alone, after which half a minute is looked at; `after it`: of the cases that came then, those in time"
    )
    for homes, within in ((10_000, 60.0), (10_000, 1.0)):
        for clients in (HELD, ONCE, STUBBORN):
            row(
                Load(
                    homes,
                    usual,
                    within,
                    begins_s=5.0,
                    ends_s=20.0 if within < 15 else 65.0,
                    lasts_s=50.0 if within < 15 else 95.0,
                ),
                clients,
                costs,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--homes", type=int, default=6, help="simulated homes to take hard cases from")
    parser.add_argument("--clients", type=int, default=64, help="connections while measuring the server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--percent", type=float, default=5.0, help="cases_percent of the million homes")
    parser.add_argument("--quick", action="store_true", help="two simulated homes, no 100,000 homes at once")
    parser.add_argument(
        "--costs",
        type=Path,
        help="read what the server costs there, or write it, where there is no such file",
    )
    given = parser.parse_args()
    local = load_bundle(shipped("presence"))
    folder = Path(str(shipped("presence-teacher")))
    teacher = load_bundle(folder, allowed=TEACHER_OPERATORS)
    if given.costs is not None and given.costs.exists():
        costs = msgspec.json.decode(given.costs.read_bytes(), type=Costs)
    else:
        costs = measure(teacher, folder, clients=given.clients, rounds=given.rounds)
        if given.costs is not None:
            given.costs.write_bytes(msgspec.json.encode(costs))
    costs_told(costs)
    sent, peak = asks_told(rooms(local, teacher, 2 if given.quick else given.homes))
    million(costs, sent, peak, given.percent)
    burst(costs)
    storms(costs, min(sent, given.percent / 100 * DAY) / 24, given.quick)


if __name__ == "__main__":
    main()
