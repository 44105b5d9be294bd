"""Owns a client in a process of its own that publishes as fast as it is told, without reading or thinking. Never in here: a fault.

`python -m tests.faults.flood PORT RATE SECONDS TOPIC PAYLOAD`: `{}` in topic or payload is the number of the message, taken modulo
`--topics` in the topic. RATE 0: as fast as the broker takes them.
"""

import argparse
import contextlib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.adapters.conftest import ROOT

TICK_S = 0.02


def text(value: str) -> bytes:
    """Return an MQTT string."""
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(kind: int, body: bytes) -> bytes:
    """Return an MQTT packet: its fixed header with the remaining length, and the body."""
    header, left = bytearray([kind]), len(body)
    while True:
        left, digit = divmod(left, 128)
        header.append(digit | (128 if left else 0))
        if not left:
            return bytes(header) + body


def connected(port: int, name: str) -> socket.socket:
    """Return a connection to the broker that was let in."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.sendall(packet(0x10, text("MQTT") + b"\x04\x02" + struct.pack(">H", 0) + text(name)))
    assert sock.recv(4)[3] == 0
    return sock


@contextlib.contextmanager
def flooding(
    port: int, *, rate: int, seconds: float, topic: str, payload: str, topics: int = 1 << 30
) -> Iterator[None]:
    """A flood in a process of its own, for so long or until the end of the block, whichever is sooner."""
    command = [
        sys.executable,
        "-m",
        "tests.faults.flood",
        str(port),
        str(rate),
        str(seconds),
        topic,
        payload,
        "--topics",
        str(topics),
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def flood(port: int, *, rate: int, seconds: float, topic: str, payload: str, topics: int = 1 << 30) -> int:
    """Publish for so long; return how many were sent."""
    sent, began = 0, time.monotonic()
    with connected(port, f"flood{port}{time.monotonic_ns()}") as sock:
        while (passed := time.monotonic() - began) < seconds and sent < topics * 10:
            due = int(passed * rate) - sent if rate else 500
            sock.sendall(
                b"".join(
                    packet(
                        0x30,
                        text(topic.replace("{}", str(number % topics)))
                        + payload.replace("{}", str(number)).encode(),
                    )
                    for number in range(sent, sent + due)
                )
            )
            sent += max(due, 0)
            if rate:
                time.sleep(TICK_S)
    return sent


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("port", type=int)
    asked.add_argument("rate", type=int)
    asked.add_argument("seconds", type=float)
    asked.add_argument("topic")
    asked.add_argument("payload")
    asked.add_argument("--topics", type=int, default=1 << 30)
    flood(**vars(asked.parse_args()))


if __name__ == "__main__":
    main()
