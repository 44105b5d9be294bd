"""When the daemon is in safe mode, and which config it then takes: neither power cuts nor old crashes lead there."""

from pathlib import Path

import pytest

from appliance.adapters.runs import History, Run
from appliance.config import appliances, load_settings
from appliance.core.clock import SECOND, Instant
from appliance.daemon import last_good
from appliance.daemon.safe_mode import judge
from tests.core.home import PROFILE, RULE
from tests.daemon.conftest import CONFIG

HOUR = 3600


def at(seconds: float, boot: str = "boot-1") -> Instant:
    return Instant(boot, int(seconds * SECOND), int((1_700_000_000 + seconds) * SECOND))


def history(
    *ends: float, how: str = "lost", boot: str = "boot-1", pardoned: Instant | None = None
) -> History:
    return History(tuple(Run(at(0, boot), 1, ended=at(end, boot), how=how) for end in ends), pardoned)


def until(found: History, now: Instant) -> float | None:
    """Return the second of boot until which safe mode holds."""
    mode = judge(found, now)
    return None if mode is None else mode.until.boottime_ns / SECOND


def test_three_crashes_within_five_minutes_and_no_fewer() -> None:
    assert until(history(10, 20), at(21)) is None
    assert until(history(10, 20, 30), at(31)) == 30 + HOUR
    assert until(history(10, 20, 310), at(311)) == 310 + HOUR
    assert until(history(10, 20, 311), at(312)) is None
    assert until(history(10, 400, 800, 1200), at(1201)) is None


def test_it_ends_by_itself_after_an_hour_and_another_crash_prolongs_it() -> None:
    assert until(history(10, 20, 30), at(29 + HOUR)) == 30 + HOUR
    assert until(history(10, 20, 30), at(30 + HOUR)) is None
    assert until(history(10, 20, 30, 2000), at(2001)) == 2000 + HOUR
    assert until(history(10, 20, 30, 31 + HOUR), at(32 + HOUR)) is None, "one crash after its end"


@pytest.mark.parametrize("how", ["stopped", "refused", "boot", "running"])
def test_what_is_no_crash_of_ours_does_not_count(how: str) -> None:
    assert until(history(10, 20, 30, how=how), at(31)) is None


def test_another_boot_s_crashes_do_not_count() -> None:
    assert until(history(10, 20, 30, boot="boot-0"), at(31)) is None


def test_what_was_forgiven_counts_no_more_but_what_comes_after_does() -> None:
    assert until(history(10, 20, 30, pardoned=at(40)), at(41)) is None
    assert until(history(10, 20, 30, 50, 60, pardoned=at(40)), at(61)) is None
    assert until(history(10, 20, 30, 50, 60, 70, pardoned=at(40)), at(71)) == 70 + HOUR
    assert until(history(10, 20, 30, pardoned=at(40, "boot-0")), at(41)) == 30 + HOUR


def config(folder: Path, *, text: str = "", own: str = PROFILE + RULE):
    folder.mkdir(exist_ok=True)
    (folder / "fan.toml").write_text(own, "utf-8")
    (folder / "config.toml").write_text(CONFIG.format(port=1) + text, "utf-8")
    return load_settings(folder / "config.toml", {})


def test_the_last_good_config_is_whole_also_where_its_files_are_gone(tmp_path: Path) -> None:
    rule = '[appliances.fan.rules.dusty]\nwhen = "pm2_5 > 70"\n'
    good = config(tmp_path / "home", text=rule)
    last_good.keep(tmp_path, good, at(1))
    assert last_good.kept_digest(tmp_path) == last_good.digest(good)
    (tmp_path / "home" / "fan.toml").write_text("no TOML", "utf-8")
    (tmp_path / "home" / "config.toml").unlink()
    found = last_good.last_good(tmp_path, good)
    assert found.settings == good.settings
    assert appliances(found) == appliances(config(tmp_path / "home", text=rule))


@pytest.mark.parametrize("harm", ["altered", "cut", "not understood", "gone"])
def test_a_last_good_config_that_is_not_what_ran_is_not_used(tmp_path: Path, harm: str) -> None:
    good = config(tmp_path / "home")
    last_good.keep(tmp_path, good, at(1))
    file = tmp_path / last_good.FILE
    kept = file.read_bytes()
    match harm:
        case "altered":
            file.write_bytes(kept.replace(b"pm2_5 > 35", b"pm2_5 > 95"))
        case "cut":
            file.write_bytes(kept[: len(kept) // 2])
        case "not understood":
            poor = good.model_copy(update={"settings": good.settings.model_copy(update={"appliances": {}})})
            odd = poor.settings.model_copy(update={"home": {"timezone": "Nowhere"}})
            with pytest.warns(UserWarning, match="serializ"):
                last_good.keep(tmp_path, good.model_copy(update={"settings": odd}), at(1))
        case "gone":
            file.unlink()
    assert last_good.last_good(tmp_path, good) is None
