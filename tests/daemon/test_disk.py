"""The disk is gone, full or read-only: control goes on, nothing is said to be kept that is not, and it is made up for."""

import pytest

from appliance.adapters.store import Queries
from tests.adapters.conftest import until_sync
from tests.adapters.store.conftest import Disk, disk  # noqa: F401  a fixture
from tests.daemon.conftest import Daemon, Fan, in_control


@pytest.fixture
def small(daemon: Daemon, disk: Disk) -> Disk:  # noqa: F811
    """The disk of one megabyte that the daemon's state lies on."""
    daemon.change('folder = "state"', f'folder = "{disk.path}/state"')
    (daemon.folder / "state").symlink_to(disk.path / "state")
    return disk


def test_control_goes_on_when_the_store_is_gone_and_health_says_so(daemon: Daemon, fan: Fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    state = daemon.folder / "state"
    # At once: a folder that is emptied file by file meets the writer's own healing on the way.
    state.rename(daemon.folder / "gone")
    state.write_text("a file where the folder was")
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    until_sync(lambda: daemon.part("store") == "degraded")
    assert daemon.health()["status"] == "degraded"
    assert daemon.last()["recorded"] is False
    assert daemon.ask("/v1/decisions")["decisions"][0]["id"] == daemon.last()["id"]
    state.unlink()
    until_sync(lambda: daemon.part("store") == "ok", 20)
    until_sync(lambda: daemon.last()["recorded"])
    assert daemon.part("history") == "degraded", "what was in the folder is lost"
    assert daemon.stop() == 0
    assert Queries(state).verify() is None


def test_a_full_disk_stops_no_command_and_is_made_up_for(
    daemon: Daemon,
    fan: Fan,
    small: Disk,
) -> None:
    daemon.start()
    in_control(daemon, fan)
    small.fill()
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    until_sync(lambda: daemon.part("store") == "degraded")
    override = daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low", "for_s": 3600})
    assert override["recorded"] is True, "there was a reserve for it"
    until_sync(lambda: fan.commands[-1:] == ["2"])
    small.fill()
    # The block that the log ends in may hold some more.
    for more_s in range(20):
        override = daemon.ask(
            "/v1/appliances/fan/override", "PUT", {"action": "high", "for_s": 3600 + more_s}
        )
        if not override["recorded"]:
            break
    assert override["recorded"] is False, "it is said to be kept, and is not"
    until_sync(lambda: fan.commands[-1:] == ["9"])
    small.free()
    until_sync(lambda: daemon.part("store") == "ok", 20)
    until_sync(lambda: daemon.last()["recorded"])
    daemon.kill()
    daemon.start()
    assert daemon.ask("/v1/appliances/fan")["override"]["action"] == "high"
    daemon.kill()


def test_what_was_recorded_in_the_reserve_of_a_full_disk_is_there_after_a_crash(
    daemon: Daemon, fan: Fan, small: Disk
) -> None:
    daemon.start()
    in_control(daemon, fan)
    until_sync((small.path / "state" / "ballast").exists)
    small.fill()
    override = daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low", "for_s": 3600})
    assert override["recorded"] is True
    daemon.kill()
    (daemon.folder / "state" / "url").unlink()
    daemon.start_without_disk()
    assert (
        not (daemon.folder / "state" / "url").exists()
        or daemon.url in (daemon.folder / "state" / "url").read_text()
    )
    assert daemon.ask("/v1/appliances/fan")["override"]["action"] == "low"
    daemon.kill()
    assert Queries(small.path / "state").verify() is None


def test_a_disk_that_is_read_only_from_the_start_costs_the_history_and_nothing_else(
    daemon: Daemon, fan: Fan, small: Disk
) -> None:
    daemon.start()
    daemon.stop()
    small.read_only(on=True)
    try:
        daemon.start_without_disk()
        in_control(daemon, fan)
        fan.air(40)
        until_sync(lambda: fan.commands == ["9"])
        assert daemon.part("store") == "degraded"
        assert daemon.last()["recorded"] is False
    finally:
        small.read_only(on=False)
    until_sync(lambda: daemon.part("store") == "ok", 20)
    until_sync(lambda: daemon.last()["recorded"])


def test_a_disk_that_is_full_at_the_very_first_start_keeps_nobody_from_control(
    daemon: Daemon, fan: Fan, small: Disk
) -> None:
    small.fill()
    daemon.start_without_disk()
    in_control(daemon, fan)
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    assert daemon.part("store") == "degraded"
    assert daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low"})["status"] in (401, 403)
    small.free()
    until_sync(lambda: daemon.part("store") == "ok", 20)
    assert daemon.stop() == 0
