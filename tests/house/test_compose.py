"""The shipped containers start command lines that the programs know, are told nothing that compose does not, and can do little harm."""

import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from appliance.config import load_settings
from appliance.config.tables import HttpTable

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
OURS = ("appliance", "edge")

# The keys of the Compose Specification that are used here, and what may stand there.
DURATION = re.compile(r"(\d+h)?(\d+m)?(\d+s)?")
PORT = re.compile(r"\d{1,3}(\.\d{1,3}){3}:\d{2,5}:\d{2,5}")
VOLUME = re.compile(r"(\./[\w./-]+|[a-z-]+):/[\w./-]+(:ro)?")


def words(value) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def matching(pattern: re.Pattern[str]):
    return lambda value: isinstance(value, str) and bool(value) and pattern.fullmatch(value) is not None


def every(pattern: re.Pattern[str]):
    return lambda value: words(value) and all(pattern.fullmatch(one) for one in value)


def table(keys):
    return lambda value: (
        isinstance(value, dict) and all(key in keys and keys[key](one) for key, one in value.items())
    )


HEALTH = table(
    {
        "test": lambda value: words(value) and value[0] == "CMD",
        "interval": matching(DURATION),
        "timeout": matching(DURATION),
        "retries": lambda value: type(value) is int,
        "start_period": matching(DURATION),
    }
)
SERVICE = {
    "image": matching(re.compile(r"[a-z0-9./-]+(:[\w.-]+)?")),
    "build": table(
        {"context": matching(re.compile(r"[./\w-]+")), "dockerfile": matching(re.compile(r"[./\w-]+"))}
    ),
    "user": matching(re.compile(r"\d+:\d+")),
    "command": words,
    "volumes": every(VOLUME),
    "ports": every(PORT),
    "networks": words,
    "depends_on": words,
    "healthcheck": HEALTH,
    "read_only": lambda value: type(value) is bool,
    "tmpfs": words,
    "cap_drop": words,
    "security_opt": words,
    "pids_limit": lambda value: type(value) is int,
    "mem_limit": matching(re.compile(r"\d+[kmg]")),
    "stop_grace_period": matching(DURATION),
    "restart": lambda value: value in ("no", "always", "on-failure", "unless-stopped"),
    "logging": table(
        {
            "driver": lambda value: isinstance(value, str),
            "options": lambda value: all(isinstance(one, str) for one in value.values()),
        }
    ),
}


def test_compose_says_nothing_that_its_specification_does_not_know() -> None:
    assert set(COMPOSE) == {"name", "services", "networks", "volumes"}
    for name, service in SERVICES.items():
        for key, value in service.items():
            assert key in SERVICE, f"{name}: {key}"
            assert SERVICE[key](value), f"{name}.{key}: {value!r}"
    for network in COMPOSE["networks"].values():
        assert network is None or network == {"internal": True}
    assert all(volume is None for volume in COMPOSE["volumes"].values())


def test_what_services_refer_to_is_there() -> None:
    for name, service in SERVICES.items():
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        assert set(service.get("depends_on", ())) <= set(SERVICES), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"], (
                volume
            )
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file(), name
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in copied.split():
            assert (ROOT / source).exists(), source
    # What is left out of the build's context cannot be copied.
    kept = [
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    ]
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in copied.split():
            assert any(source == one or source.startswith(f"{one}/") for one in kept), source


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_container_is_root_can_write_or_gain_anything(name) -> None:
    service = SERVICES[name]
    assert service["user"].split(":")[0] not in ("0", "root")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 64
    assert service["healthcheck"]["retries"] == 3
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    for volume in service.get("volumes", ()):
        assert volume.endswith(":ro") is volume.startswith("./"), "config is read, a volume is written"


def test_the_image_ends_as_the_user_whose_folder_it_makes() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["8321:8321"]
    assert {SERVICES[name]["user"] for name in OURS} == {"8321:8321"}
    assert "install -d -m 0700 -o 8321 -g 8321 /var/lib/appliance" in DOCKERFILE
    assert "state:/var/lib/appliance" in SERVICES["appliance"]["volumes"]
    assert "STATE_DIRECTORY=/var/lib/appliance" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE


@pytest.mark.parametrize("name", OURS)
def test_a_container_s_command_line_is_one_that_the_program_knows(name, tmp_path) -> None:
    command = list(SERVICES[name]["command"])
    if name == "appliance":
        config = tmp_path / "appliance.toml"
        config.write_text("no_such_key = 1\n", encoding="utf-8")
        command[command.index("--config") + 1] = str(config)
    else:
        command[command.index("--models") + 1] = str(tmp_path / "nothing")
    told = subprocess.run(
        [sys.executable, "-m", "appliance", *command],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    # A usage error would be 2: it got as far as its config, or its shelf, and refused that.
    refused, why = (78, "no_such_key") if name == "appliance" else (1, "nothing")
    assert told.returncode == refused, told.stderr
    assert why in told.stderr


def test_ports_and_names_are_those_of_the_config() -> None:
    settings = load_settings(DEPLOY / "compose" / "appliance.toml").settings
    assert settings.mqtt.host in SERVICES
    assert settings.mqtt.port == 1883
    assert settings.edge is not None
    host, port = re.fullmatch(r"http://([a-z]+):(\d+)", settings.edge.url).groups()
    assert host == "edge"
    assert set(SERVICES["edge"]["networks"]) & set(SERVICES["appliance"]["networks"])
    assert SERVICES["edge"]["command"][-1] == port
    assert SERVICES["edge"]["healthcheck"]["test"][-1].count(f":{port}/v2/health/ready") == 1
    assert settings.http.host == "0.0.0.0"
    assert SERVICES["appliance"]["ports"] == [f"127.0.0.1:{HttpTable().port}:{HttpTable().port}"]
    assert SERVICES["appliance"]["healthcheck"]["test"][-1].count(f":{HttpTable().port}/healthz") == 1


def test_the_edge_has_no_way_out_and_none_in() -> None:
    assert "ports" not in SERVICES["edge"]
    assert SERVICES["edge"]["networks"] == ["second-opinion"]
    assert COMPOSE["networks"]["second-opinion"] == {"internal": True}


def settings_of(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def test_the_broker_is_set_as_the_one_outside_of_containers() -> None:
    inside, outside = (settings_of(DEPLOY / name) for name in ("compose/mosquitto.conf", "mosquitto.conf"))
    assert {"listener", "persistence_location", "log_dest"} >= {
        key for key in inside.keys() | outside.keys() if inside.get(key) != outside.get(key)
    }


@pytest.mark.skipif(shutil.which("mosquitto") is None, reason="Mosquitto is not installed")
def test_mosquitto_takes_its_config(tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (DEPLOY / "compose" / "mosquitto.conf").read_text("utf-8")
    text = text.replace("listener 1883", f"listener {port} 127.0.0.1").replace(
        "/mosquitto/data/", f"{tmp_path}/"
    )
    config = tmp_path / "mosquitto.conf"
    config.write_text(text, encoding="utf-8")
    broker = subprocess.Popen(["mosquitto", "-c", str(config)], stderr=subprocess.PIPE, text=True)
    try:
        ends = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert broker.poll() is None, broker.stderr.read()
                assert time.monotonic() < ends
    finally:
        broker.terminate()
        broker.wait(10)


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="docker compose is not installed",
)
def test_docker_compose_finds_it_valid() -> None:
    told = subprocess.run(
        ["docker", "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
