"""The client and our own server, as two programs: the shipped teacher over loopback, through a restart, a swapped model and a token."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from appliance.adapters.edge.terms import Teacher
from appliance.bundle import TEACHER_OPERATORS, Bundle, load_bundle, shipped, write_bundle
from appliance.daemon import edging
from tests.adapters.conftest import free_port, until, until_sync
from tests.adapters.edge.conftest import Home, at_home, settings

ROOT = Path(__file__).parents[3]
NAME = "presence-teacher"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(shipped(NAME), allowed=TEACHER_OPERATORS)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return edging.teacher(NAME)


class Program:
    """`appliance edge serve` on a port that stays the same over restarts."""

    def __init__(self, models: Path) -> None:
        self.models = models
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "appliance", "edge", "serve", "--models", str(self.models), "--port", str(self.port), *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until_sync(self._listens, 60)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
            return True
        return False


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    folder = tmp_path / "models"
    shutil.copytree(ROOT / "models" / NAME, folder / NAME)
    made = Program(folder)
    made.start()
    yield made
    made.stop(signal.SIGKILL)


async def ask(home: Home, row: tuple[float, ...]) -> np.ndarray:
    return np.array((await home.answered(*row, timeout_s=20)).probabilities)


async def test_the_shipped_teacher_answers_as_its_bundle_says(
    program: Program, tmp_path: Path, bundle: Bundle, teacher: Teacher
) -> None:
    given = settings(program.port, cache_entries=0, deadline_ms=2000)
    async with at_home(given, tmp_path / "c", teacher) as home:
        await home.proved(30)
        for row, due in list(zip(bundle.golden_rows.tolist(), bundle.golden_probabilities, strict=True))[:40]:
            assert await ask(home, tuple(row)) == pytest.approx(due, abs=1e-5)
        status = home.status
        assert status.failed == {}
        per_question = (status.budget.bytes_out + status.budget.bytes_in) / 40
        print(f"{status.median_ms:.1f} ms, {per_question:.0f} bytes a question, proof included")
        assert per_question < 3000


async def test_a_server_that_dies_and_comes_back_is_asked_again(
    program: Program, tmp_path: Path, teacher: Teacher
) -> None:
    row = teacher.golden_rows[0]
    async with at_home(settings(program.port, cache_entries=0), tmp_path / "c", teacher) as home:
        await ask(home, row)
        for end in (signal.SIGKILL, signal.SIGTERM):
            program.stop(end)
            home.offer(*row)
            await until(lambda: home.status.breaker != "closed")
            program.start()
            await ask(home, row)


async def test_another_model_under_the_same_name_and_version_is_not_believed(
    program: Program, tmp_path: Path, bundle: Bundle, teacher: Teacher, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a bundle was trained anew on the server alone."""
    local = load_bundle(shipped("presence"))
    assert local.card.labels == bundle.card.labels
    row = teacher.golden_rows[0]
    async with at_home(settings(program.port, cache_entries=0), tmp_path / "c", teacher) as home:
        await ask(home, row)
        program.stop()
        card = msgspec.structs.replace(local.card, name=NAME, version=bundle.card.version)
        shutil.rmtree(program.models / NAME)
        write_bundle(
            program.models / NAME,
            local.model,
            card,
            local.golden_rows,
            local.golden_probabilities,
        )
        program.start()
        answers = len(home.answers)
        while home.status.teachers[0].believed:
            home.offer(*row)
            await until(lambda: len(home.edge._to_look) + len(home.edge._to_ask) == 0)
            await asyncio.sleep(0.05)
        await until(lambda: home.status.breaker == "closed", 30)
        home.offer(*row)
        await until(lambda: home.status.disbelieved > 0)
        assert len(home.answers) == answers
        assert home.status.teachers[0].why


async def test_the_server_s_token_is_asked_for(program: Program, tmp_path: Path, teacher: Teacher) -> None:
    program.stop()
    secret = tmp_path / "token"
    secret.write_text("a-token-of-some-length-1234567890\n")
    secret.chmod(0o600)
    program.start("--token-file", str(secret))
    async with at_home(
        settings(program.port, token="a-token-of-some-length-1234567890"), tmp_path / "c", teacher
    ) as home:
        await ask(home, teacher.golden_rows[0])
    async with at_home(settings(program.port, token="another"), tmp_path / "d", teacher) as home:
        await until(lambda: home.status.failed.get("forbidden", 0) > 0)
        assert not home.answers
