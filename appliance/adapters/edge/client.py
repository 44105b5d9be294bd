"""Owns the way of an offered case: the cache first, which works without a network, then the edge, where it may be asked.

Nothing waits for it, and nothing that the edge or the disk does ends it. Never in here: whether a case is hard, or what an answer is worth.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Protocol

import msgspec

from appliance.adapters.edge.budget import Budget
from appliance.adapters.edge.cache import Cache
from appliance.adapters.edge.entries import Tally
from appliance.adapters.edge.measuring import Exactly, asked_again, wrong_hits
from appliance.adapters.edge.notices import Notices
from appliance.adapters.edge.reaching import Reaching
from appliance.adapters.edge.status import CacheStatus, EdgeStatus, TeacherStatus
from appliance.adapters.edge.terms import EdgeSettings, Teacher, finer
from appliance.adapters.edge.waiting import Waiting
from appliance.core.clock import Instant
from appliance.core.events import AskEdge, EdgeAnswered
from appliance.errors import ConfigError

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 600.0
"""The clock may be scaled or stand still in sleep: checks are looked for this often at least."""


class Clock(Protocol):
    """What tells the time here: this instant, and the real seconds until its boot time is `boottime_ns`."""

    def __call__(self) -> Instant: ...

    def seconds_until(self, boottime_ns: int) -> float: ...


class Offered(msgspec.Struct, frozen=True):
    """A case that came at `at_s` (time.monotonic). `cached` (L,): what the cache said of it, where that is being asked again."""

    ask: AskEdge
    at_s: float
    cached: tuple[float, ...] | None = None


class Edge:
    """One edge, and the cache of its answers in the file at `cache_path`. `teachers` are those that may be asked, by any key.

    `answer` gets each answer, on the loop. `run` it as a task; everything is called on its loop. Durations, but for those of a question, are `clock`'s.

    Raises:
        ConfigError: the settings can't work (`EdgeSettings.check`).
    """

    def __init__(
        self,
        settings: EdgeSettings,
        teachers: Mapping[str, Teacher],
        cache_path: Path,
        answer: Callable[[EdgeAnswered], None],
        clock: Clock,
    ) -> None:
        settings.check()
        self._settings = settings
        self._teachers = {teacher.name: teacher for teacher in teachers.values()}
        self._give = answer
        self._clock = clock
        self._deadline_s = settings.deadline_ms / 1e3
        self._notices = Notices(log, self._now_s)
        self._budget = Budget(settings.cases_percent, settings.mb_a_day, self._now_s())
        self._cache = Cache(cache_path, settings.cache_entries, settings.cache_days, lambda: clock().wall_ns)
        self._reaching = Reaching(settings, self._teachers.values(), self._budget, self._notices, self._now_s)
        self._to_look: Waiting[Offered] = Waiting()
        self._to_ask: Waiting[Offered] = Waiting()
        self._tallies: dict[str, Tally] = {}
        self._exactly = Exactly(settings.cache_entries)
        self._found = {"hit": 0, "miss": 0, "stale": 0, "negative": 0}
        self._offered = self._unusable = self._late = self._answered = self._cached = self._asked_again = 0

    def offer(self, ask: AskEdge) -> None:
        """Let `ask` be answered if it can be. Never blocks, never raises; of one channel's that wait only the newest stays."""
        self._offered += 1
        teacher = self._teachers.get(ask.edge)
        if (
            teacher is None
            or teacher.version != ask.version
            or len(ask.row) != teacher.features
            or not all(map(isfinite, ask.row))
        ):
            self._unusable += 1
            return
        self._to_look.put(_key(ask), Offered(ask, time.monotonic()))

    def meet(self, teacher: Teacher) -> None:
        """Let `teacher` be asked from now on, once it has proved itself; another version of one that is known takes its place."""
        self._teachers[teacher.name] = teacher
        self._reaching.meet(teacher)
        self._to_ask.wake()

    def seen(self, cases: int) -> None:
        """Note that so many cases were decided, hard or easy: the share that may be asked is of these."""
        self._budget.seen(cases)

    async def run(self) -> None:
        """Answer what is offered, until cancelled."""
        self._cache.start()
        try:
            self._tallies = {**await self._cache.tallies(), **self._tallies}
            async with asyncio.TaskGroup() as tasks:
                # Two, so that an edge that hangs does not hold up what the cache knows.
                tasks.create_task(self._again_and_again(self._look), name="edge-cache")
                tasks.create_task(self._ask_all(), name="edge-network")
        finally:
            await self._reaching.close()
            await self._cache.close()

    def status(self) -> EdgeStatus:
        """Return how all of it stands."""
        reaching, now = self._reaching, self._now_s()
        link = reaching.link
        looks = sum(self._found.values())
        kept = self._cache.state()
        return EdgeStatus(
            url=self._settings.url,
            breaker=link.state,
            why=reaching.missing or link.why,
            retry_s=max(link.retry_s - now, 0.0) if link.state == "open" else None,
            weaknesses=self._settings.weaknesses(),
            teachers=tuple(self._teacher(teacher) for teacher in self._teachers.values()),
            budget=self._budget.status(now),
            cache=CacheStatus(
                entries=kept.entries,
                hits=self._found["hit"],
                misses=self._found["miss"],
                stale=self._found["stale"],
                negative=self._found["negative"],
                slow=kept.slow,
                asked_again=self._asked_again,
                hit_share=self._found["hit"] / looks if looks else None,
                exact_hit_share=self._exactly.hits / self._exactly.looks if self._exactly.looks else None,
                reason=kept.reason,
            ),
            offered=self._offered,
            replaced=self._to_look.replaced + self._to_ask.replaced,
            shed=self._to_look.shed + self._to_ask.shed,
            unusable=self._unusable,
            gone=reaching.gone,
            disbelieved=reaching.disbelieved,
            late=self._late,
            answered=self._answered,
            cached=self._cached,
            retries=reaching.retries,
            failed=dict(reaching.failed),
            median_ms=reaching.median_ms,
        )

    def _teacher(self, teacher: Teacher) -> TeacherStatus:
        belief = self._reaching.beliefs.get(teacher.name)
        if belief is None:
            why: str | None = "not asked yet"
        elif belief.poor:
            why = "no bytes are left for its proof: [edge] mb_a_day"
        else:
            why = belief.breaker.why or self._reaching.link.why
        believed = belief is not None and belief.believed
        hits = wrong_hits(self._tallies.get(_identity(teacher), Tally()))
        return TeacherStatus(teacher.name, teacher.version, believed, None if believed else why, hits)

    # ------------------------------------------------------------ the cache's turn

    async def _look(self) -> None:
        await self._to_look.come()
        waited = self._to_look.pop()
        if waited is None:
            return
        key, offered = waited
        ask = offered.ask
        teacher = self._teachers[ask.edge]
        tally = self._tallies.get(_identity(teacher), Tally())
        if ask.audit is None and not tally.stopped and self._settings.cache_entries:
            self._exactly.look(_identity(teacher), ask.row)
            found = await self._cache.look(_digest(teacher, ask, tally.scale))
            self._found[found.kind] += 1
            if found.kind == "negative":
                return
            if found.kind == "hit" and len(found.said) == len(teacher.labels):
                self._cached += 1
                self._tell(ask, found.said, cached=True)
                if random.random() * 100 >= self._settings.recheck_percent:  # noqa: S311  a sample, no secret
                    return
                offered = msgspec.structs.replace(offered, cached=found.said)
        # Nothing waits for an edge that is known to be away.
        if self._reaching.open_to(ask.edge):
            self._to_ask.put(key, offered)

    # ------------------------------------------------------------ the edge's turn

    async def _ask_all(self) -> None:
        try:
            await self._reaching.open()
        except ConfigError as missing:
            log.error("%s", missing)  # noqa: TRY400  the operator's, told in full
            return
        await self._again_and_again(self._ask)

    async def _ask(self) -> None:
        waited = self._to_ask.pop()
        if waited is None:
            await self._reaching.prove()
            due_s = self._reaching.next_s()
            left_s = LONGEST_WAIT_S if due_s is None else self._clock.seconds_until(round(due_s * 1e9))
            await self._to_ask.come(min(max(left_s, 0.0), LONGEST_WAIT_S))
            return
        _, offered = waited
        ask = offered.ask
        left_s = self._deadline_s - (time.monotonic() - offered.at_s)
        if left_s <= 0:
            self._late += 1
            return
        came = await self._reaching.ask(
            ask.edge, ask.row, asyncio.get_running_loop().time() + left_s, case=ask.audit is None
        )
        if came.said is not None:
            self._answered += 1
            self._learn(offered, came.said)
            self._tell(ask, came.said, cached=False)
        elif came.nothing and ask.audit is None and offered.cached is None:
            self._put(ask, ())

    def _learn(self, offered: Offered, said: tuple[float, ...]) -> None:
        """Keep an answer for like cases, and what it shows of a cached one."""
        ask = offered.ask
        if ask.audit is not None:
            return
        if offered.cached is not None:
            self._asked_again += 1
            teacher = self._teachers[ask.edge]
            name = _identity(teacher)
            before = self._tallies.get(name, Tally())
            after = asked_again(
                before,
                offered.cached,
                said,
                self._settings.wrong_hit_percent / 100,
                divisible=bool(teacher.steps),
            )
            self._tallies[name] = after
            self._cache.keep(name, after)
            if (after.scale, after.stopped) != (before.scale, before.stopped):
                what = (
                    "is used no more"
                    if after.stopped
                    else f"has buckets of 1/{2**after.scale} of their size now"
                )
                self._notices.say(
                    f"cache {name} {after.scale} {after.stopped}",
                    logging.WARNING,
                    f"too many cached answers of {name} were wrong: their cache {what}",
                )
        self._put(ask, said)

    def _put(self, ask: AskEdge, said: tuple[float, ...]) -> None:
        teacher = self._teachers[ask.edge]
        tally = self._tallies.get(_identity(teacher), Tally())
        if not tally.stopped:
            self._cache.put(_digest(teacher, ask, tally.scale), said)

    def _tell(self, ask: AskEdge, said: tuple[float, ...], *, cached: bool) -> None:
        self._give(
            EdgeAnswered(
                ask.appliance,
                ask.channel,
                ask.edge,
                ask.version,
                ask.bucket,
                said,
                cached=cached,
                audit=ask.audit,
            )
        )

    async def _again_and_again(self, turn: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await turn()
            except Exception as broken:
                self._notices.say(
                    "bug", logging.ERROR, f"a question to the edge broke: {type(broken).__name__}: {broken}"
                )
                log.debug("a question to the edge broke", exc_info=True)
                await asyncio.sleep(0.1)

    def _now_s(self) -> float:
        return self._clock().boottime_ns / 1e9


def _key(ask: AskEdge) -> tuple[str, str, bool]:
    # An audit has a place of its own: were it replaced just when it becomes hard, audits would see too few such moments.
    return ask.appliance, ask.channel, ask.audit is not None


def _identity(teacher: Teacher) -> str:
    return f"{teacher.name} {teacher.version}"


def _digest(teacher: Teacher, ask: AskEdge, scale: int) -> bytes:
    bucket = ",".join(map(str, finer(teacher, ask.row, ask.bucket, scale)))
    return blake2b(f"{teacher.digest} {teacher.version} {scale} {bucket}".encode(), digest_size=16).digest()
