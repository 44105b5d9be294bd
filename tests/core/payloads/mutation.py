"""Owns broken messages: a corpus of nasty ones, and any number of mutations of real ones. Never in here: what is expected of them."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from appliance.core.payloads import Decoder
from appliance.core.payloads.lines import decode_line
from appliance.core.payloads.message import Catalogue, Message
from appliance.core.payloads.plain import Plain, PlainField, PlainSource
from appliance.core.payloads.tasmota import Tasmota
from appliance.core.payloads.zigbee2mqtt import Zigbee2mqtt

DATA = Path(__file__).parents[2] / "data" / "payloads"
DECODER = Decoder(
    [
        Plain(
            (
                PlainSource("n", "plain/n", (PlainField("pm2_5", "", "µg/m³"),)),
                PlainSource("o", "plain/+", (PlainField("co2", "a.0.b", "ppm"),)),
            )
        ),
        Zigbee2mqtt(),
        Tasmota(),
    ]
)
NASTY = [
    b"", b"null", b"true", b"[]", b"{}", b"NaN", b"nan", b"Infinity", b"-Infinity", b"1e400", b"9" * 5000, b"1_000", "١٢".encode(), b'"12"', b"\xef\xbb\xbf12",
    b'{"pm25":NaN}', b'{"pm25":Infinity}', b'{"pm25":1e400}', b'{"pm25":-1e400}', b'{"pm25":' + b"9" * 5000 + b"}", b'{"pm25":true}', b'{"pm25":"12"}',
    b'{"pm25":[1]}', b'{"pm25":{"x":1}}', b'{"pm25":1,"pm25":NaN}', b'{"pm25":1,"pm25":2}', b"[" * 100_000, b'{"a":' * 50_000, '{"pm25":12}'.encode("utf-16"),
    b'\xef\xbb\xbf{"pm25":12}', b'{"pm25":"\\ud800"}', b'{"\\ud800":1}', b"\xff\xfe\x00", b'{"pm25":1_000}', '{"pm25":١٢}'.encode(), b'{"pm25":0x10}', b'{"pm25":1}}',
    b'{"last_seen":' + b"[" * 100 + b"]" * 100 + b"}", b'{"fan_mode":{"a":1},"fan_state":[],"fan_speed":"x"}', b'{"ENERGY":{"Power":[1,null,"x",1e400]}}',
    b'{"BME280":{"Temperature":"nan"},"TempUnit":5}', b'{"DS18B20":[1],"TempUnit":"K"}',
]  # fmt: skip
TOPICS = ["zigbee2mqtt/x", "zigbee2mqtt/a/b", "zigbee2mqtt/bridge/devices", "zigbee2mqtt/x/availability", "tele/x/SENSOR", "tele/x/STATE", "tele/x/LWT", "stat/x/RESULT", "stat/x/POWER", "stat/x/STATUS10", "plain/n", "plain/x", "\u2028", "zigbee2mqtt/", "tele//SENSOR", "zigbee2mqtt/bridge/state"]  # fmt: skip


def mutated(cases: int, seed: int = 20260101) -> Iterator[tuple[Message, Catalogue]]:
    """Yield so many messages, each with one to three mutations, and the catalogue to read them by."""
    rng = random.Random(seed)
    lines = [json.loads(text) for text in (DATA / "samples.jsonl").read_text("utf-8").splitlines()]
    seeds = [line["payload"].encode() for line in lines] + [payload[:2000] for payload in NASTY]
    catalogue = Catalogue()
    for text in (DATA / "z2m_bridge_devices.jsonl").read_text("utf-8").splitlines():
        seeds.append(json.loads(text)["payload"].encode()[:6000])
        _, catalogue = decode_line(text, DECODER, catalogue)
    words = [
        b"null",
        b"NaN",
        b"-1",
        b"65535",
        b"1e400",
        b"true",
        b'"x"',
        b"[]",
        b"{}",
        b"\x00",
        b"\xff",
        b"9" * 400,
        b"\\ud800",
        b",",
        b"}",
    ]
    topics = TOPICS + [line["topic"] for line in lines]
    for _ in range(cases):
        # Half of them stay on their own topic, so that what lies behind the JSON reader is tried too.
        number = rng.randrange(len(seeds))
        payload = bytearray(seeds[number])
        topic = lines[number]["topic"] if number < len(lines) and rng.random() < 0.5 else rng.choice(topics)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(payload) + 1)
            kind = rng.randrange(4)
            if kind == 0 and payload:
                payload[at % len(payload)] = rng.randrange(256)
            elif kind == 1:
                payload[at:at] = rng.choice(words)
            elif kind == 2:
                del payload[at : at + rng.randrange(1, 30)]
            else:
                other = rng.choice(seeds)
                payload[at:] = other[rng.randrange(len(other) + 1) :]
        yield Message(topic, bytes(payload)), catalogue
