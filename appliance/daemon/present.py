"""Owns how the home stands now, as it is shown: each appliance with its decision, its channels, advice, alarms and faults.

Never in here: deciding, the past, or how it is spelt.
"""

from collections.abc import Sequence

from appliance.adapters.http.port import AlarmView, ApplianceView, DecisionView, OverrideView
from appliance.adapters.store import Kept, Store
from appliance.core import deciding
from appliance.core.arbitration import Authority
from appliance.core.conditions import Acknowledged
from appliance.core.events import Decision
from appliance.core.explain import inputs
from appliance.core.explain.what_if import surroundings
from appliance.core.profile import Appliance
from appliance.daemon.control import Control


class Present:
    """The appliances of one home, as they stand when asked. Lives on the control loop."""

    def __init__(self, control: Control, store: Store) -> None:
        self._control = control
        self._store = store

    def appliances(self) -> Sequence[ApplianceView]:
        """Return every appliance, in the order of the configuration."""
        return [self._view(spec) for spec in self._control.controller.home.appliances.values()]

    def appliance(self, appliance: str) -> ApplianceView | None:
        """Return one appliance, or None."""
        spec = self._control.controller.home.appliances.get(appliance)
        return None if spec is None else self._view(spec)

    def alarms(self, appliance: str) -> tuple[AlarmView, ...]:
        """Return the rules of life safety or equipment that speak now."""
        # Not of the last decision: an alarm that joins or ends while another one settles it changes no decision.
        controller = self._control.controller
        spec, state = controller.home.appliances[appliance], controller.state.appliances[appliance]
        speaking = {voice.source: voice.because for voice in state.voices}
        return tuple(
            AlarmView(
                rule.id,
                speaking[f"rule {rule.id}"],
                rule.id in state.memory.acknowledged,
                any(isinstance(node, Acknowledged) for node in rule.nodes()),
                rule.authority,
            )
            for rule in spec.rules
            if rule.authority < Authority.MANUAL and f"rule {rule.id}" in speaking
        )

    def _view(self, spec: Appliance) -> ApplianceView:
        controller = self._control.controller
        state = controller.state.appliances[spec.id]
        memory = state.memory
        fault = None
        if state.flight is not None and state.flight.faulted:
            fault = f"{spec.actuator.device} was told {memory.commanded} and reports {memory.reported or 'nothing'}"
        around = surroundings(controller.home, controller.state, spec.id, self._control.clock())
        fault = fault or next((said for guard in spec.fault_finders if (said := guard.fault(around))), None)
        recorded = self._store.health().reason is None
        return ApplianceView(
            id=spec.id,
            name=spec.title,
            profile=spec.profile,
            actions=spec.ladder.actions,
            modes=spec.ladder.modes,
            rest=spec.ladder.actions[spec.ladder.rest],
            safe=spec.ladder.actions[spec.ladder.safe],
            doing=memory.reported,
            doing_since=memory.reported_at,
            commanded=memory.commanded,
            available=state.available,
            fault=fault,
            override=None if memory.override is None else OverrideView(memory.override, recorded),
            decision=None if state.last is None else decided(state.last, self._store.kept(state.last.id)),
            channels=inputs(around),
            advice=deciding.opened(memory),
            alarms=self.alarms(spec.id),
            needs_person=tuple(spec.ladder.actions[index] for index in sorted(spec.needs_person)),
            ends=tuple(spec.ends.named),
            learned={channel: spec.words[channel] for channel in spec.models},
        )


def decided(decision: Decision, kept: Kept | None) -> DecisionView:
    """Return a decision as it is shown: as it is kept, or, where nobody keeps it, as made once and unrecorded."""
    return DecisionView(decision, 1, decision.at, recorded=False) if kept is None else remembered(kept)


def remembered(kept: Kept) -> DecisionView:
    """Return a decision that is kept as it is shown."""
    return DecisionView(kept.decision, kept.count, kept.last_at, kept.recorded)


def numbered(store: Store, decision_id: int) -> Kept | None:
    """*thread*: return one decision: the newest are only in memory yet, the oldest only on disk."""
    kept = store.kept(decision_id)
    if kept is None and store.health().reason is None:
        kept = store.queries.decision(decision_id)
    return kept
