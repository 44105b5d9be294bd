"""The journal of runs: what is not ours is not counted, what is broken costs nothing else, and nothing grows."""

import os
from pathlib import Path

import msgspec
import pytest

from appliance.adapters.runs import FILE, LONGEST_WHY, MAX_BYTES, MOST, Run, Runs, read
from appliance.core.clock import SECOND, Instant


def at(seconds: float, boot: str = "boot-1") -> Instant:
    return Instant(boot, int(seconds * SECOND), int((1_700_000_000 + seconds) * SECOND))


def lived(folder: Path, began: Instant, how: str = "", why: str = "") -> Runs:
    """One run; without `how` it ends without a word."""
    runs = Runs(folder)
    runs.begin(began)
    runs.add(Run(began, 1))
    if how:
        runs.end(how, why, began.plus(SECOND))
    return runs


def test_a_run_without_a_last_word_is_lost_in_its_own_boot_and_gone_with_another(tmp_path: Path) -> None:
    lived(tmp_path, at(1))
    lived(tmp_path, at(5))
    found = Runs(tmp_path).begin(at(9, "boot-2")).runs
    assert [(run.how, run.crashed) for run in found] == [("lost", True), ("boot", False)]
    assert found[0].ended == at(5)


def test_the_first_word_on_an_end_stands(tmp_path: Path) -> None:
    runs = lived(tmp_path, at(1), "stopped")
    runs.end("failed", "it broke while it stopped", at(3))
    assert [run.how for run in read(tmp_path).runs] == ["stopped"]


def test_the_journal_is_bounded_whatever_is_written_into_it(tmp_path: Path) -> None:
    for number in range(2 * MOST):
        lived(tmp_path, at(number), "failed", "\x00\u2028é\n" * 10_000)
    found = read(tmp_path)
    assert len(found.runs) == MOST
    assert max(len(run.why) for run in found.runs) <= LONGEST_WHY
    assert (tmp_path / FILE).stat().st_size < MAX_BYTES
    assert os.listdir(tmp_path) == [FILE]


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"runs": 3}', b'{"runs": [{"how": "???"}]}', b"[" * 300_000, b"\0" * 4096],
)  # fmt: skip
def test_a_broken_journal_is_begun_anew(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / FILE).write_bytes(rubbish)
    lived(tmp_path, at(1), "stopped")
    assert [run.how for run in read(tmp_path).runs] == ["stopped"]


@pytest.mark.parametrize("cut", range(0, 400, 25))
def test_a_journal_that_was_cut_short_is_no_error(tmp_path: Path, cut: int) -> None:
    lived(tmp_path, at(1), "failed", "of something")
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:cut])
    assert len(read(tmp_path).runs) == (1 if cut >= len(whole) else 0)


def test_where_nothing_can_be_written_the_run_goes_on(tmp_path: Path, caplog) -> None:
    (tmp_path / FILE).mkdir()
    (tmp_path / FILE / "in the way").touch()
    runs = lived(tmp_path, at(1), "stopped")
    runs.pardon(at(2))
    assert caplog.text.count("can't be written") == 1
    assert not list(tmp_path.glob("*.new"))


def test_others_may_not_read_it(tmp_path: Path) -> None:
    lived(tmp_path, at(1))
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_what_an_older_release_wrote_is_still_read(tmp_path: Path) -> None:
    run = msgspec.to_builtins(Run(at(1), 7, how="stopped"))
    (tmp_path / FILE).write_bytes(msgspec.json.encode({"runs": [run], "added_since": True}))
    assert len(read(tmp_path).runs) == 1
