"""D12: names, topics, words, paths and configs with line ends, escapes and a megabyte of text. Promise: one line of JSON an event, of
2 kB at most, and none that somebody else wrote.
"""

import asyncio
import json
import signal
from collections import Counter

from tests.faults.lab import CONFIG, Lab
from tests.faults.row import Figure, Row, Size, at_least, at_most, exactly
from tests.faults.wire import JSON, ask, bearer, json_body, say

ROW = Row("D12", "log injection", "one line an event, 2 kB at most", minutes=0.5)
FORGED = '{"at": "2026-01-01T00:00:00.000+00:00", "level": "error", "where": "appliance", "text": "forged"}'
HOSTILE = (
    f"x\n{FORGED}\n", f"x\r\n{FORGED}\r\n", f"x\u2028{FORGED}\u2029", f"x\x85{FORGED}", f"x\x0b{FORGED}\x0c", "\x1b[2J\x1b]0;title\x07", "\x9b31m\x08\x08", "\u202etxt",
    "%s%s%n%d{0}{x}", "x" * 1_000_000, "😀" * 60_000, '"}' + FORGED, "\\n" * 60_000, "\x7f" * 1000,
)  # fmt: skip
WRONG = ("[[[", 'key = "', "[appliances.fan]\nprofile = 3\n", "[mqtt]\nport = 70000\n", "[x]\n", "")


def _by_mqtt(lab: Lab, text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    topic = text.replace("\x00", "").replace("+", "").replace("#", "")[:200]
    for name in (
        f"zigbee2mqtt/{topic}",
        f"zigbee2mqtt/{topic}/set",
        f"appliance/{topic}/set",
        f"tele/{topic}/STATE",
    ):
        lab.world.publish(name, raw)
    for name in (
        "zigbee2mqtt/air",
        "zigbee2mqtt/fan",
        "zigbee2mqtt/fan/availability",
        "zigbee2mqtt/bridge/state",
        "zigbee2mqtt/bridge/devices",
    ):
        lab.world.publish(name, raw)
        lab.world.publish(
            name, {"pm25": text, text[:100]: text, "fan_mode": text, "friendly_name": text, "state": text}
        )
    lab.world.publish(
        "zigbee2mqtt/bridge/devices",
        json.dumps(
            [{"friendly_name": text, "definition": {"exposes": [{"property": text, "unit": text}]}}]
        ).encode(),
    )
    for word in ("set", "accept", "dismiss", "acknowledge"):
        lab.world.publish(f"appliance/fan/{word}", raw)
        lab.world.publish(
            f"appliance/fan/{word}",
            {"action": text, "for": text, "until": text, "source": text, "rule": text},
        )


async def _by_http(port: int, token: str, text: str, number: int) -> None:
    plain = "".join(sign for sign in text if ord(sign) < 256)[:8000]
    source = f"127.12.0.{number + 1}"
    await say(
        port,
        ask("/v1/appliances/fan/override", bearer(plain[:200]), JSON, method="PUT", body=b"{}"),
        source=source,
    )
    await say(port, ask("/" + plain), source=source)
    await say(
        port,
        ask("/v1/appliances/" + "".join(f"%{byte:02x}" for byte in plain[:3000].encode())),
        source=source,
    )
    await say(
        port,
        ask("/", f"host: {plain}", f"user-agent: {plain}", f"x-forwarded-for: {plain}", host=plain[:100]),
        source=source,
    )
    body = json_body({"action": text[:200], "until": text[:200]})
    await say(port, ask("/v1/appliances/fan/override", bearer(token), JSON, method="PUT", body=body))


def run(lab: Lab, size: Size) -> list[Figure]:
    del size
    lab.config = CONFIG + '[log]\nlevel = "debug"\n'
    daemon = lab.home()
    config = daemon.config.read_text("utf-8")
    reloads, longest = 0, 0
    for number, text in enumerate(HOSTILE):
        _by_mqtt(lab, text)
        asyncio.run(_by_http(daemon.port, daemon.token, text, number))
        for wrong in (
            f"{WRONG[number % len(WRONG)]}\n# {text}",
            f"[{json.dumps(text)}]\n",
            f"[log]\n{json.dumps(text)} = 1\n",
        ):
            before = daemon.log().count("is not taken")
            daemon.config.write_bytes(wrong.encode("utf-8", "surrogatepass"))
            daemon.signal(signal.SIGHUP)
            lab.took(lambda before=before: daemon.log().count("is not taken") > before or daemon.ended, 10)
            reloads += 1
            longest = max(longest, len(json.dumps(daemon.health())))
    daemon.config.write_text(config, "utf-8")
    daemon.signal(signal.SIGHUP)
    lab.until(lambda: "is in force" in daemon.log(), 10)
    raw = (daemon.folder / "log").read_bytes()
    lines = raw.decode("ascii", "replace").split("\n")[:-1]
    told = []
    for line in lines:
        try:
            told.append(json.loads(line))
        except ValueError:
            told.append({"text": line, "level": "no JSON"})
    kinds = Counter(one["level"] for one in told)
    return [
        at_least("configs that were refused", kinds["error"], "", reloads - len(HOSTILE)),
        at_least("lines in the log", len(lines), "", reloads),
        at_most("lines for each config, word and token", len(lines) / (reloads + 6 * len(HOSTILE)), "", 1.5),
        exactly(
            f"lines that are no JSON{next((': ' + one['text'][:200] for one in told if one['level'] == 'no JSON'), '')}",
            kinds["no JSON"],
            "",
            0,
        ),
        exactly("lines that somebody else wrote", sum(one["text"] == "forged" for one in told), "", 0),
        exactly(
            "bytes beyond printable ASCII", sum(not (32 <= byte < 127 or byte == 10) for byte in raw), "", 0
        ),
        at_most("the longest line", max(map(len, lines)), "B", 2000),
        at_most("the longest answer of /healthz meanwhile", longest, "B", 16_384),
    ]
