"""The daemon: one asyncio loop, one TaskGroup. A task that dies ends the process, and the service manager starts it anew."""

from appliance.daemon.running import run

__all__ = ["run"]
