"""Every shipped profile: it can be told to every device it knows, and keeps its own promises over random days."""

import json
import random
import tomllib
from zoneinfo import ZoneInfo

import pytest

from appliance.config import shipped_profiles
from appliance.core import deciding, guards
from appliance.core.arbitration import Authority
from appliance.core.assembly import assemble
from appliance.core.clock import SECOND, Instant
from appliance.core.conditions.nodes import Compare, CompareWindow
from appliance.core.controller import Controller
from appliance.core.events import AlarmAcknowledged, LinkChanged, PersonSpoke, SendCommand, Tick
from appliance.core.home import Home
from appliance.core.intake import Intake
from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Message
from appliance.core.payloads.plain import Plain, PlainTarget
from appliance.core.payloads.tasmota import Tasmota
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt
from appliance.core.profile import Appliance, Binding, read_profile
from appliance.core.registry import discover

GUARDS = {module.GUARD.name: module.GUARD for module in discover(guards, "GUARD").values()}
DIALECTS = {
    "zigbee2mqtt": Zigbee2mqtt(),
    "tasmota": Tasmota(),
    "plain": Plain(targets=(PlainTarget("dev", "dev/set", "{value}"),)),
}
PROFILES = {name: tomllib.loads(file.read_text("utf-8")) for name, file in shipped_profiles().items()}
SPOKEN = [(name, dialect) for name, table in PROFILES.items() for dialect in table["commands"]]
METRICS = {"pm2_5": "pm25", "voc_index": "voc_index"}


def built(name: str, dialect: str) -> Appliance:
    table = read_profile(PROFILES[name], where=name)
    channels = {
        channel: ((f"zigbee2mqtt/{channel}", None),)
        for channel, one in table.channels.items()
        if one.model is None
    }
    binding = Binding("it", f"{dialect}/dev", channels=channels, without_lease=dialect == "plain")
    return assemble(table, binding, GUARDS, where=name)


@pytest.mark.parametrize(("name", "dialect"), SPOKEN)
def test_every_action_can_be_said_and_is_recognised_again(name, dialect) -> None:
    spec = built(name, dialect)
    for spelling in spec.actuator.spellings:
        assert DIALECTS[dialect].encode(spec.actuator.device, spelling.set)
        if spelling.seen:
            said = {metric: words[0] for metric, words in spelling.seen.items()}
            assert spec.actuator.recognise(said, spelling.action) == spelling.action


@pytest.mark.parametrize("name", PROFILES)
def test_the_file_has_the_profile_s_name_and_knows_the_common_dialects(name) -> None:
    table = read_profile(PROFILES[name], where=name)
    assert table.name == name
    assert {"zigbee2mqtt", "tasmota"} <= set(table.commands)
    assert not table.watts or set(table.watts) == set(table.actions)


def test_a_heater_that_can_not_end_by_itself_is_refused_unless_its_owner_says_so() -> None:
    table = read_profile(PROFILES["heater"], where="heater")
    with pytest.raises(Exception, match="would go on with 'on' if this computer stopped"):
        assemble(table, Binding("it", "plain/dev"), GUARDS, where="heater")


class Day:
    """One appliance among random readings, words, people, hands and silences."""

    def __init__(self, name: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.spec = built(name, "zigbee2mqtt")
        self.zone = ZoneInfo("Europe/Berlin")
        self.now = Instant("boot", 1000 * SECOND, 1_767_225_600 * SECOND)
        home = Home([self.spec], {}, self.zone)
        self.controller = Controller(home, home.at_start({}, self.now))
        self.intake = Intake(Decoder([Zigbee2mqtt()]))
        self.kept = dict.fromkeys((claim.id for claim in self.spec.invariants), 0)
        self.marks = self._marks()
        self.happen(LinkChanged(True))

    def _marks(self) -> dict[str, list[float]]:
        """Where a channel's rules look: just below and above each threshold."""
        nodes = [node for rule in self.spec.rules for top in rule.nodes() for node in top.walk()]
        marks: dict[str, list[float]] = {}
        for node in nodes:
            if isinstance(node, Compare):
                marks.setdefault(node.channel, []).extend((node.threshold - 0.5, node.threshold + 0.5))
            elif isinstance(node, CompareWindow):
                marks.setdefault(node.channel, [])
        return marks

    def happen(self, *events) -> None:
        for effect in self.controller.handle(events, self.now):
            if isinstance(effect, SendCommand) and self.random.random() < 0.9:
                seen = next(one.seen for one in self.spec.actuator.spellings if one.action == effect.action)
                self.hear("dev", {metric: words[0] for metric, words in seen.items()})
        self.look()

    def hear(self, device: str, payload: dict) -> None:
        events = self.intake.events([Message(f"zigbee2mqtt/{device}", json.dumps(payload).encode())])
        if events:
            self.happen(*events)

    def look(self) -> None:
        state = self.controller.state.appliances["it"]
        if state.last is None or state.last.action not in self.spec.ladder.actions:
            return
        around = deciding.snapshot(self.spec, state, self.now, self.zone)
        index = self.spec.ladder.actions.index(state.last.action)
        for claim in self.spec.invariants:
            if claim.when.truth(around) is True and state.last.authority not in claim.unless:
                self.kept[claim.id] += 1
                assert claim.at_least <= index <= claim.at_most, (claim.id, state.last)
        if index in self.spec.needs_person and state.last.authority not in (
            Authority.LIFE_SAFETY,
            Authority.MANUAL,
        ):
            # Nobody else enters it; staying there is allowed.
            assert state.memory.reported == state.last.action or state.memory.commanded == state.last.action

    def step(self) -> None:
        self.now = self.now.plus(round(self.random.choice([1, 10, 30, 60, 300, 900]) * SECOND))
        self.happen(Tick())
        chance = self.random.random()
        actions = (*self.spec.ladder.actions, None)
        if chance < 0.06:
            self.happen(PersonSpoke("it", self.random.choice(actions), "page", 600 * SECOND))
        elif chance < 0.1:
            spelling = self.random.choice(self.spec.actuator.spellings)
            self.hear("dev", {metric: words[0] for metric, words in spelling.seen.items()})
        elif chance < 0.14:
            self.happen(AlarmAcknowledged("it", None, "page"))
        elif chance < 0.6 or not self.spec.worded:
            channel, sense = self.random.choice(list(self.controller.state.appliances["it"].senses.items()))
            values = self.marks.get(channel) or [sense.channel.quantity.low + 1]
            value = round(self.random.choice(values) + self.random.uniform(-0.3, 0.3), 2)
            self.hear(channel, {METRICS.get(channel, channel): value})
        else:
            channel = self.random.choice(list(self.spec.worded))
            metric = next(metric for _, metric, named in self.spec.sources if named == channel)
            said = [raw for raw, _ in self.spec.worded[channel].meanings if isinstance(raw, bool)]
            self.hear(channel, {metric: self.random.choice(said)})


@pytest.mark.parametrize("name", [name for name, table in PROFILES.items() if table.get("invariants")])
def test_what_a_profile_promises_holds_over_random_days(name) -> None:
    kept: dict[str, int] = {}
    for seed in range(3):
        day = Day(name, seed)
        for _ in range(700):
            day.step()
        kept = {claim: kept.get(claim, 0) + count for claim, count in day.kept.items()}
    assert min(kept.values()) > 10, kept
