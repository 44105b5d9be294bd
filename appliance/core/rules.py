"""Owns the deductive voice: which rules speak in a snapshot, and which of them are held.

Never in here: who wins (arbitration), or how a condition is spelt (conditions).
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from appliance.core.arbitration import Authority, Proposal
from appliance.core.clock import Instant
from appliance.core.conditions import For, Node, Truth
from appliance.core.explain import fill
from appliance.core.snapshot import Snapshot

_SPEAKS_ON = frozenset({Authority.LIFE_SAFETY, Authority.EQUIPMENT})
"""These go on speaking while held, even where nobody knows whether they should end."""


class Standing(StrEnum):
    """How far a voice may go."""

    ACT = "act"
    RECOMMEND = "recommend"
    OFF = "off"


class Rule(msgspec.Struct, frozen=True):
    """When `when` is true, and until `until` is, the action lies within [`at_least`, `at_most`], indices into the ladder.

    Without `until` it speaks exactly while `when` is true. `learned` are the models' channels whose values it acts on: a
    rule with any speaks with the model's authority, or the edge's where all of them came from there, whatever it says of itself. `because` may name channels in braces.
    """

    id: str
    when: Node
    until: Node | None
    at_least: int
    at_most: int
    authority: Authority
    because: str
    learned: frozenset[str] = frozenset()
    standing: Standing = Standing.ACT
    timers: tuple[For, ...] = ()

    def nodes(self) -> Iterator[Node]:
        """Yield every condition of this rule, and those that they are made of."""
        for whole in (self.when, self.until):
            if whole is not None:
                yield from whole.walk()

    def proposal(self, snapshot: Snapshot) -> Proposal:
        """Return what this rule wants, with the present values in its reason."""
        authority = self.authority
        if self.learned and all(snapshot.by_edge(channel) for channel in self.learned):
            authority = Authority.EDGE
        return Proposal(
            self.at_least, self.at_most, authority, f"rule {self.id}", fill(self.because, snapshot)
        )


class Conclusion(msgspec.Struct, frozen=True):
    """What the rules say: `proposals` may act, `recommendations` only advise. `holds` and `true_since` are to be remembered."""

    proposals: tuple[Proposal, ...]
    recommendations: tuple[Proposal, ...]
    holds: tuple[str, ...]
    true_since: Mapping[str, Instant]


def conclude(rules: tuple[Rule, ...], snapshot: Snapshot) -> Conclusion:
    """Return what `rules` say in `snapshot`. Depends on inputs and holds alone, never on hands or decisions."""
    true_since = _timers(rules, snapshot)
    if true_since is not snapshot.memory.true_since:
        memory = msgspec.structs.replace(snapshot.memory, true_since=true_since)
        snapshot = msgspec.structs.replace(snapshot, memory=memory)
    proposals: list[Proposal] = []
    recommendations: list[Proposal] = []
    holds: list[str] = []
    held = snapshot.memory.holds
    for rule in rules:
        when = rule.when.truth(snapshot)
        if when or rule.id in held:
            speaks, stays = _hold(rule, when, snapshot)
            if stays:
                holds.append(rule.id)
        else:
            speaks = False
        # The model leans this way without being sure: what it would have wanted is said, not done.
        leans = not speaks and when is None and rule.learned and rule.when.truth(snapshot.supposing())
        if speaks and rule.standing is Standing.ACT:
            proposals.append(rule.proposal(snapshot))
        elif (speaks or leans) and rule.standing is not Standing.OFF:
            recommendations.append(rule.proposal(snapshot))
    return Conclusion(tuple(proposals), tuple(recommendations), tuple(holds), true_since)


def _hold(rule: Rule, when: Truth, snapshot: Snapshot) -> tuple[bool, bool]:
    """Return whether a rule that is true or held speaks now, and whether it stays held."""
    if when:
        return True, rule.until is not None
    if rule.until is None:
        return False, False
    until = rule.until.truth(snapshot)
    if until:
        return False, False
    return until is False or rule.authority in _SPEAKS_ON, True


def _timers(rules: tuple[Rule, ...], snapshot: Snapshot) -> Mapping[str, Instant]:
    """Return since when the inner condition of each `for` is true; the very mapping of the snapshot where nothing changed."""
    known = snapshot.memory.true_since
    result: dict[str, Instant] = {}
    same = True
    for rule in rules:
        for timer in rule.timers:
            if timer.part.truth(snapshot):
                since = known.get(timer.key)
                if since is None or since.boot_id != snapshot.now.boot_id:
                    since, same = snapshot.now, False
                result[timer.key] = since
            elif timer.key in known:
                same = False
    return known if same and len(result) == len(known) else result
