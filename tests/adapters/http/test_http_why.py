"""Why and why not, asked over real HTTP: what is answered, and how what can't be is refused."""

import pytest


async def test_why_answers_of_now_and_of_a_decision_by_its_number(home, client):
    home.hear("pm2_5", 40.0)
    home.hear("pm2_5", 5.0)
    of_now = (await client.get("/v1/appliances/purifier/why")).json()
    assert of_now["sentence"] == "off, because nobody asks for anything."
    assert of_now["flip"] is None
    then = (await client.get("/v1/appliances/purifier/why", params={"at": "#1"})).json()
    assert then["sentence"] == "high, because the fine dust is 40 µg/m³, above 12."
    assert then["decision"]["id"] == 1


async def test_the_flip_is_given_where_it_is_asked_for(home, client):
    home.hear("pm2_5", 40.0)
    told = (await client.get("/v1/appliances/purifier/why", params={"flip": "true"})).json()["flip"]
    nearest = {
        "channel": "pm2_5", "value": 11.9, "unit": "µg/m³", "was": 40.0, "steps": 281, "action": "off", "exact": True,
    }  # fmt: skip
    assert told["nearest"] == nearest
    assert told["changes"] == [nearest]
    assert told["named"] == [{"what": "a person's override ends at 15:43", "action": "high"}]
    assert told["lines"][0] == "nearest flip: pm2_5 at 11.9 µg/m³ (281 steps less than 40): off"


async def test_why_not_answers_for_actions_and_modes(home, client):
    home.hear("pm2_5", 40.0)
    for action in ("turbo", "auto"):
        told = (await client.get(f"/v1/appliances/purifier/why-not/{action}")).json()
        assert told["sentence"] == f"not {action}, because nobody asks for more than high."
        assert told["lines"] == ["clean_air would want it"]
        assert told["decision"]["action"] == "high"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("toaster/why", 404, "no-such-appliance"),
        ("toaster/why-not/off", 404, "no-such-appliance"),
        ("purifier/why-not/boost", 404, "no-such-action"),
        ("purifier/why?at=soon", 422, "not-possible"),
        ("purifier/why?at=2999-01-01", 422, "not-possible"),
        ("purifier/why-not/high?at=25:00", 422, "not-possible"),
        ("purifier/why?at=%23999", 404, "no-such-decision"),
        ("purifier/why?at=1999-01-01", 404, "no-such-decision"),
        ("purifier/why?at=", 422, "invalid"),
        ("purifier/why?flip=perhaps", 422, "invalid"),
        ("purifier/why?then=19:30", 422, "invalid"),
        (f"purifier/why?at={'9' * 100}", 422, "invalid"),
    ],
)
async def test_what_cannot_be_answered_is_refused_with_what_to_do(home, client, path, status, code):
    home.hear("pm2_5", 40.0)
    answer = await client.get(f"/v1/appliances/{path}")
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["hint"]
    # What was sent is not echoed.
    assert "999" not in told["detail"]
    assert "soon" not in answer.text


async def test_the_actions_there_are_are_told_where_one_is_unknown(home, client):
    told = (await client.get("/v1/appliances/purifier/why-not/boost")).json()
    assert told["hint"] == "It has off, low, medium, high, turbo, auto."
