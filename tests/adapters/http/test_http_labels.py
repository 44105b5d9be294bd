"""What a model should have read, told over HTTP."""

import pytest

URL = "/v1/labels"
SOMEBODY = {"appliance": "purifier", "channel": "presence", "labels": [{"label": "somebody"}]}


async def test_a_label_of_now_and_of_a_time_is_taken_and_said_to_be_committed(home, client, bearer):
    labels = [
        {"label": "somebody"},
        {"label": "nobody", "since": "2026-01-12T09:00:00Z", "until": "2026-01-12T12:00:00+01:00"},
        {"label": "nobody", "until": 1768215600},
    ]
    told = await client.post(URL, json={**SOMEBODY, "labels": labels, "by": "page"}, headers=bearer)
    assert (told.status_code, told.json()) == (200, {"count": 3, "recorded": True})
    at = 1_768_208_400_000_000_000
    assert home.told == [
        ("purifier", "presence", "somebody", None, None, "page"),
        ("purifier", "presence", "nobody", at, at + 7_200_000_000_000, "page"),
        ("purifier", "presence", "nobody", None, 1_768_215_600_000_000_000, "page"),
    ]


async def test_without_a_disk_a_label_is_said_to_be_unrecorded(home, client, bearer):
    home.disk = False
    assert (await client.post(URL, json=SOMEBODY, headers=bearer)).json()["recorded"] is False


async def test_nobody_labels_without_the_token(home, client):
    assert (await client.post(URL, json=SOMEBODY)).status_code == 401
    assert home.told == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"appliance": "heater"}, 404),
        ({"channel": "pm2_5"}, 422),
        ({"labels": []}, 422),
        ({"labels": [{"label": "somebody"}] * 201}, 422),
        ({"labels": [{"label": ""}]}, 422),
        ({"labels": [{"label": "somebody", "since": "noon"}]}, 422),
        ({"labels": [{"label": "somebody", "since": 1e300}]}, 422),
        ({"labels": [{"label": "somebody", "since": "2026-01-12T09:00:00"}]}, 422),
        ({"labels": [{"label": "somebody", "more": 1}]}, 422),
        ({"by": "mqtt"}, 422),
    ],
)
async def test_a_label_that_is_none_is_refused_and_nothing_of_it_taken(home, client, bearer, change, status):
    told = await client.post(URL, json={**SOMEBODY, **change}, headers=bearer)
    assert told.status_code == status
    assert told.headers["content-type"] == "application/problem+json"
    assert home.told == []
