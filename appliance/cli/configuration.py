"""`appliance config check|show`: is the config right, and where does each value come from?"""

from pathlib import Path

import click

from appliance.cli.soundness import prove_claims
from appliance.config import Loaded, appliances, dialects, load_settings, sayable
from appliance.errors import ConfigError

PLACES = (Path("appliance.toml"), Path("/etc/appliance/appliance.toml"))


def config_option(function: click.decorators.FC) -> click.decorators.FC:
    """Add `--config FILE` to a command."""
    return click.option(
        "--config",
        "path",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="APPLIANCE_CONFIG",
        help=f"The TOML file. By default the first there of {', '.join(map(str, PLACES))}.",
    )(function)


def load(path: Path | None, option: str = "--config") -> Loaded:
    """Return the settings of `path`, which `option` gave, or of the first default place that has a file.

    Raises:
        ConfigError: there is no file, or it is wrong.
    """
    found = path or next((place for place in PLACES if place.exists()), None)
    if found is None:
        raise ConfigError(
            f"there is no config: neither {option} nor {' nor '.join(map(str, PLACES))}",
            hint="copy examples/purifier.toml to appliance.toml and change it, or run: appliance demo",
        )
    return load_settings(found)


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
@config_option
def check(path: Path | None) -> None:
    """Say whether the configuration is right; exit 78 with file, key and remedy where it is not."""
    loaded = load(path)
    found = appliances(loaded)
    sayable(found, dialects(loaded.settings))
    if not found:
        raise ConfigError(
            "no appliance is configured", hint="add a section [appliances.NAME]; see docs/configuration.md"
        )
    for appliance in found:
        unbound = [
            name
            for name in (*appliance.channels, *appliance.worded)
            if name not in {channel for _, _, channel in appliance.sources}
        ]
        click.echo(
            f"{appliance.id}: {appliance.profile} on {appliance.actuator.device}, {len(appliance.rules)} rules"
        )
        if unbound:
            click.echo(f"  not measured here, so unknown to its rules: {', '.join(unbound)}")
    prove_claims(found)
    click.echo("ok")


@config.command()
@config_option
@click.option("--all", "everything", is_flag=True, help="Also what is at its default.")
def show(path: Path | None, *, everything: bool) -> None:
    """Print each setting, and where it comes from."""
    loaded = load(path)
    for key, value in sorted(_flat(loaded.settings.model_dump(mode="json")).items()):
        origin = next(
            (
                source
                for known, source in loaded.origins.items()
                if key == known or key.startswith(f"{known}.")
            ),
            None,
        )
        if origin is not None or everything:
            click.echo(f"{key} = {value!r}  # {origin or 'default'}")


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if isinstance(value, dict) and value:
        flat: dict[str, object] = {}
        for key, inner in value.items():
            flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
        return flat
    return {prefix: value}
