"""Owns staying connected: a session, its heartbeat, and the next session when it ends.

Commands are never queued: while the link is down `publish` says False, and after its return whoever cares decides anew.
Never in here: paho, or what a message means.
"""

import asyncio
import logging
import random
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from msgspec.structs import replace

from appliance.adapters.mqtt.dialing import Address, is_there
from appliance.adapters.mqtt.heartbeats import Heartbeats
from appliance.adapters.mqtt.session import Session
from appliance.core.clock import Instant
from appliance.core.payloads.message import Message
from appliance.errors import BrokerError, ConfigError

log = logging.getLogger(__name__)

HEARTBEAT_S = 2.0
"""So often we send ourselves a message through the broker."""
SILENCE_S = 12.0
"""No packet for so long, with a heartbeat under way, means a half-open link: under 15 s with the check's own second."""
RETRY_S = (0.3, 1.5)
"""Between tries, uniformly: never so long that control is lost for 5 s, never in step with the neighbours."""
SHORT_S = 5.0
"""Two sessions in a row that a broker which is still there ends within this are a war over our name, or it throws us out: they begin
so far apart then."""
QUIET_S = 60.0
"""A session that lasted so long is worth a new line in the log when it ends as the one before."""
STOOD_STILL = "something stood still, and what waited can't be told from what is new"
MAX_REASONS = 16
"""Reasons remembered as said."""
MAX_PAYLOAD = 64 << 10
MAX_LARGE_PAYLOAD = 4 << 20
_TOPIC = re.compile(r"[^+#\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]{1,256}")


class Link:
    """The link to one broker. `run` it as a task; it ends only by being cancelled.

    `deliver(messages, instant)` gets all messages of one wake-up at once; what it raises is counted and logged, and the link
    goes on. `on_change(connected, why)` hears of every change. `birth` is published, retained, as each session begins.
    """

    def __init__(
        self,
        address: Address,
        *,
        clock: Callable[[], Instant],
        subscriptions: Sequence[str],
        status_topic: str,
        deliver: Callable[[list[Message], Instant], None],
        on_change: Callable[[bool, str], None],
        large_topics: Sequence[str] = (),
    ) -> None:
        for topic in (status_topic, *large_topics):
            valid_topic(topic)
        self._address = address
        self._clock = clock
        self._heartbeat_topic = (
            f"{status_topic.rpartition('/')[0] or 'appliance'}/heartbeat/{address.client_id}"
        )
        self._subscriptions = [*subscriptions, self._heartbeat_topic]
        self._status_topic = status_topic
        self._deliver_to = deliver
        self._on_change = on_change
        self._large = frozenset(large_topics)
        self._beats: Heartbeats | None = None
        self._session: Session | None = None
        self.connected = False
        self._thrown_out = 0
        """So many sessions in a row were short, and ended by a broker that was still there."""
        self.sessions = 0
        """How often a connection came about."""
        self.messages = 0
        self._dropped = 0
        self._failures = 0
        self.late = 0
        """Messages that waited for an unknown time."""

    @property
    def dropped(self) -> int:
        """Messages that were too large, or whose topic was no text."""
        return self._dropped + (self._session.dropped if self._session is not None else 0)

    @property
    def failures(self) -> int:
        """Wake-ups whose delivery raised."""
        return self._failures + (self._session.failures if self._session is not None else 0)

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Send with the other sends of this wake-up; False where the link is down or choked. Raises ConfigError for a
        topic that no broker accepts.
        """
        valid_topic(topic)
        return (
            self.connected
            and self._session is not None
            and self._session.publish(topic, payload, qos=qos, retain=retain)
        )

    async def run(self) -> None:
        """Be connected, again and again, until cancelled; then say goodbye."""
        loop = asyncio.get_running_loop()
        said: set[str] = set()
        while True:
            began, sessions = loop.time(), self.sessions
            try:
                why = await self._one_session()
            except BrokerError as failed:
                why = failed.message
                # It is away, which is no war: then it would let us in again at once.
                self._thrown_out = 0
            was_up, lasted = self.sessions > sessions, loop.time() - began
            if (was_up and lasted > QUIET_S) or len(said) >= MAX_REASONS:
                said.clear()
            # Each reason is said once, however often it is tried: a broker that is down all night, or throws us out all
            # night, must not fill a log, not even where its reasons take turns.
            log.log(logging.DEBUG if why in said else logging.WARNING, "no broker: %s; trying again", why)
            said.add(why)
            if self._thrown_out > 1:
                await asyncio.sleep(max(SHORT_S - lasted, RETRY_S[0]))
            else:
                # The first try after a loss comes at once, but never in step with the neighbours'.
                await asyncio.sleep(random.uniform(0.0, 0.2) if was_up else random.uniform(*RETRY_S))  # noqa: S311  jitter

    async def _one_session(self) -> str:
        """Connect, and return why the session ended. Raises BrokerError where none came about."""
        will = Message(self._status_topic, b"offline")
        self._session = session = Session(self._address, will, self._clock, self._deliver, self._too_large)
        try:
            await session.open(self._subscriptions)
            self.connected = True
            up_s = asyncio.get_running_loop().time()
            self.sessions += 1
            beats = self._beats = Heartbeats(lambda payload: session.publish(self._heartbeat_topic, payload))
            session.publish(self._status_topic, b"online", qos=1, retain=True)
            self._changed(connected=True, why="connected")
            await self._beat(session, beats)
            # A broker that restarts ends sessions as well, but then it is away: that is no war, and no reason to wait.
            short = asyncio.get_running_loop().time() - up_s < SHORT_S
            self._thrown_out = self._thrown_out + 1 if short and await is_there(self._address) else 0
        except asyncio.CancelledError:
            # We say "offline" ourselves, so that nobody has to wait for the will.
            session.publish(self._status_topic, b"offline", retain=True)
            await session.leave()
            raise
        finally:
            session.end("ended")
            self._dropped += session.dropped
            self._failures += session.failures
            self._session = self._beats = None
            was, self.connected = self.connected, False
            why = session.closed.result()
            if was:
                if self._thrown_out > 1:
                    why = f"{why} again and again: another program may use our client id {self._address.client_id!r}"
                self._changed(connected=False, why=why)
        return why

    async def _beat(self, session: Session, beats: Heartbeats) -> None:
        """Send a heartbeat now and then, until the session ends; end it ourselves where nothing comes back."""
        loop = asyncio.get_running_loop()
        last = loop.time() - HEARTBEAT_S
        while not session.closed.done():
            now = loop.time()
            if not beats.look():
                session.end(STOOD_STILL)
                return
            if now - session.heard_s > SILENCE_S:
                session.end(f"half-open: nothing came for {SILENCE_S:.0f} s")
                return
            if now - last >= HEARTBEAT_S:
                beats.beat()
                last = now
            # Pings are answered also where the broker's access list swallows our heartbeat.
            session.keep_alive()
            await asyncio.wait([session.closed], timeout=1.0)

    def _deliver(self, messages: list[Message], at: Instant) -> None:
        beats, session = self._beats, self._session
        if beats is not None and session is not None and not beats.look():
            session.end(STOOD_STILL)
            return
        kept = []
        late = beats is not None and beats.late
        for message in messages:
            if message.topic == self._heartbeat_topic:
                if beats is not None:
                    beats.echo(message.payload)
                    late = beats.late
            elif late and not message.retained:
                self.late += 1
                kept.append(replace(message, late=True))
            else:
                kept.append(message)
        self.messages += len(kept)
        if kept:
            self._deliver_to(kept, at)

    def _too_large(self, message: Message) -> bool:
        size = len(message.payload)
        return size > MAX_PAYLOAD and (size > MAX_LARGE_PAYLOAD or message.topic not in self._large)

    def _changed(self, *, connected: bool, why: str) -> None:
        try:
            self._on_change(connected, why)
        except Exception:
            self._failures += 1
            log.exception("the news that the link is %s was not dealt with", "up" if connected else "down")


@lru_cache(maxsize=4096)
def valid_topic(topic: str) -> str:
    """Return `topic`, which may be published to. Raises ConfigError where no broker accepts it, or a log would suffer."""
    if not _TOPIC.fullmatch(topic):
        raise ConfigError(
            f"{topic[:64]!r} is no topic to publish to", hint="no + or #, no control characters, 256 at most"
        )
    return topic
