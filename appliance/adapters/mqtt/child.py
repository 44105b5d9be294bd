"""Owns a broker as a child process on loopback: Mosquitto where it is installed, else amqtt (extra [broker]).

It ends with its parent. Never in here: a broker's own work.
"""

import asyncio
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from appliance.errors import BrokerError, ConfigError

START_S = 20.0
_PR_SET_PDEATHSIG = 1

MOSQUITTO_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_type error
set_tcp_nodelay true
max_queued_messages 100000
"""


class ChildBroker:
    """A broker that runs while this object is open. `port` is where it listens on 127.0.0.1."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        port: int,
        name: str,
        folder: "tempfile.TemporaryDirectory[str] | None",
    ) -> None:
        self._process = process
        self._folder = folder
        self.port = port
        self.name = name
        self._await_port()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the broker, and wait for it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()

    def _await_port(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BrokerError(
                    f"{self.name} ended at once with code {self._process.returncode}",
                    hint="start it by hand to see why",
                )
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise BrokerError(
            f"{self.name} did not listen within {START_S:.0f} s", hint="is the machine very busy?"
        )


def mosquitto(port: int = 0) -> ChildBroker | None:
    """Return a Mosquitto of our own, or None where none is installed."""
    program = shutil.which(
        "mosquitto", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/opt/homebrew/sbin"
    ) or shutil.which("mosquitto")
    if program is None:
        return None
    port = port or _free_port()
    folder = tempfile.TemporaryDirectory(prefix="appliance-mosquitto-")
    config = Path(folder.name) / "mosquitto.conf"
    # Started by root it would become another user, and with that forget to end with its parent.
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(user + MOSQUITTO_CONF.format(port=port), encoding="ascii")
    process = subprocess.Popen(  # noqa: S603  a program that we name
        [program, "-c", str(config)],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # the terminal's Ctrl-C is for us, who stop it when nobody needs it any more
        stderr=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,  # noqa: PLW1509  no thread runs yet that could hold a lock
    )
    return ChildBroker(process, port, "mosquitto", folder)


def embedded(port: int = 0) -> ChildBroker:
    """Return an amqtt of our own. Good for a home's tens of messages a second, not for more.

    Raises:
        ConfigError: amqtt is not installed.
    """
    if importlib.util.find_spec("amqtt") is None:
        raise ConfigError(
            "[broker] embedded: amqtt is not installed",
            hint="pip install 'appliance[broker]', or install Mosquitto",
        )
    port = port or _free_port()
    command = [sys.executable, "-m", "appliance.adapters.mqtt.child", str(port)]
    process = subprocess.Popen(  # noqa: S603  a program that we name
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # the terminal's Ctrl-C is for us, who stop it when nobody needs it any more
        stderr=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,  # noqa: PLW1509  as above
    )
    return ChildBroker(process, port, "the embedded broker", None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """In the child: be told to end when the parent does, however it ends; ignore the terminal's Ctrl-C, the parent stops us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _serve(port: int) -> None:
    from amqtt.broker import Broker  # noqa: PLC0415  only the child has it

    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
