"""D2: a page of another origin writes through its visitor's browser. Promise: nothing is written, nothing may be read."""

import asyncio
from itertools import product

from tests.faults.handle import Handle
from tests.faults.lab import Lab
from tests.faults.row import Figure, Row, Size, at_least, exactly
from tests.faults.wire import JSON, Answer, ask, bearer, say

ROW = Row("D2", "a foreign page writes (CSRF)", "403 always; no cookies, no CORS", minutes=0.5)
WRITES = (
    ("PUT", "/v1/appliances/fan/override", b'{"action":"low"}'),
    ("DELETE", "/v1/appliances/fan/override", None),
    ("POST", "/v1/appliances/fan/advice", b'{"answer":"accept"}'),
    ("POST", "/v1/appliances/fan/alarms", b"{}"),
    ("POST", "/v1/decide", b'{"appliance":"fan","readings":[]}'),
)
READS = ("/v1/appliances", "/v1/decisions", "/v1/events", "/v1/readings?appliance=fan&channel=pm2_5")
FOREIGN = (
    ("origin: http://evil.example",), ("origin: null",), ("origin: http://localhost.evil.example",), ("origin: http://localhost:1",),
    ("origin: file://",), ("origin:",), ("sec-fetch-site: cross-site",), ("sec-fetch-site: same-site",), ("sec-fetch-site: x",),
    ("origin: http://localhost", "sec-fetch-site: cross-site"), ("origin: http://localhost", "origin: http://evil.example"),
)  # fmt: skip
FORMS = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json+x",
    "",
)


async def _all(daemon: Handle) -> tuple[list[Answer], list[Answer], list[Answer], list[Answer]]:
    port, right = daemon.port, bearer(daemon.token)
    foreign = [
        await say(port, ask(path, right, JSON, *headers, method=method, body=body))
        for (method, path, body), headers in product(WRITES, FOREIGN)
    ]
    foreign += [await say(port, ask(path, *headers)) for path, headers in product(READS, FOREIGN)]
    forms = [
        await say(port, ask(path, right, f"content-type: {form}", method=method, body=body))
        for (method, path, body), form in product(WRITES, FORMS)
        if body is not None
    ]
    token = daemon.token
    elsewhere = [
        await say(port, ask(path + query, JSON, header, method=method, body=body))
        for method, path, body in WRITES[:4]
        for query, header in (
            ("", f"cookie: token={token}; authorization=Bearer {token}"),
            (f"?token={token}&access_token={token}", "x: y"),
            ("", f"x-token: {token}"),
            ("", f"authorization: Basic {token}"),
        )
    ]
    asking = (
        "origin: http://evil.example",
        "access-control-request-method: PUT",
        "access-control-request-headers: authorization",
    )
    flights = [await say(port, ask(path, *asking, method="OPTIONS")) for _, path, _ in WRITES]
    return foreign, forms, elsewhere, flights


def run(lab: Lab, size: Size) -> list[Figure]:
    del size
    daemon = lab.home()
    foreign, forms, elsewhere, flights = asyncio.run(_all(daemon))
    said = b"".join(answer.head for answer in (*foreign, *forms, *elsewhere, *flights))
    return [
        at_least("foreign requests", len(foreign), "", 90),
        exactly(
            "of them refused with 403",
            sum(answer.code == "cross-origin" for answer in foreign),
            "",
            len(foreign),
        ),
        exactly(
            "bodies that a form can send, refused with 415",
            sum(answer.status == 415 for answer in forms),
            "",
            len(forms),
        ),
        exactly(
            "tokens elsewhere than in the header, refused",
            sum(answer.status == 401 for answer in elsewhere),
            "",
            len(elsewhere),
        ),
        exactly(
            "cookies and CORS headers in answers",
            said.count(b"set-cookie") + said.count(b"access-control-"),
            "",
            0,
        ),
        exactly(
            "overrides set",
            sum(daemon.appliance(name)["override"] is not None for name in ("fan", "heater")),
            "",
            0,
        ),
    ]
