"""`appliance edge`: the bigger machine that appliances may ask about hard cases."""

import asyncio
import gc
import ssl
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.client import ask
from appliance.cli.configuration import config_option, load
from appliance.cli.logs import set_up_logs
from appliance.errors import ConfigError

if TYPE_CHECKING:
    from appliance.adapters.edge.server.serving import EdgeServer

SHORTEST = 22
"""Characters of a token: 128 bits in base64 (ETSI EN 303 645, 5.1)."""
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def edge() -> None:
    """Run the server that appliances may ask about hard cases; show what a home has with it."""


@edge.command()
@config_option
def status(path: Path | None) -> None:
    """Show how the edge is, what it cost, and what audits show of the local models."""
    told = ask(load(path), "GET", "/v1/edge")
    answers = told["answers"]
    if answers is None:
        click.echo("no edge: the config has no section [edge]")
        return
    for line in (*_answers(answers), *(text for audit in told["audits"] for text in _audit(audit))):
        click.echo(line)


def _answers(of: dict[str, Any]) -> Iterator[str]:
    budget, cache = of["budget"], of["cache"]
    link = "answers" if of["breaker"] == "closed" else f"does not answer ({of['breaker']}): {of['why']}"
    took = "" if of["median_ms"] is None else f", in {of['median_ms']:.1f} ms in the median"
    yield f"{of['url']} {link}{took}"
    yield from (f"weakness: {weakness}" for weakness in of["weaknesses"])
    for teacher in of["teachers"]:
        believed = "believed" if teacher["believed"] else f"not believed: {teacher['why']}"
        yield f"{teacher['name']} {teacher['version']}: {believed}"
        wrong = teacher["wrong_hits"]
        if wrong["asked"]:
            stopped = "; its cache is used no more" if wrong["stopped"] else ""
            yield (
                f"  of {wrong['asked']} cached answers that were asked again {wrong['wrong']} were wrong"
                f" ({100 * wrong['low']:.1f} to {100 * wrong['high']:.1f} %){stopped}"
            )
    yield (
        f"offered {of['offered']}: {of['cached']} cached, {of['answered']} answered, {of['gone']} while it was away,"
        f" {of['disbelieved']} not believed, {of['late']} too late,"
        f" {budget['refused_cases'] + budget['refused_bytes']} refused by the budget"
    )
    if of["failed"]:
        yield "failed: " + ", ".join(f"{count} {why}" for why, count in sorted(of["failed"].items()))
    yield (
        f"asked in {budget['asked']} of {budget['seen']} cases (at most {budget['cases_percent']:g} %),"
        f" {(budget['bytes_out'] + budget['bytes_in']) / 1e6:.3f} MB (at most {budget['mb_a_day']:g} a day)"
    )
    if cache["hit_share"] is not None:
        exact = 100 * (cache["exact_hit_share"] or 0.0)
        yield (
            f"cache: {cache['entries']} answers, {cache['hits']} hits, {cache['misses']} misses, {cache['stale']} stale;"
            f" {100 * cache['hit_share']:.1f} % hits, {exact:.1f} % with exact rows"
        )
    if cache["reason"]:
        yield f"cache: nothing is kept on disk: {cache['reason']}"


def _audit(of: dict[str, Any]) -> Iterator[str]:
    acts = "acts" if of["acts"] else "only recommends"
    yield f"{of['appliance']}.{of['channel']}: {of['model']} {acts}: {of['because']}"
    if of["audits"]:
        yield (
            f"  {of['disagreed']} of {of['audits']} audits disagreed with {of['edge']}:"
            f" {100 * of['low']:.1f} to {100 * of['high']:.1f} % at every audit at once"
        )
    if of["labelled"]:
        yield f"  people said otherwise in {of['missed']} of {of['labelled']} labels"


@edge.command()
@click.option(
    "--models", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder of bundles to serve."
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8478, show_default=True, help="0: any free port."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--token-file", type=FILE, help="Its first line is the bearer token that clients send; mode 0600."
)
@click.option("--certificate", type=FILE, help="Serve over TLS, with this certificate chain (PEM).")
@click.option("--key", type=FILE, help="The certificate's private key (PEM).")
@click.option("--client-ca", type=FILE, help="Ask clients for a certificate of these authorities (PEM).")
@click.option(
    "--max-batch",
    type=click.IntRange(1, 4096),
    default=64,
    show_default=True,
    help="Rows of several requests that go through a model together.",
)
@click.option(
    "--max-delay-ms",
    type=click.FloatRange(0, 1000),
    default=0.0,
    show_default=True,
    help="How long a request may wait for others.",
)
@click.option(
    "--max-body-kb",
    type=click.IntRange(1, 65536),
    default=1024,
    show_default=True,
    help="Of one request, in KiB.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(1, 65536),
    default=1024,
    show_default=True,
    help="Clients at once.",
)
@click.option(
    "--cache-entries",
    type=click.IntRange(0, 10_000_000),
    default=4096,
    show_default=True,
    help="Answers kept for the very same input; 0: none.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    default=2,
    show_default=True,
    help="Models that run at the same time.",
)
def serve(
    *, models: Path, port: int, host: str, token_file: Path | None, certificate: Path | None, key: Path | None,
    client_ca: Path | None, max_batch: int, max_delay_ms: float, max_body_kb: int, max_connections: int,
    cache_entries: int, threads: int,
) -> None:  # fmt: skip
    """Serve the models of a folder over the Open Inference Protocol v2, until it is told to stop."""
    from appliance.adapters.edge.server import serving
    from appliance.adapters.edge.server.limits import Limits
    from appliance.adapters.systemd import Systemd

    set_up_logs("info", sys.stderr)
    token = None if token_file is None else _token(token_file)
    tls = _tls(certificate, key, client_ca)
    limits = Limits(
        max_batch=max_batch, max_delay_s=max_delay_ms / 1000, body=max_body_kb << 10, connections=max_connections,
        bodies=max(64 << 20, max_body_kb << 11), cache_entries=cache_entries, threads=threads,
    )  # fmt: skip

    def ready(server: "EdgeServer") -> None:
        gc.collect()
        gc.freeze()  # models and modules stay: the collector need not look at them again and again
        Systemd().ready()
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"serving on http{'' if tls is None else 's'}://{shown}:{server.port}")
        sys.stdout.flush()

    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serving.serve(models, host, port, limits, token=token, tls=tls, ready=ready))


def _token(file: Path) -> str:
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"{file}: others may read the token", hint=f"chmod 600 {file}")
        token = file.read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as broken:
        raise ConfigError(
            f"--token-file: {file}: {broken}", hint="write the token into it, mode 0600"
        ) from None
    if len(token) < SHORTEST:
        raise ConfigError(
            f"{file}: the token has {len(token)} characters, fewer than {SHORTEST}",
            hint="make one: python3 -c 'import secrets; print(secrets.token_urlsafe(16))'",
        )
    return token


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None or client_ca is not None:
            raise ConfigError("--key and --client-ca mean something only with --certificate", hint="give all")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as broken:
        raise ConfigError(f"--certificate, --key, --client-ca: {broken}", hint="give PEM files") from None
    return context
