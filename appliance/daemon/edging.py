"""Owns what a home has with the edge: which bigger models stand behind the local ones, and the client that asks them.

Never in here: what an answer is worth (core), or how one is got (the edge adapter).
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from appliance.adapters.clock import SystemClock
from appliance.adapters.http.port import AuditView, CountedView, EdgeView, MetricView, PartView
from appliance.config import Loaded
from appliance.config.tables import EdgeTable
from appliance.core.clock import SECOND
from appliance.core.controller import Controller
from appliance.core.edge import BiggerModel
from appliance.core.events import AskEdge, EdgeAnswered
from appliance.core.home import Classifier, Home
from appliance.core.inference import EPOCH
from appliance.core.trust import standing
from appliance.core.trust.audits import days_to_fall
from appliance.daemon import identity
from appliance.errors import ModelError

if TYPE_CHECKING:
    from appliance.adapters.edge.client import Edge
    from appliance.adapters.edge.status import EdgeStatus
    from appliance.adapters.edge.terms import Teacher

log = logging.getLogger(__name__)

DAY_NS = 86_400 * SECOND
CACHE = "edge-cache.sqlite"
DAYS_TOLD = 2_900_000
"""Calendars end in the year 9999."""


class Nearby:
    """The edge of one home; where the config names none, nothing happens. `answer` gets what it says, on the loop.

    It asks the bigger models of the home that it was shown last (`look`).

    Raises:
        ConfigError: its address, token or certificates can't be used.
    """

    def __init__(
        self,
        loaded: Loaded,
        folder: Path,
        clock: SystemClock,
        answer: Callable[[EdgeAnswered], None],
    ) -> None:
        settings = self._settings = loaded.settings.edge
        self._edge: Edge | None = None
        self._home: Home | None = None
        self._counted = 0
        if settings is not None:
            self._edge = _client(loaded, settings, folder / CACHE, clock, answer)

    @property
    def offer(self) -> Callable[[AskEdge], None] | None:
        """What takes a case and never waits; None where there is no edge."""
        return None if self._edge is None else self._edge.offer

    def behind(self, classifiers: Mapping[str, Classifier]) -> Mapping[str, BiggerModel]:
        """Return the bigger models that stand behind `classifiers`, by the local one's name."""
        return {} if self._settings is None else bigger(self._settings, classifiers, made_here(classifiers))

    async def run(self) -> None:
        """Ask the edge what is offered, until cancelled."""
        if self._edge is not None:
            await self._edge.run()

    def look(self, home: Home, cases: int) -> None:
        """Tell the budget that `home` had so many `cases` since its start (`Control.cases`), and let its bigger models be asked: those of the
        start, of a new config, or of the end of safe mode. Call it as the home is made, and every second.
        """
        if self._edge is None:
            return
        self._edge.seen(cases - self._counted)
        if home is not self._home:
            known = {(one.name, one.version) for one in self._edge.status().teachers}
            for behind in home.edges.values():
                if (behind.name, behind.version) not in known:
                    try:
                        self._edge.meet(teacher(behind.name))
                    except ModelError as broken:
                        log.warning("%s can't be asked: %s", behind.name, broken)
        self._home, self._counted = home, cases

    def status(self) -> "EdgeStatus | None":
        """Return how it is; None where there is none."""
        return None if self._edge is None else self._edge.status()

    def view(self, controller: Controller) -> EdgeView:
        """Return how it is, and what audits of `controller`'s models show."""
        status = self.status()
        answers = None if status is None else msgspec.to_builtins(status)
        return EdgeView(answers, tuple(_audits(controller)))

    def metrics(self) -> list[MetricView]:
        """Return what it counted; nothing where there is no edge."""
        status = self.status()
        if status is None:
            return []
        counts = {
            "offered": (status.offered, "Cases and audits that were offered to the edge."),
            "answered": (status.answered, "Of these, answered by it."),
            "cached": (status.cached, "Of these, answered by the cache."),
            "failed": (sum(status.failed.values()), "Questions to the edge that got no answer to believe."),
            "bytes": (status.budget.bytes_out + status.budget.bytes_in, "Bytes to and from the edge."),
        }
        return [
            MetricView(f"appliance_edge_{name}_total", "counter", what, (({}, float(count)),))
            for name, (count, what) in counts.items()
        ] + [
            MetricView(
                "appliance_edge_connected",
                "gauge",
                "Whether the edge answers.",
                (({}, float(status.breaker == "closed")),),
            )
        ]

    def parts(self) -> list[PartView]:
        """Return what health says of it: away or not believed is degraded, as rules and the local model decide alone."""
        status = self.status()
        if status is None:
            return []
        why = []
        if self._home is not None:
            asked = {(one.name, one.version) for one in status.teachers}
            for name in self._home.classifiers:
                behind = self._home.edges.get(name)
                if behind is None:
                    why.append(f"no bigger model stands behind {name}")
                elif (behind.name, behind.version) not in asked:
                    why.append(f"{behind.name} {behind.version} can't be asked")
        if status.breaker != "closed":
            why.append(f"away, so the local models decide alone: {status.why}")
        else:
            why += [f"{one.name} is not believed: {one.why}" for one in status.teachers if not one.believed]
        why += status.weaknesses
        return [PartView("edge", "degraded" if why else "ok", "; ".join(why) or None)]


def _client(
    loaded: Loaded,
    settings: EdgeTable,
    cache: Path,
    clock: SystemClock,
    answer: Callable[[EdgeAnswered], None],
) -> "Edge":
    from appliance.adapters.edge.client import Edge  # noqa: PLC0415  only where there is an edge
    from appliance.adapters.edge.terms import EdgeSettings  # noqa: PLC0415
    from appliance.adapters.tls import Tls  # noqa: PLC0415

    tls = None if settings.tls is None else Tls(**settings.tls.model_dump(), section="edge.tls")
    given = {
        name: getattr(settings, name)
        for name in EdgeSettings.__struct_fields__
        if name not in ("tls", "token")
    }
    token = identity.secret(settings.token_file, loaded.folder, key="edge.token_file", what="token")
    return Edge(EdgeSettings(**given, tls=tls, token=token), {}, cache, answer, clock)


def teacher(name: str) -> "Teacher":
    """Return what the client is told of the bigger model `name`, from its bundle. Raises ModelError."""
    from appliance.adapters.edge.terms import Teacher  # noqa: PLC0415  only where there is an edge
    from appliance.bundle import TEACHER_OPERATORS, load_bundle, shipped  # noqa: PLC0415

    bundle = load_bundle(shipped(name), allowed=TEACHER_OPERATORS)
    return Teacher(
        name,
        bundle.card.version,
        bundle.digest,
        bundle.card.labels,
        len(bundle.card.features.features),
        tuple(map(tuple, bundle.golden_rows.tolist())),
        tuple(map(tuple, bundle.golden_probabilities.tolist())),
        bundle.card.steps,
    )


def _audits(controller: Controller) -> Iterator[AuditView]:
    home, state = controller.home, controller.state
    for name, spec in home.appliances.items():
        for channel, model in spec.models.items():
            edge, classifier = home.edges.get(model), home.classifiers.get(model)
            if edge is None or classifier is None:
                continue
            audits = state.appliances[name].memory.audits.get(channel)
            stands = standing(audits, classifier.trust.version)
            days = () if audits is None else audits.by_day()
            yield AuditView(
                name,
                channel,
                model,
                edge.name,
                edge.better,
                stands.acts,
                stands.because,
                stands.trials,
                stands.disagreed,
                stands.low,
                stands.high,
                stands.level,
                edge.budget,
                _days_needed(edge, 1 if audits is None else audits.number, acts=stands.acts),
                0 if audits is None else audits.labelled,
                0 if audits is None else audits.missed,
                tuple(
                    CountedView(
                        date.fromordinal(EPOCH + one.day).isoformat(), *msgspec.structs.astuple(one)[1:]
                    )
                    for one in days
                    if 0 <= one.day < DAYS_TOLD
                ),
            )


def _days_needed(edge: BiggerModel, number: int, *, acts: bool) -> int | None:
    """Return in how many days a rate of five times the budget takes the authority away, in nine of ten cases, in the sequence `number` of
    audits: each change of standing makes it longer. None: it never does, or has.
    """
    if not acts or edge.budget is None or not edge.audit_every_ns or not edge.better:
        return None
    needed = days_to_fall(edge.budget, min(5 * edge.budget, 0.5), round(DAY_NS / edge.audit_every_ns), number)
    return None if needed is None else needed[1]


def made_here(classifiers: Mapping[str, Classifier]) -> frozenset[str]:
    """Return the names of those whose version in force this home made for itself."""
    if not classifiers:
        return frozenset()
    from appliance.bundle import REFITS  # noqa: PLC0415  only where there is a model

    return frozenset(name for name, one in classifiers.items() if one.trust.version % REFITS)


def bigger(
    settings: EdgeTable | None, models: Iterable[str], own: Collection[str] = ()
) -> dict[str, BiggerModel]:
    """Return the bigger models that stand behind `models`, by the local one's name. One without, which the log tells, decides as if there
    were no edge. One is better where its card shows that on hard cases, against the very model that is shipped.

    `own` are those of which a version decides that this home made for itself: it stands there since it is better on held-out days of this home, on
    which nobody has judged the bigger one. So that is not shown to be the better one: its word is shown, and its audits fell nobody.
    """
    if settings is None:
        return {}
    from appliance.bundle import TEACHER  # noqa: PLC0415  only where there is an edge

    found: dict[str, BiggerModel] = {}
    for model in sorted(models):
        name = settings.models.get(model, model + TEACHER)
        try:
            made = _bigger(model, name, settings.audits_a_day)
            found[model] = msgspec.structs.replace(made, better=made.better and model not in own)
        except ModelError as broken:
            log.warning("no bigger model stands behind %s: %s", model, broken)
    return found


def _bigger(model: str, name: str, audits_a_day: int) -> BiggerModel:
    from appliance.bundle import TEACHER_OPERATORS, load_bundle, shipped  # noqa: PLC0415  only where there is an edge

    bundle = load_bundle(shipped(model))
    local = bundle.card
    card = load_bundle(shipped(name), allowed=TEACHER_OPERATORS).card
    if set(card.labels) != set(local.labels):
        raise ModelError(
            f"{name} says {', '.join(card.labels)}, and {model} {', '.join(local.labels)}",
            hint=f"name another in [edge.models]: {model} = ...",
        )
    if len(card.steps) != len(card.features.features) or not all(step > 0 for step in card.steps):
        raise ModelError(
            f"the card of {name} does not say which cases are alike",
            hint="train it anew: appliance learn run",
        )
    return BiggerModel(
        name,
        card.version,
        card.features,
        card.trust,
        card.steps,
        card.against is not None and card.against.shows_better_than(bundle.digest),
        local.disagreement,
        DAY_NS // audits_a_day if audits_a_day else 0,
    )
