"""Whom the client believes to be the edge: certificates of a CA of the test's own, good ones and bad ones."""

import ssl
import subprocess
from pathlib import Path

import pytest

from appliance.adapters.edge.terms import EdgeSettings
from appliance.adapters.tls import Tls
from appliance.errors import ConfigError
from tests.adapters.conftest import until
from tests.adapters.edge import servers
from tests.adapters.edge.conftest import at_home, right, settings
from tests.adapters.edge.servers import serving


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA; of it `good` (127.0.0.1), `other` (nas.local), `expired`, and `client`; and `alone`, which signed itself."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*options: str) -> None:
        subprocess.run(["openssl", *options], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test ca")
    openssl(
        "req", "-x509", *key, "-keyout", "alone.key", "-out", "alone.pem", "-days", "2", "-subj", "/CN=127.0.0.1",
        "-addext", "subjectAltName=IP:127.0.0.1",
    )  # fmt: skip
    (folder / "db").write_text("")
    (folder / "db.attr").write_text("unique_subject = no\n")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca = own\n[own]\ndatabase = db\nnew_certs_dir = .\nrand_serial = yes\ncertificate = ca.pem\n"
        "private_key = ca.key\ndefault_md = sha256\npolicy = any\ncopy_extensions = copy\n[any]\ncommonName = supplied\n"
    )
    for name, names, since, until_ in (
        ("good", "IP:127.0.0.1", "20240101000000Z", "20991231000000Z"),
        ("other", "DNS:nas.local", "20240101000000Z", "20991231000000Z"),
        ("expired", "IP:127.0.0.1", "20200101000000Z", "20210101000000Z"),
        ("client", "DNS:home", "20240101000000Z", "20991231000000Z"),
    ):
        openssl(
            "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName={names}",
        )  # fmt: skip
        openssl(
            "ca", "-batch", "-notext", "-config", "ca.cnf", "-in", f"{name}.csr", "-out", f"{name}.pem",
            "-startdate", since, "-enddate", until_,
        )  # fmt: skip
    return folder


def served(folder: Path, name: str, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.pem")
    return context


def trusting(folder: Path, port: int, **changed: str | bool) -> EdgeSettings:
    tls = Tls(ca_file=str(folder / "ca.pem"), section="edge.tls", **changed)  # type: ignore[arg-type]
    return settings(port, url=f"https://127.0.0.1:{port}", tls=tls, deadline_ms=2000)


async def test_over_tls_all_comes_through_and_its_bytes_are_counted(
    certificates: Path, tmp_path: Path
) -> None:
    async with (
        serving(tls=served(certificates, "good")) as server,
        at_home(trusting(certificates, server.port), tmp_path / "c") as home,
    ):
        await home.proved()
        for number in range(10):
            assert right(await home.answered(float(number), 1.0, 1.0), float(number), 1.0, 1.0)
        assert server.connections == 1
        assert home.status.weaknesses == ()
        # The handshake, and what encryption adds to each record, is the owner's to pay too.
        assert server.bytes_in + 300 < home.status.budget.bytes_out < server.bytes_in + 3000


@pytest.mark.parametrize(
    ("name", "told"),
    [("alone", "self-signed"), ("expired", "expired"), ("other", "not valid for '127.0.0.1'")],
)
async def test_an_edge_that_nobody_vouches_for_sees_no_row_and_no_token(
    certificates: Path, tmp_path: Path, name: str, told: str
) -> None:
    async with serving(tls=served(certificates, name)) as server:
        given = trusting(certificates, server.port)
        async with at_home(given, tmp_path / "c") as home:
            await until(lambda: home.status.failed.get("tls", 0) > 0)
            home.offer(1.0, 1.0, 1.0)
            await until(lambda: home.status.gone > 0)
            assert told in str(home.status.why)
            assert (server.requests, home.answers) == ([], [])
    async with (
        serving(tls=served(certificates, name)) as server,
        at_home(trusting(certificates, server.port, insecure=True), tmp_path / "d") as home,
    ):
        await home.answered(1.0, 1.0, 1.0)
        assert "not checked" in home.status.weaknesses[0]


async def test_an_edge_that_wants_to_know_us_is_shown_our_certificate(
    certificates: Path, tmp_path: Path
) -> None:
    async with serving(tls=served(certificates, "good", wants_client=True)) as server:
        ours = {"cert_file": str(certificates / "client.pem"), "key_file": str(certificates / "client.key")}
        async with at_home(trusting(certificates, server.port, **ours), tmp_path / "c") as home:
            await home.answered(1.0, 1.0, 1.0)
        async with at_home(trusting(certificates, server.port), tmp_path / "d") as home:
            await until(lambda: home.failed() > 0)
            assert not home.answers


async def test_tls_towards_a_server_without_it_or_one_that_hangs_in_the_handshake_fails_in_time(
    certificates: Path, tmp_path: Path
) -> None:
    async with serving() as server, at_home(trusting(certificates, server.port), tmp_path / "c") as home:
        await until(lambda: home.failed() > 0, 8)
    async with (
        serving(tls=served(certificates, "good")) as server,
        at_home(settings(server.port), tmp_path / "d") as home,
    ):
        await until(lambda: home.failed() > 0, 8)


@pytest.mark.parametrize("behaviour", [servers.Huge, servers.HalfABody, servers.Storm, servers.Permuted])
async def test_what_misbehaves_under_encryption_is_bounded_too(
    certificates: Path, tmp_path: Path, behaviour: type[servers.Good]
) -> None:
    async with (
        serving(tls=served(certificates, "good")) as server,
        at_home(trusting(certificates, server.port), tmp_path / "c") as home,
    ):
        await home.proved()
        before = home.status.budget.bytes_in
        server.behaviour = behaviour()
        home.offer(7.0, 1.0, 1.0)
        await until(lambda: home.failed() > 0)
        assert home.status.budget.bytes_in - before < 160 << 10
        assert not home.answers
        server.behaviour = servers.Good()
        await home.answered(3.0, 1.0, 1.0, timeout_s=20)


async def test_a_certificate_that_is_being_renewed_ends_nothing(certificates: Path, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes((certificates / "ca.pem").read_bytes())
    async with serving(tls=served(certificates, "good")) as server:
        given = settings(
            server.port, url=f"https://127.0.0.1:{server.port}", tls=Tls(ca_file=str(ca), section="edge.tls")
        )
        async with at_home(given, tmp_path / "c") as home:
            await home.proved()
            ca.rename(tmp_path / "old.pem")
            server.behaviour = servers.ClosesAtOnce()
            home.offer(7.0, 1.0, 1.0)
            await until(lambda: home.status.failed.get("tls", 0) > 0)
            assert "[edge.tls]" in str(home.status.why)
            (tmp_path / "old.pem").rename(ca)
            server.behaviour = servers.Good()
            await home.answered(3.0, 1.0, 1.0, timeout_s=20)


def test_a_missing_file_is_the_operator_s_error_at_the_start(tmp_path: Path) -> None:
    given = EdgeSettings("https://nas.local", tls=Tls(ca_file=str(tmp_path / "none.pem"), section="edge.tls"))
    with pytest.raises(ConfigError, match=r"\[edge\.tls\]"):
        given.check()
    with pytest.raises(ConfigError, match="begins with http:"):
        EdgeSettings("http://nas.local", tls=Tls(section="edge.tls")).check()
