"""Owns what is told over MQTT: retained on `<prefix>/<appliance>/`, the newest committed decision and open recommendations;
on `<prefix>/mode`, whether the daemon is in safe mode.

Told once a second at most, so that a flapping home floods no broker. Never in here: what is not on disk yet.
"""

from collections.abc import Callable, Sequence

import msgspec

from appliance.adapters.store import Store
from appliance.core.controller import Controller
from appliance.core.deciding import opened
from appliance.core.events import Advice, Decision

Retain = Callable[[str, bytes], bool]


class Telling:
    """Tells what changed since it was told last. `retain(topic, payload)` returns False where the link is down."""

    def __init__(
        self,
        controller: Controller,
        store: Store,
        prefix: str,
        retain: Retain,
        mode: Callable[[], bytes] = lambda: b'{"mode":"normal"}',
    ) -> None:
        self._controller = controller
        self._store = store
        self._prefix = prefix
        self._retain = retain
        self._mode = mode
        self._told: dict[str, bytes] = {}
        self._known: set[str] = set()
        self._seen: dict[str, tuple[int | None, tuple[Advice, ...]]] = {}

    def again(self) -> None:
        """Forget what was told: the broker may have forgotten it too."""
        self._told.clear()
        self._seen.clear()

    def changes(self) -> None:
        """Tell what changed."""
        self._tell(f"{self._prefix}/mode", self._mode())
        for name, state in self._controller.state.appliances.items():
            last, advice = state.last, state.memory.advice
            now = (None if last is None else last.id, advice)
            if self._seen.get(name) == now:
                continue  # the ordinary case, in a home of many: nothing is spelt for it
            kept = None if last is None else self._store.kept(last.id)
            done = last is None
            if kept is not None and kept.recorded:
                done = self._tell(f"{self._prefix}/{name}/decision", _decided(kept.decision))
            done &= self._tell(f"{self._prefix}/{name}/advice", _recommended(opened(state.memory)))
            self._known.add(name)
            if done:
                self._seen[name] = now
        for name in sorted(self._known - self._controller.state.appliances.keys()):
            # A new config has it no more: nor shall the broker.
            if all(self._retain(f"{self._prefix}/{name}/{what}", b"") for what in ("decision", "advice")):
                self._known.discard(name)
                self._seen.pop(name, None)

    def _tell(self, topic: str, payload: bytes) -> bool:
        """Return whether the broker knows."""
        if self._told.get(topic) != payload:
            if not self._retain(topic, payload):
                return False
            self._told[topic] = payload
        return True


def _decided(decision: Decision) -> bytes:
    return msgspec.json.encode(
        {
            "id": decision.id,
            "at": decision.at.isoformat(),
            "action": decision.action,
            "because": decision.because,
            "authority": decision.authority.name,
            "source": decision.source,
        }
    )


def _recommended(advice: Sequence[Advice]) -> bytes:
    return msgspec.json.encode(
        [
            {
                "source": one.source,
                "action": one.action,
                "because": one.because,
                "until": one.until.isoformat(),
            }
            for one in advice
        ]
    )
