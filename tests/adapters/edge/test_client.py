"""The client beside a server that behaves well: what is asked, what is answered, and what leaves the house."""

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.adapters.edge.terms import EdgeSettings
from appliance.core.events import AskEdge, EdgeAnswered
from appliance.errors import ConfigError
from tests.adapters.conftest import free_port, until
from tests.adapters.edge.conftest import at_home, right, settings
from tests.adapters.edge.servers import TEACHER, ByTheWord, ClosesAfterEach, Good, Hangs, serving


async def test_a_case_is_answered_over_one_kept_connection(tmp_path: Path) -> None:
    async with serving() as server, at_home(settings(server.port, cache_entries=0), tmp_path / "c") as home:
        await home.proved()
        for number in range(20):
            home.offer(number / 10, 0.5, 1.0)
            await until(lambda number=number: len(home.answers) == number + 1)  # type: ignore[misc]
        assert all(right(answer, number / 10, 0.5, 1.0) for number, answer in enumerate(home.answers))
        assert home.answers[3] == EdgeAnswered(
            "fan", "presence", TEACHER.name, 3, (1, 1, 2), home.answers[3].probabilities
        )
        assert server.connections == 1
        status = home.status
        assert (status.answered, status.cached, status.breaker) == (20, 0, "closed")
        assert status.median_ms is not None
        # What the budget says is what the server saw.
        assert status.budget.bytes_out == server.bytes_in


async def test_only_rows_of_features_leave_the_house(tmp_path: Path) -> None:
    """No appliance, channel, home or device is named, and no two questions can be told to be of one home."""
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        await home.answered(0.1, 0.2, 0.3)
        await home.answered(4.1, 0.2, 0.3)
        ids = set()
        for request in server.requests:
            assert set(request.headers) <= {
                "host", "accept", "accept-encoding", "user-agent", "content-type", "content-length", "connection",
            }  # fmt: skip
            assert request.headers["user-agent"] == "appliance"
            assert request.headers["accept-encoding"] == "identity"
            if request.body:
                told = json.loads(request.body)
                assert set(told) == {"id", "inputs", "outputs"}
                ids.add(told["id"])
            text = request.path + request.body.decode()
            assert "fan" not in text
        assert len(ids) == server.asked


async def test_of_one_channel_only_the_newest_waits_and_never_more_than_sixty_four(tmp_path: Path) -> None:
    async with (
        serving() as server,
        at_home(settings(server.port, deadline_ms=10_000), tmp_path / "c") as home,
    ):
        await home.proved()
        for number in range(50):
            home.offer(float(number), 0.0, 0.0)
        for number in range(100):
            home.offer(0.0, float(number), 0.0, channel=f"channel {number}")
        home.offer(0.0, 0.0, 9.0, audit="nobody")
        await until(lambda: len(home.answers) >= 64)
        await asyncio.sleep(0)
        status = home.status
        assert status.offered == 151
        assert status.replaced == 49
        assert status.shed == 151 - 49 - 64
        assert len(home.answers) == 64
        assert home.answers[-1].audit == "nobody"


async def test_a_row_that_no_teacher_fits_is_not_asked(tmp_path: Path) -> None:
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        good = AskEdge("fan", "presence", "presence", TEACHER.name, 3, (1.0, 1.0, 1.0), (2, 2, 2), "hard")
        for changed in (
            {"edge": "another"}, {"version": 2}, {"row": (1.0, 1.0)}, {"row": (1.0, float("nan"), 1.0)},
        ):  # fmt: skip
            home.edge.offer(msgspec.structs.replace(good, **changed))
        await home.answered(1.0, 1.0, 1.0)
        assert home.status.unusable == 4
        assert server.cases == [[1.0, 1.0, 1.0]]


async def test_a_server_that_closes_after_each_answer_is_asked_all_the_same(tmp_path: Path) -> None:
    async with serving(ClosesAfterEach()) as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        for number in range(10):
            await home.answered(float(number), 0.0, 0.0)
        assert home.status.failed == {}
        assert server.connections >= 10


async def test_the_hard_budget_of_cases_holds_and_audits_are_not_of_it(tmp_path: Path) -> None:
    async with (
        serving() as server,
        at_home(settings(server.port, cases_percent=0.01, cache_entries=0), tmp_path / "c") as home,
    ):
        await home.proved()
        for number in range(40):  # 100,000 cases were seen: ten may be asked
            home.offer(float(number), 0.0, 0.0)
            home.offer(float(number), 1.0, 0.0, audit="nobody")
            await until(lambda number=number: len(server.cases) >= number + 1 + min(number + 1, 10))  # type: ignore[misc]
        assert home.status.budget.asked == 10
        assert sum(answer.audit is not None for answer in home.answers) == 40


async def test_bytes_run_out_and_come_back_over_the_day(tmp_path: Path) -> None:
    async with serving() as server:
        # 24 kB a day, by a clock on which a day takes 9 s: the check at the start takes most of what there is.
        given = settings(server.port, mb_a_day=0.04, cache_entries=0)
        async with at_home(given, tmp_path / "c", speed=9600.0) as home:
            await home.proved(30)
            end = time.monotonic() + 9
            number = 0
            while time.monotonic() < end:
                number += 1
                home.offer(float(number), 0.0, 0.0)
                await asyncio.sleep(0.02)
            budget = home.status.budget
            assert budget.refused_bytes > 0
            assert 10_000 < budget.bytes_in + budget.bytes_out < 2 * 40_000


async def test_without_cases_or_bytes_nothing_at_all_is_sent(tmp_path: Path) -> None:
    async with serving() as server, at_home(settings(server.port, mb_a_day=0.0), tmp_path / "c") as home:
        home.offer(1.0, 1.0, 1.0)
        await until(lambda: home.status.budget.refused_bytes > 0)
        assert server.connections == 0
        assert "mb_a_day" in str(home.status.teachers[0].why)


async def test_a_token_is_sent_and_a_wrong_one_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(ByTheWord()) as server:
        async with at_home(settings(server.port, token="sesame"), tmp_path / "c") as home:
            await home.proved()
        async with at_home(settings(server.port, token="wrong-word"), tmp_path / "d") as home:
            await until(lambda: home.status.failed.get("forbidden", 0) >= 1)
            assert not home.status.teachers[0].believed
        assert "token_file" in caplog.text
        assert "wrong-word" not in caplog.text


async def test_where_httpx_is_not_installed_it_says_what_to_install_and_the_cache_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as server:
        async with at_home(settings(server.port), tmp_path / "c") as home:
            await home.proved()
            await home.answered(1.0, 1.0, 1.0)

        def missing(name: str) -> None:
            raise ModuleNotFoundError(f"No module named {name}", name="httpx")

        monkeypatch.setattr("appliance.adapters.edge.reaching.importlib.import_module", missing)
        async with at_home(settings(server.port), tmp_path / "c") as home:
            assert (await home.answered(1.0, 1.0, 1.0)).cached
            assert "pip install 'appliance[edge]'" in caplog.text
            assert "pip install 'appliance[edge]'" in str(home.status.why)


async def test_it_ends_at_once_also_in_the_middle_of_a_question(tmp_path: Path) -> None:
    async with serving() as server:
        async with at_home(settings(server.port, deadline_ms=10_000), tmp_path / "c") as home:
            await home.proved()
            server.behaviour = Hangs()
            home.offer(1.0, 1.0, 1.0)
            await until(lambda: len(server.cases) == 1)
            began = time.monotonic()
        assert time.monotonic() - began < 2.0
        assert not [one for one in threading.enumerate() if one.name.startswith(("edge", "dial"))]


async def test_what_the_home_does_with_an_answer_ends_nothing(tmp_path: Path) -> None:
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()

        def broken(answer: EdgeAnswered) -> None:
            raise ValueError("a bug elsewhere")

        home.edge._give = broken
        home.offer(1.0, 1.0, 1.0)
        await until(lambda: home.status.answered == 1)
        home.edge._give = home.answers.append
        await home.answered(5.0, 1.0, 1.0)


# ------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"url": "http://8.8.8.8:8322"}, "not of the own network"),
        ({"url": "http://[2001:4860:4860::8888]:8322"}, "not of the own network"),
        ({"url": "http://nas.local:99999"}, "no address"),
        ({"token": ""}, "holds no token"),
        ({"token": "a\nb"}, "holds no token"),
    ],
)
def test_settings_that_can_not_work_are_refused_before_anything_is_connected(
    changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(free_port(), **changed).check()


@pytest.mark.parametrize(
    ("url", "weak"),
    [
        ("http://127.0.0.1:1", 0), ("http://localhost:1", 0), ("http://192.168.1.4:1", 1), ("http://nas.local", 1),
        ("https://example.org", 0), ("http://[fd00::1]:1", 1),
    ],
)  # fmt: skip
def test_an_unencrypted_link_beyond_this_machine_is_told_as_a_weakness(url: str, weak: int) -> None:
    given = EdgeSettings(url)
    given.check()
    assert len(given.weaknesses()) == weak


async def test_a_name_that_leads_out_of_the_house_is_not_spoken_to_unencrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a rebound name does: the config can't know where it leads today."""
    import socket

    def outside(host: str, port: int, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.9", port))]

    monkeypatch.setattr("appliance.adapters.edge.streams.socket.getaddrinfo", outside)
    async with at_home(settings(1, url="http://nas.local:8322"), tmp_path / "c") as home:
        await until(lambda: home.failed() > 0)
        assert "not of the own network" in str(home.status.why)


async def test_models_prove_themselves_again_every_hour(tmp_path: Path) -> None:
    async with (
        serving(Good()) as server,
        at_home(settings(server.port), tmp_path / "c", speed=3600.0) as home,
    ):
        await home.proved()
        await until(lambda: server.asked >= 4)  # hours are seconds here
        assert home.status.teachers[0].believed
        assert not server.cases
