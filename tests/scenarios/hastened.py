"""The real daemon on a scenario's config, at a clock that runs faster: `python -m tests.scenarios.hastened NAME PORT FOLDER`."""

import asyncio
import logging
import sys
import time
from pathlib import Path

from appliance.adapters.clock import SystemClock
from appliance.config.loading import Loaded
from appliance.core.clock import SECOND
from appliance.daemon import run
from tests.scenarios import story


def main(name: str, port: str, folder: str) -> None:
    told = story.read(name)
    settings = told.loaded.settings.model_copy(
        update={
            "mqtt": told.loaded.settings.mqtt.model_copy(update={"port": int(port)}),
            "store": told.loaded.settings.store.model_copy(update={"folder": folder}),
            "http": told.loaded.settings.http.model_copy(update={"port": 0}),
        }
    )
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    loaded = Loaded(settings=settings, origins={}, folder=told.loaded.folder)
    clock = SystemClock(speed=told.broker, wall_ns=round(told.start.timestamp() * SECOND))
    (Path(folder) / "began").write_text(str(time.monotonic()))
    asyncio.run(run(loaded, observe=told.observe, clock=clock))


if __name__ == "__main__":
    main(*sys.argv[1:])
