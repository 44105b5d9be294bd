"""Whom the link lets itself be let in by: passwords, and certificates of a CA of the test's own."""

import signal
import subprocess
from pathlib import Path

import pytest

from appliance.adapters.mqtt import Tls
from appliance.errors import ConfigError
from tests.adapters.conftest import Broker, until
from tests.adapters.mqtt.conftest import Ear, listening


async def test_a_wrong_password_is_told_and_healed_without_a_restart(
    silent_broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = tmp_path / "passwords"

    def set_password(password: str, *options: str) -> None:
        command = ["mosquitto_passwd", "-b", *options, str(passwords), "me", password]
        subprocess.run(command, check=True, capture_output=True)

    set_password("right", "-c")
    silent_broker.conf = f"allow_anonymous false\npassword_file {passwords}\npersistence false\n"
    silent_broker.start()
    async with listening(Ear(silent_broker.port, username="me", password="wrong"), up=False) as ear:
        await until(lambda: "refuses us" in caplog.text)
        assert "wrong" not in caplog.text, "a password is in the log"
        assert not ear.link.connected
        set_password("wrong")
        silent_broker.process.send_signal(signal.SIGHUP)
        await until(lambda: ear.link.connected)
    async with listening(Ear(silent_broker.port, "nobody"), up=False) as ear:
        caplog.clear()
        await until(lambda: "refuses us" in caplog.text)
        assert not ear.link.connected


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, and a certificate of it for broker.home and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*options: str) -> None:
        subprocess.run(["openssl", *options], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test ca")
    openssl("req", *key, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=broker")
    (folder / "names").write_text("subjectAltName=DNS:broker.home,IP:127.0.0.1\n")
    openssl(
        "x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-out", "own.pem", "-days", "2", "-extfile", "names",
    )  # fmt: skip
    return folder


@pytest.fixture
def encrypted(silent_broker: Broker, certificates: Path) -> Broker:
    silent_broker.conf += (
        f"cafile {certificates}/ca.pem\ncertfile {certificates}/own.pem\nkeyfile {certificates}/own.key\n"
    )
    silent_broker.start()
    return silent_broker


async def test_over_tls_all_comes_through_in_both_directions(encrypted: Broker, certificates: Path) -> None:
    """TLS hands out whole records: bytes left in one would wait for the next message."""
    tls = Tls(ca_file=str(certificates / "ca.pem"))
    async with listening(Ear(encrypted.port, tls=tls)) as ear:
        for number in range(300):
            assert ear.link.publish("t/a", b"%d " % number + b"x" * 1000)
        await until(lambda: len(ear.messages) == 300)
        ear.link.publish("t/large", b"y" * 900_000)
        await until(lambda: len(ear.messages) == 301)
    assert [int(payload.split()[0]) for payload in ear.payloads[:300]] == list(range(300))
    assert ear.payloads[300] == b"y" * 900_000


async def test_a_certificate_that_is_being_renewed_ends_nothing(
    encrypted: Broker, certificates: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is away for a moment is the operator's error at the start only."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes((certificates / "ca.pem").read_bytes())
    async with listening(Ear(encrypted.port, tls=Tls(ca_file=str(ca)))) as ear:
        ca.rename(tmp_path / "old.pem")
        encrypted.kill()
        await until(lambda: not ear.link.connected)
        encrypted.start()
        await until(lambda: "[mqtt.tls]" in caplog.text)
        (tmp_path / "old.pem").rename(ca)
        await until(lambda: ear.link.connected)


async def test_a_broker_that_nobody_vouches_for_is_refused(
    encrypted: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(Ear(encrypted.port, tls=Tls()), up=False) as stranger:
        await until(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
        assert stranger.link.sessions == 0


async def test_a_broker_with_another_name_is_refused_and_a_brave_operator_may_insist(
    encrypted: Broker, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ca = str(certificates / "ca.pem")
    async with listening(Ear(encrypted.port, host="localhost", tls=Tls(ca_file=ca)), up=False) as misnamed:
        await until(lambda: "not valid for 'localhost'" in caplog.text)
        assert misnamed.link.sessions == 0
    async with listening(Ear(encrypted.port, host="localhost", tls=Tls(insecure=True))):
        pass


async def test_a_link_without_tls_is_not_let_in_by_a_broker_with_it(
    encrypted: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(Ear(encrypted.port), up=False) as plain:
        await until(lambda: "no broker" in caplog.text)
        assert plain.link.sessions == 0


def test_a_ca_file_that_is_none_is_the_operators_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "ca.pem", tmp_path / "nowhere.pem"):
        with pytest.raises(ConfigError) as refused:
            Tls(ca_file=str(file)).context()
        assert refused.value.hint
