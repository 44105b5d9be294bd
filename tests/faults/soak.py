"""The soak: `python -m tests.faults.soak [--minutes 30] [--rate 500] [--fault-every 60]`. Owns a home that runs for long under a fault a minute.

What is broken, and how long it may take to be in control again, is in `FAULTS`; whether memory grows, whether anything that was told as
recorded is missing, whether a command was unsafe. Never in here: a row's own measurements (rows). Exits with 1 where a figure falls short.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.adapters.store import schema
from tests.core.payloads.mutation import NASTY
from tests.faults.chorus import singing
from tests.faults.control import Told, follow, missed
from tests.faults.disks import small
from tests.faults.flood import connected, packet, text
from tests.faults.handle import Handle
from tests.faults.inside import tells
from tests.faults.lab import Lab
from tests.faults.proxy import Proxy
from tests.faults.row import Figure, Unavailable, at_least, at_most, exactly
from tests.faults.rows.a01_killed import killed
from tests.faults.rows.a10_disk_full import kept_again
from tests.faults.rows.d04_slow_clients import HALVES
from tests.faults.slope import blocks, slope
from tests.faults.wire import ask, hold
from tests.faults.world import now

ROOMS = 10
WARM_UP_S = 600.0
"""By then each fault has come once, and what is kept for a number of things is full (docs/faults.md)."""
SAMPLE_S, BLOCK_S = 5.0, 60.0
SLOPE_MIB_H = 1.0
"""A growth of more than this must not be certain: at 95 %, from half an hour on."""
BACK_S, LATEST_S = 5.0, 60.0
DISK = "size=512m"
PURIFIER = """
[appliances.p{n}]
profile = "fan.toml"
device = "zigbee2mqtt/p{n}"
channels.pm2_5 = "zigbee2mqtt/p{n}_pm25"
channels.co2 = "zigbee2mqtt/p{n}_co2"
channels.temperature = "zigbee2mqtt/p{n}_temperature"
channels.humidity = "zigbee2mqtt/p{n}_humidity"
"""
MORE = "[channels.co2]\n[channels.temperature]\n[channels.humidity]\n"


@dataclass
class Home:
    """What a fault may break, and what it noted: `took`, how long the fan took to follow while the fault lasted."""

    lab: Lab
    daemon: Handle
    proxy: Proxy
    reloads: int = 0
    took: list[float] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    """What a fault itself found to fall short, in words."""

    def rest(self, seconds: float) -> None:
        """Let so much time pass."""
        time.sleep(seconds)

    def controls(self, seconds: float) -> None:
        """Change the air again and again for so long, and note how long the fan took."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.took.append(follow(self.lab, BACK_S))
            time.sleep(0.6)

    @contextlib.contextmanager
    def stalls(self) -> Iterator[None]:
        """What comes through afterwards may be of before."""
        began = now()
        try:
            yield
        finally:
            self.lab.stalls.append((began, now()))


def broker_restarts(home: Home) -> None:
    home.lab.broker.kill()
    home.rest(2)
    home.lab.broker.start()


def broker_stands_still(home: Home) -> None:
    with home.stalls():
        home.lab.broker.freeze()
        home.rest(10)
        home.lab.broker.thaw()


def link_is_cut(home: Home) -> None:
    with home.stalls():
        home.proxy.cut = True
        home.rest(12)
        home.proxy.cut = False


def daemon_stands_still(home: Home) -> None:
    with home.stalls():
        home.daemon.signal(signal.SIGSTOP)
        home.rest(5)
        home.daemon.signal(signal.SIGCONT)


def burst(home: Home) -> None:
    with connected(home.lab.broker.port, "burst") as sock:
        topic = text("zigbee2mqtt/p0_co2")
        sock.sendall(
            b"".join(packet(0x30, topic + b'{"co2":%d}' % (600 + one % 200)) for one in range(10_000))
        )


def poison(home: Home) -> None:
    for payload in NASTY:
        for topic in (
            home.lab.air.topic,
            "zigbee2mqtt/heater",
            "zigbee2mqtt/bridge/devices",
            "appliance/fan/set",
        ):
            home.lab.world.publish(topic, payload)
    home.lab.broker.publish("zigbee2mqtt/p0_humidity", bytes(16 << 20))


def slow_and_deaf_clients(home: Home) -> None:
    port, deaf = home.daemon.port, []
    for _ in range(20):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(5)
        with contextlib.suppress(OSError):
            one.connect(("127.0.0.1", port))
            one.sendall(ask("/v1/events"))
        deaf.append(one)

    async def crowd() -> list[float]:
        return await asyncio.gather(*(hold(port, HALVES[one % len(HALVES)]) for one in range(40)))

    held: list[float] = []
    slow = threading.Thread(target=lambda: held.extend(asyncio.run(crowd())))
    slow.start()
    home.controls(10)
    slow.join()
    for one in deaf:
        one.close()
    if len(held) < 40 or max(held) > 12:
        home.short.append(f"slow clients were let go after {max(held, default=float('inf')):.1f} s")


def reload(home: Home) -> None:
    profile = home.daemon.folder / "fan.toml"
    home.reloads += 1
    changed = home.lab.profiles["fan.toml"].replace("pm2_5 > 35", f"pm2_5 > {35 + home.reloads % 2}")
    profile.write_text(changed, "utf-8")
    home.daemon.signal(signal.SIGHUP)
    home.controls(3)


def store_is_locked(home: Home) -> None:
    other = sqlite3.connect(home.daemon.state / schema.DECISIONS, isolation_level=None, timeout=10)
    other.execute("BEGIN EXCLUSIVE")
    home.controls(10)
    other.execute("ROLLBACK")
    other.close()
    _kept(home)


def disk_is_full(home: Home) -> None:
    filler = home.daemon.state / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 20)) == 1 << 20:
            pass
        file.write(bytes(4096))
    home.controls(20)
    if home.daemon.part("store").get("state") != "degraded":
        home.short.append("a full disk is not said in health")
    filler.unlink()
    _kept(home)


def _kept(home: Home) -> None:
    seconds = kept_again(home.lab, home.daemon)
    if seconds > 10:
        home.short.append(f"decisions are recorded again after {seconds:.1f} s")


@dataclass(frozen=True)
class Fault:
    """What is done to the home, and after how many seconds at most from its end on it is in control again."""

    name: str
    inflict: Callable[[Home], None]
    back_s: float = BACK_S


FAULTS = (
    Fault("broker restarts", broker_restarts),
    Fault("broker stands still for 10 s", broker_stands_still),
    Fault("link cut for 12 s", link_is_cut),
    Fault("daemon stands still for 5 s", daemon_stands_still),
    Fault("burst of 10,000 messages", burst),
    Fault("poison, and a payload of 16 MiB", poison, 10.0),
    Fault("40 slow and 20 deaf HTTP clients", slow_and_deaf_clients),
    Fault("SIGHUP with a changed profile", reload),
    Fault("decisions file locked for 10 s", store_is_locked),
    Fault("disk full for 20 s", disk_is_full),
)


@dataclass
class Watch:
    """Samples memory, and asks what is recorded, until it ends."""

    daemon: Handle
    in_use: Path
    """Where the daemon writes how much memory it has in use."""
    told: Told = field(default_factory=Told)
    samples: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Seconds since it began; what is in use, VmRSS and RssAnon in MiB."""
    ends: threading.Event = field(default_factory=threading.Event)
    errors: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        began, due = time.monotonic(), 0.0
        while not self.ends.wait(1.0):
            try:
                passed = time.monotonic() - began
                if passed >= due:
                    due += SAMPLE_S
                    in_use = float(self.in_use.read_text())
                    self.samples.append((passed, in_use, self.daemon.rss_mib(), self.daemon.anonymous_mib()))
                with contextlib.suppress(OSError):  # it stands still, or has no place for us
                    self.told.ask(self.daemon)
            except BaseException as broken:
                self.errors.append(broken)
                return


def round_of(chance: random.Random, faults: tuple[Fault, ...]) -> Iterator[Fault]:
    """Give faults for ever: all of them in an order by chance, then all of them in another."""
    while True:
        yield from chance.sample(faults, len(faults))


def warm_hot_silent(lab: Lab) -> None:
    """Let the heater's room be cold for a while, then too hot, then let its thermometer be silent; and so on."""

    def then(seconds: float, value: float | None, following: Callable[[], None]) -> None:
        lab.room.silent = value is None
        if value is not None:
            lab.room.says(value)
        lab.world.later(seconds, following)

    def cold() -> None:
        then(90, 15.0, hot)

    def hot() -> None:
        then(30, 31.0, silent)

    def silent() -> None:
        then(30, None, cold)

    lab.world.later(60, hot)


def soak(lab: Lab, minutes: float, rate: int, fault_every_s: float, kills: int) -> list[Figure]:
    """Run it; return the figures. Prints a line a fault, and the memory a minute."""
    lab.config += "".join(PURIFIER.format(n=number) for number in range(ROOMS))
    lab.more_fans = tuple(f"p{number}" for number in range(ROOMS))
    lab.profiles["heater.toml"] = lab.profiles["heater.toml"].replace("per_hour = 12", "per_hour = 60")
    lab.profiles["fan.toml"] = lab.profiles["fan.toml"].replace("[channels.co2]\n", MORE)
    proxy = lab.ends.enter_context(Proxy(lab.broker.port))
    lab.world
    daemon = lab.daemon(lab.config.format(port=proxy.port), start=False)
    in_use = tells(daemon)
    faults = FAULTS
    try:
        lab.ends.enter_context(small(daemon.state, DISK))
    except Unavailable as why:
        print(f"no full disk: {why}", flush=True)
        faults = tuple(fault for fault in FAULTS if fault.inflict is not disk_is_full)
    lab.home(daemon)
    lab.until(in_use.exists)
    home, watch = Home(lab, daemon, proxy), Watch(daemon, in_use)
    quick = minutes < 30
    back: dict[str, list[float]] = {}
    with singing(lab.broker.port, rate, ROOMS):
        watching = threading.Thread(target=watch.run)
        watching.start()
        try:
            warm_hot_silent(lab)
            began, heard = time.monotonic(), daemon.metric("messages_total")
            for number, fault in enumerate(round_of(random.Random(1), faults), 1):
                if number * fault_every_s > minutes * 60:
                    break
                home.rest(max(0.0, began + number * fault_every_s - time.monotonic()))
                came = inflicted(home, fault)
                back.setdefault(fault.name, []).append(came)
                rss = watch.samples[-1][2]
                at = time.monotonic() - began
                print(
                    f"{at:6.0f} s  {fault.name}: in control {came:.2f} s after it; {rss:.1f} MiB", flush=True
                )
            home.rest(max(0.0, began + minutes * 60 - time.monotonic()))
            passed = time.monotonic() - began
            heard = (daemon.metric("messages_total") - heard) / passed
            peak, starts = daemon.peak_mib(), daemon.starts
            lost = daemon.metric("decisions_lost_total")
            hands = [name for name in ("fan", *lab.more_fans) if daemon.appliance(name)["override"]]
        finally:
            watch.ends.set()
            watching.join()
        again, forgotten = killed(lab, daemon, watch.told, kills, 2.0)
    told = watch.told
    told.heard(lab)
    daemon.kill()
    missing = told.lost(daemon.state)
    return [
        *memory(watch.samples, minutes),
        Figure("memory at most, before the kills", peak, "MiB", "reported", holds=True),
        *(
            at_most(
                f"in control after {one.name} ({len(back[one.name])} times), the latest",
                max(back[one.name]),
                "s",
                one.back_s * (2 if quick else 1),
            )
            for one in faults
            if one.name in back
        ),
        exactly(
            f"shortfalls of what faults promise besides{f': {home.short[0]}' if home.short else ''}",
            len(home.short),
            "",
            0,
        ),
        exactly("changes not followed while a fault lasted", missed(home.took), f"of {len(home.took)}", 0),
        at_least("heard", heard, "messages/s", 0.85 * rate),
        exactly("starts before the kills", starts, "", 1),
        exactly("decisions that were never recorded", lost, "", 0),
        exactly("hands that nobody had at a fan", len(hands), "", 0),
        exactly("numbers given twice", told.twice, "", 0),
        exactly("told as recorded and missing", missing, f"of {len(told.decisions)}", 0),
        at_least("told as recorded", len(told.decisions), "decisions", 20 * minutes),
        at_most(f"control after kill -9, the latest of {kills}", max(again), "s", 20.0 if quick else 3.0),
        exactly("words forgotten", forgotten, f"of {kills}", 0),
        exactly("errors of the watch", str(watch.errors[:1]), "", "[]"),
    ]


def inflicted(home: Home, fault: Fault) -> float:
    """Let it happen; return how many seconds after its end the fan follows the air."""
    fault.inflict(home)
    began = time.monotonic()
    home.lab.took(home.lab.world._subscribed.is_set, LATEST_S)
    if follow(home.lab, LATEST_S) == float("inf"):
        return float("inf")
    return time.monotonic() - began


def memory(samples: list[tuple[float, float, float, float]], minutes: float) -> list[Figure]:
    """Return how memory grew after the warm-up, and print its means by the minute."""
    warm = min(WARM_UP_S, minutes * 60 / 4)
    kept = [one for one in samples if one[0] >= warm]
    block = min(BLOCK_S, minutes * 60 / 30)
    figures = []
    for place, name in ((1, "in use"), (2, "resident"), (3, "anonymous")):
        points = blocks([(one[0], one[place]) for one in kept], block)
        print(f"{name} MiB: {' '.join(f'{value:.1f}' for _, value in points)}", flush=True)
        grows, low, high = (one * 3600 for one in slope(points))
        text = f"{grows:.2f} [{low:.2f}; {high:.2f}]"
        judged = minutes >= 30 and place == 1
        bound = f"at 95 % not certain to be above {SLOPE_MIB_H:g}" if judged else "reported"
        holds = not judged or low <= SLOPE_MIB_H
        figures.append(Figure(f"memory, {name}, grows by", text, "MiB/h", bound, holds))
    return figures


def main() -> int:
    """Run it, print the figures; return 1 where one falls short."""
    asked = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    asked.add_argument("--minutes", type=float, default=30.0, help="how long, without the kills at the end")
    asked.add_argument("--rate", type=int, default=500, help="readings a second of all sensors")
    asked.add_argument("--fault-every", type=float, default=60.0, help="seconds from one fault to the next")
    asked.add_argument("--kills", type=int, default=20, help="kill -9 of the daemon at the end")
    given = asked.parse_args()
    with Lab() as lab:
        figures = soak(lab, given.minutes, given.rate, given.fault_every, given.kills)
        figures += [Figure(*check) for check in lab.checks()]
        for figure in figures:
            print(figure)
        short = not all(figure.holds for figure in figures)
        if short:
            print(f"the log's end:\n{lab.daemons[0].log()[-4000:]}", file=sys.stderr)
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
