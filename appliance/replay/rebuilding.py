"""Owns the way back to one decision of the past: a history is run until just before it was made.

What comes out is either exactly what that decision rested on, or words that say why it can't be had: never something near it.
Never in here: reading the store, clocks, or what is asked of that state.
"""

from collections.abc import Callable

from msgspec.structs import replace

from appliance.core.controller import Controller, unsettled
from appliance.core.events import Decision, Record
from appliance.core.explain.what_if import Then
from appliance.core.home import Home
from appliance.replay import checkpoint
from appliance.replay.checking import said
from appliance.replay.driving import History, Moment, Opening

MISSING = "what led to it is not in the history"
NO_STATE = "no state was kept before it"
OTHERS = "another config, model or version decided then"
TOO_LONG = "running the history up to it takes too long"
OTHERWISE = "the history, run again, decides otherwise"


def rebuild(history: History, home: Home, decision: Decision, expired: Callable[[], bool]) -> Then | str:
    """Return what `decision` rested on, or why that is not to be had.

    Args:
        history: as it was, from a checkpoint before the decision on; it is read no further than needed.
        home: who decides now; it must be who decided then.
        decision: as it was recorded. The history must lead to it, word for word.
        expired: asked before each moment; once it is True the search is given up.

    Raises:
        StoreError: where reading `history` does.
    """
    digest = checkpoint.digest(home)
    controller: Controller | None = None
    why = MISSING
    at = decision.at
    for item in history:
        if expired():
            return TOO_LONG
        reached = item.at.boot_id == at.boot_id and item.at.boottime_ns >= at.boottime_ns
        if isinstance(item, Opening):
            if reached and item.at != at:
                return why
            controller, kept = None, item.checkpoint
            why = NO_STATE if kept is None else MISSING if kept.digest == digest else OTHERS
            if kept is not None and kept.digest == digest:
                then = home.but(observe=kept.observe)
                controller = Controller(then, checkpoint.go_on(then, kept, item.at))
        elif reached:
            if controller is None or item.at != at:
                return why
            return _just_before(controller, item, decision) or OTHERWISE
        elif controller is not None:
            controller.handle(item.events, item.at)
    return why


def _just_before(controller: Controller, moment: Moment, decision: Decision) -> Then | None:
    """Run the events of its moment one by one, which is the same as at once, up to the one that led to it."""
    name = decision.appliance
    for event in moment.events:
        before = controller.state
        effects = controller.handle([event], moment.at)
        made = [effect.decision for effect in effects if isinstance(effect, Record)]
        if any(one.appliance == name and said(one) == said(decision) for one in made):
            own = unsettled(controller.home, before, event, moment.at).appliances[name]
            was = before.appliances[name].senses
            heard = {
                channel: was[channel] for channel, sense in own.senses.items() if sense is not was[channel]
            }
            # What others did at that moment it may have seen already, where it watches them.
            others = controller.state.appliances
            return Then(replace(controller.state, appliances={**others, name: own}), heard)
    return None
