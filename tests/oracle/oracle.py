"""Owns the judgement of a log: whether what was commanded kept every promise. Imports nothing from `appliance`.

It is written from the design's text, naively: sets of actions instead of intervals, one look at every rule each time. It is told,
in order, what happened to one appliance and what was done about it, as plain tuples, and raises `Violation` at the first
promise that is broken. Never in here: the controller, random numbers, or anything that happens.

The promises: `minimum_off`, `minimum_on`, `switches`, `answer` (before the device answered only life safety, equipment and a
person command), `override` (a person is obeyed while the word holds), `repeat` (three tries, then one in ten minutes),
`needs_person` (such an action is entered by a person or life safety alone), `lease` (what the device would end by itself is told
again in time), `authority` (what is done is what the acting voices amount to), `idle` (a command that is due is sent), `awake` (nothing changes
by itself before the tick that was asked for).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SECOND = 1_000_000_000
HOUR = 3600 * SECOND

LIFE_SAFETY, MINIMUM_OFF, EQUIPMENT, MANUAL, MINIMUM_ON = 2, 4, 5, 8, 9
RULE, DWELL, EDGE, MODEL, FALLBACK = 10, 12, 13, 14, 16
ONLY_NARROW = {MINIMUM_OFF, MINIMUM_ON, DWELL}
WITHOUT_ANSWER = {LIFE_SAFETY, EQUIPMENT, MANUAL}

SETTLE = 3 * SECOND
RETURN = 10 * SECOND
RETRY = 600 * SECOND
TRIES = 3
LONGEST_OVERRIDE = 24 * HOUR
LEARNED_AGE = 300 * SECOND
PATIENCE = 60 * SECOND
"""So long may a command be due before its absence is a fault."""

LINES = 15
GUARDS = frozenset({"minimum_off", "minimum_on", "switches", "dwell", "longest_run"})
FARTHEST = ("off", "recommend", "act")

Expression = tuple[Any, ...]
Voice = tuple[int, int, int, str]
"""Authority, at least, at most, who."""


class Violation(AssertionError):
    """A promise was broken."""

    def __init__(self, promise: str, text: str) -> None:
        super().__init__(f"{promise}: {text}")
        self.promise = promise
        self.text = text


@dataclass(frozen=True)
class PlannedRule:
    """A rule in the oracle's own words. Conditions are nested tuples: see `Oracle.truth`."""

    name: str
    when: Expression
    until: Expression | None
    low: int
    high: int
    authority: int = RULE
    standing: str = "act"


@dataclass(frozen=True)
class Plan:
    """An appliance in the oracle's own words. Actions are numbers; modes follow the ladder: `size`, `size + 1`, ... Times in ns."""

    size: int
    rest: int = 0
    safe: int = 0
    modes: int = 0
    hold: int = HOUR
    minimum_on: int | None = None
    minimum_off: int | None = None
    per_hour: int | None = None
    reports: bool = True
    waits: bool = True
    """Whether it can be asked what it is doing, so that commands wait for its answer."""
    max_age: dict[str, int] = field(default_factory=dict)
    learned: frozenset[str] = frozenset()
    rules: tuple[PlannedRule, ...] = ()
    caps: tuple[str, str] = ("act", "act")
    """How far rules, and how far the voices of models may go at most."""
    instead: tuple[tuple[Expression, int], ...] = ()
    """What is done instead of resting: the first whose condition is true."""
    needs_person: frozenset[int] = frozenset()
    dwell: int | None = None
    longest_run: tuple[int, int] | None = None
    """How long it may run, and how long it rests then."""
    lease: int | None = None
    """After which time the device ends every running action by itself."""

    def standing(self, rule: PlannedRule) -> str:
        """Return how far a rule may go."""
        if rule.authority not in (RULE, MODEL):
            return "act"
        cap = self.caps[0 if rule.authority == RULE else 1]
        return min(rule.standing, cap, key=FARTHEST.index)


@dataclass
class Word:
    """A person's word, as it is kept."""

    action: int
    boot: str
    until: int
    since_wall: int
    until_wall: int
    ends: Expression | None
    by_wall: bool = False
    endless: bool = False


def left_after(size: int, safe: int, voices: Iterable[Voice], weakest: int) -> list[int]:
    """Return the actions left after all voices down to `weakest` were heard."""
    left = list(range(size))
    voices = list(voices)
    for authority in sorted({voice[0] for voice in voices}):
        if authority > weakest:
            break
        low = max(voice[1] for voice in voices if voice[0] == authority)
        high = min(voice[2] for voice in voices if voice[0] == authority)
        if low > high:
            low = high = min(range(high, low + 1), key=lambda action: abs(action - safe))
        left = narrowed(left, low, high)
    return left


def narrowed(left: list[int], low: int, high: int) -> list[int]:
    """Return those of `left` within the bounds; where there are none, the one nearest to them."""
    within = [action for action in left if low <= action <= high]
    return within or [min(left, key=lambda action: max(low - action, action - high))]


def _mentions(condition: Expression, kinds: set[str]) -> bool:
    return condition[0] in kinds or any(
        _mentions(part, kinds) for part in condition[1:] if isinstance(part, tuple)
    )


class Oracle:
    """Watches one appliance. `told` takes one line of the log."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.log: deque[tuple[Any, ...]] = deque(maxlen=LINES)
        self.boot = ""
        self.now = 0
        self.wall = 0
        self.heard: dict[str, dict[str, tuple[int, float]]] = {}
        self.said: dict[str, tuple[int, str | None]] = {}
        self.held: set[str] = set()
        self.since: dict[tuple[str, Expression], int] = {}
        self.override: Word | None = None
        self.seen: set[str] = set()
        self.changed: int | None = None
        self.leased: int | None = None
        self.linked = False
        self.late = False
        self.commanded: int | None = None
        self.reported: int | None = None
        self.sent: int | None = None
        self.stopped = 0
        self.stopped_at_latest = 0
        self.started: int | None = None
        self.started_at_latest: int | None = None
        self.switches: list[int] = []
        self.counted: list[int] = []
        self.answered = False
        self.available: bool | None = None
        self.quiet_until = 0
        self.anew = False
        self.sends: list[int] = []
        self.tries = 0
        self.by_word = False
        self.sent_action: int | None = None
        self.wanted: int | None = None
        self.due_since: int | None = None
        self.judged: list[Voice] | None = None
        self.amounts: set[int | None] | None = None
        self.decided_last: set[int | None] | None = None
        self.commanded_last = False
        self.commands = 0

    # ------------------------------------------------------------------ the log

    def told(self, kind: str, now: int, wall: int, *what: Any) -> None:
        """Take one line: its kind, boot time and wall time in ns, and what the kind says."""
        self.log.append((kind, now, wall, *what))
        self.now, self.wall = now, wall
        getattr(self, f"on_{kind}")(*what)
        if kind not in ("command", "decided"):
            self.judged = self.amounts = None
            self.commanded_last = self.commanded_last and kind == "awake"

    def on_start(self, boot: str, senses_kept: bool) -> None:
        """The core was started with what it remembers; after another boot the appliance counts as just switched off."""
        if boot != self.boot:
            self.stopped = self.stopped_at_latest = self.now
            self.started = self.started_at_latest = None
            self.switches, self.counted, self.changed = [], [], None
            self.since.clear()
            self.commanded = self.reported = None
            senses_kept = False
        if not senses_kept:
            self.heard.clear()
        self.boot = boot
        self.decided_last = None
        self.said.clear()
        self.answered, self.available = False, None
        self.quiet_until, self.anew = 0, False
        self.leased, self.linked = None, False
        self.landed()

    def on_reading(self, channel: str, source: str, value: float, good: bool) -> None:
        """A sensor spoke; `good` is the truth about it, by whoever made it up."""
        if good:
            self.heard.setdefault(channel, {})[source] = (self.now, value)

    def on_said(self, channel: str, word: str | None) -> None:
        """A model spoke; None: it is not sure."""
        self.said[channel] = (self.now, word)

    def on_tick(self) -> None:
        """Time passed."""

    def on_report(self, action: int | None, retained: bool) -> None:
        """The device said what it does; None: in words that mean nothing."""
        if action is None:
            return
        if retained:
            # Of unknown age: it tells nothing of now.
            return
        self.answered = self.available = True
        before, self.reported = self.reported, action
        if action == before:
            return
        self.changed = self.now
        ran_out = False
        if self.plan.lease is not None and action == 0:
            # A renewal may be lost: then the lease before it ends as it is renewed once more.
            age = None if self.leased is None else self.now - self.leased
            ran_out = age is None or not SETTLE <= age < self.plan.lease - SETTLE
        if action == 0:
            self.stopped_at_latest = self.now
            if before is not None:
                self.stopped = self.now
        elif before in (0, None):
            self.started_at_latest = self.now
            if before is not None:
                self.started = self.now
        returning = before is None or self.now < self.quiet_until
        if self.flying() or returning or action == self.commanded or ran_out:
            return
        self.set_override(action, self.plan.hold)
        self.commanded = action
        self.landed()

    def on_available(self, available: bool) -> None:
        """The device, or its bridge, said that it can be reached or not."""
        if available and self.available is False:
            self.quiet_until = self.now + RETURN
            self.answered = False
            self.landed()
        self.available = available

    def on_link(self, up: bool) -> None:
        """The link to the broker came or went."""
        self.answered = False
        self.landed()
        if up:
            self.quiet_until = self.now + RETURN
            self.anew = not self.plan.reports and self.commanded is not None
            self.leased = None
        self.linked = up

    def on_person(
        self, action: int | None, for_ns: int | None = None, until: tuple[Any, ...] | None = None
    ) -> None:
        """A person chose an action or a mode, for so long, or until ("clock", minute), ("when", condition) or ("open",);
        None ends it. -1 is a word that the appliance doesn't know.
        """
        if action == -1:
            return
        if action is None:
            self.override = None
        else:
            self.set_override(action, self.plan.hold if for_ns is None else for_ns, until)
        landed = bool(self.sends) and self.now - self.sends[-1] >= SETTLE
        if len(self.sends) > TRIES or (len(self.sends) == TRIES and landed):
            # It would not obey: a person's word is tried anew.
            self.sends = []
            self.by_word = True

    def on_acknowledged(self, rule: str | None) -> None:
        """A person saw an alarm that sounds, or all of them."""
        for one in self.plan.rules:
            waits = one.until is not None and _mentions(one.until, {"seen"})
            if one.name in self.held and rule in (None, one.name) and waits:
                self.seen.add(one.name)

    def on_command(self, action: int) -> None:
        """A command was sent: here it is judged."""
        self.commands += 1
        voices = self.voices()
        plan, current = self.plan, self.current()
        ladder = [a for a in (action,) if a < plan.size]

        def forced(weakest: int, low: int, high: int) -> bool:
            """Whether voices down to `weakest` leave the action, also after bounds below them narrowed it."""
            if not self.certain and action in self.expected():
                return True
            left = left_after(plan.size, plan.safe, voices, weakest)
            return bool(ladder) and action in narrowed(left, *self.reached(low, high))

        leases = plan.lease is not None and 0 < action < plan.size
        trying = (bool(self.sends) or self.by_word) and plan.reports and self.reported != action
        renewed = leases and action == current and not trying and not self.anew
        if (
            plan.minimum_off is not None
            and action != 0
            and current in (0, None)
            and self.now - self.stopped < plan.minimum_off
            and not forced(LIFE_SAFETY, 0, 0)
        ):
            self.fail("minimum_off", f"{action} was commanded {self.ago(self.stopped)} after it stopped")
        if (
            plan.minimum_on is not None
            and action == 0
            and current is not None
            and current > 0
            and self.started is not None
            and self.now - self.started < plan.minimum_on
            and not forced(MANUAL, 1, plan.size - 1)
        ):
            self.fail("minimum_on", f"off was commanded {self.ago(self.started)} after it started")
        again = action == self.sent_action == self.wanted and bool(self.sends)
        if not again and action != current:
            self.switches = [at for at in self.switches if self.now - at < HOUR]
            if (
                plan.per_hour is not None
                and len(self.switches) >= plan.per_hour
                and current is not None
                and current < plan.size
                and not self.by_person(action)
                and not forced(MANUAL, min(current, plan.safe), max(current, plan.safe))
            ):
                self.fail("switches", f"{action} is switch {len(self.switches) + 1} within an hour")
            self.switches.append(self.now)
        if not self.answered and plan.waits:
            allowed = self.by_person(action) or any(
                voice[0] in WITHOUT_ANSWER and voice[1] <= action <= voice[2] for voice in voices
            )
            if not allowed and self.certain:
                self.fail("answer", f"{action} was commanded before the device answered")
        if action in plan.needs_person and action not in self.reach():
            smoke = any(voice[0] == LIFE_SAFETY and voice[1] <= action <= voice[2] for voice in voices)
            if not smoke and not self.by_person(action):
                self.fail("needs_person", f"{action} was entered by neither a person nor life safety")
        if renewed:
            half = (plan.lease or 0) // 2
            if self.leased is not None and self.now - self.leased < half:
                self.fail("repeat", f"the lease of {action} was renewed after {self.ago(self.leased)}")
        else:
            self.check_repeat(action, again, current)
        if action not in self.expected():
            self.fail("authority", f"{action} was commanded, the voices amount to {self.expected()}")
        self.leased = self.now if leases else None
        if renewed:
            return
        if not again:
            self.counted.append(self.now)
            self.changed = self.now
        # Also a command that is only tried again may be the one that is obeyed.
        if action == 0 and current != 0:
            self.stopped_at_latest = self.now
            if current is not None:
                self.stopped = self.now
        elif action != 0 and current in (0, None):
            self.started = self.started_at_latest = self.now
        if action != self.wanted:
            self.sends, self.tries = [], 0
        self.tries += 1
        self.by_word = False
        self.commanded = self.sent_action = self.wanted = action
        self.sent = self.now
        self.sends.append(self.now)
        self.anew = False
        self.due_since = None
        # What it does now is another thing than what was judged: the next look may see more.
        self.commanded_last = True

    def on_decided(self, action: int | None) -> None:
        """It was settled what the appliance should do; this ends what follows from one event."""
        stronger = any(voice[0] < MANUAL for voice in self.voices())
        if self.override is not None and self.certain and not stronger and action != self.override.action:
            self.fail("override", f"a person chose {self.override.action}, and {action} was decided")
        expected = self.expected()
        if action not in expected:
            self.fail("authority", f"{action} was decided, the voices amount to {expected}")
        if action != self.wanted:
            self.due_since = None
            self.sends, self.tries, self.by_word = [], 0, False
        if self.reported == self.sent_action and not self.flying():
            self.sends, self.tries = [], 0
        self.check_lease(action)
        self.wanted = action
        self.decided_last = expected
        self.check_idle(action)

    # ------------------------------------------------------------------ what follows

    def check_repeat(self, action: int, again: bool, current: int | None) -> None:
        """A command is repeated twice where it is not obeyed, and then once in ten minutes."""
        if again:
            least = SETTLE if len(self.sends) < TRIES else RETRY
            if self.now - self.sends[-1] < least:
                self.fail(
                    "repeat",
                    f"{action} was commanded again {self.ago(self.sends[-1])} after try {len(self.sends)}",
                )
        elif (
            action == current
            and not self.anew
            and not (action == self.sent_action and self.reported != action)
        ):
            self.fail("repeat", f"{action} was commanded, which it does")

    def check_lease(self, action: int | None) -> None:
        """What the device would end by itself is told again in time, while it is wanted."""
        leased = self.plan.lease is not None and action is not None and 0 < action < self.plan.size
        settled = (
            self.answered and self.linked and self.reported == action == self.wanted and not self.flying()
        )
        late = (
            leased and settled and self.leased is not None and self.now - self.leased > (self.plan.lease or 0)
        )
        was, self.late = self.late, late
        if late and was:
            # Once: as it answers after a silence, it is seen to do what it was told; the next look renews that.
            self.fail("lease", f"{action} was told last {self.ago(self.leased)} ago, and ends by itself")

    def check_idle(self, action: int | None) -> None:
        """A command that is due is sent, unless it was tried often enough."""
        due = (
            action is not None
            and self.answered
            and self.plan.reports
            and self.reported != action
            and not self.flying()
            and self.tries < TRIES
        )
        if not due:
            self.due_since = None
        elif self.due_since is None:
            self.due_since = self.now
        elif self.now - self.due_since > PATIENCE:
            self.fail("idle", f"{action} is decided, and not commanded for {self.ago(self.due_since)}")

    def expected(self) -> set[int | None]:
        """Return what may be decided now: one action, or more where nobody saw when the appliance started or stopped."""
        voices = self.voices()
        if self.amounts is not None:
            return self.amounts
        found = self.amounts = {self.amount(voices)}
        stopped, started = self.stopped, self.started
        if (stopped, started) != (self.stopped_at_latest, self.started_at_latest):
            others = [voice for voice in voices if voice[3] not in GUARDS]
            for self.stopped in {stopped, self.stopped_at_latest}:
                for self.started in {started, self.started_at_latest}:
                    found.add(self.amount([*others, *map(self.drawn, self.guards())]))
            self.stopped, self.started = stopped, started
        return found

    def amount(self, voices: list[Voice]) -> int | None:
        """Return the decision that `voices` amount to."""
        stronger = any(voice[0] < MANUAL for voice in voices)
        if self.override is not None and self.override.action >= self.plan.size and not stronger:
            return self.override.action
        if all(voice[0] in ONLY_NARROW for voice in voices):
            return None
        left = left_after(self.plan.size, self.plan.safe, voices, FALLBACK)
        return min(left, key=lambda action: abs(action - self.plan.rest))

    def voices(self) -> list[Voice]:
        """Return the voices that act now, once for each event: holds and timers move on with them."""
        if self.judged is not None:
            return self.judged
        plan = self.plan
        if self.override is not None and not self.holds(self.override):
            self.override = None
        voices: list[Voice] = []
        for rule in plan.rules:
            self.time(rule.name, rule.when)
            if rule.until is not None:
                self.time(rule.name, rule.until)
        for rule in plan.rules:
            speaks = self.speaks(rule)
            if speaks and plan.standing(rule) == "act":
                voices.append((rule.authority, rule.low, rule.high, rule.name))
        self.seen &= self.held
        for number, (when, _) in enumerate(plan.instead):
            self.time(f"instead {number}", when)
        if any(plan.standing(rule) == "act" for rule in plan.rules):
            stated = [
                action
                for number, (when, action) in enumerate(plan.instead)
                if self.truth(when, f"instead {number}") is True
            ]
            action = stated[0] if stated else plan.rest
            voices.append((FALLBACK, action, action, "fallback"))
        if self.override is not None and self.override.action < plan.size:
            voices.append((MANUAL, self.override.action, self.override.action, "person"))
        voices += self.guards()
        self.judged = voices = [self.drawn(voice) for voice in voices]
        return voices

    def reach(self) -> list[int]:
        """Return the actions that voices may ask for which are neither a person nor life safety."""
        needs, current = self.plan.needs_person, self.current()
        free = [action for action in range(self.plan.size) if action not in needs]
        if current in needs:
            # It is there already: it may stay, and go back.
            ahead = max(needs) > free[-1]
            free += [action for action in needs if (action <= current if ahead else action >= current)]
        return sorted(free)

    def reached(self, low: int, high: int) -> tuple[int, int]:
        """Return bounds as far as they are within reach."""
        within = narrowed(self.reach(), low, high)
        return within[0], within[-1]

    def drawn(self, voice: Voice) -> Voice:
        """Return a voice drawn in to what it may ask for."""
        if not self.plan.needs_person or voice[0] in (LIFE_SAFETY, MANUAL):
            return voice
        return (voice[0], *self.reached(voice[1], voice[2]), voice[3])

    def guards(self) -> list[Voice]:
        """Return what the guards say."""
        plan, current, now = self.plan, self.current(), self.now
        voices: list[Voice] = []
        if plan.longest_run is not None and self.started is not None:
            longest, rest = plan.longest_run
            if current:
                overdue = now - self.started >= longest
            else:
                overdue = self.stopped - self.started >= longest and now - self.stopped < rest
            if overdue:
                voices.append((EQUIPMENT, 0, 0, "longest_run"))
        if plan.minimum_off is not None and current in (0, None) and now - self.stopped < plan.minimum_off:
            voices.append((MINIMUM_OFF, 0, 0, "minimum_off"))
        if current is None:
            return voices
        if (
            plan.minimum_on is not None
            and current > 0
            and self.started is not None
            and now - self.started < plan.minimum_on
        ):
            voices.append((MINIMUM_ON, 1, plan.size - 1, "minimum_on"))
        if current >= plan.size:
            return voices
        if plan.dwell is not None and self.changed is not None and now - self.changed < plan.dwell:
            voices.append((DWELL, min(current, plan.rest), max(current, plan.rest), "dwell"))
        if (
            plan.per_hour is not None
            and sum(now - at < HOUR for at in self.counted[-plan.per_hour :]) >= plan.per_hour
        ):
            voices.append((MINIMUM_ON, min(current, plan.safe), max(current, plan.safe), "switches"))
        return voices

    def on_awake(self, until: int) -> None:
        """It wanted to be woken now, and not before: up to just then nothing may have changed by itself."""
        if self.override is not None and (self.override.boot != self.boot or self.override.by_wall):
            # Across a reboot only the wall clock is left, and it may have been set meanwhile.
            return
        if self.decided_last is None or self.commanded_last or self.by_the_clock():
            return
        kept = set(self.held), dict(self.since), self.override, self.now, set(self.seen)
        self.now, self.judged, self.amounts = until, None, None
        expected = self.expected()
        if not expected & self.decided_last:
            self.fail(
                "awake", f"from {self.decided_last} to {expected} by {until}, and nobody was woken for it"
            )
        self.held, self.since, self.override, self.now, self.seen = kept

    def by_the_clock(self) -> bool:
        """Whether anything changes with the bins of half a minute, by the time of day or the age of a channel."""
        parts = [part for rule in self.plan.rules for part in (rule.when, rule.until) if part is not None]
        parts += [when for when, _ in self.plan.instead]
        return any(_mentions(part, {"between", "older", "day"}) for part in parts)

    def speaks(self, rule: PlannedRule) -> bool:
        """Return whether a rule speaks, and move its hold on."""
        if self.truth(rule.when, rule.name) is True:
            if rule.until is not None:
                self.held.add(rule.name)
            return True
        if rule.name not in self.held or rule.until is None:
            return False
        until = self.truth(rule.until, rule.name)
        if until is True:
            self.held.discard(rule.name)
            return False
        return until is False or rule.authority in (LIFE_SAFETY, EQUIPMENT)

    def time(self, rule: str, condition: Expression) -> None:
        """Start and break the clocks of every `for` within a condition, the inner ones first."""
        for part in condition[1:]:
            if isinstance(part, tuple):
                self.time(rule, part)
        if condition[0] == "for":
            key = (rule, condition)
            if self.truth(condition[1], rule) is not True:
                self.since.pop(key, None)
            else:
                self.since.setdefault(key, self.now)

    def truth(self, condition: Expression, rule: str) -> bool | None:
        """Return the truth of a condition: True, False, or None for unknown."""
        kind = condition[0]
        if kind in ("gt", "lt"):
            value = self.value(condition[1])
            if value is None:
                return None
            return value > condition[2] if kind == "gt" else value < condition[2]
        if kind == "unknown":
            return self.word(condition[1]) is None and self.value(condition[1]) is None
        if kind == "is":
            word = self.word(condition[1])
            return None if word is None else word == condition[2]
        if kind == "older":
            times = [at for at, _ in self.heard.get(condition[1], {}).values()]
            return not times or self.now - max(times) > condition[2]
        if kind == "seen":
            return rule in self.seen
        if kind == "doing":
            if not self.plan.reports:
                return None if self.commanded is None else self.commanded == condition[1]
            known = self.answered and self.available is not False and self.reported is not None
            return self.reported == condition[1] if known else None
        if kind == "day":
            return (self.wall // (24 * HOUR) + 3) % 7 in condition[1:]
        if kind == "between":
            minute = self.wall // (60 * SECOND) % 1440
            start, end = condition[1:]
            return start <= minute < end if start <= end else not end <= minute < start
        parts = [self.truth(part, rule) for part in condition[1:] if isinstance(part, tuple)]
        if kind == "not":
            return None if parts[0] is None else not parts[0]
        if kind == "and":
            return False if False in parts else None if None in parts else True
        if kind == "or":
            return True if True in parts else None if None in parts else False
        if kind == "for":
            if parts[0] is not True:
                return parts[0]
            since = self.since.get((rule, condition))
            return since is not None and self.now - since >= condition[2]
        raise ValueError(kind)

    def value(self, channel: str) -> float | None:
        """Return the median of what a channel's sources said well, and not too long ago."""
        sources = self.heard.get(channel)
        if not sources:
            return None
        age = self.plan.max_age[channel]
        values = sorted(value for at, value in sources.values() if self.now - at <= age)
        if not values:
            return None
        middle = len(values) // 2
        return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2

    def word(self, channel: str) -> str | None:
        """Return the word of a learned channel."""
        at, word = self.said.get(channel, (self.now, None))
        return word if self.now - at <= LEARNED_AGE else None

    # ------------------------------------------------------------------ what is known

    @property
    def certain(self) -> bool:
        """Whether somebody saw when the appliance started and stopped last."""
        return (self.stopped, self.started) == (self.stopped_at_latest, self.started_at_latest)

    def flying(self) -> bool:
        """Whether a command is on its way."""
        return self.sent is not None and self.now - self.sent < SETTLE

    def landed(self) -> None:
        """Nothing that was sent counts as on its way any more, nor as tried."""
        self.sent, self.sends, self.tries, self.due_since = None, [], 0, None
        self.by_word = False

    def current(self) -> int | None:
        """Return what the appliance is doing: what was commanded while that is on its way, else what it reports."""
        if self.flying() or not self.plan.reports or self.reported is None:
            return self.commanded
        return self.reported

    def set_override(self, action: int, for_ns: int, until: tuple[Any, ...] | None = None) -> None:
        """A person's word holds from now on, a day at most; the newest is the only one."""
        for_ns = min(max(for_ns, SECOND), LONGEST_OVERRIDE)
        ends: Expression | None = None
        if until is not None and until[0] == "when":
            for_ns, ends = LONGEST_OVERRIDE, until[1]
        self.override = Word(action, self.boot, self.now + for_ns, self.wall, self.wall + for_ns, ends)
        if until is not None and until[0] == "open":
            self.override.endless = True
        elif until is not None and until[0] == "clock":
            day = 24 * HOUR
            then = self.wall - self.wall % day + until[1] * 60 * SECOND
            # A microsecond is lost where clock times are computed with floats.
            self.override.until_wall = (then if then > self.wall else then + day) - 1000
            self.override.by_wall = True

    def holds(self, word: "Word") -> bool:
        """Whether a person's word holds: by boot time, after another boot by the wall clock, the only one left."""
        if word.ends is not None and self.truth(word.ends, "") is True:
            return False
        if word.endless:
            return True
        if word.boot == self.boot and not word.by_wall:
            return self.now < word.until
        return word.since_wall - LONGEST_OVERRIDE <= self.wall < word.until_wall

    def by_person(self, action: int) -> bool:
        """Whether this is what a person chose."""
        return self.override is not None and self.override.action == action

    def ago(self, at: int) -> str:
        """Return a time since `at`, for people."""
        return f"{(self.now - at) / SECOND:.3f} s"

    def fail(self, promise: str, text: str) -> None:
        """Raise what was broken."""
        raise Violation(promise, f"{text}; voices {self.judged}")
