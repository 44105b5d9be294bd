"""A retained message that ends the process is handed out again at every start: left as it is, the home would never be under control."""

from pathlib import Path

import pytest

from appliance.core.payloads.message import Message
from appliance.daemon.quarantine import Quarantine

BAD = Message("t/bad", b"bad", retained=True)
GOOD = Message("t/good", b"good", retained=True)
LIVE = Message("t/bad", b"bad")
NEVER_LEFT: list[object] = []
"""A context that is collected is left."""


def ends_with(folder: Path, *messages: Message) -> None:
    """As a process that ends while it looks at them."""
    looking = Quarantine(folder).looking_at(messages)
    looking.__enter__()
    NEVER_LEFT.append(looking)


def test_it_is_looked_at_alone_the_second_time_and_not_a_third_time(tmp_path) -> None:
    ends_with(tmp_path, GOOD, BAD, GOOD)
    again = Quarantine(tmp_path)
    batches = again.split([LIVE, BAD, LIVE])
    assert [list(batch) for batch in batches] == [[LIVE], [BAD], [LIVE]]
    ends_with(tmp_path, BAD)
    third = Quarantine(tmp_path)
    assert list(third.split([LIVE, BAD, LIVE])) == [[LIVE], [LIVE]]
    assert third.left_alone == 1


def test_who_stood_beside_it_is_cleared_as_soon_as_it_was_outlived(tmp_path) -> None:
    ends_with(tmp_path, GOOD, BAD)
    again = Quarantine(tmp_path)
    with again.looking_at([GOOD]):
        pass
    ends_with(tmp_path, BAD)
    assert list(Quarantine(tmp_path).split([GOOD, BAD])) == [[GOOD]]


def test_an_exception_is_outlived(tmp_path) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="no more"), Quarantine(tmp_path).looking_at([BAD]):
            raise ValueError("no more")
    assert list(Quarantine(tmp_path).split([BAD])) == [[BAD]]


def test_another_payload_on_the_topic_is_looked_at(tmp_path) -> None:
    ends_with(tmp_path, BAD)
    ends_with(tmp_path, BAD)
    mended = Message("t/bad", b"mended", retained=True)
    assert list(Quarantine(tmp_path).split([BAD, mended])) == [[mended]]


@pytest.mark.parametrize("note", [b"", b"x", b"[]", b'{"now": 5}', b"\xff" * 100])
def test_a_note_that_is_none_costs_the_protection_and_nothing_else(tmp_path, note) -> None:
    (tmp_path / "looking_at").write_bytes(note)
    quarantine = Quarantine(tmp_path)
    with quarantine.looking_at([BAD]):
        assert list(quarantine.split([BAD])) == [[BAD]]


def test_without_a_disk_control_goes_on(tmp_path) -> None:
    quarantine = Quarantine(tmp_path / "nowhere")
    with quarantine.looking_at([BAD]):
        assert list(quarantine.split([BAD, LIVE])) == [[BAD, LIVE]]
