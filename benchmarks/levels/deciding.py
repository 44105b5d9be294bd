"""One level's own figures, over readings that are the same each time; prints one line of JSON.

Run as a process of its own by `benchmarks/levels`, with the interpreter and, first on its path, the core that are measured. Never in
here: comparing.
"""

import gc
import hashlib
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import household
import msgspec

from appliance.config import appliances, dialects, load_settings
from appliance.core import controller
from appliance.core.clock import SECOND, Instant
from appliance.core.events import LinkChanged, Record
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Message
from appliance.daemon.models import load_models

imported_s = time.process_time()

APPLIANCES = 100
CHANNELS = ("pm2_5", "co2", "temperature", "humidity")
PAST_MINUTES, EVERY_S = 70, 15
"""So much is heard before: the model's features are known after an hour."""
WARM = 1200
STEP_NS = SECOND // 100


class Load:
    """Readings of 100 appliances in turn, each of which, once `flips`, turns its appliance's decision."""

    def __init__(self) -> None:
        self._random = random.Random(3)
        self._high = [False] * APPLIANCES
        self._number = 0

    def batch(self, size: int, *, flips: bool) -> list[Message]:
        return [self._next(flips=flips) for _ in range(size)]

    def _next(self, *, flips: bool) -> Message:
        device = self._number % APPLIANCES
        self._number += 1
        high = self._high[device] = flips and not self._high[device]
        said = {
            "pm2_5": round((80 if high else 5) + self._random.random() * 4, 1),
            "co2": (1400 if high else 600) + self._random.randrange(100),
            "temperature": round(21 + self._random.random() * 3, 1),
            "humidity": 38 + self._random.randrange(8),
            "sequence": self._number,
        }
        return Message(f"sensors/dev{device}/state", json.dumps(said).encode(), False)


def main() -> None:
    readings = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(household.daemon_config(1883, APPLIANCES, Path(folder), CHANNELS), encoding="utf-8")
        loaded = load_settings(config, {})
        specs, spoken = appliances(loaded), dialects(loaded.settings)
        classifiers, missing = load_models(specs)
    if missing:
        sys.exit(f"error: {missing}")
    home = Home(specs, classifiers, ZoneInfo("UTC"))
    now = Instant("boot", 36_000 * SECOND, 1_760_000_000 * SECOND)
    deciding = controller.Controller(home, home.at_start({}, now, next_id=1))
    intake, load = Intake(Decoder(spoken)), Load()
    deciding.handle([LinkChanged(connected=True)], now)
    for _ in range(PAST_MINUTES * 60 // EVERY_S):
        now = now.plus(EVERY_S * SECOND)
        deciding.handle(intake.events(load.batch(APPLIANCES, flips=False)), now)
    # What it decides and does, to be held against the other levels'.
    digest, recorded = hashlib.sha256(), 0
    for _ in range(WARM // 30):
        now = now.plus(STEP_NS)
        effects = deciding.handle(intake.events(load.batch(30, flips=True)), now)
        digest.update(msgspec.json.encode(effects))
        recorded += sum(isinstance(effect, Record) for effect in effects)
    gc.collect()
    gc.freeze()
    took: dict[int, list[float]] = {30: [], 1: []}
    for size, spans in took.items():
        for _ in range(readings // size):
            now = now.plus(STEP_NS)
            batch = load.batch(size, flips=True)
            began = time.thread_time_ns()
            deciding.handle(intake.events(batch), now)
            spans.append((time.thread_time_ns() - began) / size / 1000)
    figures = {
        "us_of_30": statistics.median(took[30]),
        "us_of_1": statistics.median(took[1]),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "imported_s": imported_s,
        "recorded": recorded,
        "digest": digest.hexdigest(),
        "compiled": not str(controller.__file__).endswith(".py"),
        "python": sys.version.split()[0],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
