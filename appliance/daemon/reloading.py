"""Owns taking a new config into a running home: all of it, or none, and then the last good one stays in force.

Appliances, profiles, rules, exclusions and models change in place, and each appliance keeps what it remembers. What needs the
broker, the disk or the page anew is refused here, and takes a restart. Never in here: what a setting means.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from appliance.config import Loaded, appliances, dialects, sayable
from appliance.core.edge import BiggerModel
from appliance.core.events import Tick
from appliance.core.home import Classifier, Home
from appliance.core.profile import Appliance
from appliance.core.restoring import reconfigured
from appliance.daemon.control import Control
from appliance.daemon.models import load_models
from appliance.errors import ApplianceError, ConfigError

log = logging.getLogger(__name__)

MAX_TOLD = 2000
"""Characters that are told of a refused config: its words may repeat what the file says, of any length."""
Models = Callable[[Iterable[Appliance]], tuple[Mapping[str, Classifier], Mapping[str, str]]]
Behind = Callable[[Mapping[str, Classifier]], Mapping[str, BiggerModel]]
IN_PLACE = frozenset({"home", "appliances", "exclusions"})
"""The sections that change while the daemon runs."""


class Prepared(NamedTuple):
    """A new config, ready to be put in force."""

    loaded: Loaded
    home: Home
    missing_models: Mapping[str, str]


class Reloading:
    """Takes new configs into `control`'s home. `read` reads the config anew; `refuse` raises where its rules are unsound: both
    run in a thread, since files, models and proofs take their time. `models` loads the models that appliances name, `behind` finds the
    bigger ones behind those, and `taken` is told of each config that is put in force.
    """

    def __init__(
        self,
        loaded: Loaded,
        control: Control,
        read: Callable[[], Loaded],
        refuse: Callable[[Loaded, Home], None],
        models: Models = load_models,
        taken: Callable[[Loaded], None] = lambda _: None,
        behind: Behind = lambda _: {},
    ) -> None:
        self._behind = behind
        self._models = models
        self._taken = taken
        self._loaded = loaded
        self._control = control
        self._read = read
        self._refuse = refuse
        self.asked = asyncio.Event()
        """Set it to have the config taken in."""

    async def run(self) -> None:
        """Take the config in whenever that is asked. Runs until cancelled."""
        while True:
            await self.asked.wait()
            self.asked.clear()
            try:
                prepared = await asyncio.to_thread(self.prepare)
            except ApplianceError as wrong:
                log.error("the new config is not taken, the last good one stays: %s", wrong)  # noqa: TRY400  the words say it
                self._control.config_refused = str(wrong)[:MAX_TOLD]
                continue
            except Exception as broken:
                # Whatever it was, it must not end a home that runs.
                log.exception("the new config is not taken, the last good one stays")
                self._control.config_refused = f"it broke the reader: {broken!r}"[:MAX_TOLD]
                continue
            self.take(prepared)
            log.info("the new config is in force: %s", ", ".join(prepared.home.appliances))

    def take(self, prepared: Prepared) -> None:
        """Put what was prepared in force, and decide by it at once."""
        home = prepared.home
        self._loaded = prepared.loaded
        control, now = self._control, self._control.clock()
        old, state = control.controller.home, control.controller.state
        moved = {
            name
            for name, spec in home.appliances.items()
            if name in old.appliances and old.appliances[name].actuator.device != spec.actuator.device
        }
        control.controller.home = home
        control.controller.state = reconfigured(state, home.at_start({}, now, next_id=state.next_id), moved)
        control.config_refused = None
        control.missing_models = prepared.missing_models
        self._taken(prepared.loaded)
        control.performer.reconfigured(control.controller, now)
        control.turn([Tick()], now)

    def prepare(self) -> Prepared:
        """Return the new config and its home. Touches nothing that runs.

        Raises:
            ApplianceError: it can't be taken in; says why.
        """
        loaded = self._read()
        before, after = self._loaded.settings, loaded.settings
        fixed = [
            name
            for name in type(after).model_fields
            if name not in IN_PLACE and getattr(after, name) != getattr(before, name)
        ]
        if fixed:
            raise ConfigError(
                f"{', '.join(f'[{name}]' for name in fixed)} can't change while the daemon runs",
                hint="restart it: systemctl restart appliance",
            )
        specs = appliances(loaded)
        if not specs:
            raise ConfigError("no appliance is configured", hint="a home without one needs no daemon")
        sayable(specs, dialects(after))
        classifiers, missing = self._models(specs)
        observe = self._control.controller.home.observe
        home = Home(
            specs,
            classifiers,
            ZoneInfo(after.home.timezone),
            edges=self._behind(classifiers),
            observe=observe,
        )
        self._refuse(loaded, home)
        return Prepared(loaded, home, missing)
