"""Owns messages written down: one JSON object a line, in, and what it says, out.

Never in here: files, or printing.
"""

import json
from typing import Any

from appliance.core.payloads import Decoder
from appliance.core.payloads.message import Catalogue, Message
from appliance.core.readings import Reading
from appliance.errors import Malformed, PayloadError

MAX_LINE = 8 << 20


def parse_line(text: str | bytes) -> tuple[dict[str, Any], Message]:
    """Return the line's object, and the message in it: `topic`, `payload` (a string, or an object), `retain`.

    Raises:
        Malformed: it is no such line.
    """
    hint = 'write {"topic": "zigbee2mqtt/x", "payload": "{..}", "retain": false}'
    if len(text) > MAX_LINE:
        raise Malformed(f"a line of {len(text)} characters", hint=f"at most {MAX_LINE}", reason="too_large")
    try:
        line = json.loads(text)
        topic, payload = line["topic"], line["payload"]
        if not isinstance(topic, str):
            raise TypeError("topic is no string")
        raw = payload if isinstance(payload, str) else json.dumps(payload)
        return line, Message(topic, raw.encode("utf-8", "surrogatepass"), bool(line.get("retain", False)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as broken:
        raise Malformed(
            f"no such line: {type(broken).__name__}: {str(broken)[:100]}", hint=hint, reason="no_line"
        ) from None


def decode_line(
    text: str | bytes, decoder: Decoder, catalogue: Catalogue
) -> tuple[dict[str, Any], Catalogue]:
    """Return what one line says, ready to print as JSON, and the catalogue after it.

    The readings have the same form and names as elsewhere: readings first, then states, then availability. A line that
    can't be understood gives `error` and `hint` instead of a device.
    """
    said: dict[str, Any] = {"topic": None, "readings": []}
    try:
        line, message = parse_line(text)
        said = {**({"id": line["id"]} if "id" in line else {}), "topic": message.topic, "readings": []}
        decoded = decoder.decode(message, catalogue)
    except PayloadError as broken:
        return {**said, "error": broken.message, "hint": broken.hint, "reason": broken.reason}, catalogue
    said["device"] = decoded.device
    said["readings"] = [_shown(reading) for reading in (*decoded.readings, *decoded.states)]
    if decoded.available is not None:
        said["readings"].append({"metric": "available", "value": decoded.available, "unit": None})
    dropped = {reason: count for reason, count in decoded.dropped.items() if count}
    if dropped:
        said["dropped"] = dropped
    if decoded.declarations:
        said["declared"] = [declaration.device for declaration in decoded.declarations]
    return said, catalogue.fold(decoded.declarations)


def _shown(reading: Reading) -> dict[str, Any]:
    return {"metric": reading.metric, "value": reading.value, "unit": reading.unit}
