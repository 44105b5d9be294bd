"""What is told of the edge: over the API, and on the page in a real Chromium; nothing where there is none."""

import os

import pytest

from appliance.adapters.http.port import AuditView, CountedView, EdgeView
from tests.adapters.http.test_http_page import (  # noqa: F401  fixtures
    BROWSER,
    browser,
    expect,
    tab,
    tell_a_morning,
)

ANSWERS = {
    "url": "http://127.0.0.1:8478", "breaker": "open", "why": "nobody listens there", "retry_s": 4.0, "weaknesses": [],
    "teachers": [
        {"name": "presence-teacher", "version": 4, "believed": False, "why": "its answers are not those of its bundle",
         "wrong_hits": {"asked": 40, "wrong": 1, "low": 0.001, "high": 0.2, "scale": 0, "stopped": False}},
    ],
    "budget": {"cases_percent": 5.0, "mb_a_day": 1.0, "seen": 1000, "asked": 12, "bytes_out": 30000, "bytes_in": 20000,
               "cases_left": 3, "bytes_left": 100, "refused_cases": 0, "refused_bytes": 0},
    "cache": {"entries": 9, "hits": 5, "misses": 15, "stale": 0, "negative": 0, "slow": 0, "asked_again": 40, "hit_share": 0.25,
              "exact_hit_share": 0.05, "reason": None},
    "offered": 20, "replaced": 0, "shed": 0, "unusable": 0, "gone": 3, "disbelieved": 0, "late": 0, "answered": 12, "cached": 5,
    "retries": 1, "failed": {"hangs": 3}, "median_ms": 4.25,
}  # fmt: skip
AUDIT = AuditView(
    "fan", "presence", "presence", "presence-teacher", better=True, acts=False, because="it disagreed too often",
    audits=40, disagreed=9, low=0.05, high=0.31, level=0.05, budget=0.0139, days_needed=7, labelled=3, missed=2,
    days=(CountedView("2026-01-12", "somebody", 40, 9, 3, 2),),
)  # fmt: skip


async def test_the_edge_and_its_audits_are_told_whole(home, client):
    home.near = EdgeView(ANSWERS, (AUDIT,))
    told = (await client.get("/v1/edge")).json()
    assert told["answers"] == ANSWERS
    assert told["audits"][0]["days"] == [
        {"day": "2026-01-12", "label": "somebody", "audits": 40, "disagreed": 9, "labelled": 3, "missed": 2}
    ]


async def test_a_home_without_an_edge_says_so(home, client):
    assert (await client.get("/v1/edge")).json() == {"answers": None, "audits": []}


@pytest.mark.skipif(BROWSER is None and os.environ.get("CI") != "true", reason="no Chromium on PATH")
async def test_the_page_tells_of_an_edge_and_hides_where_there_is_none(home, server, tab):  # noqa: F811
    tell_a_morning(home)
    await tab.goto(server.url)
    await expect(tab.locator("#link")).to_have_text("● live")
    await expect(tab.locator("#edge")).to_be_hidden()
    home.near = EdgeView(ANSWERS, (AUDIT,))
    await tab.reload()
    panel = tab.get_by_role("region", name="The edge")
    await expect(panel).to_contain_text("It is away (nobody listens there): the local models decide alone.")
    await expect(panel).to_contain_text(
        "presence-teacher is not believed: its answers are not those of its bundle."
    )
    await expect(panel).to_contain_text("Presence: it only recommends")
    await expect(panel).to_contain_text("9 of 40 audits disagreed with presence-teacher: 5 % to 31 %")
    await expect(panel).to_contain_text("People said otherwise in 2 of 3 labels.")
