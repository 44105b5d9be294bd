"""What the daemon itself decided, at a real broker and by its own clock, replays from its own store."""

import json
import time

from click.testing import CliRunner

from appliance.cli import cli
from appliance.replay.checking import SHORTEST_S
from tests.adapters.conftest import silent_broker, until_sync  # noqa: F401  a fixture
from tests.daemon.conftest import Daemon, Fan, daemon, fan, in_control  # noqa: F401  fixtures


def test_a_replay_decides_what_the_daemon_decided(daemon: Daemon, fan: Fan) -> None:  # noqa: F811
    for again in (False, True):
        if again:
            time.sleep(SHORTEST_S)  # it starts in less: nobody would ask about that gap
        daemon.start()
        in_control(daemon, fan)
        before = len(fan.commands)
        fan.air(40)
        until_sync(lambda before=before: len(fan.commands) > before)
        fan.report("9")
        until_sync(lambda: daemon.ask("/v1/appliances/fan")["doing"] == "high")
        daemon.ask("/v1/appliances/fan/override", "PUT", {"action": "low", "for_s": 60})
        until_sync(lambda: daemon.last()["action"] == "low")
        fan.air(10)
        assert daemon.stop() == 0
    done = CliRunner().invoke(cli, ["replay", "--check", "--json", "--config", str(daemon.config)])
    report = json.loads(done.output.splitlines()[-1])
    assert done.exit_code == 0, done.output
    assert report["divergences"] == report["uncovered"] == 0
    assert report["compared"] >= 4
    # A start within a second is no gap that anybody asks about.
    assert {gap["why"] for gap in report["gaps"]} <= {"the daemon was not running"}
    assert len(report["stretches"]) >= 2
