"""Owns a scenario's course in real parts: the daemon as its own process, a real broker, devices that hear and answer over MQTT.

Time is real, but runs as many times as fast as the scenario says in `broker`. What can't be seen from outside at any moment
(voices, recommendations) is left to the course in virtual time. Never in here: how a scenario is written.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from appliance.config import appliances
from appliance.core.clock import SECOND
from appliance.core.payloads.message import Message
from tests.adapters.conftest import ROOT, Broker, until_sync
from tests.scenarios.devices import OBEYS_AFTER_S, Device
from tests.scenarios.story import Expect, Never, Step, Story, payload_at, repeated, span_ns

LEEWAY_S = 3.0
"""Real seconds that anything may take on a busy computer."""


class Stage:
    """One play. `wrong` says what was not as expected."""

    def __init__(self, story: Story, broker: Broker, folder: Path) -> None:
        self.story = story
        self.broker = broker
        self.folder = folder
        self.wrong: list[str] = []
        self.devices = {spec.id: Device(spec, story.doing.get(spec.id)) for spec in appliances(story.loaded)}
        self.first = next(iter(self.devices))
        self._asked = dict.fromkeys(self.devices, 0)
        self._lock = threading.Lock()

    def play(self) -> None:
        """Play the story to its end."""
        self.broker.start()
        self._wire = Client(CallbackAPIVersion.VERSION2)
        self._wire.on_message = self._hear
        self._wire.connect("127.0.0.1", self.broker.port)
        self._wire.subscribe("#")
        self._wire.loop_start()
        try:
            with self._daemon():
                self._steps()
        finally:
            self._wire.loop_stop()
            self._wire.disconnect()

    @contextlib.contextmanager
    def _daemon(self) -> Iterator[None]:
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.scenarios.hastened",
                 self.story.name, str(self.broker.port), str(self.folder)],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            until_sync(lambda: (self.folder / "url").exists() or process.poll() is not None, 30)
            assert process.poll() is None, (self.folder / "log").read_text()
            until_sync(lambda: (self.folder / "url").read_text().endswith("\n"))
            self._url = (self.folder / "url").read_text().strip().rstrip("/")
            self._token = (self.folder / "token").read_text().strip()
            until_sync(lambda: self._ask("/healthz")["ready"])
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _steps(self) -> None:
        speed = self.story.broker
        began = float((self.folder / "began").read_text())
        happenings: list[tuple[int, int, Callable[[], None]]] = []
        watched: list[tuple[int, int, int, Never]] = []
        for timed in self.story.steps:
            order = 3 * timed.number
            happenings.append((timed.at_ns, order, lambda step=timed.step: self._take(step)))
            for when, share in repeated(timed):
                if timed.step.reads:
                    happenings.append(
                        (when, order + 1, lambda step=timed.step, share=share: self._read(step, share))
                    )
            if timed.step.expect is not None:
                happenings.append(
                    (
                        timed.at_ns,
                        order + 2,
                        lambda number=timed.number, expect=timed.step.expect: self._expect(number, expect),
                    )
                )
            if timed.step.never is not None:
                # Those who look late must not look into the time when it may be again.
                early_ns = round(LEEWAY_S * speed * SECOND / 2)
                watched.append(
                    (timed.number, timed.at_ns + early_ns, timed.never_ns - early_ns, timed.step.never)
                )
        happenings.sort(key=lambda one: one[:2])
        # A slow start delays the whole play.
        late_s = max(0.0, time.monotonic() - began - happenings[0][0] / SECOND / speed)
        for at_ns, _, act in happenings:
            while (left := began + late_s + at_ns / SECOND / speed - time.monotonic()) > 0:
                now_ns = (time.monotonic() - began - late_s) * speed * SECOND
                for number, since_ns, until_ns, never in watched:
                    if since_ns < now_ns < until_ns and (found := self._meets(never)):
                        self.wrong.append(f"step {number}: must not be, and is: {found}")
                        return
                time.sleep(min(left, 0.05))
            act()

    # ------------------------------------------------------------ what happens

    def _take(self, step: Step) -> None:
        assert step.restart is step.reboot is step.clock is None, (
            "such a step can't be played at a hastened clock"
        )
        if step.hears is not None:
            payload = step.hears.payload
            self._publish(step.hears.topic, payload, retained=step.hears.retained)
        with self._lock:
            for name, mode in self._named(step.device).items():
                self.devices[name].mode = {"obey": "obeys"}.get(mode, mode)
            said = [
                one
                for name, action in self._named(step.hand).items()
                for one in self.devices[name].turn(action)
            ]
        self._answer(said)
        if step.person is not None:
            name = step.person.appliance or self.first
            if step.person.override == "auto-control":
                self._ask(f"/v1/appliances/{name}/override", "DELETE")
            else:
                assert step.person.until is None
                for_s = None if step.person.span is None else span_ns(step.person.span) // SECOND
                body = {"action": step.person.override, "for_s": for_s, "by": "page"}
                self._ask(f"/v1/appliances/{name}/override", "PUT", body)

    def _read(self, step: Step, share: float) -> None:
        for topic, payload in step.reads.items():
            self._publish(topic, payload_at(payload, share))

    def _publish(self, topic: str, payload: Any, *, retained: bool = False) -> None:
        raw = payload if isinstance(payload, str) else json.dumps(payload)
        self._wire.publish(topic, raw, qos=1, retain=retained).wait_for_publish(10)

    def _hear(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        with self._lock:
            said = [
                one for device in self.devices.values() for one in device.hear(message.topic, message.payload)
            ]
        if said:
            threading.Timer(OBEYS_AFTER_S / self.story.broker, self._answer, [said]).start()

    def _answer(self, said: list[Message]) -> None:
        for message in said:
            self._wire.publish(message.topic, message.payload)

    def _named(self, given: str | dict[str, str] | None) -> dict[str, str]:
        return {self.first: given} if isinstance(given, str) else given or {}

    # ------------------------------------------------------------ what is expected

    def _expect(self, number: int, wanted: Expect) -> None:
        within = 0 if wanted.within is None else span_ns(wanted.within)
        name = wanted.appliance or self.first
        wrong: list[str] = []

        def met() -> bool:
            wrong[:] = self._misses(name, wanted)
            return not wrong

        try:
            until_sync(met, within / SECOND / self.story.broker + LEEWAY_S)
        except TimeoutError:
            self.wrong.append(f"step {number}: expected {'; '.join(wrong)}")
        if wanted.commands is not None:
            self._asked[name] = len(self.devices[name].commanded)

    def _misses(self, name: str, wanted: Expect) -> list[str]:
        view = self._ask(f"/v1/appliances/{name}")
        last, device = view["decision"] or {}, self.devices[name]
        shown = {one["channel"]: (one["value"], one["quality"], one["reason"]) for one in view["channels"]}
        with self._lock:
            commanded = list(device.commanded)
        compared: list[tuple[str, object, object]] = [
            ("action", wanted.action, last.get("action")),
            ("by", wanted.by, last.get("source")),
            ("authority", wanted.authority, last.get("authority")),
            ("commanded", wanted.commanded, commanded[-1] if commanded else None),
            ("commands", wanted.commands, tuple(commanded[self._asked[name] :])),
            ("doing", wanted.doing, device.doing),
            ("override", wanted.override, (view["override"] or {"action": "none"})["action"]),
        ]
        wrong = [
            f"{what} {wish!r}, found {found!r}" for what, wish, found in compared if wish not in (None, found)
        ]
        if wanted.because is not None and wanted.because not in last.get("because", ""):
            wrong.append(f"because … {wanted.because!r}, found {last.get('because')!r}")
        return wrong + [
            f"{channel} {wish!r}, found {shown.get(channel)!r}"
            for channel, wish in wanted.sees.items()
            if wish not in shown.get(channel, ()) and str(wish) not in str(shown.get(channel))
        ]

    def _meets(self, unwanted: Never) -> str | None:
        device = self.devices[unwanted.appliance or self.first]
        return f"doing {device.doing}" if device.doing in unwanted.doing else None

    def _ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")
