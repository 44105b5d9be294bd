"""Owns one connection to the broker, from the socket to its end, and is the only module that knows paho.

Driven by the event loop: a wake-up reads a block, hands on all of its messages at once, and joins what is sent. Never in
here: connecting again, or what a message means.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from appliance.adapters.mqtt import packets
from appliance.adapters.mqtt.blockwise import BlockwiseSocket
from appliance.adapters.mqtt.dialing import ANSWER_S, Address, dial
from appliance.core.clock import Instant
from appliance.core.payloads.message import Message
from appliance.errors import BrokerError, ConfigError

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BATCH = 4096
"""Messages of one wake-up; a block of 64 KiB holds fewer, unless they are all but empty."""
PING_S = 10
"""A quiet link is pinged after so long at the latest: it must be answered before the link counts as half-open."""
MAX_PACKET = (4 << 20) + (64 << 10)
"""Bytes of the largest packet that is held until it is whole."""
MAX_UNACKNOWLEDGED = 256
"""Messages of QoS 1 that the broker has not acknowledged; paho would keep any number of them."""


class _Client(Client):
    """paho over a socket that was opened for it: the one private hook of paho that we use; a test watches over it."""

    opened: BlockwiseSocket | None = None

    def _create_socket(self) -> BlockwiseSocket:
        if self.opened is None:
            raise BrokerError("no socket was opened", hint="report this")
        return self.opened


Deliver = Callable[[list[Message], Instant], None]


class Session:
    """One connection. `open`, then `closed` tells when and why it ended; nothing is sent again after that."""

    def __init__(
        self,
        address: Address,
        will: Message,
        clock: Callable[[], Instant],
        deliver: Deliver,
        large: Callable[[Message], bool],
    ) -> None:
        self._address = address
        self._clock = clock
        self._deliver = deliver
        self._too_large = large
        self._loop = asyncio.get_running_loop()
        self._batch: list[Message] = []
        self._socket: BlockwiseSocket | None = None
        self._flush_soon = False
        self._reading = False
        self._rest_soon = False
        self._wanted = 0
        """Bytes of a packet of which only a part is here."""
        self._skip = 0
        """Bytes still to come of one that is let go of."""
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self._accepted: asyncio.Future[str | None] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self.heard_s = self._loop.time()
        """When anything was last received, on the loop's clock."""
        self.dropped = 0
        self.failures = 0
        client = _Client(
            CallbackAPIVersion.VERSION2, client_id=address.client_id, protocol=MQTTProtocolVersion.MQTTv311
        )
        # An exception in a callback must not end the reading (paho's default); ours are caught before they get there.
        client.suppress_exceptions = True
        client.max_queued_messages_set(MAX_UNACKNOWLEDGED)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_socket_register_write = lambda *_: self._write_soon()
        self._client = client

    async def open(self, subscriptions: Sequence[str]) -> None:
        """Connect, and hear `subscriptions`.

        Raises:
            BrokerError: nobody answers, or we are refused; says which.
        """
        try:
            raw = await dial(self._address)
        except ConfigError as broken:
            # It was there at the start: a certificate is being renewed, which must not end the daemon.
            raise BrokerError(broken.message, hint=broken.hint) from None
        except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
            raise BrokerError(self._gone, hint="is it an MQTT broker, and are we let in?") from None
        except OSError as broken:
            raise BrokerError(
                f"{self._where}: {broken}", hint="is the broker running, and are host, port and TLS right?"
            ) from None
        self._socket = self._client.opened = BlockwiseSocket(raw)
        keepalive_s = min(self._address.keepalive_s, PING_S)
        self._client.connect_async(self._address.host, self._address.port, keepalive_s)
        self._client.reconnect()
        self._loop.add_reader(raw.fileno(), self._readable)
        self._write()
        try:
            async with asyncio.timeout(ANSWER_S):
                refused = await self._first(self._accepted)
            if refused is not None:
                raise BrokerError(
                    f"{self._where} refuses us: {refused}", hint="check [mqtt] username and password_file"
                )
            self._client.subscribe([(topic, 1) for topic in subscriptions])
            async with asyncio.timeout(ANSWER_S):
                await self._first(self._subscribed)
        except TimeoutError:
            raise BrokerError(
                f"{self._where} accepts connections but does not answer", hint="is it an MQTT broker?"
            ) from None

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Send with the other sends of this wake-up; False where the connection has ended or too much waits already."""
        sock = self._socket
        if self.closed.done() or sock is None or sock.unsent > (1 << 20):
            return False
        if not qos:
            sock.send(packets.publish(topic, payload, retain=retain))
            self._write_soon()
            return True
        return (
            self._client.publish(topic, payload, qos=qos, retain=retain).rc == MQTTErrorCode.MQTT_ERR_SUCCESS
        )

    def keep_alive(self) -> None:
        """Let paho send its pings; call it every second or so."""
        self._client.loop_misc()

    def end(self, reason: str, *, orderly: bool = False) -> None:
        """Close the connection at once; `closed` tells `reason`. What is not sent yet is lost, unless `orderly`."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.shut(orderly=orderly)
            self._socket = None
        if not self.closed.done():
            self.closed.set_result(reason)

    async def leave(self) -> None:
        """Say goodbye, so that the broker keeps its will to itself, and close. Waits for the last bytes, a second at most."""
        if self._socket is None or self.closed.done():
            return
        # The goodbye goes out with what waits; paho then ends the session by its own callback, so the bytes are sent first.
        self._client.loop_write()
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_write()
        deadline = self._loop.time() + 1.0
        try:
            while (sock := self._socket) is not None and not sock.flush() and self._loop.time() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        except OSError:
            pass
        self.end("we left", orderly=True)

    # ------------------------------------------------------------ wake-ups

    def _readable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        self._reading = True
        try:
            sock.fill(self._wanted)
            while len(self._batch) < MAX_BATCH and self._take(sock):
                pass
            if sock.ended and len(self._batch) < MAX_BATCH:
                self.end(self._gone)
            self.heard_s = self._loop.time()
        except ConnectionError:
            self.end(self._gone)
        except Exception as broken:  # noqa: BLE001  whatever a broker sent must end in a new connection, not in silence
            self.end(f"{type(broken).__name__}: {broken}")
        finally:
            self._reading = False
        batch, self._batch = self._batch, []
        unread = len(batch) == MAX_BATCH
        if batch:
            try:
                self._deliver(batch, self._clock())
            except Exception:
                self.failures += 1
                if self.failures <= 10 or self.failures % 1000 == 0:
                    log.exception("%d messages were not dealt with (failure %d)", len(batch), self.failures)
        self._write()
        if self._socket is not None and (unread or self._socket.hidden) and not self._rest_soon:
            # The socket's own wake-ups go on meanwhile: one of these at a time, else they grow more with each turn.
            self._rest_soon = True
            self._loop.call_soon(self._read_rest)

    def _take(self, sock: BlockwiseSocket) -> bool:
        """Deal with the next packet, or as much as is here of one that is let go of; return False where more must come."""
        data, at = sock.data, sock.at
        if self._skip:
            gone = min(self._skip, len(data) - at)
            sock.at += gone
            self._skip -= gone
            return gone > 0
        begins = packets.head(data, at)
        if begins is None:
            self._wanted = 0
            return False
        first, _, end = begins
        if end - at > MAX_PACKET:
            return self._let_go(sock, begins)
        if end > len(data):
            self._wanted = end - at
            return False
        self._wanted = 0
        if first & 0xF0 != packets.PUBLISH or first & packets.QOS_2:
            sock.grant(end)
            return self._client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
        sock.at = end
        try:
            heard, acknowledge = packets.message(data, begins)
        except UnicodeDecodeError:
            self.dropped += 1
            return True
        if acknowledge:
            sock.answer(acknowledge)
        self._keep(heard)
        return True

    def _let_go(self, sock: BlockwiseSocket, begins: packets.Head) -> bool:
        """Begin to let go of a packet that is too large: it is never held. Return False where more must come for that."""
        acknowledge, here = packets.acknowledgement(sock.data, begins)
        if here > len(sock.data):
            self._wanted = here - sock.at
            return False
        if acknowledge:
            sock.answer(acknowledge)
        self.dropped += 1
        self._wanted, self._skip = 0, begins.end - sock.at
        return True

    def _keep(self, heard: Message) -> None:
        if self._too_large(heard):
            self.dropped += 1
        else:
            self._batch.append(heard)

    def _read_rest(self) -> None:
        self._rest_soon = False
        self._readable()

    def _write_soon(self) -> None:
        if not self._flush_soon and not self._reading:
            self._flush_soon = True
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._flush_soon = False
        sock = self._socket
        if sock is None:
            return
        try:
            self._client.loop_write()
            if self._socket is None:
                return
            if sock.flush():
                self._loop.remove_writer(sock.fileno())
            else:
                self._loop.add_writer(sock.fileno(), self._write)
        except ConnectionError:
            self.end(self._gone)
        except (OSError, ValueError) as broken:
            self.end(f"the connection broke: {broken}")

    # ------------------------------------------------------------ paho's callbacks

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        del client, userdata
        try:
            self._keep(Message(message.topic, bytes(message.payload), message.retain))
        except UnicodeDecodeError:
            self.dropped += 1

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        del client, userdata, flags, properties
        if not self._accepted.done():
            self._accepted.set_result(str(reason) if reason.is_failure else None)

    def _on_subscribe(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        del client, userdata, mid, properties
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self.end(f"{self._where} refuses a subscription: {refused[0]}")
        elif not self._subscribed.done():
            self._subscribed.set_result(None)

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        del client, userdata, flags, properties
        # paho's word for an orderly end by the broker, which in MQTT 3.1.1 gives no reason, is "Unspecified error".
        closed = reason.getName() == "Unspecified error"
        self.end(self._gone if closed else f"the connection ended: {reason}")

    async def _first(self, awaited: asyncio.Future[T]) -> T:
        both: list[asyncio.Future[Any]] = [awaited, self.closed]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if awaited.done():
            return awaited.result()
        raise BrokerError(self.closed.result(), hint="is it an MQTT broker, and are we let in?")

    @property
    def _gone(self) -> str:
        """One reason, whether it came as an end or as a reset, and how soon: which of them is chance."""
        return f"{self._where} closed the connection"

    @property
    def _where(self) -> str:
        return f"the broker at {self._address.host}:{self._address.port}"
