"""Random appliances over the whole grammar of rules, and random snapshots of them: what the encoding is held against."""

from datetime import UTC
from random import Random
from typing import Any

from msgspec.structs import replace

from appliance.core import guards as plugs
from appliance.core.arbitration import Authority, Ladder
from appliance.core.clock import SECOND, Instant
from appliance.core.conditions import For, nodes
from appliance.core.events import Memory, Override
from appliance.core.guards.exclusion import Exclusion
from appliance.core.profile import LEARNED_MAX_AGE_NS, Appliance
from appliance.core.quantities import QUANTITIES
from appliance.core.readings import Channel, Heard, Quality
from appliance.core.registry import discover
from appliance.core.rules import Rule, Standing
from appliance.core.senses import Learned, Sense
from appliance.core.snapshot import Other, Snapshot
from appliance.core.windows import Window
from appliance.core.words import Said, Told, WordChannel
from tests.core.home import PROFILE, RULE, appliance_of

PLUGS = {module.GUARD.name: module.GUARD for module in discover(plugs, "GUARD").values()}
CHANNELS = ("pm2_5", "co2")
LEVELS = {"pm2_5": (5.0, 12.1, 35.0, 35.1), "co2": (600.0, 800.0, 1000.0), "power": (4.9, 5.0, 20.0)}
WORDS = ("nobody", "somebody", "many")
WINDOW = WordChannel("window", ("open", "closed"), ((False, "open"), (True, "closed")), 60 * 60 * SECOND)
OTHERS = ("heater", "vent")
MINUTE = 60 * SECOND
NOW_NS = 10_000 * SECOND


def appliance(random: Random) -> Appliance:
    actions = ("off", "low", "medium", "high", "turbo")[: random.randint(2, 5)]
    top = len(actions) - 1
    safe = random.choice([0, 0, top, random.randint(0, top)])
    ladder = Ladder(
        actions,
        random.choice([0, 0, random.randint(0, top)]),
        safe,
        ("auto",) if random.random() < 0.6 else (),
    )
    base = appliance_of(PROFILE.replace("[channels.co2]", "[channels.co2]\n[channels.power]") + RULE)
    base = replace(
        base,
        ladder=ladder,
        models={"presence": "presence"},
        words={"presence": WORDS},
        worded={"window": WINDOW},
        needs_person=needs_person(random, ladder),
    )
    rules = tuple(rule(random, f"r{number}", ladder) for number in range(random.randint(1, 7)))
    fallback = replace(base.fallback, at_least=ladder.rest, at_most=ladder.rest)
    instead = tuple(stated(random, number, ladder) for number in range(random.choice([0, 0, 1, 2])))
    return replace(base, rules=rules, fallback=fallback, instead=instead, guards=guards(random, ladder))


def needs_person(random: Random, ladder: Ladder) -> frozenset[int]:
    ends = [frozenset(range(count)) for count in range(1, ladder.rest + 1)]
    ends += [frozenset(range(first, ladder.top + 1)) for first in range(ladder.rest + 1, ladder.top + 1)]
    return random.choice(ends) if ends and random.random() < 0.5 else frozenset()


def stated(random: Random, number: int, ladder: Ladder) -> Rule:
    when = node(random, f"fallback {number}")
    timers = tuple(part for part in reversed(list(when.walk())) if isinstance(part, For))
    action = random.randint(0, ladder.top)
    return Rule(
        f"fallback {number}", when, None, action, action, Authority.FALLBACK, "because", timers=timers
    )


def guards(random: Random, ladder: Ladder) -> tuple[Any, ...]:
    tables: dict[str, dict[str, Any]] = {
        "minimum_on": {"for": "3 min"},
        "switches": {"per_hour": 3},
        "dwell": {"for": "4 min"},
        "longest_run": {"for": "4 min", "rest": "2 min"},
        "feedback": {"channel": "power", "on_above": "1 W", "off_below": "5 W"},
    }
    if ladder.safe == 0:
        tables["minimum_off"] = {"for": "2 min"}
    chosen = [name for name in tables if random.random() < 0.4]
    quantities = {"power": QUANTITIES["power"]}
    found = [PLUGS[name].from_table(tables[name], ladder, quantities, where="test") for name in chosen]
    if random.random() < 0.3:
        found.append(Exclusion("fuse", random.choice([(), ("heater",)]), random.choice([(), ("vent",)])))
    return tuple(found)


def rule(random: Random, name: str, ladder: Ladder) -> Rule:
    low, high = sorted((random.randint(0, ladder.top), random.randint(0, ladder.top)))
    when = node(random, f"{name} when")
    until = node(random, f"{name} until") if random.random() < 0.5 else None
    authority = random.choice(
        [Authority.RULE] * 4 + [Authority.EQUIPMENT, Authority.LIFE_SAFETY, Authority.MODEL, Authority.EDGE]
    )
    timers = tuple(
        part
        for tree in (when, until)
        if tree is not None
        for part in reversed(list(tree.walk()))
        if isinstance(part, For)
    )
    standing = random.choice([Standing.ACT] * 6 + [Standing.RECOMMEND, Standing.OFF])
    learned = frozenset({"presence"}) if authority is Authority.MODEL else frozenset[str]()
    return Rule(name, when, until, low, high, authority, "because", learned, standing, timers)


def node(random: Random, key: str, depth: int = 0) -> nodes.Node:
    kind = random.randint(0, 17 if depth < 3 else 12)
    channel = random.choice(CHANNELS)
    op = random.choice(list(nodes.COMPARE))
    if kind <= 2:
        return nodes.Compare(channel, op, random.choice(LEVELS[channel]))
    if kind == 3:
        return nodes.CompareAge(
            random.choice([*CHANNELS, "presence", "window"]), op, random.choice([1, 4, 6]) * MINUTE
        )
    if kind == 4:
        statistic = random.choice(["mean", "min", "max", "rising", "falling"])
        span = 5 * MINUTE if statistic in ("rising", "falling") else random.choice([1, 3]) * MINUTE
        level = (
            random.choice([-3.0, 0.0, 3.0])
            if statistic in ("rising", "falling")
            else random.choice(LEVELS[channel])
        )
        return nodes.CompareWindow(channel, statistic, span, op, level)
    if kind == 5:
        return nodes.Is("presence", random.choice(WORDS))
    if kind == 6:
        return nodes.Is("window", random.choice(WINDOW.words))
    if kind == 7:
        return nodes.IsUnknown(random.choice([*CHANNELS, "presence", "window"]))
    if kind == 8:
        return nodes.Between(random.choice([0, 420, 1320]), random.choice([420, 720, 1320]))
    if kind == 9:
        return nodes.DayIs(random.choice([(0,), (5, 6), (0, 1, 2, 3, 4)]))
    if kind == 10:
        return nodes.Doing(random.choice(["", *OTHERS]), random.choice(["off", "low", "turbo"]))
    if kind == 11:
        return nodes.DoingUnknown(random.choice(["", *OTHERS]))
    if kind == 12:
        return nodes.Acknowledged(key.split(maxsplit=1)[0])
    if kind == 13:
        return nodes.Not(node(random, key, depth + 1))
    if kind <= 15:
        parts = tuple(node(random, f"{key}.{part}", depth + 1) for part in range(random.randint(2, 3)))
        return nodes.And(parts) if kind == 14 else nodes.Or(parts)
    return For(node(random, f"{key}.for", depth + 1), random.choice([1, 5]) * MINUTE, key)


def snapshot(random: Random, spec: Appliance) -> Snapshot:
    now = Instant("boot", NOW_NS, random.randrange(1_767_225_600, 1_768_000_000) * SECOND)
    current = random.choice([None, *range(spec.ladder.top + 1)])
    return Snapshot(
        now,
        UTC,
        spec.ladder,
        {name: sense(random, channel) for name, channel in spec.channels.items()},
        {"presence": learned(random, now)},
        memory(random, spec, now),
        current,
        {"window": told(random)},
        {name: other(random) for name in OTHERS if random.random() < 0.8},
        random.choice([None, *spec.ladder.actions, *spec.ladder.modes]),
        in_a_mode=current is None and bool(spec.ladder.modes) and random.random() < 0.5,
    )


def told(random: Random) -> Told:
    sources = {
        f"s{number}": Said(
            random.choice([None, "open", "closed"]),
            None,
            NOW_NS - random.choice([0, MINUTE, 5 * MINUTE, 60 * MINUTE, 61 * MINUTE]),
        )
        for number in range(random.choice([0, 1, 1, 2]))
    }
    return Told(WINDOW, ("s0", "s1")[: random.randint(1, 2)], sources)


def other(random: Random) -> Other:
    return Other(random.choice([None, "off", "low", "boost"]), random.random() < 0.5, random.random() < 0.5)


def before(random: Random, now: Instant, most_ns: int) -> Instant:
    if random.random() < 0.1:
        return Instant("boot before", 5, now.wall_ns - 5)
    return now.plus(
        -random.choice([0, random.randrange(most_ns), MINUTE, 2 * MINUTE, 3 * MINUTE, 5 * MINUTE])
    )


def sense(random: Random, channel: Channel) -> Sense:
    levels = LEVELS[channel.name]
    step = channel.quantity.resolution

    def level() -> float:
        return random.choice(levels) + random.choice([0.0, 0.0, step, -step, 7 * step])

    window = Window.empty(channel.max_age_ns, step)
    if random.random() < 0.8:
        at = NOW_NS - random.randrange(8 * MINUTE)
        while at <= NOW_NS:
            window = window.push(channel.quantity.steps(level()), at)
            at += random.randrange(10, 120) * SECOND
    sources = {}
    for number in range(random.choice([0, 1, 1, 1, 2])):
        good_ns = (
            None
            if random.random() < 0.1
            else NOW_NS
            - random.choice(
                [0, random.randrange(channel.max_age_ns), channel.max_age_ns, channel.max_age_ns + 1, MINUTE]
            )
        )
        value = level()
        sources[f"s{number}"] = Heard(
            NOW_NS, NOW_NS, value, Quality.GOOD, None, good_ns, None if good_ns is None else value
        )
    return Sense(channel, sources, window)


def learned(random: Random, now: Instant) -> Learned:
    quality = random.choice([Quality.GOOD, Quality.GOOD, Quality.UNCERTAIN])
    age = random.choice([0, random.randrange(2 * LEARNED_MAX_AGE_NS), LEARNED_MAX_AGE_NS, MINUTE])
    at = Instant("boot before", 5, 5) if random.random() < 0.1 else now.plus(-age)
    label = None if quality is not Quality.GOOD and random.random() < 0.5 else random.choice(WORDS)
    by = random.choice([None, "a bigger model"])
    return Learned(label, 0.9, quality, None, at, LEARNED_MAX_AGE_NS, by=by)


def memory(random: Random, spec: Appliance, now: Instant) -> Memory:
    known = [*spec.ladder.actions, *spec.ladder.modes]
    override = None
    if random.random() < 0.3:
        override = Override(random.choice(known), "http", now, now.plus(MINUTE))
    keys = [timer.key for rule in (*spec.rules, *spec.instead) for timer in rule.timers]
    return Memory(
        override=override,
        reported=random.choice([None, *known]),
        started=None if random.random() < 0.3 else before(random, now, 5 * MINUTE),
        stopped=None if random.random() < 0.3 else before(random, now, 5 * MINUTE),
        switches=tuple(now.plus(-random.randrange(90) * MINUTE) for _ in range(random.randint(0, 5))),
        holds=tuple(rule.id for rule in spec.rules if rule.until is not None and random.random() < 0.5),
        commanded_at=None if random.random() < 0.3 else before(random, now, 5 * MINUTE),
        reported_at=None if random.random() < 0.3 else before(random, now, 5 * MINUTE),
        acknowledged=tuple(rule.id for rule in spec.rules if random.random() < 0.3),
        true_since={key: before(random, now, 8 * MINUTE) for key in keys if random.random() < 0.7},
    )
