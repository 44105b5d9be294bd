"""Owns how a counterexample is written down: as a scenario of the kind that tests play, one TOML text.

Never in here: files, or finding it.
"""

import json
from collections.abc import Mapping
from typing import Any

from appliance.core.payloads.message import Scalar
from appliance.core.profile import Appliance
from appliance.prove.report import Answer, Phase, Scenario

SURE = 0.99
"""The probability of a word that a model is sure of; of what it isn't, each word is as likely as another."""


def as_scenario(
    answer: Answer, scenario: Scenario, spec: Appliance, table: Mapping[str, Any], *, timezone: str = "UTC"
) -> str:
    """Return the text of `scenario.toml`.

    Args:
        answer: the claim that fails.
        scenario: what leads there.
        spec: the appliance.
        table: its section of a config, without its channels: they are fed by sensors of the scenario's own.
        timezone: of the home.
    """
    witness = answer.witness
    state = (
        "" if witness is None else f" There {witness.text}, and {witness.source} decides {witness.decided}."
    )
    lines = [
        f"title = {_value(f'{spec.id}: {answer.subject}')}",
        f"story = {_value(f'It {answer.text}.{state} Found by a proof that failed.')}",
        f"start = {scenario.start}",
        f"home.timezone = {_value(timezone)}",
    ]
    channels = {name: f"plain/{name}" for phase in scenario.phases for name in phase.reads}
    words = {
        name: f"plain/{name}:{name}"
        for phase in scenario.phases
        for name in phase.says
        if name in spec.worded
    }
    for name in channels:
        quantity = spec.channels[name].quantity
        fields = {quantity.name: {"path": "", "unit": quantity.unit}}
        lines += ["", f"[plain.{name}]", f'topic = "sensors/{name}"', f"fields = {_value(fields)}"]
    for name in words:
        states = {name: "value"}
        lines += ["", f"[plain.{name}]", f'topic = "sensors/{name}"', f"states = {_value(states)}"]
    if str(table.get("device", "")).startswith("plain/"):
        lines += ["", f"[plain.{_free({*channels, *words})}]", f"command_topic = {_value('{device}/set')}"]
        # Which properties a command has is the profile's; a message that names none can always be said.
        lines.append(f"command_payload = {_value('told')}")
    lines += ["", f"[appliances.{spec.id}]"]
    lines += [f"{key} = {_value(value)}" for key, value in table.items() if key != "channels"]
    lines.append(f"channels = {_value({**channels, **words})}")
    before: Phase | None = None
    for phase in scenario.phases:
        lines += ["", "[[steps]]", *_steps(phase, before, spec)]
        before = phase
    last = scenario.phases[-1].minutes
    never = {"until": "+1 min", "action": list(scenario.never)}
    lines += ["", "[[steps]]", f'at = "+{last - 1} min"', f"never = {_value(never)}"]
    return "\n".join(lines) + "\n"


def _free(taken: set[str]) -> str:
    name = "commands"
    while name in taken:
        name += "_"
    return name


def _steps(phase: Phase, before: Phase | None, spec: Appliance) -> list[str]:
    reads: dict[str, Any] = {f"sensors/{name}": value for name, value in phase.reads.items()}
    for name, word in phase.says.items():
        if name in spec.worded:
            reads[f"sensors/{name}"] = {"value": raw(spec, name, word)}
    lines = [] if before is None else [f'at = "+{before.minutes} min"']
    if spec.models:
        model = {
            name: [phase.says[name], SURE] if name in phase.says else [words[0], round(1 / len(words), 3)]
            for name, words in spec.words.items()
        }
        lines.append(f"model = {_value(model)}")
    if phase.person is not None:
        lines.append(f"person = {_value({'override': phase.person, 'for': f'{2 * phase.minutes} min'})}")
    if reads:
        lines += [f"reads = {_value(reads)}", 'every = "1 min"', f'until = "+{60 * phase.minutes - 30} s"']
    return lines


def raw(spec: Appliance, channel: str, word: str) -> Scalar:
    """Return what a sensor says for `word` on the worded channel `channel`."""
    return next(said for said, meant in spec.worded[channel].meanings if meant == word)


def _value(value: Any) -> str:
    """Return `value` as it is written in TOML, in one line."""
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_key(name)} = {_value(inner)}" for name, inner in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)
