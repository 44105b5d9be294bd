"""Owns carrying a simulated home's messages over a real link: what it says goes out, what it is told comes in.

Never in here: the home's physics, or the daemon that decides for it.
"""

import asyncio

from appliance.adapters.clock import SystemClock
from appliance.adapters.mqtt import Address, Link
from appliance.core.clock import SECOND, Instant
from appliance.core.payloads.message import Message
from appliance.errors import ConfigError
from appliance.simulate import Home

HAND_TOPIC = "simulated/hand"
"""A message here is a hand at the simulated device: its payload is an action."""
STEP_S = 0.01
"""Real seconds between steps: a device that reports within 1 to 2 s must do so also where time runs 60 times as fast."""


async def pretend(home: Home, address: Address, clock: SystemClock) -> None:
    """Let `home` live by `clock` at the broker, until cancelled."""

    def told(messages: list[Message], at: Instant) -> None:
        del at
        for message in messages:
            if message.topic == HAND_TOPIC:
                try:
                    home.press(message.payload.decode("utf-8", "replace"))
                except ConfigError:
                    continue
            else:
                for answer in home.receive(message):
                    link.publish(answer.topic, answer.payload, retain=answer.retained)

    def changed(connected: bool, why: str) -> None:  # noqa: FBT001  the link's own callback shape
        del why
        if connected:
            for message in home.announce():
                link.publish(message.topic, message.payload, retain=message.retained)

    link = Link(
        address,
        clock=clock,
        subscriptions=["zigbee2mqtt/+/set", "zigbee2mqtt/+/get", HAND_TOPIC],
        status_topic="simulated/status",
        deliver=told,
        on_change=changed,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(link.run())
        before = clock().boottime_ns
        while True:
            await asyncio.sleep(STEP_S)
            now = clock().boottime_ns
            for message in home.advance((now - before) / SECOND):
                link.publish(message.topic, message.payload, retain=message.retained)
            before = now


async def press(action: str, address: Address, clock: SystemClock) -> None:
    """Let a hand turn the simulated device to `action`, and return once the broker has it."""
    up = asyncio.Event()
    link = Link(
        address,
        clock=clock,
        subscriptions=[],
        status_topic="simulated/hand-status",
        deliver=lambda messages, at: None,
        on_change=lambda connected, why: up.set() if connected else None,
    )
    running = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(10):
            await up.wait()
        link.publish(HAND_TOPIC, action.encode(), qos=1)
        await asyncio.sleep(0.2)
    finally:
        running.cancel()
        await asyncio.wait([running])
