"""What can be typed, set or plugged in is told in docs/, and every link leads somewhere."""

import importlib
import pkgutil
import re
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from appliance import cli as package
from appliance.cli import cli
from appliance.config import shipped_profiles
from appliance.config.tables import Settings
from appliance.core import guards, payloads, profile
from appliance.core.conditions.nodes import COMPARE
from appliance.core.quantities import QUANTITIES
from appliance.core.registry import discover

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text("utf-8")


def commands(group: click.Group, prefix: str = "") -> list[tuple[str, click.Command]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += (
            commands(command, f"{prefix}{name} ")
            if isinstance(command, click.Group)
            else [(f"{prefix}{name}", command)]
        )
    return found


@pytest.mark.parametrize(
    ("name", "command"), commands(cli), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_and_option_is_told(name, command) -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    rows = [row for row in page.splitlines() if re.match(rf"\| `appliance {name}`", row)]
    assert len(rows) == 1, name
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert f"`{parameter.opts[0]}`" in rows[0], f"{name} {parameter.opts[0]}"


def test_no_command_is_written_and_not_offered() -> None:
    offered = {id(command) for _, command in commands(cli)}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for name, command in vars(importlib.import_module(module.name)).items():
            if isinstance(command, click.Command) and not isinstance(command, click.Group):
                assert id(command) in offered, f"{module.name}.{name}"


def keys(model: type[BaseModel]) -> list[tuple[str, str]]:
    found = []
    for name, field in model.model_fields.items():
        inner = [
            part
            for part in _types(field.annotation)
            if isinstance(part, type) and issubclass(part, BaseModel)
        ]
        found += [pair for part in inner for pair in keys(part)] or [(model.__name__, name)]
    return found


def _types(annotation) -> list:
    from typing import get_args

    return [annotation, *(deeper for part in get_args(annotation) for deeper in _types(part))]


@pytest.mark.parametrize(("table", "key"), sorted(set(keys(Settings))))
def test_every_setting_is_told(table, key) -> None:
    assert f"`{key}`" in CONFIGURATION, table


def test_every_key_of_a_profile_guard_quantity_and_dialect_is_told() -> None:
    tables = [table for name, table in vars(profile).items() if name.endswith("Table")]
    assert len(tables) >= 9
    told = [field for table in tables for field in table.__struct_encode_fields__]
    told += [
        *discover(guards, "GUARD"),
        *discover(payloads, "DIALECT"),
        *QUANTITIES,
        *shipped_profiles(),
        *COMPARE,
    ]
    missing = [word for word in told if not re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", CONFIGURATION)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_module_that_the_trace_names_exists() -> None:
    text = (ROOT / "docs" / "decision.md").read_text("utf-8")
    named = re.findall(r"`(appliance/[\w/]+(?:\.py|/))`", text)
    assert len(named) >= 13
    assert not [name for name in named if not (ROOT / name).exists()]
