"""Owns the answers to "why" and "why not" of the running home: which decision is meant, and where its account comes from.

Never in here: the account itself (core.explain), or how it is spelt. What reads the disk or searches runs in a thread.
"""

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from appliance.adapters.http.port import WhyNotView, WhyView
from appliance.adapters.store import Kept, Store
from appliance.core.clock import SECOND
from appliance.core.events import Decision
from appliance.core.explain import inputs, lines, sentence
from appliance.core.explain.flip import Flips, flips
from appliance.core.explain.moment import decision_number, moment_ns
from appliance.core.explain.recorded import Recorded, recorded
from appliance.core.explain.what_if import Live, Past, Question, Then, surroundings
from appliance.core.explain.why_not import why_not
from appliance.core.home import Home
from appliance.core.snapshot import Snapshot
from appliance.daemon.control import Control
from appliance.daemon.present import decided, numbered, remembered

LONGEST_S = 2.0
"""So long a search for flips may take; what it found until then is the answer."""
SEARCHES = 1
"""Searches at once: they are all arithmetic, and share the interpreter with the control loop."""
QUIET_NS = 120 * SECOND
"""A decision is made anew at least every half minute: after so long without one nobody decided."""

LIVE = "rest on everything as it is now"
REBUILT = "rest on the history of that time, replayed"
RECORDED = "rest on what was recorded of it, by the rules of today; windows, timers and its own doing are not recorded"

Rebuilt = Callable[[Home, Decision], Then | str]
"""What a decision of a home rested on, or why that can't be rebuilt. Called in a thread."""


class Whys:
    """One home's answers. Lives on the control loop."""

    def __init__(self, control: Control, store: Store, rebuilt: Rebuilt) -> None:
        self._control = control
        self._store = store
        self._rebuilt = rebuilt
        self._searches = asyncio.Semaphore(SEARCHES)

    async def why(self, appliance: str, at: str | None, *, flip: bool) -> WhyView | None:
        """Return why it does what it does, or did at the moment that `at` names; None where nothing of it is kept.

        Raises:
            Malformed: `at` names no moment of the past.
            StoreError: the history can't be read.
        """
        around = self._around(appliance)
        if at is None:
            last = self._now(appliance)
            if last is None:
                return WhyView(appliance, "Nothing has been decided yet.", (), None)
            view = decided(last, self._store.kept(last.id))
            said = lines(last, inputs(around))
        else:
            kept, asked_ns = await self._kept(appliance, at)
            if kept is None:
                return None
            last, view = kept.decision, remembered(kept)
            said = (*lines(last, inputs(around)), *_since(kept, asked_ns, around))
        found = await self._flips(appliance, last, around, past=at is not None) if flip else None
        return WhyView(
            appliance, sentence(last), said if found is None else (*said, *found.lines()), view, found
        )

    async def why_not(self, appliance: str, action: str, at: str | None) -> WhyNotView | None:
        """Return why it does not, or did not, do `action`. Raises as `why` does."""
        around = self._around(appliance)
        spec = self._control.controller.home.appliances[appliance]
        if at is None:
            last = self._now(appliance)
            if last is None:
                return WhyNotView(appliance, action, "Nothing has been decided yet.", (), None)
            view = decided(last, self._store.kept(last.id))
        else:
            kept, _ = await self._kept(appliance, at)
            if kept is None:
                return None
            last, view = kept.decision, remembered(kept)
            around, basis = await self._then(last, around)
            account = why_not(spec, last, action, around)
            said = (*account.lines, f"(values and timers {basis})")
            return WhyNotView(appliance, action, account.sentence, said, view)
        account = why_not(spec, last, action, around)
        return WhyNotView(appliance, action, account.sentence, account.lines, view)

    def _now(self, appliance: str) -> Decision | None:
        """Return the newest decision with the voices of now: repeats have no row of their own, and say it with other values."""
        state = self._control.controller.state.appliances[appliance]
        if state.last is None:
            return None
        because = next(
            (voice.because for voice in state.voices if voice.source == state.last.source), state.last.because
        )
        return replace(state.last, voices=state.voices, because=because)

    def _around(self, appliance: str) -> Snapshot:
        controller = self._control.controller
        return surroundings(controller.home, controller.state, appliance, self._control.clock())

    async def _kept(self, appliance: str, at: str) -> tuple[Kept | None, int | None]:
        """Return the decision that `at` means, and the wall time that it names, if it names one."""
        number = decision_number(at)
        if number is not None:
            kept = await asyncio.to_thread(numbered, self._store, number)
            return (kept if kept is not None and kept.decision.appliance == appliance else None), None
        wall_ns = moment_ns(at, self._control.clock(), self._control.controller.home.zone)
        return await asyncio.to_thread(self._in_force, appliance, wall_ns), wall_ns

    def _in_force(self, appliance: str, wall_ns: int) -> Kept | None:
        """*thread*: return the last decision of that time or before: the newest are only in memory yet, the oldest only on disk."""
        for kept in reversed(self._store.ring()):
            if kept.decision.appliance == appliance and kept.decision.at.wall_ns <= wall_ns:
                return kept
        if self._store.health().reason is not None:
            return None
        return self._store.queries.decision_at(appliance, wall_ns)

    async def _then(self, decision: Decision, around: Snapshot) -> tuple[Snapshot, str]:
        """Return what a decision of the past looked at, and what that rests on."""
        home = self._control.controller.home

        def found() -> tuple[Snapshot, str]:
            then = self._rebuilt(home, decision)
            if isinstance(then, str):
                return recorded(home.appliances[decision.appliance], decision, around), f"{RECORDED} ({then})"
            return surroundings(home, then.state, decision.appliance, decision.at), REBUILT

        async with self._searches:
            return await asyncio.to_thread(found)

    async def _flips(
        self, appliance: str, decision: Decision, around: Snapshot, *, past: bool
    ) -> Flips | None:
        """Return what would have changed it; None where what was recorded does not lead to the decision itself."""
        home, state = self._control.controller.home, self._control.controller.state

        def found() -> Flips | None:
            question, basis = (
                self._question(home, decision, around)
                if past
                else (Live(home, state, appliance, around.now), LIVE)
            )
            if past and question.decided() != decision.action:
                return None
            until = time.monotonic() + LONGEST_S
            return flips(question, basis=basis, expired=lambda: time.monotonic() > until)

        async with self._searches:
            return await asyncio.to_thread(found)

    def _question(self, home: Home, decision: Decision, around: Snapshot) -> tuple[Question, str]:
        """*thread*: return the question about a decision of the past, and what its answers rest on."""
        then = self._rebuilt(home, decision)
        if isinstance(then, str):
            spec = home.appliances[decision.appliance]
            return Recorded(spec, decision, around), f"{RECORDED} ({then})"
        return Past(home, then, decision.appliance, decision.at), REBUILT


def _since(kept: Kept, asked_ns: int | None, around: Snapshot) -> tuple[str, ...]:
    """Return what must be said of the time since the decision was last made."""
    last_ns = kept.last_at.wall_ns
    if asked_ns is None or asked_ns - last_ns < QUIET_NS:
        return ()
    last = kept.last_at.local(around.zone)
    return (
        f"last made at {last:%Y-%m-%d %H:%M}: nobody decided from then until the moment that was asked for",
    )
