"""Owns how the daemon is: which part is well, and what has been counted.

Never in here: appliances and decisions (views), or mending anything.
"""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Literal

from appliance import __version__
from appliance.adapters.http.port import HealthView, MetricView, PartView
from appliance.adapters.store import Store
from appliance.daemon.control import Control
from appliance.daemon.shadowing import Shadowed

STALE_S = 30.0
"""Without a full turn for so long, control does not go round."""


class Vitals:
    """The signs of life of one daemon. `why_no_link` is what the link said last when it went down."""

    def __init__(self, control: Control, store: Store, *, observe: bool) -> None:
        self._control = control
        self._store = store
        self._observe = observe
        self._began = monotonic()
        self.why_no_link = "not connected yet"
        self.too_large: Callable[[], int] = int
        """How many messages the link has dropped before anybody looked into them."""
        self.more: Callable[[], Sequence[PartView]] = tuple
        """What others have to say of the whole."""
        self.counted: Callable[[], Sequence[MetricView]] = tuple
        """What others have counted."""
        self.page_gone: str | None = None
        """Why nobody serves the page, where control goes on without."""
        self.late: Callable[[], int] = int
        """How many messages waited for an unknown time, while somebody stood still."""

    @property
    def turning(self) -> bool:
        """Whether the control loop goes round."""
        last = self._control.last_tick_s
        return last is not None and monotonic() - last < STALE_S

    def health(self) -> HealthView:
        """Return how the whole is."""
        control = self._control
        store = self._store.health()
        turning = self.turning
        parts = [
            PartView(
                "control",
                "ok" if turning else "down",
                None if turning else "the control loop does not go round",
            ),
            PartView(
                "broker",
                "ok" if control.connected else "down",
                None if control.connected else self.why_no_link,
            ),
            PartView("store", "ok" if store.reason is None else "degraded", store.reason),
            PartView(
                "history",
                "degraded" if store.history else "ok",
                "; ".join(store.history) or self._checked(),
            ),
        ]
        parts += [
            PartView(f"model {name}", "degraded", f"rules and fallback decide: {why}")
            for name, why in control.missing_models.items()
        ]
        faults = [
            state
            for state in control.controller.state.appliances.values()
            if state.flight is not None and state.flight.faulted
        ]
        if faults:
            parts.append(PartView("devices", "degraded", f"{len(faults)} will not obey"))
        if control.config_refused is not None:
            parts.append(
                PartView("config", "degraded", f"the last good one is in force: {control.config_refused}")
            )
        if self.page_gone is not None:
            parts.append(PartView("page", "down", self.page_gone))
        parts += self.more()
        if self._observe:
            parts.append(PartView("observe", "ok", "decides and records, commands nothing"))
        status: Literal["ok", "degraded", "failing"] = (
            "failing" if not turning else "ok" if all(part.state == "ok" for part in parts) else "degraded"
        )
        return HealthView(
            status,
            control.connected and turning,
            __version__,
            round(monotonic() - self._began, 3),
            control.clock(),
            tuple(parts),
        )

    def _checked(self) -> str:
        last = self._store.checked()
        return "not checked yet since the start" if last is None else f"checked up to decision {last}: whole"

    def metrics(self) -> Sequence[MetricView]:
        """Return the counters and gauges of all rooms."""
        control, store = self._control, self._store.health()
        counts = control.performer.counts
        dropped = control.intake.dropped["too_large"] + self.too_large()

        def one(name: str, kind: str, what: str, value: float) -> MetricView:
            return MetricView(
                f"appliance_{name}", "counter" if kind == "counter" else "gauge", what, (({}, float(value)),)
            )

        watched = [
            (name, model)
            for name, model in sorted(control.controller.home.classifiers.items())
            if isinstance(model, Shadowed)
        ]
        home = control.controller.home
        told = [
            (
                {"appliance": name, "channel": channel, "label": label},
                float(adapted.heard[place]),
                float(adapted.missed[place]),
            )
            for name, state in sorted(control.controller.state.appliances.items())
            for channel, adapted in sorted(state.memory.trust.items())
            if (model := home.classifiers.get(home.appliances[name].models.get(channel, ""))) is not None
            and len(model.labels) == len(adapted.heard)
            for place, label in enumerate(model.labels)
        ]
        return [
            *self.counted(),
            MetricView(
                "appliance_labels_total", "counter", "Labels of now that a model heard of, by what was so.",
                tuple((labels, heard) for labels, heard, _ in told),
            ),
            MetricView(
                "appliance_labels_missed_total", "counter", "Of these, labels that its prediction set did not hold.",
                tuple((labels, missed) for labels, _, missed in told),
            ),
            MetricView(
                "appliance_model_watched_total", "counter", "Rows that the watched version of a model was asked, too.",
                tuple(({"model": name}, float(model.rows)) for name, model in watched),
            ),
            MetricView(
                "appliance_model_differed_total", "counter", "Of these, rows that it called otherwise.",
                tuple(({"model": name}, float(model.differed)) for name, model in watched),
            ),
            one("messages_total", "counter", "Messages heard.", control.intake.messages),
            one("late_total", "counter", "Messages that waited while this program or the broker stood still.", self.late()),
            one("turns_total", "counter", "Turns of the control loop.", control.turns),
            one("decisions_total", "counter", "Decisions that differed from the one before.", counts["decisions"]),
            one("commands_total", "counter", "Commands sent.", counts["commands"]),
            one("commands_unsent_total", "counter", "Commands that no link took.", counts["commands_unsent"]),
            one("readings_older_total", "counter", "Readings of messages that newer ones overtook.", counts["older"]),
            one("words_refused_total", "counter", "Words of people that could not be taken.", control.hearing.refused),
            one("connected", "gauge", "Whether the broker is there.", control.connected),
            one("store_waiting", "gauge", "Decisions that are not on disk yet.", store.waiting),
            one("store_commits_total", "counter", "Transactions committed.", store.commits),
            one("decisions_lost_total", "counter", "Decisions that could never be recorded.", store.decisions_lost),
            one("readings_lost_total", "counter", "Readings dropped before they reached the disk.", store.readings_dropped),
            MetricView(
                "appliance_dropped_total", "counter", "What gave no reading, by reason.",
                tuple(({"reason": reason}, float(count)) for reason, count in sorted({**control.intake.dropped, "too_large": dropped}.items())),
            ),
        ]  # fmt: skip
