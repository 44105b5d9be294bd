"""The command line: parse, call, print. One command group a file; no logic, and no import before it is needed.

Exit codes: 0 ok, 1 error, 2 usage, 69 unavailable (broker, store or daemon), 78 config.
"""

import sys
import traceback
from importlib import import_module
from typing import cast

import click

from appliance import __version__
from appliance.errors import ApplianceError, ConfigError, LinkError

COMMANDS = {
    "run": "running",
    "simulate": "simulation",
    "demo": "demo",
    "decisions": "history",
    "why": "why",
    "why-not": "why",
    "override": "override",
    "accept": "override",
    "dismiss": "override",
    "acknowledge": "override",
    "token": "override",
    "safe-mode": "safe_mode",
    "decode": "decode",
    "replay": "replaying",
    "prove": "proving",
    "diff": "differing",
    "learn": "learning",
    "models": "models",
    "edge": "edge",
    "export": "exporting",
    "config": "configuration",
    "doctor": "doctor",
}
"""Command -> the module of this package that holds it."""


class _Lazy(click.Group):
    """A group that imports a command's module only when that command is asked for: start-up is part of the product."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "run":
            from appliance.cli.frugal import start_lean

            start_lean()
        module = import_module(f"appliance.cli.{COMMANDS[cmd_name]}")
        return cast("click.Command", getattr(module, cmd_name.replace("-", "_")))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="appliance")
def cli() -> None:
    """Decide locally what home appliances should do, and say why."""


def main() -> None:
    """Run the command line, and turn what went wrong into one clear message and an exit code."""
    if sys.argv[1:2] not in (["run"], ["edge"]):  # those serve; all others can be given again
        from appliance.cli.frugal import yield_memory

        yield_memory()
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(2)
    except ApplianceError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(78 if isinstance(error, ConfigError) else 69 if isinstance(error, LinkError) else 1)
    except ExceptionGroup as group:
        # A task of the daemon died of a bug: say where, and let the service manager start it anew.
        traceback.print_exception(group)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has gone, as `appliance decisions | head` does.
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
