"""Owns the systems that are measured: how each is started at a broker, and ended.

Never in here: measuring.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = sys.executable

PROFILE = """\
name = "bench"
title = "A fan without guards"
actions = ["low", "high"]
rest = "low"
safe = "low"
[channels.pm2_5]
[channels.co2]
[channels.temperature]
[channels.humidity]
[channels.presence]
model = "presence"
words = ["nobody", "somebody"]
[fallback]
because = "nobody asks for more"
[[rules]]
id = "dust"
when = "pm2_5 > 35"
at_least = "high"
because = "particles are at {pm2_5}"
[[rules]]
id = "somebody"
when = "presence is somebody and pm2_5 > 35"
at_least = "high"
because = "somebody is here, and particles are at {pm2_5}"
[commands.plain]
low = { set = { action = "low" } }
high = { set = { action = "high" } }
"""

CONFIG = """\
[mqtt]
port = {port}
[store]
folder = "state"
[http]
port = 0
[zigbee2mqtt]
enabled = false
[tasmota]
enabled = false
[plain.dev]
topic = "sensors/+/state"
fields.pm2_5 = {{ path = "pm2_5", unit = "µg/m³" }}
fields.co2 = {{ path = "co2", unit = "ppm" }}
fields.temperature = {{ path = "temperature", unit = "°C" }}
fields.humidity = {{ path = "humidity", unit = "%" }}
command_topic = "appliance/{{device}}/command"
command_payload = '{{"fan":"{{action}}"}}'
"""

APPLIANCE = """\
[appliances.dev{number}]
profile = "bench.toml"
device = "plain/dev{number}"
[appliances.dev{number}.channels]
pm2_5 = "plain/dev{number}"
co2 = "plain/dev{number}"
temperature = "plain/dev{number}"
humidity = "plain/dev{number}"
"""

PAHO = """\
import json, sys
import paho.mqtt.client as mqtt
def heard(client, data, message):
    value = json.loads(message.payload)["pm2_5"]
    device = message.topic.split("/")[1]
    client.publish(f"appliance/{device}/command", '{"fan":"high"}' if value > 35 else '{"fan":"low"}')
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_message = heard
client.on_connect = lambda *_: client.subscribe("sensors/+/state", int(sys.argv[2]))
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""


def build() -> None:
    """Compile the load generator and the C floor. Exits where a compiler or libmosquitto is missing, and says what to install."""
    (HERE / "build").mkdir(exist_ok=True)
    load = HERE / "load"
    for output, source, library in (
        ("mqttload", "mqttload.c", "-lm"),
        ("floor", "echo_floor.c", "-lmosquitto"),
    ):
        command = ["gcc", "-O2", "-w", "-o", str(HERE / "build" / output), str(load / source), library]
        if subprocess.run(command, check=False).returncode:
            sys.exit(
                "missing: a C compiler and libmosquitto's headers; on Debian: apt install gcc libc6-dev libmosquitto-dev"
            )


def start(system: str, port: int, qos: int, devices: int, folder: Path) -> "subprocess.Popen[bytes]":
    """Start "floor", "paho" or "appliance" at the broker on `port`; what it prints goes to a file in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if system == "floor":
        command = [str(HERE / "build" / "floor"), str(port), str(qos), "1"]
    elif system == "paho":
        (folder / "loop.py").write_text(PAHO, encoding="ascii")
        command = [PYTHON, str(folder / "loop.py"), str(port), str(qos)]
    else:
        (folder / "bench.toml").write_text(PROFILE, encoding="utf-8")
        text = CONFIG.format(port=port) + "".join(
            APPLIANCE.format(number=number) for number in range(devices)
        )
        (folder / "config.toml").write_text(text, encoding="utf-8")
        command = [PYTHON, "-m", "appliance", "run", "--config", str(folder / "config.toml")]
    with (folder / f"{system}.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)
