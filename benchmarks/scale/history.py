"""Owns a history of a given length, and how long the API's questions of it take.

Never in here: how figures are shown.
"""

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from appliance.adapters.store import Queries
from appliance.adapters.store.journal import Entry, Journal, Kind
from appliance.adapters.store.ledger import Ledger
from appliance.core.arbitration import Authority, Voice
from appliance.core.clock import SECOND, Instant
from appliance.core.events import Decision, Input

APPLIANCES = [f"dev{number}" for number in range(10)]
METRICS = (("pm2_5", "µg/m³"), ("co2", "ppm"), ("temperature", "°C"))
BEGAN_NS = 1_700_000_000 * SECOND
EVERY_NS = SECOND
BATCH = 5000
TIMES = 15
DAY_NS = 86_400 * SECOND


def times(folder: Path, rows: int) -> dict[str, float]:
    """Return the milliseconds of each kind of question of a history of `rows` readings and `rows` decisions in `folder`: the slower
    of its oldest and its newest end, each the median of several.
    """
    _fill(folder, rows)
    ask = Queries(folder)
    end = BEGAN_NS + rows * EVERY_NS
    device, metric = f"plain/{APPLIANCES[0]}", METRICS[0][0]
    kinds: dict[str, list[Callable[[], object]]] = {
        "decisions, newest page": [lambda: ask.decisions(limit=50)],
        "decisions, a page in the middle": [lambda: ask.decisions(before_id=max(rows // 2, 2), limit=50)],
        "decisions of an appliance": [lambda: ask.decisions(appliance=APPLIANCES[3], limit=50)],
        "decisions for an action": [lambda: ask.decisions(action="high", limit=50)],
        "decisions for an action that never was": [lambda: ask.decisions(action="turbo", limit=50)],
        "decisions of a day": [lambda: ask.decisions(since_ns=BEGAN_NS, until_ns=BEGAN_NS + DAY_NS, limit=50),
                               lambda: ask.decisions(since_ns=end - DAY_NS, until_ns=end, limit=50)],
        "decisions of an appliance on a day": [
            lambda: ask.decisions(appliance=APPLIANCES[3], since_ns=BEGAN_NS, until_ns=BEGAN_NS + DAY_NS, limit=50),
            lambda: ask.decisions(appliance=APPLIANCES[3], since_ns=end - DAY_NS, until_ns=end, limit=50),
        ],
        "one decision": [lambda: ask.decision(1), lambda: ask.decision(rows)],
        "the decision at a moment": [lambda: ask.decision_at(APPLIANCES[5], BEGAN_NS + rows * EVERY_NS // 3),
                                     lambda: ask.decision_at(APPLIANCES[5], end)],
        "a channel's last hour": [lambda: ask.readings(device, metric, end - 3600 * SECOND, end, 300)],
        "a channel's last day": [lambda: ask.readings(device, metric, end - DAY_NS, end, 300)],
        "a channel's first day": [lambda: ask.readings(device, metric, BEGAN_NS, BEGAN_NS + DAY_NS, 300)],
        "a channel's last reading": [lambda: ask.latest(device, metric), lambda: ask.latest("plain/nobody", metric)],
    }  # fmt: skip
    return {kind: max(map(_ms, questions)) for kind, questions in kinds.items()}


def _ms(question: Callable[[], object]) -> float:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        question()
        took.append((time.perf_counter() - began) * 1e3)
        if sum(took) > 5000:
            break
    return statistics.median(took)


def _fill(folder: Path, rows: int) -> None:
    """Write `rows` of each kind, a second apart, as the store's own thread writes them."""
    chance = random.Random(1)

    def at(number: int) -> Instant:
        return Instant("boot", number * EVERY_NS, BEGAN_NS + number * EVERY_NS)

    journal, ledger = Journal(folder, lambda: at(0)), Ledger(folder, lambda: at(0))
    for first in range(0, rows, BATCH):
        numbers = range(first, min(first + BATCH, rows))
        entries = []
        for number in numbers:
            metric, unit = METRICS[number % len(METRICS)]
            device = f"plain/{APPLIANCES[number // len(METRICS) % len(APPLIANCES)]}"
            entries.append(
                Entry(
                    Kind.READING,
                    device,
                    metric,
                    unit,
                    at(number),
                    round(chance.uniform(5, 50), 1),
                    0,
                    None,
                    0,
                )
            )
        journal.append(entries, None)
        ledger.commit([_decision(number + 1, at(number), chance) for number in numbers], {})
    journal.close()
    ledger.close()


def _decision(number: int, at: Instant, chance: random.Random) -> Decision:
    action = "high" if number % 50 == 0 else "low"
    because = "particles are at 40 µg/m³" if action == "high" else "nobody asks for more"
    voice = Voice("dust", Authority.RULE, action, action, because)
    inputs = tuple(
        Input(metric, round(chance.uniform(5, 50), 1), unit, 1.0, "good") for metric, unit in METRICS
    )
    return Decision(
        number,
        at,
        APPLIANCES[number % len(APPLIANCES)],
        action,
        because,
        Authority.RULE,
        "dust",
        (voice,),
        inputs,
        True,
    )
