"""What can be asked of the history: the right rows, in the right bins, within a second."""

from functools import partial
from pathlib import Path

import pytest

from appliance.adapters.store import Kind, Queries, Store, backup, readonly, ring, schema
from appliance.core.clock import SECOND, Instant
from appliance.core.readings import Quality, Reading
from appliance.errors import StoreError
from tests.adapters.store.conftest import WALL, Keeper, decision, instant

AIR = "zigbee2mqtt/air"


def hear(
    store: Store,
    at: Instant,
    value: object,
    metric: str = "pm2_5",
    *,
    unit: str | None = "µg/m³",
    quality: Quality = Quality.GOOD,
) -> None:
    reading = Reading(AIR, metric, value, unit)
    store.readings([(reading, quality, None)], retained=False, resent=False, at=at)


def test_paging_is_stable_while_decisions_come_in(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    number, seen = 0, []
    before = None
    for _ in range(5):
        for _ in range(10):
            number += 1
            store.record(decision(number, appliance="fan" if number % 2 else "heater"))
        assert keeper.confirm(store) is None
        page = store.queries.decisions(before_id=before, limit=2)
        before = page[-1].decision.id
        seen += [kept.decision.id for kept in page]
    assert seen == list(range(10, 0, -1))


def test_decisions_are_found_by_what_they_are_and_when_they_were(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for number in range(1, 21):
        store.record(
            decision(
                number, appliance="fan" if number % 2 else "heater", action="off" if number > 15 else "high"
            )
        )
    assert keeper.confirm(store) is None
    ask = store.queries
    assert {kept.decision.appliance for kept in ask.decisions(appliance="heater")} == {"heater"}
    assert [kept.decision.id for kept in ask.decisions(action="off", appliance="fan")] == [19, 17]
    assert [
        kept.decision.id for kept in ask.decisions(since_ns=instant(5).wall_ns, until_ns=instant(7).wall_ns)
    ] == [6, 5]
    assert ask.decision_at("fan", instant(10.5).wall_ns).decision.id == 9
    assert ask.decision_at("heater", instant(10.5).wall_ns).decision.id == 10
    assert ask.decision_at("fan", instant(0).wall_ns) is None
    assert ask.decision(21) is None


def test_a_number_too_large_for_the_file_is_an_answer_and_no_crash(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    store.record(decision(1))
    assert keeper.flush(store) is None
    huge = 10**40
    assert len(store.queries.decisions(since_ns=-huge, until_ns=huge, before_id=huge, limit=huge)) == 1
    assert store.queries.decisions(limit=-huge) == []
    assert store.queries.decision(huge) is None
    assert store.queries.decision_at("fan", huge).decision.id == 1
    assert store.queries.readings(AIR, "pm2_5", -huge, huge, huge) == []
    assert store.queries.readings(AIR, "pm2_5", huge, -huge, 0) == []
    assert store.queries.raw(huge) == []


def test_readings_are_binned_and_bad_ones_have_no_value(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for second in range(100):
        hear(store, instant(second), float(second))
    hear(store, instant(99), 55.0, "pm10")
    hear(store, instant(100), 9999.0, quality=Quality.BAD)
    assert keeper.flush(store) is None
    points = store.queries.readings(AIR, "pm2_5", instant(0).wall_ns, instant(110).wall_ns, 11)
    assert [point.wall_ns for point in points] == [instant(10 * number).wall_ns for number in range(11)]
    assert [point.value for point in points[:10]] == [4.5 + 10 * number for number in range(10)]
    assert (points[0].low, points[0].high, points[0].quality) == (0.0, 9.0, Quality.GOOD)
    assert (points[10].value, points[10].low, points[10].quality) == (None, None, Quality.BAD)
    assert store.queries.readings("nobody", "pm2_5", instant(0).wall_ns, instant(110).wall_ns, 11) == []
    assert store.queries.readings(AIR, "pm2_5", instant(200).wall_ns, instant(300).wall_ns, 11) == []


def test_of_words_the_last_one_of_a_bin_is_told(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for second, word in enumerate(["on", "off", "zzz", "auto"]):
        store.state(Reading(AIR, "mode", word, None), retained=False, at=instant(second))
    assert keeper.flush(store) is None
    points = store.queries.readings(AIR, "mode", instant(0).wall_ns, instant(4).wall_ns, 2)
    assert [(point.value, point.low) for point in points] == [("off", None), ("auto", None)]


def test_a_wrong_clock_hides_nothing_that_was_dated_rightly(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    for boot, wall in enumerate(
        [WALL, WALL - 10**18, WALL + 10**18, WALL + 60 * SECOND]
    ):  # decades off, both ways
        for second in range(10):
            hear(store, Instant(f"boot-{boot}", second * SECOND, wall + second * SECOND), float(boot))
        assert keeper.flush(store) is None
    points = store.queries.readings(AIR, "pm2_5", WALL, WALL + 120 * SECOND, 2)
    assert [(point.value, point.low) for point in points] == [(0.0, 0.0), (3.0, 3.0)]


def test_a_unit_that_is_declared_later_holds_from_then_on(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    hear(store, instant(1), 900.0, "voc", unit=None, quality=Quality.UNCERTAIN)
    assert keeper.flush(store) is None
    hear(store, instant(2), 400.0, "voc", unit="ppb")
    assert keeper.flush(store) is None
    assert [row.unit for row in store.queries.events() if row.metric == "voc"] == [None, "ppb"]
    assert [
        point.value for point in store.queries.readings(AIR, "voc", instant(0).wall_ns, instant(4).wall_ns, 1)
    ] == [400.0]
    assert store.queries.latest(AIR, "voc").unit == "ppb"
    assert store.queries.latest(AIR, "pm2_5") is None


def test_what_waits_for_its_batch_can_be_seen_until_it_is_on_disk(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    hear(store, instant(1), 7.0)
    hear(store, instant(2), 8.0, "pm10")
    assert store.waiting(AIR, "pm2_5") == [(instant(1).wall_ns, 7.0, Quality.GOOD)]
    assert keeper.flush(store) is None
    assert store.waiting(AIR, "pm2_5") == []
    assert store.queries.latest(AIR, "pm2_5").value == 7.0


def test_the_raw_history_goes_on_where_retention_began_and_repeats_nothing(
    tmp_path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appliance.adapters.store import history

    monkeypatch.setattr(history, "PAGE", 7)
    store = keeper.open(tmp_path)
    for second in range(50):
        hear(store, instant(second), second)
    assert keeper.flush(store) is None
    assert [row.value for row in store.queries.events(30)] == list(range(29, 50))  # the first row is a mark
    sequence = [row.seq for row in store.queries.events()]
    assert sequence == list(range(1, 52))


def test_after_a_restart_what_was_heard_in_this_boot_is_given_and_nothing_older(
    tmp_path: Path, keeper: Keeper
) -> None:
    for boot in ("boot-1", "boot-2", "boot-3"):
        keeper.now = instant(boot=boot)
        store = keeper.open(tmp_path)
        for second in range(30):
            hear(store, instant(second, boot), second)
            if second % 10 == 9:
                assert keeper.flush(store) is None
        keeper.now = instant(30, boot)
        store.close()
    ask = keeper.open(tmp_path).queries
    heard = [
        (row.at.boot_id, row.value)
        for row in ask.heard_since(instant(12, "boot-2"))
        if row.kind is Kind.READING
    ]
    assert heard == [("boot-2", second) for second in range(12, 30)]
    assert list(ask.heard_since(instant(0, "boot-4"))) == []
    longest = [
        row.value for row in ask.heard_since(instant(0, "boot-3"), longest=5) if row.kind is Kind.READING
    ]
    assert longest[-1] == 29
    assert len(longest) <= 5


def test_a_snapshot_and_what_came_after_it_lack_nothing_and_repeat_nothing(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    assert store.queries.snapshot() is None
    for second in range(10):
        hear(store, instant(second), second)
    store.snapshot(lambda: b"an older one", instant(9))
    hear(store, instant(10), 10)
    store.snapshot(lambda: b"up to 10", instant(10.5))
    for second in range(11, 15):  # handed in before the snapshot is written, and yet not in it
        hear(store, instant(second), second)
    assert keeper.flush(store) is None
    hear(store, instant(15), 15)
    store.close()
    ask = keeper.open(tmp_path).queries
    blob, at, first = ask.snapshot()
    assert (blob, at) == (b"up to 10", instant(10.5))
    assert [row.value for row in ask.events(first - 1) if row.kind is Kind.READING] == [11, 12, 13, 14, 15]


def test_senses_come_back_from_a_snapshot_and_the_rows_after_it(tmp_path: Path, keeper: Keeper) -> None:
    from appliance.core.restoring import pack, rehear, unpack
    from tests.core.home import PROFILE, RULE, House

    house = House(PROFILE + RULE)
    store = keeper.open(tmp_path)
    for second in range(1, 900, 7):
        house.say(second, "air", pm25=20 + second % 13)
        hear(store, house.start.plus(second * SECOND), 20 + second % 13)
        if second == 603:
            store.snapshot(partial(pack, house.controller.state), house.start.plus(second * SECOND))
    assert keeper.flush(store) is None
    blob, _, first = store.queries.snapshot()
    later = [
        (Reading(row.device, row.metric, row.value, row.unit), row.at, row.retained)
        for row in store.queries.events(first - 1)
        if row.kind is Kind.READING
    ]
    assert later
    back = rehear(unpack(blob, house.home.at_start({}, house.start)), house.home.routes, {}, later)
    assert back.appliances["fan"].senses["pm2_5"] == house.controller.state.appliances["fan"].senses["pm2_5"]


def test_a_question_that_takes_too_long_is_ended(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path)
    with (
        pytest.raises(StoreError, match="longer than 1 s"),
        readonly.read_only(tmp_path / schema.READINGS) as connection,
    ):
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
        ).fetchone()
    assert keeper.flush(store) is None


def test_a_question_can_write_nothing(tmp_path: Path, keeper: Keeper) -> None:
    keeper.open(tmp_path)
    with (
        pytest.raises(StoreError, match="readonly"),
        readonly.read_only(tmp_path / schema.DECISIONS) as connection,
    ):
        connection.execute("DELETE FROM memories")


def test_a_question_to_a_folder_with_no_history_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="decisions"):
        Queries(tmp_path).decisions()


def test_a_backup_made_in_use_opens_as_a_store_and_overwrites_nothing(tmp_path: Path, keeper: Keeper) -> None:
    store = keeper.open(tmp_path / "live")
    for number in range(1, 31):
        store.record(decision(number))
        hear(store, instant(number), number)
    assert keeper.flush(store) is None
    backup(tmp_path / "live", tmp_path / "kept")
    store.record(decision(31))
    assert keeper.confirm(store) is None
    with pytest.raises(StoreError, match="already"):
        backup(tmp_path / "live", tmp_path / "kept")
    copy = keeper.open(tmp_path / "kept")
    assert copy.restored.next_id == 31
    assert copy.queries.verify() is None
    assert copy.queries.latest(AIR, "pm2_5").value == 30


def test_decisions_of_a_time_are_found_also_where_the_clock_was_set_back(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    walls = (10, 11, 12, 3, 4, 11, 12, 13)
    for number, wall in enumerate(walls, 1):
        at = Instant("boot-1", number, wall)
        store.record(decision(number, at=at))
    assert keeper.confirm(store) is None
    for since, until in ((11, 13), (None, 5), (12, None), (5, 10), (99, None)):
        expected = [
            number
            for number, wall in enumerate(walls, 1)
            if (since is None or wall >= since) and (until is None or wall < until)
        ]
        found = store.queries.decisions(since_ns=since, until_ns=until)
        assert [kept.decision.id for kept in found] == expected[::-1], (since, until)


def test_of_decisions_on_disk_few_stay_in_memory_and_all_can_be_asked_for(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    for number in range(1, ring.RECORDED + 101):
        store.record(decision(number))
    assert keeper.confirm(store) is None
    kept = store.ring()
    assert [one.decision.id for one in (kept[0], kept[-1])] == [101, ring.RECORDED + 100]
    assert all(one.recorded for one in kept)
    assert store.kept(1) is None
    assert store.queries.decision(1).decision == decision(1)


def test_the_last_decision_of_a_quiet_appliance_stays_known_as_recorded_beside_a_busy_one(
    tmp_path: Path, keeper: Keeper
) -> None:
    store = keeper.open(tmp_path)
    store.record(decision(1, appliance="heater"))
    for number in range(2, ring.RECORDED + 101):
        store.record(decision(number))
    assert keeper.confirm(store) is None
    store.repeat(1, instant(9))
    kept = store.kept(1)
    assert (kept.recorded, kept.count) == (True, 2)
    assert [one.decision.id for one in store.ring()][:2] == [1, 101]
    store.record(decision(ring.RECORDED + 101, appliance="heater"))
    assert keeper.confirm(store) is None
    assert store.kept(1) is None
