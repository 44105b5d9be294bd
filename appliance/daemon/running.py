"""Owns putting a home together, keeping it going, and taking it down: from settings to a running loop.

Never in here: deciding, or anything that one of the rooms can do alone.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from appliance.adapters.clock import SystemClock
from appliance.adapters.mqtt import Address, ChildBroker, Link, Tls, embedded
from appliance.adapters.store import BATCH_S, Limits, Store, lock
from appliance.adapters.systemd import Systemd
from appliance.config import Loaded, Settings, appliances, dialects, sayable
from appliance.config.tables import HttpTable
from appliance.core.clock import Instant
from appliance.core.controller import Controller
from appliance.core.events import Decision, Tick
from appliance.core.explain.what_if import surroundings
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.readings import Reading
from appliance.core.restoring import pack, rehear, unpack
from appliance.core.state import State
from appliance.daemon import identity
from appliance.daemon.control import Control
from appliance.daemon.edging import Nearby
from appliance.daemon.hearing import Hearing
from appliance.daemon.past import Past
from appliance.daemon.people import People
from appliance.daemon.performing import Performer
from appliance.daemon.quarantine import Quarantine
from appliance.daemon.reloading import Reloading
from appliance.daemon.supervising import Supervision, said
from appliance.daemon.telling import Telling
from appliance.daemon.timekeeping import Timekeeping
from appliance.daemon.views import Views
from appliance.daemon.watchdog import Watchdog, watching
from appliance.errors import ApplianceError, BrokerError, ConfigError, StoreError
from appliance.replay import checkpoint

if TYPE_CHECKING:
    from appliance.adapters.http.server import Server

log = logging.getLogger(__name__)

SNAPSHOT_S = 600.0
CHECKPOINT_S = 14_400.0
"""So often the whole state is kept, besides at every start: a replay begins at one of them. Ten kilobytes an appliance each time,
and a question about any moment runs four hours of history at most again."""
LOOK_AROUND_S = 1.0
MAX_REHEARD = 200_000
"""Readings heard again after a restart: ten minutes' worth of a busy home, and a bound on how long a start may take."""


class _StopError(Exception):
    """Somebody asked us to stop; ends the task group without being an error."""


async def run(
    loaded: Loaded,
    *,
    observe: bool = False,
    clock: SystemClock | None = None,
    observers: Iterable[Callable[[Decision], None]] = (),
    on_url: Callable[[str, str], None] | None = None,
    read: Callable[[], Loaded] | None = None,
    refuse: Callable[[Loaded, Home], None] = lambda _, __: None,
) -> None:
    """Run the home that `loaded` describes until SIGTERM or SIGINT, or until this is cancelled.

    Args:
        loaded: the settings.
        observe: decide and record, command nothing.
        clock: by default the system's.
        observers: are told each recorded decision at once.
        on_url: is told where the page is and the token for writing, once it is served.
        read: reads the config anew, on SIGHUP. The process is then a daemon's: crashes lead to safe mode, and a loop that hangs
            ends it. None: the config does not change while this runs, and the process is the caller's.
        refuse: raises ConfigError for a home whose rules are unsound.

    Raises:
        ConfigError: before anything is connected.
    """
    clock = clock or SystemClock()
    folder = identity.state_folder(loaded)
    held = lock(folder)
    life = Supervision(folder, clock, fallible=read is not None)
    try:
        loaded = life.begin(loaded)
        await _live(
            loaded,
            folder,
            life,
            clock,
            observe=observe,
            observers=observers,
            on_url=on_url,
            read=read,
            refuse=refuse,
        )
    except BaseException as broken:
        life.end(broken)
        raise
    else:
        life.end(None)
    finally:
        life.close()
        os.close(held)


async def _live(
    loaded: Loaded,
    folder: Path,
    life: Supervision,
    clock: SystemClock,
    *,
    observe: bool,
    observers: Iterable[Callable[[Decision], None]],
    on_url: Callable[[str, str], None] | None,
    read: Callable[[], Loaded] | None,
    refuse: Callable[[Loaded, Home], None],
) -> None:
    """Run the home in `folder`, which is ours alone, under the supervision of `life`."""
    settings = loaded.settings
    specs = appliances(loaded)
    if not specs:
        raise ConfigError(
            "no appliance is configured", hint="add a section [appliances.NAME]; see docs/configuration.md"
        )
    spoken = dialects(settings)
    sayable(specs, spoken)
    broker = _broker(loaded)
    store = Store(
        folder,
        clock,
        Limits(settings.store.decisions_days, settings.store.readings_days, settings.store.max_mb),
        batch_s=BATCH_S / clock.speed,
    )
    systemd = Systemd()
    try:
        restored = store.start()
        classifiers, missing = life.models(specs)
        edge = Nearby(loaded, folder, clock, lambda answer: control.turn([answer], clock()))
        home = Home(
            specs,
            classifiers,
            ZoneInfo(settings.home.timezone),
            edges=edge.behind(classifiers),
            observe=observe,
        )
        edge.look(home, 0)
        if not life.kept:  # a kept one was let pass when it was new
            refuse(loaded, home)
        now = clock()
        state = home.at_start(restored.memories, now, next_id=restored.next_id)
        if life.safe is None:  # what was heard before the crashes may be what they come from
            state = _senses_back(home, state, store, now)
        loop = asyncio.get_running_loop()
        performer = Performer(
            lambda topic, payload: link.publish(topic, payload),  # noqa: PLW0108  the link is made later
            spoken,
            store,
            home.speakers,
        )
        performer.observers.extend(observers)
        performer.offer = edge.offer
        store.checkpoint(partial(checkpoint.pack, home, state), now)
        people = People(
            lambda: controller.home.appliances,
            lambda name: surroundings(controller.home, controller.state, name, clock()),
        )
        prefix = settings.mqtt.prefix
        hearing = Hearing(prefix, people)
        controller = Controller(home, state)
        control = Control(controller, Intake(Decoder(spoken)), performer, clock, hearing, Quarantine(folder))
        control.missing_models = missing
        views = Views(control, store, people, Past(folder), observe=observe)
        telling = Telling(
            controller,
            store,
            prefix,
            lambda topic, payload: link.publish(topic, payload, retain=True),
            life.told,
        )
        timekeeping = Timekeeping(clock)
        views.vitals.more = lambda: [*life.parts(), *timekeeping.parts(), *edge.parts()]
        views.vitals.counted = edge.metrics
        views.on_edge = lambda: edge.view(controller)
        views.on_safe_mode_end = lambda: life.end_safe_mode("a person ended it")
        store.on_commit = views.feeding.on_commit

        def on_change(connected: bool, why: str) -> None:  # noqa: FBT001  the link's own callback shape
            views.vitals.why_no_link = why
            status = "in control" if connected else f"no broker: {why}"
            systemd.status(status if life.safe is None else f"safe mode; {status}")
            telling.again()
            control.on_link(connected)

        link = Link(
            _address(loaded, folder, broker),
            clock=clock,
            subscriptions=[
                *(topic for dialect in spoken for topic in dialect.subscriptions()),
                *hearing.subscriptions(),
            ],
            status_topic=f"{prefix}/status",
            deliver=control.on_messages,
            on_change=on_change,
            large_topics=(f"{settings.zigbee2mqtt.base}/bridge/devices",),
        )
        views.vitals.too_large = lambda: link.dropped
        views.vitals.late = lambda: link.late
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if read is not None:
            reloading = Reloading(loaded, control, read, refuse, life.models, life.took, edge.behind)
            loop.add_signal_handler(signal.SIGHUP, reloading.asked.set)
        with watching(life.hung, ours=read is not None) as watchdog:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(link.run(), name="link")
                    group.create_task(control.tick(systemd, watchdog.fed), name="tick")
                    group.create_task(
                        _look_around(
                            control, store, views, telling, clock, broker, life, watchdog, timekeeping, edge
                        ),
                        name="look",
                    )
                    serving = _serve(settings, folder, control, views, systemd, on_url)
                    group.create_task(_spared(serving, life, views), name="http")
                    group.create_task(edge.run(), name="edge")
                    if read is not None:
                        group.create_task(reloading.run(), name="reload")
                        group.create_task(_all_again(life, reloading), name="safe mode")
                    await stop.wait()
                    systemd.stopping()
                    watchdog.stopping(0)
                    life.end(None)
                    raise _StopError
            except* _StopError:
                pass
            except* ApplianceError as failed:
                raise failed.exceptions[0] from None
        store.snapshot(partial(pack, control.controller.state), clock())
    finally:
        store.close()
        if broker is not None:
            broker.stop()
        with contextlib.suppress(OSError):
            (folder / "url").unlink(missing_ok=True)


async def _all_again(life: Supervision, reloading: Reloading) -> None:
    """Once safe mode has ended, take in the newest config with its models."""
    await life.over.wait()
    reloading.asked.set()


async def _spared(serving: Coroutine[Any, Any, None], life: Supervision, views: Views) -> None:
    """Serve the page; in safe mode control goes on without it where it dies, and the process ends only with safe mode."""
    try:
        await serving
    except Exception as broken:
        if life.safe is None:
            raise
        log.exception("the page has died; in safe mode control goes on without it")
        views.vitals.page_gone = said(broken)
        await life.over.wait()
        raise


async def _look_around(
    control: Control,
    store: Store,
    views: Views,
    telling: Telling,
    clock: SystemClock,
    broker: ChildBroker | None,
    life: Supervision,
    watchdog: Watchdog,
    timekeeping: Timekeeping,
    edge: Nearby,
) -> None:
    """Every second: tell listeners what changed; now and then keep the senses; end the process where a part of it died."""
    since = kept = 0.0
    while True:
        noticed = timekeeping.look()
        for mark in noticed.marks:
            store.mark("clock", mark, clock())
        if noticed.slept:
            control.turn([Tick()], clock())
        await asyncio.sleep(LOOK_AROUND_S)
        views.feeding.tell_changes()
        telling.changes()
        life.look(turning=views.vitals.turning)
        edge.look(control.controller.home, control.cases)
        if not watchdog.alive():
            raise RuntimeError("the watchdog has died; the service manager starts the daemon anew")
        if not store.alive():
            raise StoreError(
                "the store's writer has died",
                hint="the service manager starts the daemon anew; report the log",
            )
        if broker is not None and not broker.alive:
            raise BrokerError(
                "the embedded broker has died",
                hint="the service manager starts the daemon anew; report the log",
            )
        since += LOOK_AROUND_S
        if since >= SNAPSHOT_S:
            since = 0.0
            store.snapshot(partial(pack, control.controller.state), clock())
        kept += LOOK_AROUND_S
        if kept >= CHECKPOINT_S:
            kept = 0.0
            store.checkpoint(
                partial(checkpoint.pack, control.controller.home, control.controller.state), clock()
            )


async def _serve(
    settings: Settings,
    folder: Path,
    control: Control,
    views: Views,
    systemd: Systemd,
    on_url: Callable[[str, str], None] | None,
) -> None:
    """Serve the page, once control is up: the web stack is a third of the start, and nobody decides with it."""
    for _ in range(100):
        if control.connected and control.intake.messages:
            break
        await asyncio.sleep(0.05)
    systemd.ready()
    if not settings.http.enabled:
        _settle()
        return
    token = identity.token(folder)
    # Control goes on deciding meanwhile.
    server = await asyncio.to_thread(_listen, settings.http, views, token)
    _settle()
    try:
        identity.tell_url(folder, server.url)
    except OSError as broken:
        # The command line then does not find the page by itself; nothing else is lost.
        log.warning("where the page is can't be written down: %s", broken.strerror)
    log.info("the page is at %s", server.url)
    if on_url is not None:
        on_url(server.url, token)
    await server.run()


def _listen(http: HttpTable, views: Views, token: str) -> "Server":
    """*thread*: import the web stack, and return a server that listens."""
    from appliance.adapters.http.app import create_app  # noqa: PLC0415
    from appliance.adapters.http.server import serve  # noqa: PLC0415

    app = create_app(views, token=token, allowed_hosts=(*http.allowed_hosts, http.host))
    return serve(app, http.host, http.port)


def _settle() -> None:
    """Let garbage be looked for from here on, and never again among what is there now: modules, classes, the home."""
    gc.freeze()
    # A decision makes some forty objects and few rings of them: looking after every seven hundred, as is usual, finds nothing. Each
    # connection that ended is such a ring of asyncio's, of about 2.5 kB in nine objects: so many wait to be found at most.
    gc.set_threshold(5_000, 20, 20)
    gc.enable()


def _broker(loaded: Loaded) -> ChildBroker | None:
    """Start the embedded broker where the config says so; refuse to wait for one that nobody has named.

    A broker that the config names may come late; with none named, and none on this machine, waiting would be for ever.
    """
    if loaded.settings.broker.embedded:
        return embedded()
    named = any(key == "mqtt" or key.startswith("mqtt.") for key in loaded.origins)
    if not named:
        mqtt = loaded.settings.mqtt
        try:
            socket.create_connection((mqtt.host, mqtt.port), 1.0).close()
        except OSError:
            raise ConfigError(
                f"no broker: the config names none, and none is at {mqtt.host}:{mqtt.port}",
                hint="install Mosquitto (deploy/mosquitto.conf), set [mqtt] host, or set [broker] embedded = true",
            ) from None
    return None


def _address(loaded: Loaded, folder: Path, broker: ChildBroker | None) -> Address:
    mqtt = loaded.settings.mqtt
    password = identity.password(loaded)
    tls = (
        None
        if mqtt.tls is None
        else Tls(mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file, mqtt.tls.insecure)
    )
    if tls is not None:
        tls.context()  # a bad file is the operator's, and known before anything is connected
    host, port = (mqtt.host, mqtt.port) if broker is None else ("127.0.0.1", broker.port)
    return Address(
        host, port, identity.client_id(folder, mqtt.client_id), mqtt.username, password, tls, mqtt.keepalive_s
    )


def _senses_back(home: Home, state: State, store: Store, now: Instant) -> State:
    """Return `state` with what was heard earlier in this boot."""
    try:
        found = store.queries.snapshot()
        if found is not None and found[1].boot_id == now.boot_id and found[1].boottime_ns <= now.boottime_ns:
            state, since, first = unpack(found[0], state), found[1], found[2]
        else:
            since, first = Instant(now.boot_id, 0, 0), 0
        # Of more than can be heard again the newest; what came before the snapshot is in it.
        later = (row for row in store.queries.heard_since(since, MAX_REHEARD) if row.seq >= first)
        # Row by row: all of them at once would be most of the memory that the process ever needs.
        return rehear(
            state,
            home.routes,
            home.word_routes,
            (
                (Reading(row.device, row.metric, row.value, row.unit), row.at, row.retained)
                for row in islice(later, MAX_REHEARD)
                if row.at.boot_id == now.boot_id and row.at.boottime_ns <= now.boottime_ns
            ),
        )
    except StoreError as broken:
        log.warning("senses start empty: %s", broken.message)
        return state
