"""`appliance prove`: what always holds of a profile or a config, and what does not (extra [prove])."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from appliance.config import appliances, load_settings, read_toml, shipped_profiles
from appliance.config.alone import alone, is_profile, shipped
from appliance.core.profile import Appliance
from appliance.prove import Answer, Asked, Outcome, Report, prove as run_prove
from appliance.prove.scenario import as_scenario

MARKS = {
    Outcome.HOLDS: "holds",
    Outcome.FAILS: "FAILS",
    Outcome.UNDECIDED: "undecided",
    Outcome.NOTED: "note",
}


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, one line an appliance.")
@click.option(
    "--scenarios",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each claim that fails, where readings show it, as a scenario into this folder.",
)
@click.option(
    "--seconds", type=click.FloatRange(1, 600), default=30.0, help="How long each appliance may take."
)
def prove(targets: tuple[str, ...], folder: Path | None, seconds: float, *, as_json: bool) -> None:
    """Prove what a TARGET claims: a shipped profile's name, or the file of a profile or a config. None: every shipped profile.

    Exit code 1 where a claim fails, or could not be decided in time.
    """
    subjects = [subject for target in targets or sorted(shipped_profiles()) for subject in _subjects(target)]
    reports = run_prove([asked for asked, _ in subjects], seconds_each=seconds)
    for (asked, table), report in zip(subjects, reports, strict=True):
        click.echo(msgspec.json.encode(report) if as_json else "\n".join(_lines(report)))
        if folder is not None:
            _write(folder, report, asked.spec, table, quiet=as_json)
    if not all(report.proved for report in reports):
        sys.exit(1)


def _subjects(target: str) -> list[tuple[Asked, dict[str, Any]]]:
    """Return what `target` names, each with its section of a config."""
    path = Path(target)
    if not target.endswith(".toml"):
        spec, table = shipped(target)
        return [(Asked(spec), _section(spec, table, target))]
    if is_profile(path):
        table = read_toml(path)
        spec = alone(table, where=target)
        return [(Asked(spec), _section(spec, table, str(path.resolve())))]
    loaded = load_settings(path)
    given = read_toml(path).get("appliances", {})
    found: list[tuple[Asked, dict[str, Any]]] = []
    for spec in appliances(loaded):
        section = dict(given[spec.id])
        if section["profile"].endswith(".toml"):
            section["profile"] = str((loaded.folder / section["profile"]).resolve())
        found.append((Asked(spec, spec.bound), section))
    return found


def _section(spec: Appliance, profile: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a section of a config for a profile alone: on a device of the first dialect that it knows."""
    dialect = next(iter(profile.get("commands", {})), "plain")
    return {"profile": name, "device": f"{dialect}/{spec.id}"}


def _lines(report: Report) -> list[str]:
    claims = [answer for answer in report.answers if answer.claim]
    failed = sum(1 for answer in claims if answer.outcome is not Outcome.HOLDS)
    verdict = f"{failed} of {len(claims)} claims not proved" if failed else f"{len(claims)} claims proved"
    lines = [f"{report.appliance} ({report.profile}): {verdict}, {report.seconds:.1f} s"]
    for answer in report.answers:
        lines.append(f"  {MARKS[answer.outcome]:9} {answer.question} {answer.subject}: {answer.text}")
        lines += _witness(answer)
    lines += [f"  beyond    {text}" for text in report.beyond]
    return lines


def _witness(answer: Answer) -> list[str]:
    witness = answer.witness
    if witness is None:
        return []
    by = "" if witness.source is None else f" by {witness.source}"
    mark = " (abstract: no readings are known to give it)" if witness.kind == "abstract" else ""
    return [f"            {witness.text}; decided: {witness.decided or 'nothing'}{by}{mark}"]


def _write(folder: Path, report: Report, spec: Appliance, table: dict[str, Any], *, quiet: bool) -> None:
    for answer in report.answers:
        if answer.witness is None or answer.witness.scenario is None:
            continue
        place = folder / f"{spec.id}_{answer.subject}" / "scenario.toml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(as_scenario(answer, answer.witness.scenario, spec, table), encoding="utf-8")
        if not quiet:
            click.echo(f"  written   {place}")
