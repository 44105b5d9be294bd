"""`appliance export`: a bundle in the form that another server wants."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.errors import ModelError

if TYPE_CHECKING:
    from appliance.bundle import Bundle


@click.group()
def export() -> None:
    """Give a bundle to another server."""


@export.command()
@click.argument("bundle")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The model repository."
)
@click.option(
    "--batch",
    type=click.IntRange(1, 1024),
    default=64,
    show_default=True,
    help="At most so many rows are answered at once.",
)
@click.option(
    "--delay-us",
    type=click.IntRange(0, 1_000_000),
    default=2000,
    show_default=True,
    help="So many microseconds a request waits at most for others to go with.",
)
def triton(bundle: str, out: Path, batch: int, delay_us: int) -> None:
    """Write BUNDLE, a shipped model's name or a bundle's folder, as a model repository of NVIDIA Triton."""
    from appliance.bundle.triton import write_triton

    found = _found(bundle)
    try:
        folder = write_triton(found, out, batch=batch, delay_us=delay_us)
    except OSError as broken:
        raise ModelError(
            f"{broken.filename or out}: {broken.strerror or broken}", hint="choose another --out"
        ) from None
    click.echo(f"{folder}: version {found.card.version}, sha256 {found.digest[:16]}")
    click.echo("serve it: tritonserver --model-repository=" + str(out))


def _found(name: str) -> "Bundle":
    from appliance.bundle import TEACHER_OPERATORS, load_bundle, shipped

    folder = Path(name)
    # A folder is meant where it is one with a manifest: "presence" is a name, also where a folder is called so.
    there = folder if (folder / "manifest.json").is_file() else shipped(name)
    return load_bundle(there, allowed=TEACHER_OPERATORS)
