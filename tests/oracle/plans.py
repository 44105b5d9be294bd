"""Owns the random appliances: a plan in the oracle's words, and the same as a profile in the product's.

Never in here: what happens to them, or a judgement.
"""

import random
from typing import Any

from tests.oracle.oracle import EQUIPMENT, LIFE_SAFETY, MODEL, RULE, SECOND, Expression, Plan, PlannedRule

ACTIONS = ("off", "low", "medium", "high", "turbo")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DEVICE = "zigbee2mqtt/fan"
UNITS = {"pm2_5": "µg/m³", "co2": "ppm", "temperature": "°C"}
SPEAKS_AS = {LIFE_SAFETY: "LIFE_SAFETY", EQUIPMENT: "EQUIPMENT", RULE: "RULE", MODEL: "RULE"}
LEVELS = {
    "pm2_5": (10, 20, 40, 60, 90, 120, 160),
    "co2": (600, 800, 1000, 1500, 2500, 4000),
    "temperature": (17, 18, 20, 22, 23),
}


def names(plan: Plan) -> tuple[str, ...]:
    """Return the words of a plan's actions and modes, by their numbers."""
    return (*ACTIONS[: plan.size], *("auto", "sleep")[: plan.modes])


def random_plan(dice: random.Random) -> Plan:
    """Return an appliance: its ladder, guards and rules drawn by lot."""
    size = dice.choice((2, 3, 3, 4, 5))
    safe = dice.choice((0, 0, 0, size - 1, dice.randrange(size)))
    max_age = {channel: dice.choice((60, 120, 300, 600)) * SECOND for channel in UNITS}
    learned = dice.random() < 0.6
    reports = dice.random() < 0.85
    rest = dice.choice((0, 0, 0, dice.randrange(size)))
    needs: frozenset[int] = frozenset()
    if rest < size - 1 and dice.random() < 0.4:
        needs = frozenset(range(dice.randint(rest + 1, size - 1), size))
    elif rest > 0 and dice.random() < 0.3:
        needs = frozenset(range(rest))
    count = dice.randint(1, 7)
    rules = tuple(random_rule(dice, f"rule_{index}", size, learned=learned) for index in range(count))
    if dice.random() < 0.7 and not any(rule.standing == "act" for rule in rules):
        rules = (*rules, PlannedRule("plain", ("gt", "pm2_5", 40), ("lt", "pm2_5", 30), size - 1, size - 1))
    return Plan(
        size=size,
        rest=rest,
        needs_person=needs,
        safe=safe,
        modes=dice.choice((0, 1, 1, 2)),
        hold=dice.choice((120, 600, 3600)) * SECOND,
        minimum_on=_seconds(dice.choice((None, 30, 180, 600))),
        minimum_off=_seconds(dice.choice((None, 20, 60, 300))) if safe == 0 else None,
        per_hour=dice.choice((None, 1, 3, 6, 12, 30)),
        reports=reports,
        waits=reports,
        max_age=max_age,
        learned=frozenset({"presence"} if learned else ()),
        rules=rules,
        **_extras(dice, size),
    )


def _extras(dice: random.Random, size: int) -> dict[str, Any]:
    """Return what only some appliances have."""
    found: dict[str, Any] = {}
    if dice.random() < 0.25:
        found["caps"] = (dice.choice(("act", "act", "recommend")), dice.choice(("act", "recommend", "off")))
    if dice.random() < 0.25:
        some = range(dice.randint(1, 2))
        found["instead"] = tuple((_condition(dice, learned=False), dice.randrange(size)) for _ in some)
    if dice.random() < 0.3:
        found["dwell"] = dice.choice((60, 300, 900)) * SECOND
    if dice.random() < 0.3:
        found["longest_run"] = (dice.choice((120, 600, 3600)) * SECOND, dice.choice((60, 300)) * SECOND)
    if dice.random() < 0.3:
        found["lease"] = dice.choice((120, 600)) * SECOND
    return found


def random_rule(dice: random.Random, name: str, size: int, *, learned: bool) -> PlannedRule:
    """Return a rule. One that rests on a learned channel speaks as MODEL; one of the strong kind always acts."""
    when = _condition(dice, learned=learned)
    until = _until(dice, when, learned=learned)
    low, high = sorted((dice.randrange(size), dice.randrange(size)))
    shape = dice.random()
    if shape < 0.4:
        high = size - 1
    elif shape < 0.55:
        low = 0
    elif shape < 0.8:
        high = low
    if (low, high) == (0, size - 1):
        low = 1
    if _rests_on_words(when) or (until is not None and _rests_on_words(until)):
        authority = MODEL
    else:
        authority = dice.choice((RULE, RULE, RULE, RULE, EQUIPMENT, LIFE_SAFETY))
    if authority in (LIFE_SAFETY, EQUIPMENT) and dice.random() < 0.4:
        until = dice.choice((("seen",), ("and", ("seen",), _compare(dice))))
    standing = dice.choice(("act", "act", "act", "recommend", "off")) if authority in (RULE, MODEL) else "act"
    return PlannedRule(name, when, until, low, high, authority, standing)


def _seconds(span: int | None) -> int | None:
    return None if span is None else span * SECOND


def _compare(dice: random.Random) -> Expression:
    channel = dice.choice(("pm2_5", "pm2_5", "pm2_5", "co2", "temperature"))
    return (dice.choice(("gt", "gt", "gt", "lt")), channel, dice.choice(LEVELS[channel]))


def _condition(dice: random.Random, *, learned: bool) -> Expression:
    kind = dice.random()
    one = _compare(dice)
    if kind < 0.45:
        return one
    if kind < 0.6:
        return ("for", one, dice.choice((30, 60, 120, 300)) * SECOND)
    if kind < 0.68:
        return (dice.choice(("and", "or")), one, _compare(dice))
    if kind < 0.75:
        return ("unknown", dice.choice(tuple(UNITS)))
    if kind < 0.79:
        return ("not", one)
    if kind < 0.83:
        return ("and", one, ("between", dice.randrange(1440), dice.randrange(1440)))
    if kind < 0.84:
        return ("and", one, ("day", *sorted(dice.sample(range(7), 3))))
    if kind < 0.85:
        return ("and", one, ("doing", dice.randrange(2)))
    if kind < 0.87:
        return ("older", one[1], dice.choice((60, 300, 900)) * SECOND)
    if learned:
        said = ("is", "presence", dice.choice(("nobody", "somebody")))
        return dice.choice((said, ("and", said, one), ("and", ("unknown", "presence"), one)))
    return ("for", ("and", one, ("not", ("unknown", "co2"))), 60 * SECOND)


def _until(dice: random.Random, when: Expression, *, learned: bool) -> Expression | None:
    kind = dice.random()
    if kind < 0.35:
        return None
    if when[0] == "gt" and kind < 0.85:
        return ("lt", when[1], when[2] * 0.75)
    if kind < 0.95:
        return ("for", _compare(dice), 60 * SECOND)
    return _condition(dice, learned=learned)


def _rests_on_words(condition: Expression) -> bool:
    return condition[0] == "is" or any(
        _rests_on_words(part) for part in condition[1:] if isinstance(part, tuple)
    )


# ---------------------------------------------------------------- the same in the product's words


def text(condition: Expression) -> str:
    """Return a condition as a profile spells it."""
    kind, *parts = condition
    match kind:
        case "gt" | "lt":
            return f"{parts[0]} {'>' if kind == 'gt' else '<'} {parts[1]}"
        case "unknown":
            return f"{parts[0]} is unknown"
        case "is":
            return f"{parts[0]} is {parts[1]}"
        case "seen":
            return "acknowledged"
        case "doing":
            return f"state is {ACTIONS[parts[0]]}"
        case "day":
            return " or ".join(f"day is {DAYS[day]}" for day in parts)
        case "older":
            return f"age({parts[0]}) > {parts[1] // SECOND} s"
        case "between":
            return f"time is between {parts[0] // 60:02}:{parts[0] % 60:02} and {parts[1] // 60:02}:{parts[1] % 60:02}"
        case "not":
            return f"not ({text(parts[0])})"
        case "and" | "or":
            return f"({text(parts[0])}) {kind} ({text(parts[1])})"
        case "for":
            return f"({text(parts[0])}) for {parts[1] // SECOND} s"
    raise ValueError(kind)


def profile(plan: Plan) -> dict[str, Any]:
    """Return the plan as the table of a profile."""
    words = names(plan)
    channels: dict[str, Any] = {
        channel: {"max_age": f"{age // SECOND} s"} for channel, age in plan.max_age.items()
    }
    for channel in plan.learned:
        channels[channel] = {"model": "stub", "words": ["nobody", "somebody"]}
    guards: dict[str, Any] = {}
    if plan.minimum_on is not None:
        guards["minimum_on"] = {"for": f"{plan.minimum_on // SECOND} s"}
    if plan.minimum_off is not None:
        guards["minimum_off"] = {"for": f"{plan.minimum_off // SECOND} s"}
    if plan.per_hour is not None:
        guards["switches"] = {"per_hour": plan.per_hour}
    if plan.dwell is not None:
        guards["dwell"] = {"for": f"{plan.dwell // SECOND} s"}
    if plan.longest_run is not None:
        longest, rest = plan.longest_run
        guards["longest_run"] = {"for": f"{longest // SECOND} s", "rest": f"{rest // SECOND} s"}
    commands: dict[str, Any] = {}
    for index, word in enumerate(words):
        commands[word] = {"set": {"fan_mode": word}}
        if plan.reports:
            commands[word]["seen"] = {"fan_mode": word}
        if plan.lease is not None and 0 < index < plan.size:
            commands[word]["lease"] = {"on_time": "seconds"}
    lease = {} if plan.lease is None else {"lease": {"for": f"{plan.lease // SECOND} s"}}
    instead = [
        {"when": text(when), "exactly": words[action], "because": "it is planned"}
        for when, action in plan.instead
    ]
    return {
        **lease,
        "needs_person": [words[action] for action in sorted(plan.needs_person)],
        "voices": {"rules": plan.caps[0], "model": plan.caps[1]},
        "name": "fan",
        "title": "A fan",
        "actions": list(words[: plan.size]),
        "modes": list(words[plan.size :]),
        "rest": words[plan.rest],
        "safe": words[plan.safe],
        "hold": f"{plan.hold // SECOND} s",
        "channels": channels,
        "fallback": {"because": "nobody asks", "instead": instead},
        "guards": guards,
        "rules": [_rule(rule, words) for rule in plan.rules],
        "commands": {DEVICE.partition("/")[0]: commands},
    }


def _rule(rule: PlannedRule, words: tuple[str, ...]) -> dict[str, Any]:
    table = {
        "id": rule.name,
        "when": text(rule.when),
        "because": "it is planned",
        "authority": SPEAKS_AS[rule.authority],
        "standing": rule.standing,
        "at_least": words[rule.low],
        "at_most": words[rule.high],
    }
    if rule.until is not None:
        table["until"] = text(rule.until)
    return table
