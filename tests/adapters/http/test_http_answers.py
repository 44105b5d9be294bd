"""Answers of people over HTTP: recommendations, alarms, and until when an override holds."""

import json

import pytest

from appliance.adapters.http.port import AlarmView
from appliance.core.arbitration import Authority
from appliance.core.clock import SECOND
from appliance.core.events import Advice
from appliance.errors import ConfigError, TooManyWords
from tests.adapters.http.conftest import now

PURIFIER = "/v1/appliances/purifier"
SMOKE = AlarmView("smoke", "there is smoke", acknowledged=False, waits=True)
TANK = AlarmView("tank", "the tank is full", False, False, Authority.EQUIPMENT)


def advised(source: str, action: str) -> Advice:
    return Advice(source, action, "dust is near", now(), now().plus(3600 * SECOND))


def code(answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "advice", {"answer": "accept"}),
        ("POST", "advice", {"answer": "dismiss"}),
        ("POST", "alarms", {}),
        ("PUT", "override", {"action": "low", "open_ended": True}),
        ("DELETE", "override", None),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer not-the-token-of-this-home"}])
async def test_nobody_answers_without_the_token(home, client, method, path, body, headers):
    home.advice, home.alarms = (advised("rule dusty", "high"),), (SMOKE,)
    answer = await client.request(method, f"{PURIFIER}/{path}", json=body, headers=headers)
    assert code(answer) == (401, "token-needed")
    assert (home.spoken, len(home.advice), home.alarms, home.held) == ([], 1, (SMOKE,), None)


async def test_safe_mode_ends_by_the_token_alone(home, client, bearer):
    home.safe = True
    assert code(await client.delete("/v1/safe-mode")) == (401, "token-needed")
    assert home.safe
    assert [(await client.delete("/v1/safe-mode", headers=bearer)).json()["ended"] for _ in range(2)] == [
        True,
        False,
    ]


async def test_what_is_recommended_is_shown_and_answered_one_by_one(home, client, bearer):
    home.advice = (advised("rule dusty", "high"), advised("rule stale", "turbo"))
    shown = (await client.get(PURIFIER)).json()["advice"]
    assert [(one["source"], one["action"]) for one in shown] == [
        ("rule dusty", "high"),
        ("rule stale", "turbo"),
    ]
    body = {"answer": "dismiss", "source": "rule stale"}
    told = await client.post(f"{PURIFIER}/advice", json=body, headers=bearer)
    assert (told.status_code, told.json()) == (200, {"count": 1})
    told = await client.post(f"{PURIFIER}/advice", json={"answer": "accept", "by": "cli"}, headers=bearer)
    assert told.json() == {"count": 1}
    assert home.spoken == [("dismiss", "rule stale", "http"), ("accept", None, "cli")]
    assert (await client.get(PURIFIER)).json()["override"]["by"] == "advice"


async def test_an_alarm_is_shown_with_its_weight_and_acknowledged_once(home, client, bearer):
    home.alarms = (SMOKE, TANK)
    shown = (await client.get(PURIFIER)).json()["alarms"]
    assert [(one["rule"], one["authority"], one["waits"]) for one in shown] == [
        ("smoke", "LIFE_SAFETY", True),
        ("tank", "EQUIPMENT", False),
    ]
    told = await client.post(f"{PURIFIER}/alarms", json={"rule": "smoke"}, headers=bearer)
    assert (told.status_code, told.json()) == (200, {"count": 1})
    told = await client.post(f"{PURIFIER}/alarms", json={}, headers=bearer)
    assert code(told) == (409, "no-alarm")
    assert home.spoken == [("acknowledge", "smoke", "http")]


@pytest.mark.parametrize("source", [None, "rule dusty", "dusty"])
async def test_what_is_not_recommended_can_not_be_answered(home, client, bearer, source):
    body = {"answer": "accept", "source": source}
    told = await client.post(f"{PURIFIER}/advice", json=body, headers=bearer)
    assert code(told) == (409, "nothing-recommended")
    assert home.spoken == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("advice", {}),
        ("advice", {"answer": "perhaps"}),
        ("advice", {"answer": "accept", "source": ""}),
        ("advice", {"answer": "accept", "source": "<canary>"}),
        ("advice", {"answer": "accept", "by": "device"}),
        ("advice", {"answer": "accept", "canary": 1}),
        ("alarms", {"rule": 1}),
        ("alarms", {"rule": "r" * 81}),
        ("alarms", []),
    ],
    ids=json.dumps,
)
async def test_an_answer_of_the_wrong_form_is_refused_and_not_echoed(home, client, bearer, path, body):
    home.advice, home.alarms = (advised("rule dusty", "high"),), (SMOKE,)
    told = await client.post(f"{PURIFIER}/{path}", json=body, headers=bearer)
    assert code(told) == (422, "invalid")
    assert "canary" not in told.text
    assert home.spoken == []


async def test_there_is_nothing_to_answer_where_there_is_no_such_appliance(client, bearer):
    for path, body in (("advice", {"answer": "accept"}), ("alarms", {})):
        told = await client.post(f"/v1/appliances/canary/{path}", json=body, headers=bearer)
        assert code(told) == (404, "no-such-appliance")


@pytest.mark.parametrize(
    ("end", "ends", "open_ended"),
    [
        ({"until": "the air is clean"}, "the air is clean", False),
        ({"until": "06:45"}, None, False),
        ({"open_ended": True}, None, True),
    ],
)
async def test_an_override_says_what_ends_it(home, client, bearer, end, ends, open_ended):
    told = await client.put(f"{PURIFIER}/override", json={"action": "low", **end}, headers=bearer)
    assert (told.json()["ends"], told.json()["until"] is None) == (ends, open_ended)
    assert (await client.get(PURIFIER)).json()["override"] == told.json()
    assert home.wishes == [("low", None, end.get("until"), open_ended)]


@pytest.mark.parametrize("end", [{"until": ""}, {"until": "x" * 201}, {"until": 7}, {"open_ended": 1}])
async def test_an_end_of_the_wrong_form_is_refused(home, client, bearer, end):
    told = await client.put(f"{PURIFIER}/override", json={"action": "low", **end}, headers=bearer)
    assert code(told) == (422, "invalid")
    assert home.spoken == []


async def test_a_condition_is_pointed_at_and_whoever_says_too_much_is_told_to_wait(home, client, bearer):
    home.refuses = ConfigError("until, line 1\n    moon is up\n    ^", hint="write a condition")
    told = await client.put(f"{PURIFIER}/override", json={"action": "low", "until": "moon"}, headers=bearer)
    assert code(told) == (422, "not-possible")
    assert told.json()["detail"].endswith("\n    ^")
    assert told.json()["hint"] == "write a condition"
    home.refuses = TooManyWords("too many", hint="wait a minute")
    home.advice = (advised("rule dusty", "high"),)
    for method, path, body in (
        ("PUT", "override", {"action": "low"}),
        ("POST", "advice", {"answer": "accept"}),
    ):
        told = await client.request(method, f"{PURIFIER}/{path}", json=body, headers=bearer)
        assert code(told) == (429, "too-often")
        assert told.headers["retry-after"] == "60"
