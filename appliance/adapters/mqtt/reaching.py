"""Owns asking a broker once whether it lets us in. Nothing is published, and nothing stays there.

Never in here: staying connected.
"""

from collections.abc import Callable

from appliance.adapters.mqtt.dialing import Address
from appliance.adapters.mqtt.session import Session
from appliance.core.clock import Instant
from appliance.core.payloads.message import Message


async def reach(address: Address, topic: str, clock: Callable[[], Instant]) -> None:
    """Connect, subscribe to `topic`, and leave again. Raises BrokerError, which says what did not work."""
    # An empty will leaves nothing behind, even if we died meanwhile.
    session = Session(address, Message(topic, b"", retained=True), clock, lambda _, __: None, lambda _: False)
    try:
        await session.open([topic])
    finally:
        await session.leave()
        session.end("asked")
