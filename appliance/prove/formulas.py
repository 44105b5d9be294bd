"""Owns the way from a condition to formulas: for each node when it is true and when it is false, by Kleene's tables.

Never in here: variables (scene), rules, or how a condition is spelt. A node that is not listed here is refused, not guessed.
"""

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any

import z3

from appliance.core.conditions import Node, nodes
from appliance.errors import ApplianceError
from appliance.prove.bits import Bit, all_of, any_of, no
from appliance.prove.scene import Scene, exact

Pair = tuple[Bit, Bit]
"""When it is true, and when it is false; where neither, it is unknown."""

_COMPARE: dict[str, Callable[[Any, Any], z3.BoolRef]] = {">": gt, ">=": ge, "<": lt, "<=": le}


class Formulas:
    """The formulas of conditions in one scene; each node's are made once."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._made: dict[Node, Pair] = {}

    def of(self, node: Node) -> Pair:
        """Return when `node` is true and when it is false.

        Raises:
            ApplianceError: nobody taught this room that kind of condition.
        """
        found = self._made.get(node)
        if found is None:
            found = self._made[node] = self._pair(node)
        return found

    def seen(self) -> tuple[Node, ...]:
        """Return every condition that was asked for, and all below them."""
        return tuple(self._made)

    def _pair(self, node: Node) -> Pair:
        scene = self.scene
        match node:
            case nodes.Compare():
                holds = _COMPARE[node.op](scene.value(node.channel), exact(node.threshold))
                return _where(scene.known(node.channel), holds)
            case nodes.CompareAge():
                heard, age = scene.age(node.channel)
                holds = _COMPARE[node.op](age, exact(node.threshold))
                # What was never heard is older than anything.
                true = any_of(no(heard), holds) if node.op in (">", ">=") else all_of(heard, holds)
                return true, no(true)
            case nodes.CompareWindow():
                known, value = scene.statistic(node.channel, node.statistic, node.span_ns)
                signed = -value if node.statistic == "falling" else value
                return _where(known, _COMPARE[node.op](signed, exact(node.threshold)))
            case nodes.Is():
                words = scene.words[node.channel]
                holds = scene.word(node.channel) == words.index(node.word)
                return _where(scene.known(node.channel), holds)
            case nodes.IsUnknown():
                known = scene.known(node.channel)
                return no(known), known
            case nodes.Between():
                minute = scene.minute()
                after, before = minute >= node.start, minute < node.end
                true = z3.And(after, before) if node.start <= node.end else z3.Or(after, before)
                return true, z3.Not(true)
            case nodes.Not():
                true, false = self.of(node.part)
                return false, true
            case nodes.And():
                pairs = [self.of(part) for part in node.all_of]
                return all_of(*(true for true, _ in pairs)), any_of(*(false for _, false in pairs))
            case nodes.Or():
                pairs = [self.of(part) for part in node.any_of]
                return any_of(*(true for true, _ in pairs)), all_of(*(false for _, false in pairs))
            case nodes.For():
                true, false = self.of(node.part)
                lasted = scene.lasted(node.key)
                return all_of(true, lasted), any_of(false, all_of(true, no(lasted)))
            case nodes.DayIs():
                true = any_of(*(scene.weekday() == day for day in node.days))
                return true, no(true)
            case nodes.Doing():
                known, word = scene.doing(node.appliance)
                return _where(known, word == scene.doing_number(node.appliance, node.action))
            case nodes.DoingUnknown():
                known, _ = scene.doing(node.appliance)
                return no(known), known
            case nodes.Acknowledged():
                seen = scene.flag("acknowledged", node.rule)
                return seen, no(seen)
        raise ApplianceError(
            f"a condition of the kind {type(node).__name__} can't be proved yet",
            hint="teach it to appliance/prove/formulas.py",
        )


def _where(known: Bit, holds: Bit) -> Pair:
    return all_of(known, holds), all_of(known, no(holds))
