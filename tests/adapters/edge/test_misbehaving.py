"""Whatever a server does: no answer that is wrong, none that is late, bounded memory, a loop that goes round; and all is well again when it is."""

import asyncio
import gc
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from appliance.adapters.edge.waiting import MOST
from tests.adapters.conftest import free_port, until
from tests.adapters.edge import servers
from tests.adapters.edge.conftest import Home, at_home, right, settings
from tests.adapters.edge.servers import Good, Server, serving

SLACK_S = 2.0
"""Beyond the deadline, for a machine that does other things too."""
LONGEST_GAP_S = 0.5
"""No turn of the loop may wait longer for what an edge sends; a control cycle is due in seconds."""

LINK = [
    (servers.Hangs, "late"), (servers.Drips, "late"), (servers.DripsFast, "late"), (servers.Fails, "status"),
    (servers.Busy, "busy"), (servers.NoHttp, "late"), (servers.Huge, "too_large"),
    (servers.HugeHeaders, "too_large"), (servers.LargeHeaders, "too_large"), (servers.Bomb, "encoded"), (servers.Chunks, "too_large"), (servers.Storm, "too_large"),
    (servers.ClosesAtOnce, "broken"), (servers.HalfAHeader, "broken"), (servers.HalfABody, "broken"),
    (servers.Forbids, "forbidden"),
]  # fmt: skip
MODEL = [
    (servers.Html, "nonsense"), (servers.AnotherId, "nonsense"), (servers.AnotherModel, "nonsense"),
    (servers.WrongVersion, "nonsense"), (servers.WrongShape, "nonsense"), (servers.WrongType, "nonsense"),
    (servers.Words, "nonsense"), (servers.Nulls, "nonsense"), (servers.NaN, "nonsense"), (servers.Deep, "nonsense"),
    (servers.Permuted, "golden"), (servers.Retrained, "golden"), (servers.NotServed, "unknown_model"),
]  # fmt: skip


class Turns:
    """The longest that the loop did not go round."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.002)
            now = time.monotonic()
            self.longest_s = max(self.longest_s, now - last)
            last = now


async def misbehave(home: Home, server: Server, behaviour: Good, reason: str) -> None:
    """Ask while the server misbehaves, until it is counted; nothing may be answered."""
    answered = len(home.answers)
    server.behaviour = behaviour
    home.offer(7.0, 1.0, 1.0)
    await until(lambda: home.failed() > 0, home.edge._deadline_s + SLACK_S)
    assert home.status.failed.get(reason, 0) > 0, home.status
    assert len(home.answers) == answered


@pytest.mark.parametrize(
    ("behaviour", "reason"), LINK + MODEL, ids=lambda value: value.__name__ if isinstance(value, type) else ""
)
async def test_a_bad_answer_is_none_in_time_and_all_is_well_when_the_server_is(
    tmp_path: Path, behaviour: type[Good], reason: str
) -> None:
    turns = Turns()
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        watch = asyncio.create_task(turns.watch())
        gc.collect()
        tracemalloc.start()
        try:
            await misbehave(home, server, behaviour(), reason)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            watch.cancel()
        if (behaviour, reason) in MODEL:
            assert not home.status.teachers[0].believed
        server.behaviour = Good()
        assert right(await home.answered(3.0, 1.0, 1.0, timeout_s=20), 3.0, 1.0, 1.0)
        assert home.status.breaker == "closed"
    # The server is in this process too: what it holds to send is counted with it.
    assert peak < 4 << 20
    assert turns.longest_s < LONGEST_GAP_S


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [*MODEL, (servers.Redirects, "redirect")],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_wrong_from_the_start_is_never_asked_about_a_case(
    tmp_path: Path, behaviour: type[Good], reason: str
) -> None:
    bad = servers.Redirects("http://127.0.0.1:1/") if behaviour is servers.Redirects else behaviour()
    async with serving(bad) as server, at_home(settings(server.port), tmp_path / "c") as home:
        await until(lambda: home.status.failed.get(reason, 0) > 0)
        for number in range(20):
            home.offer(float(number), 0.0, 0.0, channel=f"channel {number}")
        await until(lambda: home.status.disbelieved + home.status.gone >= 20)
        assert (server.cases, home.answers) == ([], [])
        server.behaviour = Good()
        await home.answered(3.0, 1.0, 1.0, timeout_s=20)


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with (
        serving() as elsewhere,
        serving() as server,
        at_home(settings(server.port), tmp_path / "c") as home,
    ):
        await home.proved()
        to = f"http://127.0.0.1:{elsewhere.port}/v2/models/presence-teacher/versions/3/infer"
        await misbehave(home, server, servers.Redirects(to), "redirect")
        assert elsewhere.connections == 0


async def test_a_gigabyte_is_not_taken_in(tmp_path: Path) -> None:
    servers.Huge.sent = 0
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        before = home.status.budget.bytes_in
        await misbehave(home, server, servers.Huge(), "too_large")
        assert home.status.budget.bytes_in - before < 128 << 10
        assert servers.Huge.sent < 16 << 20, "what the system's own buffers of loopback took"


async def test_permuted_labels_are_told_as_such(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(servers.Permuted()) as server, at_home(settings(server.port), tmp_path / "c") as home:
        await until(lambda: "labels in another order" in caplog.text)
        assert "labels in another order" in str(home.status.teachers[0].why)


async def test_a_server_that_changes_its_model_between_two_questions_is_found_out_by_the_next(
    tmp_path: Path,
) -> None:
    """Over the same connection, long before the hour is over: each case goes beside a golden row."""
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        await home.answered(1.0, 1.0, 1.0)
        server.behaviour = servers.Retrained()
        home.offer(2.0, 2.0, 2.0)
        await until(lambda: not home.status.teachers[0].believed)
        assert len(home.answers) == 1
        assert server.connections == 1


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [(servers.LiesOfCases, "no_probabilities"), (servers.RefusesCases, "row_refused")],
)
async def test_a_row_that_the_edge_has_nothing_to_say_of_is_not_asked_again_for_a_while(
    tmp_path: Path, behaviour: type[Good], reason: str
) -> None:
    async with serving() as server, at_home(settings(server.port), tmp_path / "c", speed=1.0) as home:
        await home.proved()
        await misbehave(home, server, behaviour(), reason)
        asked = server.asked
        for number in range(10):
            home.offer(7.0, 1.0, 1.0)
            await until(lambda number=number: home.status.cache.negative == number + 1)  # type: ignore[misc]
        assert server.asked == asked
        # It is one row's trouble, not the model's.
        server.behaviour = Good()
        await home.answered(3.0, 1.0, 1.0)


async def test_a_port_that_nobody_listens_at_costs_nothing_and_is_found_when_somebody_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    server.port = free_port()
    async with at_home(settings(server.port), tmp_path / "c") as home:
        await until(lambda: home.status.failed.get("refused", 0) >= 3)
        assert home.status.breaker != "closed"
        assert home.status.budget.bytes_out == 0
        home.offer(1.0, 1.0, 1.0)
        await until(lambda: home.status.gone == 1)
        await server.start()
        try:
            await home.answered(3.0, 1.0, 1.0, timeout_s=20)
        finally:
            await server.stop()
    assert caplog.text.count("no edge:") == 1


async def test_an_edge_that_is_gone_for_a_day_fills_neither_log_nor_memory_and_is_tried_now_and_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """24 hours in 12 seconds, a hard case each half minute of them."""
    server = Server()
    server.port = free_port()
    async with at_home(settings(server.port), tmp_path / "c", speed=7200.0) as home:
        await until(lambda: home.failed() >= 3)
        for number in range(100):
            home.offer(float(number), 0.0, 0.0, channel=f"channel {number % 8}")
            await asyncio.sleep(0)
        gc.collect()
        tracemalloc.start()
        began = time.monotonic()
        number = 0
        while time.monotonic() - began < 12.0:
            number += 1
            home.offer(float(number), float(number % 7), 0.0, channel=f"channel {number % 8}")
            await asyncio.sleep(0.004)
            if number == 300:
                gc.collect()
                settled, _ = tracemalloc.get_traced_memory()
        gc.collect()
        ended, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # Tries: every 7.5 to 15 minutes once the wait is as long as it gets.
        assert 90 <= home.failed() <= 24 * 8 + 40
        assert ended - settled < 300_000 + number * 150  # rows remembered for comparison, bounded by EXACT
        assert len(home.edge._to_look) + len(home.edge._to_ask) <= 2 * MOST
        assert not home.answers
        lines = [record for record in caplog.records if record.levelname != "DEBUG" and "edge" in record.name]
        assert len(lines) <= 2
        await server.start()
        try:
            await home.answered(3.0, 1.0, 1.0, timeout_s=20)
        finally:
            await server.stop()


async def test_a_hanging_edge_does_not_hold_up_what_the_cache_knows(tmp_path: Path) -> None:
    async with serving() as server, at_home(settings(server.port, deadline_ms=5000), tmp_path / "c") as home:
        await home.proved()
        await home.answered(1.0, 1.0, 1.0)
        server.behaviour = servers.Hangs()
        home.offer(9.0, 1.0, 1.0, channel="other")
        await until(lambda: [9.0, 1.0, 1.0] in server.cases)
        home.offer(1.0, 1.0, 1.0)
        await until(lambda: len(home.answers) == 2, 2.0)
        assert home.answers[1].cached


async def test_an_edge_that_is_always_too_slow_is_asked_ever_more_seldom(tmp_path: Path) -> None:
    """Its proof may take its time, cases may not: each proof costs bytes."""
    async with (
        serving() as server,
        at_home(settings(server.port, deadline_ms=20), tmp_path / "c", speed=600.0) as home,
    ):
        await home.proved()

        class Slow(Good):
            async def infer(self, request: servers.Request, writer: asyncio.StreamWriter) -> bool:
                await asyncio.sleep(0.1)
                return await super().infer(request, writer)

        server.behaviour = Slow()
        asked: list[int] = []
        for _ in range(3):
            before = server.asked
            end = time.monotonic() + 2.0  # twenty minutes
            number = 0.0
            while time.monotonic() < end:
                number += 1
                home.offer(number, float(len(asked)), 0.0)
                await asyncio.sleep(0.01)
            asked.append(server.asked - before)
        assert asked[2] < asked[0]
        assert not home.answers


class Noise(Good):
    """Answers well, and then a few bytes of that are changed, lost or said twice."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    async def infer(self, request: servers.Request, writer: asyncio.StreamWriter) -> bool:
        raw = bytearray(servers.http(self.encoded(self.answer(request))))
        if (
            len(request.rows) > 2 and self.draw.random() < 0.9
        ):  # else hardly a proof goes well, and no case is asked
            writer.write(raw)
            return True
        for _ in range(self.draw.choice([1, 1, 2, 8])):
            at = self.draw.randrange(len(raw))
            match self.draw.randrange(4):
                case 0:
                    raw[at] = self.draw.randrange(256)
                case 1:
                    raw[at] = self.draw.choice(b"0123456789.-eE,[]{}")
                case 2:
                    del raw[at : at + self.draw.randrange(1, 20)]
                case _:
                    raw[at:at] = raw[at : at + self.draw.randrange(1, 20)]
        writer.write(raw)
        return False


async def test_noise_in_answers_gives_right_ones_or_none_and_no_error_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw = random.Random(11)
    offered: dict[tuple[int, ...], list[float]] = {}
    async with serving() as server:
        given = settings(server.port, cache_entries=0, deadline_ms=100)
        async with at_home(given, tmp_path / "c", speed=20_000.0) as home:
            await home.proved()
            server.behaviour = Noise(draw)
            end = time.monotonic() + 60.0
            while (len(server.cases) < 150 or home.failed() < 50) and time.monotonic() < end:
                row = (draw.uniform(-3, 3), draw.uniform(-2, 2), draw.uniform(-1, 1))
                offered.setdefault(home.offer(*row), []).append(servers.model(list(row))[0])
                await until(lambda: len(home.edge._to_look) == 0)
                await asyncio.sleep(0.01)
            print(f"{len(server.cases)} noisy answers, {len(home.answers)} taken, {home.status.failed}")
            assert home.failed() >= 50
            assert home.answers
            for answer in home.answers:
                # A digit that changed by less than what a sum may be off can't be told from a good one.
                off = min(abs(answer.probabilities[0] - due) for due in offered[answer.bucket])
                assert off <= 1e-3
    assert "a question to the edge broke" not in caplog.text
