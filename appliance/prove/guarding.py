"""Owns what each guard asks for, as formulas: a guard that is not listed here is silent to a proof, and the report says so.

Timers are free: whether a minimum time still runs is a variable. Never in here: rules, or the passing of time (switching).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from appliance.core.arbitration import Authority
from appliance.prove.bits import Bit, Index, all_of, any_of, index_of, no
from appliance.prove.scene import exact
from appliance.prove.weighing import Wish

if TYPE_CHECKING:
    from appliance.prove.situation import Situation


def _minimum_off(guard: Any, here: "Situation") -> list[Wish]:
    del guard
    off_or_unseen = any_of(no(here.current_known), no(here.current[0]))
    rests = all_of(here.scene.flag("timer", "minimum_off"), off_or_unseen, no(here.in_a_mode))
    return [_off(here, rests, Authority.MINIMUM_OFF, "minimum_off")]


def _minimum_on(guard: Any, here: "Situation") -> list[Wish]:
    del guard
    top = here.spec.ladder.top
    runs = all_of(here.scene.flag("timer", "minimum_on"), _on(here))
    return [Wish(runs, index_of(1, top), index_of(top, top), Authority.MINIMUM_ON, "guard minimum_on")]


def _switches(guard: Any, here: "Situation") -> list[Wish]:
    del guard
    return [_towards(here, here.spec.ladder.safe, Authority.MINIMUM_ON, "switches")]


def _dwell(guard: Any, here: "Situation") -> list[Wish]:
    del guard
    return [_towards(here, here.spec.ladder.rest, Authority.DWELL, "dwell")]


def _longest_run(guard: Any, here: "Situation") -> list[Wish]:
    del guard
    ran = all_of(here.scene.flag("timer", "longest_run"), _on(here))
    rests = all_of(here.scene.flag("timer", "rest of longest_run"), no(_on(here)))
    return [_off(here, any_of(ran, rests), Authority.EQUIPMENT, "longest_run")]


def _exclusion(guard: Any, here: "Situation") -> list[Wish]:
    higher = here.scene.flag("others", "higher", guard.title) if guard.higher else False
    lower = here.scene.flag("others", "lower", guard.title) if guard.lower else False
    return [_off(here, any_of(higher, all_of(lower, no(_on(here)))), Authority.EQUIPMENT, "exclusion")]


def _feedback(guard: Any, here: "Situation") -> list[Wish]:
    draws = all_of(
        here.scene.flag("timer", "feedback"),
        here.scene.known(guard.channel),
        here.scene.value(guard.channel) > exact(guard.off_below),
        here.current_known,
        no(here.current[0]),
    )
    return [_off(here, draws, Authority.EQUIPMENT, "feedback")]


def _on(here: "Situation") -> Bit:
    """It runs: at an action above the lowest, or in a mode."""
    return any_of(all_of(here.current_known, here.current[0]), here.in_a_mode)


def _off(here: "Situation", speaks: Bit, authority: Authority, name: str) -> Wish:
    off = index_of(0, here.spec.ladder.top)
    return Wish(speaks, off, off, authority, f"guard {name}")


def _towards(here: "Situation", goal: int, authority: Authority, name: str) -> Wish:
    """Stay, or move towards the action `goal`."""
    end: Index = index_of(goal, here.spec.ladder.top)
    pairs = list(zip(here.current, end, strict=True))
    low, high = tuple(all_of(*pair) for pair in pairs), tuple(any_of(*pair) for pair in pairs)
    speaks = all_of(here.scene.flag("timer", name), here.current_known)
    return Wish(speaks, low, high, authority, f"guard {name}")


GUARDS: dict[str, Callable[[Any, "Situation"], list[Wish]]] = {
    "minimum_off": _minimum_off,
    "minimum_on": _minimum_on,
    "switches": _switches,
    "dwell": _dwell,
    "longest_run": _longest_run,
    "exclusion": _exclusion,
    "feedback": _feedback,
}
"""Guard -> its voice."""
