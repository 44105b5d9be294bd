"""What the client makes of cached answers: without a network, over restarts, and measured by asking again."""

import random
from pathlib import Path

import msgspec
import pytest

from appliance.adapters.edge.entries import Entries, Tally
from appliance.adapters.edge.measuring import FINEST, asked_again, wrong_hits
from tests.adapters.conftest import free_port, until
from tests.adapters.edge.conftest import Home, at_home, right, settings
from tests.adapters.edge.servers import TEACHER, Good, serving

SURE, OTHER = (0.9, 0.1), (0.2, 0.8)


async def test_a_like_case_is_answered_without_a_network_also_after_a_restart(tmp_path: Path) -> None:
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        await home.answered(1.0, 1.0, 1.0)
    async with at_home(settings(free_port()), tmp_path / "c") as home:
        home.offer(1.1, 0.9, 1.0)
        await until(lambda: len(home.answers) == 1)
        answer = home.answers[0]
        assert (answer.cached, answer.bucket) == (True, (2, 2, 2))
        assert right(answer, 1.0, 1.0, 1.0), "that of the case that was asked"
        home.offer(3.0, 1.0, 1.0)
        await until(lambda: home.status.gone + home.status.disbelieved == 1)
        cache = home.status.cache
        assert (cache.hits, cache.misses, cache.entries) == (1, 1, 1)


async def test_another_version_of_the_model_has_a_cache_of_its_own(tmp_path: Path) -> None:
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        await home.answered(1.0, 1.0, 1.0)
    for changed in ({"version": 4}, {"digest": "e" * 64}):
        newer = msgspec.structs.replace(TEACHER, **changed)
        async with at_home(settings(free_port()), tmp_path / "c", newer) as home:
            home.offer(1.0, 1.0, 1.0)
            await until(lambda home=home: home.status.cache.misses == 1)  # type: ignore[misc]
            assert not home.answers


async def test_an_audit_neither_reads_nor_fills_the_cache(tmp_path: Path) -> None:
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        await home.answered(1.0, 1.0, 1.0)
        for number in range(3):
            home.offer(1.0, 1.0, 1.0, audit="nobody")
            home.offer(5.0, 1.0, 1.0, audit="nobody", channel="other")
            await until(lambda number=number: len(home.answers) == 3 + 2 * number)  # type: ignore[misc]
        assert not any(answer.cached for answer in home.answers)
        assert home.status.cache.entries == 1


class Sharp(Good):
    """Its label changes within each bucket of the size that the card names."""

    def said(self, row: list[float]) -> list[float]:
        golden = dict(zip(TEACHER.golden_rows, TEACHER.golden_probabilities, strict=True)).get(
            (row[0], row[1], row[2])
        )
        if golden is not None:
            return list(golden)
        return list(SURE) if int(row[0] * 1000) % 2 else list(OTHER)


async def ask_like_cases(home: Home, draw: random.Random) -> None:
    """Offer cases of few buckets, each with a row of its own, as fast as they are answered."""
    before = home.status.answered
    home.offer(draw.randrange(3) + draw.uniform(-0.02, 0.02), 1.0, 1.0)
    await until(lambda: home.status.answered > before)


async def test_too_many_wrong_hits_make_buckets_finer_and_in_the_end_stop_the_cache_for_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw = random.Random(4)
    given = {"recheck_percent": 100.0, "deadline_ms": 5000}
    async with serving(Sharp()) as server, at_home(settings(server.port, **given), tmp_path / "c") as home:
        await home.proved()
        scales = []
        while not home.status.teachers[0].wrong_hits.stopped:
            await ask_like_cases(home, draw)
            scales.append(home.status.teachers[0].wrong_hits.scale)
            assert len(scales) < 5000
        assert sorted(set(scales)) == [0, 1, 2, 3]
        assert scales == sorted(scales)
        hits = home.status.cache.hits
        answered = home.status.answered
        for _ in range(10):
            await ask_like_cases(home, draw)
        await until(lambda: home.status.answered >= answered + 5)
        assert home.status.cache.hits == hits, "it goes on without"
    assert "1/8 of their size" in caplog.text
    assert "is used no more" in caplog.text
    async with at_home(settings(free_port(), **given), tmp_path / "c") as home:
        await until(lambda: home.status.teachers[0].wrong_hits.stopped)
        home.offer(1.0, 1.0, 1.0)
        await until(lambda: home.status.gone + home.status.disbelieved == 1)
        assert not home.answers


async def test_a_cache_that_was_narrowed_tells_cases_apart_that_were_one_before(tmp_path: Path) -> None:
    entries = Entries(tmp_path / "c", 100, 10**18, 10**18)
    entries.keep(f"{TEACHER.name} {TEACHER.version}", Tally(scale=1))
    entries.close()
    async with serving() as server, at_home(settings(server.port), tmp_path / "c") as home:
        await home.proved()
        await home.answered(1.0, 1.0, 1.0)
        assert home.offer(1.2, 1.0, 1.0) == home.offer(1.0, 1.0, 1.0, channel="other"), (
            "one bucket for the core"
        )
        await until(lambda: len(home.answers) == 3)
        assert sorted(answer.cached for answer in home.answers) == [False, False, True]
        assert len(server.cases) == 2


async def test_right_hits_narrow_nothing_and_are_counted_with_an_interval(tmp_path: Path) -> None:
    draw = random.Random(4)
    given = settings(0, recheck_percent=100.0, deadline_ms=5000)
    async with serving() as server:
        given = msgspec.structs.replace(given, url=f"http://127.0.0.1:{server.port}")
        async with at_home(given, tmp_path / "c") as home:
            await home.proved()
            for number in range(120):
                before = home.status.answered
                home.offer(float(number % 4) - 8.0, draw.uniform(0.9, 1.1), 1.0)
                await until(lambda before=before: home.status.answered > before)  # type: ignore[misc]
            status = home.status
            shown = status.teachers[0].wrong_hits
            assert (shown.scale, shown.stopped, shown.wrong, shown.asked) == (0, False, 0, 116)
            assert shown.low == 0.0
            assert 0.02 < shown.high < 0.12
            # A cache of exact rows would not have known one of them.
            assert status.cache.hit_share == pytest.approx(116 / 120)
            assert status.cache.exact_hit_share == 0.0


def test_chance_alone_does_not_narrow_the_cache() -> None:
    """At the very rate that is allowed, however often it is looked at, less than one cache in twenty is narrowed wrongly."""
    draw = random.Random(7)
    narrowed = 0
    for _ in range(200):
        tally = Tally()
        for _ in range(400):
            tally = asked_again(tally, SURE, OTHER if draw.random() < 0.05 else SURE, 0.05, divisible=True)
            if tally.scale:
                narrowed += 1
                break
    assert narrowed <= 10


def test_twice_as_many_wrong_hits_as_allowed_are_found_in_some_hundreds() -> None:
    draw = random.Random(8)
    needed = []
    for _ in range(50):
        tally = Tally()
        while not tally.scale:
            tally = asked_again(tally, SURE, OTHER if draw.random() < 0.15 else SURE, 0.05, divisible=True)
            assert tally.asked < 3000
            needed.append(tally.asked)
    assert max(needed) < 1500


def test_buckets_that_can_not_be_halved_stop_the_cache_at_once_and_a_scale_counts_anew() -> None:
    def until_changed(tally: Tally, *, divisible: bool) -> Tally:
        while True:
            after = asked_again(tally, SURE, OTHER, 0.05, divisible=divisible)
            if (after.scale, after.stopped) != (tally.scale, tally.stopped):
                return after
            tally = after

    assert until_changed(Tally(), divisible=False).stopped
    tally = Tally()
    for scale in range(1, FINEST + 1):
        tally = until_changed(tally, divisible=True)
        assert tally == Tally(scale=scale)
    assert until_changed(tally, divisible=True).stopped
    assert wrong_hits(Tally()).high == 1.0
