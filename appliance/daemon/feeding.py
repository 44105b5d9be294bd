"""Owns what the listeners of the page are told while it happens: committed decisions, and what changed.

Never in here: how it is spelt, or who listens (feed).
"""

import asyncio

from appliance.adapters.http.feed import ApplianceChanged, DecisionMade, Feed, HealthChanged, ReadingSeen
from appliance.adapters.store import Store
from appliance.daemon.control import Control
from appliance.daemon.present import Present, remembered
from appliance.daemon.vitals import Vitals


class Feeding:
    """Tells the subscribers of `feed`. Lives on the control loop, but for `on_commit`."""

    def __init__(self, control: Control, store: Store, present: Present, vitals: Vitals) -> None:
        self._control = control
        self._store = store
        self._present = present
        self._vitals = vitals
        self._loop = asyncio.get_running_loop()
        self._shown: dict[str, tuple[object, ...]] = {}
        self._health = ""
        self.feed = Feed()

    def on_commit(self, decision_ids: list[int]) -> None:
        """Tell listeners of committed decisions. Called from the writer's thread."""
        self._loop.call_soon_threadsafe(self._tell_committed, decision_ids)

    def tell_changes(self) -> None:
        """Tell listeners which channels, appliances and parts changed since the last time. Call it every second or so."""
        if not len(self.feed):
            self._shown.clear()
            return
        for view in self._present.appliances():
            key = (
                view.doing, view.commanded, view.available, view.fault, view.override, view.advice, view.alarms
            )  # fmt: skip
            if self._shown.get(view.id) != key:
                self._shown[view.id] = key
                self.feed.publish(ApplianceChanged(view))
            for seen in view.channels:
                now = (seen.value, seen.quality, seen.reason, self._heard(view.id, seen.channel))
                if self._shown.get(f"{view.id}/{seen.channel}") != now:
                    self._shown[f"{view.id}/{seen.channel}"] = now
                    self.feed.publish(ReadingSeen(view.id, seen))
        health = self._vitals.health()
        said = repr((health.status, health.parts))
        if said != self._health:
            self._health = said
            self.feed.publish(HealthChanged(health))

    def _heard(self, appliance: str, channel: str) -> int | None:
        state = self._control.controller.state.appliances[appliance]
        if channel in state.learned:
            return state.learned[channel].at.boottime_ns
        newest = state.senses[channel].newest() if channel in state.senses else state.words[channel].newest()
        return None if newest is None else newest.heard_ns

    def _tell_committed(self, decision_ids: list[int]) -> None:
        if not len(self.feed):
            return
        for number in decision_ids:
            kept = self._store.kept(number)
            if kept is not None:
                self.feed.publish(DecisionMade(remembered(kept)))
