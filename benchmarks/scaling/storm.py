"""Owns the burst: many homes that have reason to ask at once, one server, and what becomes of each question. Events in virtual time.

The clients' breaker and budget are the daemon's own; the server is its measured costs: it reads and parses what came, refuses what its line has no
room for, runs a batch, answers it, and begins again; what was given up meanwhile it does not know, and answers too. Never in here: measuring.
"""

import heapq
import random
from collections import deque

import msgspec
from serving import Costs

from appliance.adapters.edge.breaker import Breaker
from appliance.adapters.edge.budget import Budget

ONE_WAY_S = 0.005
"""Of the network (assumed)."""
EXPECTED = 1000
"""Bytes that a question is expected to cost, when the budget is asked."""
CHECK_S = 5.0
"""An edge that was away first proves to be the right one, in so long (as the daemon does)."""
AGAIN_S = 0.1
"""How soon a client without back-off asks again."""
MINUTE = 60.0


class Clients(msgspec.Struct, frozen=True):
    """How clients behave. `share`: `cases_percent`, None: no budget; `breaker`: whether they leave a failing edge alone; `retries`: whether they ask again until
    they have an answer. An answer later than `deadline_s` is none.
    """

    name: str
    share: float | None = 5.0
    breaker: bool = True
    retries: bool = False
    deadline_s: float = 0.3


class Load(msgspec.Struct, frozen=True):
    """`homes`, of which each asks `usual` times an hour by itself, and, `together`, each minute from `begins_s` to `ends_s`, at a second of
    its own that was drawn from the first `within_s` of a minute: what they have in common reaches them so nearly at once.
    """

    homes: int
    usual: float
    within_s: float
    together: bool = True
    begins_s: float = 30.0
    ends_s: float = 210.0
    lasts_s: float = 300.0
    past_cases: int = 1000


class Came(msgspec.Struct):
    """What came of it. `wanted`: hard cases; `spared_...`: left alone by budget or breaker; `sent`: requests, `checks` beside them; `shed`: refused by the
    server; `late`: given up by the client; `answered` in time, and their `times`. `wasted`: answers that nobody waited for. `queue`: the longest line.
    `after`, `after_answered`: cases after the common cause had ended.
    """

    wanted: int = 0
    spared_budget: int = 0
    spared_breaker: int = 0
    sent: int = 0
    checks: int = 0
    shed: int = 0
    late: int = 0
    answered: int = 0
    wasted: int = 0
    queue: int = 0
    times: list[float] = []
    after: int = 0
    after_answered: int = 0

    @property
    def p99_ms(self) -> float:
        found = sorted(self.times)
        return 1e3 * found[min(len(found) - 1, int(0.99 * len(found)))] if found else float("nan")


class Home:
    """One home's client."""

    __slots__ = ("breaker", "budget", "busy", "phase", "waits")

    def __init__(self, clients: Clients, load: Load, rng: random.Random) -> None:
        self.breaker = (
            Breaker(failures=3, base_s=2.0, most_s=900.0, draw=rng.random) if clients.breaker else None
        )
        self.budget = None
        if clients.share is not None:
            self.budget = Budget(clients.share, 1.0, 0.0)
            self.budget.seen(load.past_cases)
        self.phase = rng.random() * load.within_s
        self.busy = False
        self.waits = 0.0


def storm(
    load: Load, clients: Clients, costs: Costs, *, room: int = 8192, most: int = 64, seed: int = 0
) -> Came:
    """Let it happen. `room`: rows that may wait at the server; `most`: rows of a batch."""
    rng = random.Random(seed)
    homes = [Home(clients, load, rng) for _ in range(load.homes)]
    came, events, order = Came(times=[]), [], 0
    runs = [0.0, *(costs.of_run(rows) for rows in range(1, most + 1))]

    def at(when: float, kind: int, what) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (when, order, kind, what))

    case, arrival, turn, reply, given_up, again, check = range(7)
    for number, home in enumerate(homes):
        minute = load.begins_s
        while load.together and minute < load.ends_s:
            at(minute + home.phase, case, number)
            minute += MINUTE
        when = rng.expovariate(load.usual / 3600) if load.usual else load.lasts_s
        while when < load.lasts_s:
            at(when, case, number)
            when += rng.expovariate(load.usual / 3600)
    inbox: deque = deque()
    line: deque = deque()
    working = False
    # A question: [home, when it was asked, when it is given up, whether somebody still waits, whether it is a check].
    while events:
        now, _, kind, what = heapq.heappop(events)
        if now > load.lasts_s + 30:
            break
        if kind in (case, again):
            home = homes[what]
            if kind == case:
                came.wanted += 1
                came.after += now >= load.ends_s
                if home.budget is not None:
                    home.budget.seen(1)
            if home.busy:
                # One question at a time; a newer case takes the older one's place.
                continue
            if home.breaker is not None and home.breaker.state != "closed":
                came.spared_breaker += 1
                continue
            if home.budget is not None and not home.budget.take(EXPECTED, now, case=True):
                came.spared_budget += 1
                continue
            question = [what, now, now + clients.deadline_s, True, False]
            home.busy = True
            came.sent += 1
            at(now + ONE_WAY_S, arrival, question)
            at(question[2], given_up, question)
        elif kind == check:
            home = homes[what]
            assert home.breaker is not None
            home.breaker.admits(now)
            home.busy = True
            came.checks += 1
            question = [what, now, now + CHECK_S, True, True]
            at(now + ONE_WAY_S, arrival, question)
            at(question[2], given_up, question)
        elif kind == arrival:
            inbox.append(what)
            if not working:
                working = True
                at(now, turn, None)
        elif kind == turn:
            # One turn of the server: everything that came is read, then one batch is run.
            spent = 0.0
            while inbox:
                spent += costs.request / 2
                question = inbox.popleft()
                if len(line) >= room:
                    spent += costs.request / 4
                    at(now + spent + ONE_WAY_S, reply, (question, False))
                else:
                    line.append(question)
            came.queue = max(came.queue, len(line))
            rows = min(len(line), most)
            spent += runs[rows]
            for _ in range(rows):
                spent += costs.request / 2
                at(now + spent + ONE_WAY_S, reply, (line.popleft(), True))
            if rows or inbox:
                at(now + spent, turn, None)
            else:
                working = False
        elif kind == reply:
            question, good = what
            if not question[3]:
                came.wasted += good
                continue
            question[3] = False
            why = None if good else "503"
            if settle(came, homes[question[0]], question, why, now, load):
                follow(clients, homes[question[0]], question, why, now, at, again, check, load)
        elif what[3]:
            what[3] = False
            if settle(came, homes[what[0]], what, "late", now, load):
                follow(clients, homes[what[0]], what, "late", now, at, again, check, load)
    return came


def settle(came: Came, home: Home, question, why: str | None, now: float, load: Load) -> bool:
    """Count what a client makes of an answer, a refusal or none; return whether something follows."""
    _, asked, _, _, checking = question
    home.busy = False
    if home.budget is not None:
        home.budget.spend(EXPECTED * 8 // 10, 0)
    if home.breaker is not None:
        home.breaker.settle(now, why, at_once=checking)
    if why is None:
        if not checking:
            came.answered += 1
            came.after_answered += asked >= load.ends_s
            came.times.append(now - asked)
        return False
    came.shed += why == "503"
    came.late += why == "late"
    return True


def follow(
    clients: Clients,
    home: Home,
    question,
    why: str | None,
    now: float,
    at,
    again: int,
    check: int,
    load: Load,
) -> None:
    """What failed is tried once more at once, or the edge is looked at again when the breaker says so."""
    if home.breaker is not None:
        if home.breaker.state == "open":
            at(home.breaker.retry_s, check, question[0])
    elif clients.retries and now < load.lasts_s:
        at(now + AGAIN_S, again, question[0])
