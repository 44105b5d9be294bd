"""Owns the making of requests for fuzzing, by a seed: fit for the schema, nearly fit for it, and hardly HTTP at all.

Never in here: sending them. The same seed and schema give the same cases.
"""

import json
import random
from dataclasses import dataclass
from typing import Any

from tests.faults.wire import JSON, ask, bearer

CANARY = "zqcanaryqz"
"""Stands in much of what is sent, and in no answer."""

TEXTS = (
    "", " ", "a", CANARY, CANARY * 20, "x" * 65, "x" * 5000, "\x00", "a\r\nx: y", "\x1b[2J", "\u2028", "\ud800", "😀", "ß",
    "../../etc/passwd", "%2e%2e%2f", "' OR 1=1 --", "%' OR '1'='1", "'; DROP TABLE decisions; --", "_%", "*", "NEAR(", "NaN",
    "1e400", "1_000", "١٢", "0x10", "-0", "true", "null", "07:00", "25:99", "2 h ago", "99999 d ago", "#1", "#999999999999999999",
    "yesterday 19:30", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "-1", "1e18", "253402300800",
    "pm2_5 < 5", "pm2_5 <", "((((((((" * 20, "not " * 60, "temperature is unknown for 1 h", "<script>alert(1)</script>",
    "until", "off", "on", "low", "high", "fan", "heater", "(a+)+$" + "a" * 60,
)  # fmt: skip
NUMBERS = (
    "0", "-0", "1", "-1", "21.5", "1e400", "-1e400", "1e308", "5e-324", "NaN", "Infinity", "-Infinity", "9" * 400, "9" * 5000,
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1.7976931348623157e308", "86400", "86401", "0.1", "01", "1.",
)  # fmt: skip
RAW = (
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[[]]",
    "[" * 500,
    '{"a":' * 500,
    "",
    "﻿{}",
    '{"a":1,"a":2}',
    "'x'",
    "//",
    "\x00",
)
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "PRI",
    "X" * 40,
)
HEADERS = (
    "content-length: 0", "content-length: 5", "content-length: 99999999999999999999", "content-length: -1", "content-length: +5",
    "content-length: 0x5", "content-length: 5, 5", "content-length: 5, 6", "transfer-encoding: chunked", "transfer-encoding: Chunked ",
    "transfer-encoding: gzip, chunked", "transfer-encoding: identity", "transfer-encoding: xchunked", "transfer-encoding : chunked",
    " folded", "x" * 300 + ": y", "x: " + "y" * 20_000, ": y", "x", "x:y", "\x00: y", "x: \x00", "x: \x0b", "x: é", "connection: close",
    "connection: upgrade", "upgrade: websocket", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__", "expect: 100-continue", "expect: x",
    "te: trailers", "trailer: x", "range: bytes=0-", "if-none-match: *", "accept: */*;q=NaN", "accept-encoding: gzip;q=x", "cookie: a=b",
    "origin: http://evil.example", "origin: null", "sec-fetch-site: cross-site", "x-forwarded-for: 10.0.0.1", "forwarded: for=x",
    "x-forwarded-host: evil.example", "x-http-method-override: DELETE", "host: evil.example", "host: localhost", "authorization: Basic eA==",
    f"authorization: Bearer {CANARY}", "authorization: Bearer é", "authorization:", "content-type: text/plain", "content-type: application/xml",
    "content-type: application/json; charset=utf-16", "content-encoding: gzip", "last-event-id: \x01",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One case: what kind it is, the bytes, and whether the right token is in it."""

    kind: str
    raw: bytes
    trusted: bool


class Forge:
    """Makes cases for the interface that `described` (its OpenAPI document) tells of."""

    def __init__(
        self, seed: int, described: dict[str, Any], token: str, names: dict[str, tuple[str, ...]]
    ) -> None:
        self._dice = random.Random(seed)
        self._token = token
        self._names = names
        self._schemas = described["components"]["schemas"]
        self._routes = [
            (method.upper(), path, operation)
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
        ]

    def case(self) -> Case:
        """Return the next case."""
        kind = self._dice.choices(("schema", "nearly", "http", "bytes"), (4, 3, 2, 1))[0]
        trusted = self._dice.random() < 0.5
        if kind in ("schema", "nearly"):
            return Case(kind, self._request(trusted, wild=0.1 if kind == "schema" else 0.5), trusted)
        raw = self._hardly_http(trusted)
        return Case(kind, raw if kind == "http" else self._damaged(raw), trusted)

    # ------------------------------------------------------------ by the schema

    def _request(self, trusted: bool, wild: float) -> bytes:
        method, path, operation = self._dice.choice(self._routes)
        query = []
        for parameter in operation.get("parameters", ()):
            value = self._said(parameter["schema"], parameter["name"], wild)
            if parameter["in"] == "path":
                path = path.replace("{" + parameter["name"] + "}", _quoted(value) or "x")
            elif self._dice.random() < 0.5:
                query.append(f"{parameter['name']}={_quoted(value)}")
        if self._dice.random() < wild / 2:
            query.append(f"{_quoted(self._dice.choice(TEXTS))}={_quoted(self._dice.choice(TEXTS))}")
        target = path + ("?" + "&".join(query) if query else "")
        headers = [bearer(self._token)] if trusted else []
        body = None
        if "requestBody" in operation:
            headers.append(JSON)
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            body = self._json(schema, "", wild).encode("utf-8", "surrogatepass")
        if self._dice.random() < wild / 2:
            headers.append(self._dice.choice(HEADERS))
        return ask(target, *headers, method=method, body=body)

    def _said(self, schema: dict[str, Any], name: str, wild: float) -> str:
        """Return a value for an address, as text."""
        if self._dice.random() < wild:
            return self._dice.choice((*TEXTS, *NUMBERS))
        if name in self._names:
            return self._dice.choice(self._names[name])
        kinds = [one.get("type") for one in schema.get("anyOf", [schema])]
        if "integer" in kinds:
            return str(self._dice.randint(-1, 1200))
        if "boolean" in kinds:
            return self._dice.choice(("true", "false"))
        return self._dice.choice(
            ("1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "0", "1e9", "1", "12:00", "1 h ago")
        )

    def _json(self, schema: dict[str, Any], name: str, wild: float) -> str:
        """Return JSON, or nearly, for `schema`."""
        dice = self._dice
        if dice.random() < wild / 3:
            return dice.choice((*RAW, *NUMBERS, *(_spelt(text) for text in TEXTS)))
        if "$ref" in schema:
            return self._json(self._schemas[schema["$ref"].rpartition("/")[2]], name, wild)
        if "anyOf" in schema:
            return self._json(dice.choice(schema["anyOf"]), name, wild)
        if "enum" in schema:
            return _spelt(dice.choice(schema["enum"]))
        match schema.get("type"):
            case "object":
                required = schema.get("required", ())
                pairs = [
                    f"{_spelt(key)}:{self._json(value, key, wild)}"
                    for key, value in schema.get("properties", {}).items()
                    if key in required or dice.random() < 0.4
                ]
                if dice.random() < wild / 3:
                    pairs.append(f"{_spelt(dice.choice(TEXTS))}:{dice.choice(NUMBERS)}")
                return "{" + ",".join(pairs) + "}"
            case "array":
                many = dice.choice((0, 1, 1, 2, 3, 70))
                return "[" + ",".join(self._json(schema["items"], name, wild) for _ in range(many)) + "]"
            case "string":
                return _spelt(dice.choice(self._names.get(name, TEXTS) if dice.random() > wild else TEXTS))
            case "integer":
                return str(dice.choice((1, 60, 1800, 86_400, dice.randint(-5, 10**6))))
            case "number":
                return dice.choice(NUMBERS) if dice.random() < wild else f"{dice.uniform(-50, 2000):.3f}"
            case "boolean":
                return dice.choice(("true", "false"))
        return "null"

    # ------------------------------------------------------------ hardly HTTP

    def _hardly_http(self, trusted: bool) -> bytes:
        dice = self._dice
        method, path, _ = dice.choice(self._routes)
        path = path.replace("{appliance}", "fan").replace("{", "").replace("}", "")
        target = dice.choice(
            (path, path, path, path + "?" + dice.choice(TEXTS).replace(" ", "+"), "*", "//" + path, path + "/..", "http://localhost" + path,
             "http://evil.example" + path, "?", "#", "/%", "/%ff", "/%00", "/" + "a" * dice.choice((10, 9000, 70_000)), "localhost:80", "")
        )  # fmt: skip
        headers = [
            f"host: {dice.choice(('localhost',) * 8 + ('evil.example', '', 'localhost:1:1', '[::1', 'a b', '%00'))}"
        ]
        if trusted:
            headers.append(bearer(self._token))
        if dice.random() < 0.6:
            headers.append(JSON)
        headers += dice.choices(HEADERS, k=dice.choice((0, 1, 1, 2, 3)))
        if dice.random() < 0.03:
            headers += [f"x{number}: y" for number in range(dice.choice((101, 3000)))]
        dice.shuffle(headers)
        body = dice.choice((b"", b"", b"{}", b'{"action":"low"}', b"x" * 70_000, *CHUNKED))
        if dice.random() < 0.4:
            headers.append(f"content-length: {len(body)}")
        elif body in CHUNKED and dice.random() < 0.8:
            headers.append("transfer-encoding: chunked")
        version = dice.choice(
            ("HTTP/1.1",) * 8 + ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", "HTTP/11")
        )
        verb = method if dice.random() < 0.7 else dice.choice(METHODS)
        end = dice.choice(("\r\n",) * 9 + ("\n", "\r"))
        text = end.join((f"{verb} {target} {version}", *headers, "", ""))
        raw = text.encode("utf-8", "surrogatepass") + body
        return raw + self._request(trusted, 0.1) if dice.random() < 0.2 else raw

    def _damaged(self, raw: bytes) -> bytes:
        dice = self._dice
        damaged = bytearray(raw[: dice.choice((len(raw), len(raw), dice.randint(1, len(raw))))])
        for _ in range(dice.choice((1, 1, 2, 5, 20))):
            at = dice.randrange(len(damaged) or 1)
            match dice.randrange(4):
                case 0:
                    damaged[at : at + 1] = bytes((dice.randrange(256),))
                case 1:
                    del damaged[at : at + dice.randint(1, 8)]
                case 2:
                    damaged[at:at] = dice.choice(
                        (b"\r\n", b"\n", b"\x00", b" ", b":", b"\xff", b"\r\n\r\n", b"0\r\n\r\n")
                    )
                case 3:
                    damaged[at:at] = damaged[at : at + dice.randint(1, 40)]
        return bytes(damaged)


CHUNKED = (
    b"0\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nx: y\r\n\r\n", b"2;a=b\r\n{}\r\n0\r\n\r\n", b"zz\r\n{}\r\n", b"-2\r\n{}\r\n",
    b"0x2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}0\r\n\r\n", b"2\n{}\n0\n\n", b"ffffffffffffffffff\r\n{}", b"2\r\n{}\r\n00000000000000000000000\r\n\r\n",
    b"2;" + b"a" * 20_000 + b"\r\n{}\r\n0\r\n\r\n", b"0\r\n" + b"x: y\r\n" * 3000 + b"\r\n", b"1\r\n{\r\n" * 500, b" 2\r\n{}\r\n0\r\n\r\n",
)  # fmt: skip


def _quoted(text: str) -> str:
    """Return `text` as it stands in an address; what has to be escaped is, mostly."""
    return "".join(
        sign if sign.isascii() and (sign.isalnum() or sign in "-_.~:+*'(),;!$@") else _percent(sign)
        for sign in text
    )


def _percent(sign: str) -> str:
    return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))


def _spelt(value: Any) -> str:
    return json.dumps(value)
