"""D13: the broker's password and the token for writing must be nowhere but in their own files. Promise: no log at its most talkative,
no answer, no page of a database, no backup, no crash, no message over MQTT and no command line has them.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from appliance.adapters.store.backup import backup
from tests.adapters.conftest import ROOT
from tests.faults.handle import Handle
from tests.faults.lab import CONFIG, Lab
from tests.faults.row import Figure, Row, Size, at_least, exactly
from tests.faults.wire import JSON, ask, bearer, say

ROW = Row("D13", "secrets in what is written or told", "found in 0 places", minutes=0.5)
PASSWORD, WRONG, MISPLACED = (
    "canary-Pa55word-of-the-broker",
    "canary-Pa55word-that-is-wrong",
    "canary-Pa55word-in-the-config",
)
COMMANDS = (("config", "show"), ("decisions",), ("why", "fan", "--at", "x"))
OWN_FILES = {"token", "password", "config.toml", "mosquitto.passwd"}


async def _everything(daemon: Handle, *, all_ways: bool) -> bytes:
    """Return all that the interface answers to all that can be asked; in all ways: also with a token where it does not belong."""
    told = b""
    token = daemon.token
    names = {"appliance": "fan", "action": "low", "decision_id": "1", "name": "page.js"}
    ways = ((bearer(token), JSON), (bearer(token + "x"), JSON), (f"cookie: {token}", f"x: {token}"))
    for route, methods in daemon.ask("/openapi.json")["paths"].items():
        path = re.sub(r"{(\w+)}", lambda found: names[found[1]], route)
        for method in methods:
            body = b'{"action":"%s"}' % token.encode() if method in ("put", "post") else None
            for number, headers in enumerate(ways if all_ways else ways[:1]):
                for query in ("", f"?token={token}", "?appliance=fan&channel=pm2_5", f"?at={token}"):
                    request = ask(path + query, *headers, method=method.upper(), body=body)
                    told += (
                        await say(
                            daemon.port, request, wait_s=3, source=f"127.13.{number}.{len(told) % 250 + 1}"
                        )
                    ).raw
    told += (await say(daemon.port, ask("/v1/appliances/fan/why?flip=true"))).raw
    for raw in (
        f"GET /{token} HTTP/1.1\r\nhost: {token}\r\n\r\n",
        f"{token}\r\n\r\n\r\n",
        f"GET / HTTP/1.1\r\nhost: localhost\r\n{token}\r\n\r\n",
    ):
        told += (await say(daemon.port, raw.encode())).raw
    return told


def _commands(daemon: Handle, *commands: tuple[str, ...]) -> bytes:
    """Return what the command line says of this home."""
    told = b""
    for command in commands:
        full = [sys.executable, "-m", "appliance", *command, "--config", str(daemon.config)]
        done = subprocess.run(full, cwd=ROOT, capture_output=True, timeout=30, check=False)
        told += done.stdout + done.stderr
    return told


def run(lab: Lab, size: Size) -> list[Figure]:
    del size
    passwords = lab.folder / "mosquitto.passwd"
    subprocess.run(
        ["mosquitto_passwd", "-c", "-b", str(passwords), "home", PASSWORD],
        check=True,
        capture_output=True,
        timeout=10,
    )
    passwords.chmod(0o644)
    lab.broker.kill()
    lab.broker.conf += f"password_file {passwords}\n"
    lab.broker.start()
    lab.config = (
        CONFIG.replace("port = {port}", 'port = {port}\nusername = "home"\npassword_file = "password"', 1)
        + '[log]\nlevel = "debug"\n'
    )
    kept = lab.folder / "daemon0" / "password"
    kept.parent.mkdir()
    kept.write_text(PASSWORD + "\n")
    kept.chmod(0o600)
    os.environ["PYTHONASYNCIODEBUG"] = os.environ["PYTHONFAULTHANDLER"] = "1"
    try:
        daemon = lab.home()
    finally:
        del os.environ["PYTHONASYNCIODEBUG"], os.environ["PYTHONFAULTHANDLER"]
    token = daemon.token
    told = {
        "answers": asyncio.run(_everything(daemon, all_ways=True)),
        "command line": _commands(daemon, *COMMANDS),
    }
    # A password in the place where other programs have it: the config is refused, and told about.
    config = daemon.config.read_text("utf-8")
    daemon.config.write_text(config.replace("[store]", f'password = "{MISPLACED}"\n[store]', 1), "utf-8")
    daemon.signal(signal.SIGHUP)
    refused = lab.took(lambda: "is not taken" in daemon.log(), 10) < 10
    told["answers"] += asyncio.run(_everything(daemon, all_ways=False))
    told["command line"] += _commands(daemon, ("config", "check"))
    daemon.config.write_text(config, "utf-8")
    proc = Path(f"/proc/{daemon.pid}")
    told["process"] = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
    backup(daemon.state, lab.folder / "backup")
    daemon.signal(signal.SIGABRT)
    lab.until(lambda: daemon.ended)
    crashed = "Fatal Python error" in daemon.log()
    # The broker refuses a wrong one, and a readable one is refused by the daemon itself.
    kept.write_text(WRONG + "\n")
    daemon.start()
    refusal = lab.took(lambda: "refuses us" in daemon.log() + str(daemon.health()), 20) < 20
    told["answers"] += asyncio.run(_everything(daemon, all_ways=False))
    daemon.stop()
    kept.chmod(0o644)
    daemon.start(wait=False)
    lab.until(lambda: daemon.ended)
    daemon.expected = False
    told["MQTT"] = b"".join(seen.topic.encode() + seen.payload for seen in lab.world.seen)
    files = [path for path in lab.folder.rglob("*") if path.is_file() and path.name not in OWN_FILES]
    told |= {str(path.relative_to(lab.folder)): path.read_bytes() for path in files}
    secrets = [secret.encode() for secret in (token, PASSWORD, WRONG, MISPLACED)]
    places = [place for place, text in told.items() if any(secret in text for secret in secrets)]
    kept.chmod(0o600)
    return [
        at_least("places looked at", len(told), "", 9),
        at_least("of answers looked at", len(told["answers"]) / 2**20, "MiB", 0.3),
        exactly(f"places with a secret in them {' '.join(places)}", len(places), "", 0),
        exactly(
            "the misplaced password was refused, the crash told, the wrong password refused",
            str((refused, crashed, refusal)),
            "",
            str((True, True, True)),
        ),
        exactly("others may read the token", (daemon.state / "token").stat().st_mode & 0o077, "", 0),
        exactly(
            "what the token's own file holds is found by the same search",
            int(secrets[0] in (daemon.state / "token").read_bytes()),
            "",
            1,
        ),
    ]
