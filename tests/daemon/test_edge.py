"""The daemon beside an edge server: found, away, back, a liar; and control goes on through all of it."""

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from appliance.adapters.clock import SystemClock
from appliance.config import appliances, load_settings
from appliance.core.home import Home
from appliance.daemon.edging import Nearby
from appliance.daemon.models import load_models
from tests.adapters.conftest import ROOT, until_sync
from tests.daemon.conftest import Daemon, Fan, in_control

LEARNED = '[channels.temperature]\n[channels.presence]\nmodel = "presence"\nwords = ["nobody", "somebody"]\n[fallback]'


class Server:
    """`appliance edge serve` as its own process; it can end and start again at the same port."""

    def __init__(self, models: Path) -> None:
        self.models = models
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "appliance", "edge", "serve", "--models", str(self.models)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )  # fmt: skip
        assert self.process.stdout is not None
        found = re.search(r":(\d+)$", self.process.stdout.readline().strip())
        assert found is not None
        self.port = int(found[1])

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(ROOT / "models")
    yield made
    made.end()


def near(daemon: Daemon, server: Server) -> None:
    """Let the daemon's fan have a model, and an edge behind it."""
    daemon.change("[http]", f'[edge]\nurl = "http://127.0.0.1:{server.port}"\n[http]')
    learns(daemon)


def learns(daemon: Daemon) -> None:
    """Let the daemon's fan have a model."""
    profile = daemon.folder / "fan.toml"
    profile.write_text(profile.read_text("utf-8").replace("[fallback]", LEARNED), "utf-8")
    daemon.change('pm2_5 = "zigbee2mqtt/air"', 'pm2_5 = "zigbee2mqtt/air"\nco2 = "zigbee2mqtt/air"\ntemperature = "zigbee2mqtt/air"')  # fmt: skip


def believed(daemon: Daemon) -> bool:
    (teacher,) = daemon.ask("/v1/edge")["answers"]["teachers"]
    return bool(teacher["believed"])


def test_an_edge_that_leaves_is_told_holds_up_nothing_and_is_found_again(
    daemon: Daemon, fan: Fan, server: Server
) -> None:
    server.start()
    near(daemon, server)
    daemon.start()
    in_control(daemon, fan)
    until_sync(lambda: believed(daemon), 20)
    assert daemon.part("edge") == "ok"
    (audit,) = daemon.ask("/v1/edge")["audits"]
    assert (audit["model"], audit["edge"], audit["acts"]) == ("presence", "presence-teacher", True)
    with urllib.request.urlopen(f"{daemon.url}/metrics", timeout=10) as counted:
        assert "appliance_edge_connected 1" in counted.read().decode()
    server.end()
    fan.air(40)
    until_sync(lambda: fan.commands == ["9"])
    # What is away is noticed when it is asked next; a start asks at once.
    assert daemon.stop() == 0
    daemon.start()
    until_sync(lambda: daemon.part("edge") == "degraded", 20)
    assert daemon.health()["ready"] is True
    server.start()
    until_sync(lambda: believed(daemon), 60)
    until_sync(lambda: daemon.part("edge") == "ok")
    assert daemon.stop() == 0


def test_a_model_that_comes_with_a_new_config_finds_its_bigger_one_without_a_restart(
    daemon: Daemon, fan: Fan, server: Server
) -> None:
    server.start()
    daemon.change("[http]", f'[edge]\nurl = "http://127.0.0.1:{server.port}"\n[http]')
    daemon.start()
    in_control(daemon, fan)
    assert daemon.ask("/v1/edge")["answers"]["teachers"] == []
    learns(daemon)
    daemon.process.send_signal(signal.SIGHUP)
    until_sync(lambda: daemon.ask("/v1/edge")["answers"]["teachers"] and believed(daemon), 30)
    until_sync(lambda: daemon.part("edge") == "ok")
    assert daemon.stop() == 0


def test_an_edge_that_runs_another_model_under_the_name_is_not_believed(
    daemon: Daemon, fan: Fan, server: Server, tmp_path: Path
) -> None:
    liar = tmp_path / "models" / "presence-teacher"
    liar.mkdir(parents=True)
    # As many features and labels, and a model of its own: it answers everything, and wrongly.
    from onnx import TensorProto, helper, save

    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["probabilities"]),
    ]
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [12, 2], [0.01, -0.01] * 12)
    graph = helper.make_graph(
        nodes, "liar",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 12])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        [weights],
    )  # fmt: skip
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        str(liar / "model.onnx"),
    )
    server.models = tmp_path / "models"
    server.start()
    near(daemon, server)
    daemon.start()
    in_control(daemon, fan)
    until_sync(lambda: daemon.part("edge") == "degraded", 20)
    assert not believed(daemon)
    (teacher,) = daemon.ask("/v1/edge")["answers"]["teachers"]
    assert teacher["why"]
    assert daemon.health()["ready"] is True
    assert daemon.stop() == 0


def test_an_edge_that_is_a_strangers_unencrypted_is_refused_at_the_start(
    daemon: Daemon, server: Server
) -> None:
    server.port = 80
    near(daemon, server)
    daemon.change("http://127.0.0.1:80", "http://93.184.216.34")
    told = daemon.refuses()
    assert "[edge]" in told
    assert "https" in told


def test_what_is_only_supposed_buys_no_share_of_cases(daemon: Daemon, fan: Fan, server: Server) -> None:
    server.start()
    near(daemon, server)
    daemon.start()
    in_control(daemon, fan)

    def seen() -> int:
        return int(daemon.ask("/v1/edge")["answers"]["budget"]["seen"])

    fan.broker.publish("zigbee2mqtt/air", '{"co2":700}')
    until_sync(lambda: seen() > 0)
    before = seen()
    for _ in range(100):  # anybody who may read may suppose, without a token
        daemon.ask("/v1/decide", "POST", {"appliance": "fan", "readings": [{"channel": "co2", "value": 900}]})
    now = seen()
    fan.broker.publish("zigbee2mqtt/air", '{"co2":701}')
    until_sync(lambda: seen() > now)
    assert seen() - before < 50, "suppositions were counted as decided cases"
    assert daemon.stop() == 0


def test_a_demo_whose_edge_can_not_be_is_refused_in_words() -> None:
    command = [sys.executable, "-m", "appliance", "demo", "--port", "0", "--seconds", "5", "--edge"]
    for url in ("nas", "http://93.184.216.34"):
        told = subprocess.run(
            [*command, url], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert told.returncode == 78
        assert "Traceback" not in told.stderr
        assert "edge" in told.stderr


def test_a_version_that_no_bundle_here_has_is_told_as_not_asked(tmp_path: Path) -> None:
    config = tmp_path / "appliance.toml"
    config.write_text(
        '[appliances.fan]\nprofile = "air_purifier"\ndevice = "zigbee2mqtt/fan"\n[appliances.fan.channels]\n'
        'pm2_5 = "zigbee2mqtt/air"\n[edge]\nurl = "http://127.0.0.1:1"\n'
    )
    loaded = load_settings(config, {})
    specs = appliances(loaded)
    classifiers, _ = load_models(specs)
    near = Nearby(loaded, tmp_path, SystemClock(), lambda answer: None)
    edges = near.behind(classifiers)
    told = []
    for version in (edges["presence"].version, 99):
        presence = msgspec.structs.replace(edges["presence"], version=version)
        near.look(Home(specs, classifiers, ZoneInfo("UTC"), edges={**edges, "presence": presence}), 0)
        (part,) = near.parts()
        told.append("presence-teacher 99 can't be asked" in (part.detail or ""))
    assert told == [False, True]
