"""Owns the home that the daemon is measured in: its config, its profile, and the hours that it has heard already.

Never in here: starting anything, or measuring.
"""

import random
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from appliance.adapters.clock import SystemClock
from appliance.adapters.store import Limits, Store
from appliance.config import appliances, load_settings
from appliance.core.clock import SECOND, Instant
from appliance.core.home import Home
from appliance.core.readings import Reading
from appliance.core.restoring import pack, rehear
from appliance.core.senses import Sense
from appliance.core.state import State

PROFILE = """\
name = "bench"
title = "A fan without guards"
actions = ["low", "high"]
rest = "low"
safe = "low"
[channels.pm2_5]
[channels.co2]
[channels.temperature]
[channels.humidity]
[channels.presence]
model = "presence"
words = ["nobody", "somebody"]
[fallback]
because = "nobody asks for more"
[[rules]]
id = "dust"
when = "pm2_5 > 35"
at_least = "high"
because = "particles are at {pm2_5}"
[[rules]]
id = "somebody"
when = "presence is somebody and pm2_5 > 35"
at_least = "high"
because = "somebody is here, and particles are at {pm2_5}"
[commands.plain]
low = { set = { action = "low" } }
high = { set = { action = "high" } }
"""
"""No guard, so that every reading of the load owes a command; a rule on the model, so that it is asked each time."""

CONFIG = """\
[mqtt]
host = "127.0.0.1"
port = {port}
[store]
folder = "state"
[http]
port = 0
[zigbee2mqtt]
enabled = false
[tasmota]
enabled = false
[plain.dev]
topic = "sensors/+/state"
fields.pm2_5 = {{ path = "pm2_5", unit = "µg/m³" }}
fields.co2 = {{ path = "co2", unit = "ppm" }}
fields.temperature = {{ path = "temperature", unit = "°C" }}
fields.humidity = {{ path = "humidity", unit = "%" }}
command_topic = "appliance/{{device}}/command"
command_payload = '{{"fan":"{{action}}"}}'
"""

APPLIANCE = """\
[appliances.dev{number}]
profile = "bench.toml"
device = "plain/dev{number}"
[appliances.dev{number}.channels]
"""

SPAN_S = 2 * 3600
"""So much is heard before the measuring, as far as the machine has been up so long: all that fine bins hold."""
EVERY_S = 30


def daemon_config(port: int, devices: int, folder: Path, channels: Iterable[str]) -> str:
    """Return the text of a config for `devices` appliances at the broker on `port`, each with a sensor of these `channels`,
    and write the profile that it names into `folder`, where the config must lie too.
    """
    (folder / "bench.toml").write_text(PROFILE, encoding="utf-8")
    appliances = "".join(
        APPLIANCE.format(number=number)
        + "".join(f'{channel} = "plain/dev{number}"\n' for channel in channels)
        for number in range(devices)
    )
    return CONFIG.format(port=port) + appliances


DAY_S = 86_400


def remember(config: Path, *, alike: bool = False) -> int:
    """Let the home of `config` have heard the last two hours, so that the model's features are known (that takes an
    hour) and cost what they cost in a home; return how many seconds it heard. Bins are anchored at boot: a machine that has
    just started has no more past than that. `alike`: of a whole day, and the same for every appliance.
    """
    loaded = load_settings(config, {})
    clock = SystemClock()
    now = clock()
    home = Home(appliances(loaded), {}, ZoneInfo("UTC"))
    span_s = min(DAY_S if alike else SPAN_S, now.boottime_ns // SECOND)
    names = list(home.appliances)[:1] if alike else list(home.appliances)
    state = rehear(home.at_start({}, now), home.routes, home.word_routes, _heard(names, now, span_s))
    if alike:
        state = _like(names[0], state)
    folder = loaded.folder / "state"
    folder.mkdir(mode=0o700)
    store = Store(folder, clock, Limits())
    store.start()
    store.snapshot(partial(pack, state), now)
    store.close()
    return span_s


def _like(first: str, state: State) -> State:
    """Return `state` with the senses of its appliance `first` for all."""
    model = state.appliances[first].senses
    appliances = {
        name: replace(
            appliance,
            senses={
                channel: Sense(
                    sense.channel,
                    {
                        source.replace(f"plain/{first}:", f"plain/{name}:"): heard
                        for source, heard in sense.sources.items()
                    },
                    sense.window,
                )
                for channel, sense in model.items()
            },
        )
        for name, appliance in state.appliances.items()
    }
    return replace(state, appliances=appliances)


def _heard(names: Iterable[str], now: Instant, span_s: int) -> Iterator[tuple[Reading, Instant, bool]]:
    """Give what the sensors said every half minute: a quiet room, each value a little other than the one before."""
    chance = random.Random(1)
    for ago_s in range(span_s - span_s % EVERY_S, 0, -EVERY_S):
        past_ns = ago_s * SECOND
        at = Instant(now.boot_id, now.boottime_ns - past_ns, now.wall_ns - past_ns)
        for name in names:
            device = f"plain/{name}"
            for metric, value, unit in (
                ("pm2_5", round(5 + chance.random() * 4, 1), "µg/m³"),
                ("co2", 600 + chance.randrange(100), "ppm"),
                ("temperature", round(21 + chance.random() * 3, 1), "°C"),
                ("humidity", 38 + chance.randrange(8), "%"),
            ):
                yield Reading(device, metric, value, unit), at, False
