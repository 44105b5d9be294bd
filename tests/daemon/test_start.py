"""How it starts and ends: a wrong config is named before anything is connected, and the service manager is told the truth."""

import os
import signal
import socket
import stat
import time

import pytest

from tests.adapters.conftest import Broker, until_sync
from tests.daemon.conftest import Daemon, Fan, in_control

LOOSE_RULE = """
[appliances.fan.rules.x]
when = "pm2_5 >> 3"
at_least = "low"
because = "x"
[appliances.fan.channels]"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[store]", "[stor]"), ["config.toml", "stor", "no such setting"]),
        (('profile = "fan.toml"', 'profile = "fann"'), ["fann", "air_purifier"]),
        (("[http]\nport = 0", "[http]\nport = 99999"), ["http.port", "65535"]),
        (('pm2_5 = "zigbee2mqtt/air"', 'pm25 = "zigbee2mqtt/air"'), ["pm25", "pm2_5"]),
        (('device = "zigbee2mqtt/fan"', 'device = "zigbee2mqtt/f#n"'), ["device"]),
        (("[appliances.fan.channels]", LOOSE_RULE), ["fan.toml", "rule x", "column 8", "^"]),
        (("[mqtt]", "[mqtt"), ["config.toml", "no TOML"]),
        (("[mqtt]", "[mqtt.tls]\nca_file = '/nowhere.pem'\n[mqtt]"), ["mqtt.tls"]),
        (("[mqtt]", "[mqtt]\nusername = 'me'\npassword_file = 'nowhere'"), ["password_file", "nowhere"]),
    ],
    ids=["section", "profile", "range", "channel", "topic", "rule", "toml", "certificate", "password"],
)
def test_a_wrong_config_ends_with_78_and_names_place_and_remedy_before_connecting(
    daemon: Daemon, silent_broker: Broker, change: tuple[str, str], words: list[str]
) -> None:
    daemon.change(*change)
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", silent_broker.port))
        broker.listen()
        broker.setblocking(False)
        said = daemon.refuses()
        with pytest.raises(BlockingIOError):  # nobody called
            broker.accept()
    for word in words:
        assert word in said


def test_without_a_named_broker_and_without_one_there_it_says_how(daemon: Daemon) -> None:
    daemon.change(daemon.config.read_text().partition("[store]")[0], "")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 1883)) == 0:
            pytest.skip("somebody listens on port 1883 of this machine")
    assert "embedded = true" in daemon.refuses()


def test_a_broker_that_is_named_may_come_later(daemon: Daemon, silent_broker: Broker) -> None:
    daemon.start()
    health = daemon.health()
    assert (health["ready"], daemon.part("broker")) == (False, "down")
    silent_broker.start()
    fan = Fan(silent_broker)
    try:
        in_control(daemon, fan)
        fan.air(40)
        until_sync(lambda: fan.commands == ["9"])
    finally:
        fan.close()


def test_a_second_daemon_on_the_same_folder_is_refused_and_harms_nothing(daemon: Daemon, fan: Fan) -> None:
    daemon.start()
    in_control(daemon, fan)
    said = daemon.refuses()
    assert "another daemon" in said
    assert str(daemon.process.pid) in said
    assert daemon.health()["ready"]
    assert fan.broker.retained("appliance/status") == b"online"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_says_offline(daemon: Daemon, fan: Fan, how: int) -> None:
    daemon.start()
    in_control(daemon, fan)
    assert fan.broker.retained("appliance/status") == b"online"
    began = time.monotonic()
    daemon.process.send_signal(how)
    assert daemon.process.wait(20) == 0
    assert time.monotonic() - began < 8  # promised: 5
    assert fan.broker.retained("appliance/status") == b"offline"
    assert "Traceback" not in daemon.log
    assert not (daemon.folder / "state" / "url").exists(), "the page is said to be where nobody is"


@pytest.mark.parametrize("broker_is", ["away", "frozen"])
def test_it_ends_cleanly_also_where_the_broker_does_not_answer(
    daemon: Daemon, fan: Fan, broker_is: str
) -> None:
    daemon.start()
    in_control(daemon, fan)
    if broker_is == "away":
        fan.broker.kill()
        until_sync(lambda: daemon.part("broker") == "down")
    else:
        fan.broker.freeze()
    began = time.monotonic()
    daemon.process.terminate()
    assert daemon.process.wait(20) == 0, daemon.log
    assert time.monotonic() - began < 8  # promised: 5
    assert "Traceback" not in daemon.log


def test_the_token_is_for_its_owner_alone(daemon: Daemon, fan: Fan) -> None:
    daemon.start()
    path = daemon.folder / "state" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    token = path.read_text().strip()
    assert token not in daemon.log
    assert daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "loud"})["status"] in (404, 422)
    daemon.token = token[::-1]
    assert daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low"})["status"] in (401, 403)
    daemon.stop()
    daemon.start()
    assert path.read_text().strip() == token


def test_the_service_manager_hears_ready_and_signs_of_life(daemon: Daemon, fan: Fan) -> None:
    path = daemon.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        daemon.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "3000000"}
        daemon.start()
        heard = b""
        while b"READY=1" not in heard or heard.count(b"WATCHDOG=1") < 3:
            heard += manager.recv(4096) + b"\n"
        daemon.process.terminate()
        while b"STOPPING=1" not in heard:
            heard += manager.recv(4096) + b"\n"


def test_an_embedded_broker_that_dies_ends_the_daemon_for_the_service_manager_to_start(
    daemon: Daemon,
) -> None:
    """Nobody else would start it again: the home would be without control for good, at full health of the process."""
    pytest.importorskip("amqtt")
    daemon.change(daemon.config.read_text().partition("[store]")[0], "[broker]\nembedded = true\n")
    daemon.start()
    until_sync(lambda: daemon.health()["ready"])
    children = f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children"
    if not os.path.exists(children):
        pytest.skip("this kernel tells no children")
    with open(children) as file:
        [broker] = map(int, file.read().split())
    os.kill(broker, signal.SIGKILL)
    assert daemon.process.wait(20) == 69
    assert "embedded broker has died" in daemon.log
    assert "Traceback" not in daemon.log


def test_a_home_without_any_appliance_is_refused_with_what_to_add(daemon: Daemon) -> None:
    daemon.config.write_text(daemon.config.read_text().partition("[appliances.fan]")[0])
    assert "[appliances.NAME]" in daemon.refuses()
