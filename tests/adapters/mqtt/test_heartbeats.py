"""What waited while somebody stood still is of unknown age: taken for new, it would keep a heater on that nobody watches."""

from appliance.adapters.mqtt.heartbeats import ECHO_S, STANDSTILL_S, Heartbeats


class Wire:
    """A clock that is set by hand, and what was sent."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[bytes] = []
        self.beats = Heartbeats(lambda payload: self.sent.append(payload) is None, lambda: self.now)

    def well(self) -> "Wire":
        self.beats.beat()
        self.beats.echo(self.sent[-1])
        return self

    def passes(self, seconds: float) -> bool:
        self.now += seconds
        return self.beats.look()


def test_after_a_standstill_all_is_late_until_a_heartbeat_of_afterwards_is_back() -> None:
    wire = Wire().well()
    wire.beats.beat()
    assert wire.passes(STANDSTILL_S + 1)
    assert wire.beats.late
    wire.beats.echo(wire.sent[-2])  # of before the standstill
    assert wire.beats.late
    wire.beats.beat()
    wire.beats.echo(wire.sent[-1])
    assert not wire.beats.late


def test_a_broker_that_stood_still_is_noticed_and_its_first_echoes_prove_nothing() -> None:
    """It reads its sockets in any order: what others told it meanwhile may come after our heartbeats of meanwhile."""
    wire = Wire().well()
    for _ in range(round(ECHO_S)):
        wire.beats.beat()
        wire.passes(2)
    assert wire.beats.late
    wire.beats.beat()
    for sent in list(wire.sent[1:]):
        wire.beats.echo(sent)
        assert wire.beats.late
    wire.beats.beat()
    wire.beats.echo(wire.sent[-1])
    assert not wire.beats.late


def test_a_slow_link_whose_echoes_are_always_on_their_way_is_not_late() -> None:
    wire = Wire()
    for number in range(20):
        wire.beats.beat()
        for _ in range(2):
            assert wire.passes(1)
        if number > 1:
            wire.beats.echo(wire.sent[-2])
        assert not wire.beats.late


def test_a_number_that_was_never_sent_ends_nothing() -> None:
    wire = Wire().well()
    wire.passes(STANDSTILL_S + 1)
    for forged in (b"999999", b"-1", b"", b"x", b"1" * 400, "١".encode(), "²".encode()):
        wire.beats.echo(forged)
    assert wire.beats.late


def test_where_heartbeats_are_swallowed_new_and_old_cannot_be_told_apart() -> None:
    wire = Wire()
    wire.beats.beat()
    assert wire.passes(ECHO_S + 1) is False
    wire = Wire()
    wire.beats.beat()
    assert all(wire.passes(1) for _ in range(60)), "without a standstill such a link stays up"
