"""Owns one connection to the broker, from the socket to its end, and is the only module that knows paho.

Driven by the event loop: a wake-up reads a block, hands on all of its messages at once, and joins what is sent. Never in
here: connecting again, or what a message means.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from appliance.adapters.mqtt.blockwise import BlockwiseSocket
from appliance.core.clock import Instant
from appliance.core.payloads.message import Message
from appliance.errors import BrokerError, ConfigError

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_S = 5.0
"""So long may a broker take to accept, to shake hands, and to say who it lets in."""
MAX_BATCH = 4096
"""Messages of one wake-up; a block of 64 KiB holds fewer, unless they are empty."""


class Tls(msgspec.Struct, frozen=True):
    """How the link is encrypted: whom to trust, who we are."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Return the context: TLS 1.2 or later, names checked, unless `insecure`. Raises ConfigError for a bad file."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as broken:  # ssl.SSLError is one
            raise ConfigError(
                f"[mqtt.tls]: {broken}", hint="give PEM files that this user can read"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Address(msgspec.Struct, frozen=True):
    """Where the broker is, and who we are there."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: Tls | None = None
    keepalive_s: int = 10


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
            raw = await self._loop.run_in_executor(None, _connect, self._address)
        except (OSError, ssl.CertificateError) as broken:
            raise BrokerError(
                f"{self._where}: {broken}", hint="is the broker running, and are host, port and TLS right?"
            ) from None
        self._socket = self._client.opened = BlockwiseSocket(raw)
        self._client.connect_async(self._address.host, self._address.port, self._address.keepalive_s)
        self._client.reconnect()
        self._loop.add_reader(raw.fileno(), self._readable)
        self._write()
        try:
            async with asyncio.timeout(CONNECT_S):
                refused = await self._first(self._accepted)
                if refused is not None:
                    raise BrokerError(
                        f"{self._where} refuses us: {refused}", hint="check [mqtt] username and password_file"
                    )
                self._client.subscribe([(topic, 1) for topic in subscriptions])
                await self._first(self._subscribed)
        except TimeoutError:
            raise BrokerError(
                f"{self._where} accepts connections but does not answer", hint="is it an MQTT broker?"
            ) from None

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Send with the other sends of this wake-up; False where the connection has ended or too much waits already."""
        if self.closed.done() or self._socket is None or self._socket.unsent > (1 << 20):
            return False
        self._client.publish(topic, payload, qos=qos, retain=retain)
        return True

    def keep_alive(self) -> None:
        """Let paho send its pings; call it every second or so."""
        self._client.loop_misc()

    def end(self, reason: str) -> None:
        """Close the connection at once; `closed` tells `reason`."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.shut()
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
        self.end("we left")

    # ------------------------------------------------------------ wake-ups

    def _readable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        self._reading = True
        try:
            sock.fill()
            while sock.buffered and self._socket is not None and len(self._batch) < MAX_BATCH:
                if self._client.loop_read() != 0:
                    break
            self.heard_s = self._loop.time()
        except Exception as broken:  # noqa: BLE001  whatever a broker sent must end in a new connection, not in silence
            self.end(f"{type(broken).__name__}: {broken}")
        finally:
            self._reading = False
        batch, self._batch = self._batch, []
        if batch:
            try:
                self._deliver(batch, self._clock())
            except Exception:
                self.failures += 1
                if self.failures <= 10 or self.failures % 1000 == 0:
                    log.exception("%d messages were not dealt with (failure %d)", len(batch), self.failures)
        self._write()
        if self._socket is not None and self._socket.buffered:
            self._loop.call_soon(self._readable)

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
        except (OSError, ValueError) as broken:
            self.end(f"the connection broke: {broken}")

    # ------------------------------------------------------------ paho's callbacks

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        del client, userdata
        try:
            heard = Message(message.topic, bytes(message.payload), message.retain)
            if self._too_large(heard):
                self.dropped += 1
            else:
                self._batch.append(heard)
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
        self.end(f"the connection ended: {reason}")

    async def _first(self, awaited: asyncio.Future[T]) -> T:
        both: list[asyncio.Future[Any]] = [awaited, self.closed]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if awaited.done():
            return awaited.result()
        raise BrokerError(self.closed.result(), hint="is it an MQTT broker, and are we let in?")

    @property
    def _where(self) -> str:
        return f"the broker at {self._address.host}:{self._address.port}"


def _connect(address: Address) -> socket.socket:
    """Return a connected socket, with TLS where asked for. Blocks for seconds: runs in a thread."""
    sock = socket.create_connection((address.host, address.port), timeout=CONNECT_S)
    try:
        # Without it a command waits for the acknowledgement that the next reading carries.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls is not None:
            sock = address.tls.context().wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise
    return sock
