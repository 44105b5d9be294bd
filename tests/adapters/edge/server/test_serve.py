"""`appliance edge serve` as a process: it starts, refuses a wrong start with a reason, and ends without losing what is under way."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from appliance.adapters.edge.wire import encode_request
from tests.adapters.edge.server.client import ask, bend, infer, read, request

ROOT = Path(__file__).parents[4]
COMMAND = [sys.executable, "-m", "appliance", "edge", "serve"]


async def started(*arguments: str) -> tuple[asyncio.subprocess.Process, int]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    assert line.startswith("serving on http://127.0.0.1:"), (line, await process.stderr.read())
    return process, int(line.rpartition(":")[2])


async def test_what_is_under_way_at_sigterm_is_answered_and_what_is_new_is_refused(shelf) -> None:
    process, port = await started("--models", str(shelf), "--port", "0", "--max-delay-ms", "1000")
    try:
        waiting, idle = [], await asyncio.open_connection("127.0.0.1", port)
        for i in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body, headers = encode_request(np.full((1, 8), i, np.float32), id=f"n{i}", binary=False)
            writer.write(request("POST", "/v2/models/presence/infer", body, headers))
            waiting.append((reader, writer))
        while b"waiting_rows 5" not in (await ask(port, "GET", "/metrics")).body:
            pass
        process.send_signal(signal.SIGTERM)
        refused = None
        while refused is None or refused.status == 200:
            refused = await ask(port, "GET", "/v2/health/ready")
        assert refused.status == 503
        idle[1].write(request("GET", "/v2"))
        assert (await read(idle[0])).status == 503
        for i, (reader, _) in enumerate(waiting):
            said = await read(reader)
            assert (said.status, said.json["id"]) == (200, f"n{i}")
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert b"Traceback" not in await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()


async def test_with_a_token_file_of_its_own_it_serves_and_says_what_it_serves(shelf, tmp_path) -> None:
    token = tmp_path / "token"
    token.write_text("x" * 30 + "\n")
    token.chmod(0o600)
    process, port = await started("--models", str(shelf), "--port", "0", "--token-file", str(token))
    try:
        assert (await ask(port, "GET", "/v2")).status == 401
        await infer(port, "presence", np.zeros((1, 8)), headers={"authorization": "Bearer " + "x" * 30})
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert b"serving presence-teacher" in await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()


async def test_as_it_is_started_noise_and_those_who_leave_harm_nobody(shelf) -> None:
    # Here it runs on uvloop, where that is installed; the other tests have it on asyncio's own loop.
    process, port = await started("--models", str(shelf), "--port", "0", "--max-body-kb", "16")
    try:
        await bend(port, 150)
        big = request("POST", "/v2/models/presence/infer", b"x" * 60_000, length=10_000_000)
        for sent in (big, b"GET /" + b"a" * 100_000, big[:40]):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            if sent is not big[:40]:
                writer.write_eof()
            await writer.drain()
            writer.transport.abort()
            del reader
        await infer(port, "presence", np.zeros((1, 8)))
        assert b"appliance_edge_bugs_total 0\n" in (await ask(port, "GET", "/metrics")).body
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert b"Traceback" not in await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()


def told(*arguments: str) -> tuple[int, str]:
    ended = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.returncode, ended.stderr


def test_a_wrong_start_says_what_to_do(shelf, tmp_path) -> None:
    token = tmp_path / "token"
    token.write_text("x" * 30)
    token.chmod(0o644)
    models = ("--models", str(shelf), "--port", "0")
    code, text = told(*models, "--token-file", str(token))
    assert (code, "chmod 600" in text) == (78, True)
    token.write_text("short")
    os.chmod(token, 0o600)
    assert told(*models, "--token-file", str(token))[0] == 78
    assert told(*models, "--certificate", str(token))[0] == 78
    assert told(*models, "--key", str(token))[0] == 78
    code, text = told("--models", str(tmp_path / "none"), "--port", "0")
    assert (code, "hint:" in text) == (1, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, text = told("--models", str(shelf), "--port", str(taken.getsockname()[1]))
        assert (code, "cannot listen" in text) == (69, True)
