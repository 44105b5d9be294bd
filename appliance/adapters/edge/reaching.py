"""Owns whether the edge may be asked now, and asking it: the link's breaker, each model's proof, and what it costs.

Never in here: the cache, or what waits.
"""

import asyncio
import importlib
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING, TypeVar

import msgspec

from appliance.adapters.edge.breaker import Breaker
from appliance.adapters.edge.budget import Budget
from appliance.adapters.edge.failing import Unanswered
from appliance.adapters.edge.notices import Notices
from appliance.adapters.edge.terms import EdgeSettings, Teacher
from appliance.errors import ConfigError

if TYPE_CHECKING:
    from appliance.adapters.edge.asking import Questions
    from appliance.adapters.edge.http import Exchange

T = TypeVar("T")

CHECK_S = 5.0
"""So long may a check take: a connection, and an encrypted one on a small computer, may be new."""
PROVED_S = 3600.0
"""A model is proved again after an hour at the latest."""
REFUSED_S = 60.0
"""A model that had nothing to say of a row is proved again, but no sooner than so long after the last time: it may be another one now."""
NO_BYTES_S = 600.0
"""Where no bytes are left for a check, it is looked again after so long."""
AT_ONCE = frozenset({"refused", "forbidden", "tls", "redirect"})
"""What does not get better by asking once more."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of asking: what was `said` (L,), or None. `nothing`: the edge itself had nothing to say that is to be believed."""

    said: tuple[float, ...] | None = None
    nothing: bool = False


class Belief:
    """Whether answers of one teacher are believed now, and when it is to be proved (again), in seconds of the clock."""

    def __init__(self, questions: "Questions") -> None:
        self.questions = questions
        self.believed = False
        self.due_s = 0.0
        self.proved_s = 0.0
        self.poor = False
        """Whether its proof waits for bytes."""
        self.breaker = Breaker(failures=1, base_s=30.0, most_s=PROVED_S)


class Reaching:
    """One edge. Its questions are asked by one task, one at a time; nothing here raises but `open`."""

    def __init__(
        self,
        settings: EdgeSettings,
        teachers: Iterable[Teacher],
        budget: Budget,
        notices: Notices,
        now_s: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._teachers = {teacher.name: teacher for teacher in teachers}
        self._budget = budget
        self._notices = notices
        self._now_s = now_s
        self.link = Breaker(failures=3, base_s=2.0, most_s=900.0)
        self.beliefs: dict[str, Belief] = {}
        self.missing: str | None = None
        self.gone = 0
        self.disbelieved = 0
        self.failed: dict[str, int] = {}
        self._took_ms: deque[float] = deque(maxlen=128)
        self._exchange: Exchange | None = None
        self._questions: type[Questions] | None = None

    async def open(self) -> None:
        """Import what speaks HTTP, in a thread. Raises ConfigError where it is not installed; then nothing is ever asked."""
        try:
            asking, http = await asyncio.to_thread(
                lambda: [
                    importlib.import_module(f"appliance.adapters.edge.{name}") for name in ("asking", "http")
                ]
            )
        except ImportError as broken:
            self.missing = f"{broken.name or broken} is not installed: pip install 'appliance[edge]'"
            raise ConfigError(
                f"[edge] needs {broken.name or broken}, which is not installed",
                hint="pip install 'appliance[edge]', or remove [edge]",
            ) from None
        self._exchange = http.Exchange(self._settings)
        self._questions = asking.Questions
        for teacher in self._teachers.values():
            self.meet(teacher)

    def meet(self, teacher: Teacher) -> None:
        """Ask `teacher` too; one that is known by this name already is not believed any more."""
        self._teachers[teacher.name] = teacher
        if self._exchange is not None and self._questions is not None:
            self.beliefs[teacher.name] = Belief(self._questions(teacher, self._exchange))

    async def close(self) -> None:
        """Close the connection."""
        if self._exchange is not None:
            await self._exchange.close()

    @property
    def retries(self) -> int:
        """How often a question was sent once more."""
        return 0 if self._exchange is None else self._exchange.retries

    @property
    def median_ms(self) -> float | None:
        """How long the last answers took, from the question on."""
        return median(self._took_ms) if self._took_ms else None

    def open_to(self, edge: str) -> bool:
        """Return whether a question to `edge` would be asked now, and count it where not."""
        belief = self.beliefs.get(edge)
        if self.link.state != "closed":
            self.gone += 1
        elif belief is None or not belief.believed:
            self.disbelieved += 1
        else:
            return True
        return False

    def next_s(self) -> float | None:
        """Return when the next check is due; None: never."""
        return min((belief.due_s for belief in self.beliefs.values()), default=None)

    async def ask(self, edge: str, row: Sequence[float], deadline_s: float, *, case: bool) -> Outcome:
        """Ask `edge` about `row` (F,) until `deadline_s` of the loop's clock; `case`: it counts in the share of cases."""
        if not self.open_to(edge):
            return Outcome()
        belief = self.beliefs[edge]
        if not self._budget.take(belief.questions.case_cost, self._now_s(), case=case):
            return Outcome()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            said = await self._spent(belief.questions.case(row, deadline_s))
        except Unanswered as failure:
            self._note(belief, failure)
            return Outcome(nothing=failure.whose == "row")
        self._took_ms.append((loop.time() - began) * 1e3)
        self.link.settle(self._now_s(), None)
        belief.breaker.settle(self._now_s(), None)
        return Outcome(said)

    async def prove(self) -> None:
        """Let the model whose check is due longest, if any is, prove that it is the one of its bundle."""
        now = self._now_s()
        due = [belief for belief in self.beliefs.values() if belief.due_s <= now]
        if not due:
            return
        belief = min(due, key=lambda one: one.due_s)
        if self.link.state == "open" and now < self.link.retry_s:
            belief.due_s = self.link.retry_s
            return
        belief.poor = not self._budget.take(belief.questions.cost, now, case=False)
        if belief.poor:
            belief.due_s = now + NO_BYTES_S
            return
        self.link.admits(now)
        belief.breaker.admits(now)
        try:
            await self._spent(belief.questions.meet(asyncio.get_running_loop().time() + CHECK_S))
        except Unanswered as failure:
            self._note(belief, failure, proving=True)
            return
        now = self._now_s()
        if self.link.settle(now, None):
            self._notices.say("back", logging.WARNING, f"the edge {self._settings.url} answers again")
        belief.breaker.settle(now, None)
        name = belief.questions.teacher.name
        if not belief.believed:
            self._notices.say(f"proved {name}", logging.INFO, f"the edge's {name} is the model of its bundle")
        belief.believed = True
        belief.proved_s = now
        belief.due_s = now + PROVED_S * random.uniform(0.8, 1.0)  # noqa: S311  jitter

    async def _spent(self, question: Awaitable[T]) -> T:
        assert self._exchange is not None
        meter = self._exchange.meter
        out, came = meter.out, meter.came
        try:
            return await question
        finally:
            self._budget.spend(meter.out - out, meter.came - came)

    def _note(self, belief: Belief, failure: Unanswered, *, proving: bool = False) -> None:
        now = self._now_s()
        self.failed[failure.reason] = self.failed.get(failure.reason, 0) + 1
        if failure.whose == "link":
            at_once = proving or failure.reason in AT_ONCE
            opened = self.link.settle(now, failure.message, at_once=at_once, wait_s=failure.wait_s)
            if opened:
                self._notices.say(
                    "gone", logging.WARNING, f"no edge: {failure.message}; it is tried again now and then"
                )
            if self.link.state == "open":
                # Whoever answers there next must prove itself first.
                for one in self.beliefs.values():
                    one.believed = False
                    one.due_s = max(self.link.retry_s, one.breaker.retry_s)
            return
        self.link.settle(now, None)
        if failure.whose == "row" and not proving:
            belief.due_s = min(belief.due_s, max(now, belief.proved_s + REFUSED_S))
        else:
            belief.breaker.settle(now, failure.message)
            belief.believed = False
            belief.due_s = belief.breaker.retry_s
            name = belief.questions.teacher.name
            self._notices.say(
                f"disbelieved {name}",
                logging.WARNING,
                f"nothing that the edge says as {name} is believed: {failure.message}",
            )
