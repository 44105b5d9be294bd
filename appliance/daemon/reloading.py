"""Owns taking a new config into a running home: all of it, or none, and then the last good one stays in force.

Appliances, profiles, rules, exclusions and models change in place, and each appliance keeps what it remembers. What needs the
broker, the disk or the page anew is refused here, and takes a restart. Never in here: what a setting means.
"""

import logging
from collections.abc import Callable
from zoneinfo import ZoneInfo

from appliance.config import Loaded, appliances, dialects, sayable
from appliance.core.clock import Instant
from appliance.core.controller import Controller, Home
from appliance.core.restoring import reconfigured
from appliance.daemon.models import load_models
from appliance.errors import ConfigError

log = logging.getLogger(__name__)

IN_PLACE = frozenset({"home", "appliances", "exclusions"})
"""The sections that change while the daemon runs."""


class Reloading:
    """Takes new configs into `controller`'s home. `read` reads the config anew; `refuse` raises where its rules are unsound."""

    def __init__(
        self,
        loaded: Loaded,
        controller: Controller,
        read: Callable[[], Loaded],
        refuse: Callable[[Home], None],
    ) -> None:
        self._loaded = loaded
        self._controller = controller
        self._read = read
        self._refuse = refuse

    def reload(self, now: Instant) -> str | None:
        """Take the config in; return None, or why the last good one stays."""
        try:
            home = self._take(self._read())
        except ConfigError as wrong:
            log.error("the new config is not taken, the last good one stays: %s", wrong)  # noqa: TRY400  the words say it
            return str(wrong)
        old, state = self._controller.home, self._controller.state
        moved = {
            name
            for name, spec in home.appliances.items()
            if name in old.appliances and old.appliances[name].actuator.device != spec.actuator.device
        }
        self._controller.home = home
        self._controller.state = reconfigured(state, home.at_start({}, now, next_id=state.next_id), moved)
        log.info("the new config is in force: %s", ", ".join(home.appliances))
        return None

    def _take(self, loaded: Loaded) -> Home:
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
        classifiers, _ = load_models(specs)
        home = Home(specs, classifiers, ZoneInfo(after.home.timezone), observe=self._controller.home.observe)
        self._refuse(home)
        self._loaded = loaded
        return home
