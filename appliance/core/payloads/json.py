"""Owns reading JSON off the wire: bounded, strict, and never another exception than `Malformed`.

Never in here: what a key means.
"""

from math import isfinite
from typing import Any

import msgspec

from appliance.errors import Malformed

MAX_PAYLOAD = 64 << 10
"""A sensor's message has some hundred bytes; only a bridge's list of its devices has more (see `MAX_DECLARATION`)."""
MAX_DECLARATION = 4 << 20

_DECODE = msgspec.json.Decoder(strict=True).decode


def read(payload: bytes, *, where: str, most: int = MAX_PAYLOAD) -> Any:
    """Return the JSON value of `payload`. NaN, Infinity, UTF-16, a BOM, lone surrogates and trailing bytes are no JSON.

    Raises:
        Malformed: with reason "too_large", "too_deep" or "not_json".
    """
    if len(payload) > most:
        raise Malformed(f"{where}: {len(payload)} bytes", hint=f"at most {most} are read", reason="too_large")
    try:
        return _DECODE(payload)
    except RecursionError:
        raise Malformed(f"{where}: nested too deep", hint="send it flat", reason="too_deep") from None
    except (ValueError, OverflowError) as broken:
        # msgspec's own errors are ValueErrors; a number of thousands of digits is an OverflowError or a ValueError.
        raise Malformed(
            f"{where}: no JSON: {str(broken)[:100]}", hint="send UTF-8 JSON", reason="not_json"
        ) from None


def read_object(payload: bytes, *, where: str, most: int = MAX_PAYLOAD) -> dict[str, Any]:
    """Return the JSON object of `payload`.

    Raises:
        Malformed: as `read`, or with reason "no_object".
    """
    value = read(payload, where=where, most=most)
    if type(value) is not dict:
        raise Malformed(f"{where}: no JSON object", hint="send an object of properties", reason="no_object")
    return value


def number(value: object) -> float | int | None:
    """Return `value` where it is a finite number (true is none), else None."""
    kind = type(value)
    if kind is int:
        # An int beyond the range of floats can be no measurement, and would raise as soon as it is compared with one.
        return value if -(10**18) < value < 10**18 else None  # type: ignore[operator,return-value]
    if kind is float:
        return value if isfinite(value) else None  # type: ignore[arg-type,return-value]
    return None
