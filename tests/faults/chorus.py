"""Owns many sensors in one process of their own, which say one reading each in turn, as often as told, through any fault of the broker.

Never in here: a fault, or the devices. `python -m tests.faults.chorus PORT RATE HOMES`: zigbee2mqtt/p0_pm25, p0_co2 and so on.
"""

import contextlib
import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.adapters.conftest import ROOT
from tests.faults.flood import connected, packet, text

TICK_S = 0.02
KINDS = {
    "pm25": (30.0, 22.0, 12.0),
    "co2": (700.0, 100.0, 300.0),
    "temperature": (21.0, 1.0, 600.0),
    "humidity": (45.0, 5.0, 600.0),
}
"""What is measured in each room: its mean, how far it swings, and the seconds that a swing takes. Dust crosses both thresholds of the
rule in each swing, so a purifier is switched twice in twelve seconds."""


def said(number: int, passed_s: float, chance: random.Random) -> tuple[str, str]:
    """Return topic and payload of the sensor `number` after so many seconds."""
    room, kind = divmod(number, len(KINDS))
    key = list(KINDS)[kind]
    mean, swing, period = KINDS[key]
    value = mean + swing * math.sin(2 * math.pi * (passed_s / period + room / 10)) + chance.uniform(-0.2, 0.2)
    return f"zigbee2mqtt/p{room}_{key}", f'{{"{key}":{round(value, 2)}}}'


@contextlib.contextmanager
def singing(port: int, rate: int, rooms: int) -> Iterator[None]:
    """Let them speak, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.chorus", str(port), str(rate), str(rooms)], cwd=ROOT
    )
    try:
        yield
        assert process.poll() is None, "the sensors ended by themselves"
    finally:
        process.kill()
        process.wait()


def sing(port: int, rate: int, rooms: int) -> None:
    """Speak for ever. What was due while the broker was away is never said."""
    chance, sensors, sent, began = random.Random(1), rooms * len(KINDS), 0, time.monotonic()
    while True:
        try:
            with connected(port, "chorus") as sock:
                sent = int((time.monotonic() - began) * rate)
                while True:
                    passed = time.monotonic() - began
                    due = range(sent, int(passed * rate))
                    words = (said(one % sensors, passed, chance) for one in due)
                    sock.settimeout(30)
                    sock.sendall(
                        b"".join(packet(0x30, text(topic) + payload.encode()) for topic, payload in words)
                    )
                    sent = due.stop
                    sock.settimeout(TICK_S)
                    # Nothing is ever said to us but that the connection ended.
                    with contextlib.suppress(TimeoutError):
                        if not sock.recv(64):
                            break
        except (OSError, AssertionError, IndexError):
            time.sleep(0.2)


def main() -> None:
    sing(*(int(one) for one in sys.argv[1:4]))


if __name__ == "__main__":
    main()
