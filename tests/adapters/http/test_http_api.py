"""What a client of the API relies on, asked over real HTTP."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from appliance.adapters.http.app import create_app
from appliance.adapters.http.port import HealthView, PartView
from appliance.adapters.http.server import serve
from appliance.errors import LinkError

TOKEN = "another-token-of-a-home-0123"
ROOT = Path(__file__).parents[3]
DECISION_KEYS = {
    "id",
    "at",
    "appliance",
    "action",
    "because",
    "authority",
    "source",
    "voices",
    "inputs",
    "count",
    "recorded",
}
JSON = {"content-type": "application/json"}


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    told = answer.json()
    return (
        answer.headers["content-type"] == "application/problem+json"
        and (answer.status_code, told["status"], told["code"]) == (status, status, code)
        and told["type"] == "about:blank"
        and bool(told["title"] and told["detail"])
    )


async def test_an_appliance_tells_what_it_does_and_what_that_rests_on(home, client):
    home.hear("pm2_5", 40.0, age_s=12.5)
    home.hear("co2", None, "bad", "jump")
    (told,) = (await client.get("/v1/appliances")).json()["appliances"]
    assert told == (await client.get("/v1/appliances/purifier")).json()
    assert (told["doing"], told["actions"], told["modes"]) == (
        "high",
        ["off", "low", "medium", "high", "turbo"],
        ["auto"],
    )
    channels = {channel["channel"]: channel for channel in told["channels"]}
    assert channels["pm2_5"] == {
        "channel": "pm2_5", "value": 40.0, "unit": "µg/m³", "age_s": 12.5, "quality": "good", "reason": None, "by": None,
    }  # fmt: skip
    assert (channels["co2"]["value"], channels["co2"]["quality"], channels["co2"]["reason"]) == (
        None,
        "bad",
        "jump",
    )
    assert channels["presence"]["quality"] == "unknown"


async def test_a_decision_carries_every_voice_and_input(home, client):
    home.hear("pm2_5", 40.0)
    told = (await client.get("/v1/decisions/1")).json()
    assert set(told) >= DECISION_KEYS
    assert (told["action"], told["authority"], told["source"]) == ("high", "RULE", "rule clean_air")
    assert told["because"] == "the fine dust is 40 µg/m³, above 12"
    fallback = next(voice for voice in told["voices"] if voice["source"] == "fallback")
    assert fallback["limited_by"] == "rule clean_air"
    assert {"channel", "value", "unit", "age_s", "quality", "reason", "by"} == set(told["inputs"][0])


async def test_why_is_one_sentence_with_the_decision_behind_it(home, client):
    home.hear("pm2_5", 40.0)
    told = (await client.get("/v1/appliances/purifier/why")).json()
    assert told["sentence"] == "high, because the fine dust is 40 µg/m³, above 12."
    assert told["decision"]["id"] == 1


async def test_pages_of_decisions_neither_repeat_nor_skip_while_new_ones_come(home, client):
    for value in [40.0, 5.0] * 5:
        home.hear("pm2_5", value)
    seen, cursor = [], None
    while True:
        page = (
            await client.get("/v1/decisions", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [made["id"] for made in page["decisions"]]
        cursor = page["next"]
        if cursor is None:
            break
        home.hear("pm2_5", 40.0 if len(home.history) % 2 == 0 else 5.0)
    assert seen == list(range(10, 0, -1))


async def test_filters_of_decisions_hold_together(home, client):
    for value in [40.0, 5.0, 40.0, 5.0]:
        home.hear("pm2_5", value)
    ids = lambda answer: [made["id"] for made in answer.json()["decisions"]]  # noqa: E731
    assert ids(await client.get("/v1/decisions", params={"action": "high"})) == [3, 1]
    assert ids(await client.get("/v1/decisions", params={"appliance": "other"})) == []
    third = home.history[2].decision.at.wall_ns
    assert ids(await client.get("/v1/decisions", params={"until": third / 1e9 - 1e-6, "since": 0})) == [2, 1]
    assert ids(await client.get("/v1/decisions", params={"since": "2100-01-01T00:00:00Z"})) == []


async def test_a_misspelt_filter_is_refused_instead_of_ignored(client):
    answer = await client.get("/v1/decisions", params={"aplliance": "purifier"})
    assert is_problem(answer, 422, "invalid")
    assert "aplliance" not in answer.text


async def test_readings_are_binned_and_bounded(home, client):
    for value in range(100):
        home.hear("pm2_5", float(value))
    asked = {"appliance": "purifier", "channel": "pm2_5"}
    told = (await client.get("/v1/readings", params={**asked, "points": 10})).json()
    assert (told["unit"], len(told["points"])) == ("µg/m³", 10)
    assert told["points"][0]["value"] == 0.0
    assert is_problem(await client.get("/v1/readings", params={**asked, "points": 10**6}), 422, "invalid")
    assert is_problem(
        await client.get("/v1/readings", params={**asked, "channel": "co"}), 404, "no-such-channel"
    )
    backwards = {**asked, "since": "2025-01-02T00:00:00Z", "until": "2025-01-01T00:00:00Z"}
    assert is_problem(await client.get("/v1/readings", params=backwards), 422, "no-time")


async def test_what_if_decides_without_commanding_or_remembering(home, client):
    home.hear("pm2_5", 5.0)
    body = {"appliance": "purifier", "readings": [{"channel": "pm2_5", "value": 90}]}
    told = (await client.post("/v1/decide", json=body)).json()
    assert set(told) >= DECISION_KEYS
    assert (told["action"], told["id"], told["recorded"]) == ("turbo", None, False)
    assert (home.doing, len(home.history)) == ("off", 1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":NaN}]}',
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":-Infinity}]}',
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":1e400}]}',
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":' + b"9" * 5000 + b"}]}",
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":' + b"9" * 400 + b"}]}",
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":true}]}',
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":null}]}',
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":1,"canary":1}]}',
        b'{"appliance":"purifier","readings":[{"channel":"pm2_5","value":1,"unit":"canary"}]}',
        b'{"appliance":"purifier","readings":[{"channel":"canary","value":1}]}',
        b'{"appliance":"purifier","readings":[{"channel":"co2","value":1},{"channel":"co2","value":2}]}',
        b'{"appliance":"purifier","readings":'
        + json.dumps([{"channel": "co2", "value": 1}] * 65).encode()
        + b"}",
        b'{"appliance":"\\ud800","readings":[]}',
        b'{"canary":"canary"}',
        b"[" * 60_000,
        b"{" * 9,
        b"\xff\xfe\x00{",
        b"",
        b"null",
    ],
    ids=lambda body: body[:70].decode("latin-1") + f" ({len(body)} bytes)",
)
async def test_a_broken_question_is_a_problem_and_is_not_echoed(client, body):
    answer = await client.post("/v1/decide", content=body, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert is_problem(answer, answer.status_code, answer.json()["code"])
    assert "canary" not in answer.text
    assert "NaN" not in answer.text


async def test_an_override_holds_and_is_handed_back(home, client, bearer):
    home.hear("pm2_5", 40.0)
    wish = {"action": "low", "for_s": 1800, "by": "page"}
    told = (await client.put("/v1/appliances/purifier/override", json=wish, headers=bearer)).json()
    assert (told["action"], told["by"], told["recorded"]) == ("low", "page", True)
    assert home.spoken == [("low", 1800, "page")]
    now = (await client.get("/v1/appliances/purifier")).json()
    assert (now["doing"], now["override"]["until"]) == ("low", told["until"])
    assert (await client.delete("/v1/appliances/purifier/override", headers=bearer)).json() == {
        "recorded": True
    }
    now = (await client.get("/v1/appliances/purifier")).json()
    assert (now["doing"], now["override"]) == ("high", None)


async def test_an_override_that_no_disk_holds_says_so(home, client, bearer):
    home.disk = False
    told = await client.put("/v1/appliances/purifier/override", json={"action": "low"}, headers=bearer)
    assert told.json()["recorded"] is False


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"action": "canary"}, "no-such-action"),
        ({"action": "low", "for_s": 0}, "invalid"),
        ({"action": "low", "for_s": 86401}, "invalid"),
        ({"action": "low", "for_s": True}, "invalid"),
        ({"action": "low", "for_s": "60"}, "invalid"),
        ({"action": "low", "by": "device"}, "invalid"),
        ({"action": "low", "canary": 1}, "invalid"),
        ({}, "invalid"),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_and_changes_nothing(home, client, bearer, body, code):
    answer = await client.put("/v1/appliances/purifier/override", json=body, headers=bearer)
    assert is_problem(answer, 422, code)
    assert "canary" not in answer.text
    assert home.spoken == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/appliances/canary", 404, "no-such-appliance"),
        ("GET", "/v1/appliances/canary/why", 404, "no-such-appliance"),
        ("PUT", "/v1/appliances/canary/override", 404, "no-such-appliance"),
        ("DELETE", "/v1/appliances/canary/override", 404, "no-such-appliance"),
        ("GET", "/v1/decisions/999", 404, "no-such-decision"),
        ("GET", "/v1/decisions/99999999999999999999", 422, "invalid"),
        ("GET", "/v1/decisions/canary", 422, "invalid"),
        ("GET", "/v1/decisions?cursor=canary", 422, "invalid"),
        ("GET", "/v1/decisions?since=canary", 422, "invalid"),
        ("GET", "/v1/decisions?since=1e999", 422, "invalid"),
        ("GET", "/v1/canary", 404, "no-such-page"),
        ("GET", "/v1/appliances/", 404, "no-such-page"),
        ("GET", "/docs", 404, "no-such-page"),
        ("DELETE", "/v1/appliances", 405, "method-not-allowed"),
        ("POST", "/v1/appliances/purifier/override", 405, "method-not-allowed"),
        ("HEAD", "/v1/appliances", 405, None),
    ],
)
async def test_every_refusal_is_a_problem(client, bearer, method, path, status, code):
    answer = await client.request(
        method, path, headers={**bearer, **JSON}, content=b'{"action":"low"}' if method == "PUT" else None
    )
    assert answer.status_code == status
    if code is not None:
        assert is_problem(answer, status, code)
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../app.py",
        "/assets/%2e%2e/app.py",
        "/assets/..%2fapp.py",
        "/assets/..%5capp.py",
        "/assets/page.css%00.html",
        "/assets//etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/assets/",
    ],
)
async def test_no_path_leads_out_of_the_table_of_assets(server, path):
    # Raw: a client library would tidy the path up.
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert re.match(rb"HTTP/1.1 4\d\d ", answer)


async def test_history_out_of_reach_is_a_503_with_a_hint(home, client):
    home.disk = False
    answer = await client.get("/v1/decisions")
    assert is_problem(answer, 503, "unavailable")
    assert answer.json()["hint"] == "look at the disk"


async def test_an_unforeseen_error_is_a_500_problem_that_tells_no_secret(home, client, monkeypatch):
    def broken(appliance: str) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(home, "why", broken)
    answer = await client.get("/v1/appliances/purifier/why")
    assert is_problem(answer, 500, "unforeseen")
    assert "canary" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await client.get("/healthz")).status_code == 200


async def test_health_and_readiness_are_told_by_status_too(home, client):
    assert (await client.get("/healthz")).status_code == (await client.get("/readyz")).status_code == 200
    parts = (PartView("store", "degraded", "the disk is full"),)
    home.status = HealthView("degraded", False, "0.1.0", 1.0, home.status.now, parts)
    healthz = await client.get("/healthz")
    assert (healthz.status_code, healthz.json()["parts"][0]["detail"]) == (200, "the disk is full")
    assert (await client.get("/readyz")).status_code == 503
    home.status = msgspec.structs.replace(home.status, status="failing")
    assert (await client.get("/healthz")).status_code == 503


async def test_metrics_are_prometheus_text_with_escaped_labels(home, client):
    home.hear("pm2_5", 40.0)
    await client.put("/v1/appliances/purifier/override", json={"action": "low"})
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert "# HELP appliance_decisions_total Decisions made.\\nBy appliance." in lines
    assert 'appliance_decisions_total{appliance="pur\\"if\\\\ier\\n"} 1' in lines
    assert 'appliance_http_refused_total{reason="token"} 1' in lines
    sample = re.compile(r'[a-z_]+(\{[a-z_]+="([^"\\\n]|\\.)*"\})? [0-9.e+-]+')
    assert all(line.startswith("# ") or sample.fullmatch(line) for line in lines)


async def test_every_route_and_model_is_described(home, client):
    told = (await client.get("/openapi.json")).json()
    served = {
        (route.path, method.lower())
        for route in _flat(create_app(home, token=TOKEN).routes)
        for method in route.methods
    }
    described = {(path, method) for path, methods in told["paths"].items() for method in methods}
    assert {("/v1/decide", "post"), ("/v1/events", "get"), ("/metrics", "get"), ("/", "get")} <= described
    assert served == described
    assert all(
        operation.get("description") for methods in told["paths"].values() for operation in methods.values()
    )
    for reference in re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', json.dumps(told)):
        assert reference in told["components"]["schemas"]
    assert told["components"]["schemas"]["DecisionModel"]["properties"].keys() >= DECISION_KEYS
    for method in ("put", "delete"):
        assert told["paths"]["/v1/appliances/{appliance}/override"][method]["security"]
    assert "security" not in told["paths"]["/v1/decide"]["post"]


def _flat(routes):
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if hasattr(route, "methods") and hasattr(route, "path"):
            yield route
        elif inner is not None:
            yield from _flat(inner.routes)


async def test_the_page_and_its_files_are_kept_by_browsers_but_asked_for_again(client):
    page = await client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    names = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)
    assert len(names) >= 3
    for name in names:
        asset = await client.get(name)
        assert asset.status_code == 200
        again = await client.get(name, headers={"if-none-match": asset.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/v1/appliances")).headers["cache-control"] == "no-store"


async def test_no_cookie_and_no_cors_is_ever_given(client):
    answer = await client.get("/v1/appliances", headers={"origin": "http://evil.example"})
    assert "set-cookie" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_port_that_is_taken_is_told_with_a_remedy(home, server):
    with pytest.raises(LinkError) as caught:
        serve(create_app(home, token=TOKEN), port=server.port)
    assert str(server.port) in caught.value.message
    assert caught.value.hint


async def test_serving_leaves_the_signal_handlers_of_the_daemon_alone(home):
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: None)
    try:
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        server = serve(create_app(home, token=TOKEN))
        task = asyncio.create_task(server.run())
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            assert (await client.get("/healthz")).status_code == 200
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        await server.close()
        await asyncio.wait_for(task, 5)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_a_cancelled_server_lets_go_of_its_port(home):
    server = serve(create_app(home, token=TOKEN))
    task = asyncio.create_task(server.run())
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        assert (await client.get("/healthz")).status_code == 200
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(httpx.TransportError):
            await client.get("/healthz")
    again = serve(create_app(home, token=TOKEN), port=server.port)
    await again.close()
    await asyncio.wait_for(again.run(), 5)


def test_the_port_and_the_feed_import_no_web_framework():
    code = (
        "import sys, appliance.adapters.http.port, appliance.adapters.http.feed;"
        "web = 'fastapi', 'starlette', 'uvicorn', 'pydantic', 'anyio';"
        "print([name for name in web if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


async def test_the_reference_names_every_route_and_every_problem(client):
    reference = (ROOT / "docs" / "http.md").read_text()
    told = (await client.get("/openapi.json")).json()
    rows = {
        (match[1], match[2].replace("…", ""))
        for match in re.finditer(r"^\| `([A-Z]+)` \| `([^`]+)` \|", reference, re.MULTILINE)
    }
    assert rows == {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    source = "".join(file.read_text() for file in (ROOT / "appliance" / "adapters" / "http").glob("*.py"))
    codes = set(re.findall(r"(?:Refused|problem|_refuse)\(\s*\d{3},\s*\"([a-z-]+)\"", source))
    assert len(codes) > 15
    assert sorted(code for code in codes if f"`{code}`" not in reference) == []
