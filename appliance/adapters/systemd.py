"""Owns the words to systemd: ready, status, alive, stopping.

Never in here: deciding when one of them is true. Without systemd (no $NOTIFY_SOCKET) nothing is said.
"""

import os
import socket


class Systemd:
    """The notification socket of the service manager (sd_notify(3))."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        usec = os.environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / 1e6 if usec.isdigit() and int(usec) > 0 else None
        """Within how many seconds it wants a sign of life; None where it does not watch."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None
        if self._socket is not None:
            # A manager that does not read must not hold up the control loop.
            self._socket.setblocking(False)

    def ready(self) -> None:
        """Say that appliances are under control."""
        self._say("READY=1")

    def status(self, text: str) -> None:
        """Say in one line how things are."""
        self._say(f"STATUS={text.splitlines()[0][:200] if text else ''}")

    def alive(self) -> None:
        """Feed the watchdog: only after a full control cycle."""
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the end is near and wanted."""
        self._say("STOPPING=1")

    def _say(self, text: str) -> None:
        if self._socket is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            self._socket.sendto(text.encode(), address)
        except OSError:
            # The manager is gone or busy; it will notice a missing sign of life by itself.
            return
