"""What the listeners of the page are told, of channels that speak in numbers, in words, and of models."""

import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.adapters.clock import SystemClock
from appliance.adapters.http.feed import ReadingSeen
from appliance.adapters.store import Limits, Store
from appliance.core.assembly import assemble
from appliance.core.controller import Controller
from appliance.core.events import Input, StateReported
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt
from appliance.core.profile import Binding, read_profile
from appliance.core.readings import Reading
from appliance.daemon.control import Control
from appliance.daemon.hearing import Hearing
from appliance.daemon.people import People
from appliance.daemon.performing import Performer
from appliance.daemon.views import Views
from tests.core.home import GUARDS, PROFILE, RULE, START

WINDOW = """
[channels.window]
metric = "contact"
words = { open = false, closed = true }
"""


async def test_a_listener_hears_of_a_channel_that_speaks_in_words(tmp_path: Path) -> None:
    """Looked up among the models it is not there, and the daemon would end as soon as somebody opens the page."""
    binding = Binding("fan", "zigbee2mqtt/fan", channels={"window": (("zigbee2mqtt/window", None),)})
    spec = assemble(
        read_profile(tomllib.loads(PROFILE + RULE + WINDOW), where="p"), binding, GUARDS, where="p"
    )
    home = Home([spec], {}, ZoneInfo("UTC"))
    store = Store(tmp_path, SystemClock(), Limits())
    controller = Controller(home, home.at_start({}, START))
    people = People(lambda: home.appliances)
    performer = Performer(lambda topic, payload: True, [Zigbee2mqtt()], store, home.reporters)
    control = Control(
        controller, Intake(Decoder([Zigbee2mqtt()])), performer, lambda: START, Hearing("appliance", people)
    )
    feeding = Views(control, store, people, lambda *_: None, observe=False).feeding
    listener = feeding.feed.subscribe()
    assert listener is not None

    async def words() -> list[object]:
        # Something else first, so that taking never waits.
        feeding.feed.publish(ReadingSeen("", Input("", None, None, None, "unknown")))
        taken = [one.reading for one in await listener.take() if isinstance(one, ReadingSeen)]
        return [reading.value for reading in taken if reading.channel == "window"]

    feeding.tell_changes()
    assert await words() == [None]
    reading = Reading("zigbee2mqtt/window", "contact", False, None)
    controller.handle([StateReported("zigbee2mqtt/window", (reading,))], START)
    feeding.tell_changes()
    assert await words() == ["open"]
    feeding.tell_changes()
    assert await words() == []
