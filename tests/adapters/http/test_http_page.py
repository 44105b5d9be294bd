"""The page in a real Chromium: what a person sees, and what two taps do."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance.adapters.http.app import create_app
from appliance.adapters.http.server import serve
from appliance.core.clock import SECOND, Instant

playwright = pytest.importorskip(
    "playwright.async_api", reason="playwright is not installed: the page is not tested"
)

TOKEN = "t0ken-of-this-home-0123456789"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
if BROWSER is None and os.environ.get("CI") != "true":
    pytestmark = pytest.mark.skip(reason="no Chromium on PATH: the page is not tested")

expect: Any = playwright.expect


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    assert BROWSER is not None, "install chromium"
    async with playwright.async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=BROWSER, args=list(ARGUMENTS))
        yield opened
        await opened.close()


def _is_wrong(message: Any, expected: tuple[str, ...]) -> bool:
    """Return whether the page is at fault: Chromium itself logs a refused token and a server that is away."""
    told = message.text.startswith("Failed to load resource") and any(
        status in message.text for status in ("401", "net::ERR_", *expected)
    )
    return message.type == "error" and not told


@pytest.fixture
async def tab(browser: Any) -> AsyncIterator[Any]:
    """A phone. Whatever the page throws, logs as an error or asks of another host fails the test; `expects` are statuses."""
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, locale="en-GB", timezone_id="Europe/Berlin"
    )
    page = await context.new_page()
    page.expects = ()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda message: wrong.append(message.text) if _is_wrong(message, page.expects) else None
    )
    page.on(
        "request", lambda request: wrong.append(request.url) if "//127.0.0.1:" not in request.url else None
    )
    page.set_default_timeout(10_000)
    yield page
    await context.close()
    assert wrong == [], wrong


def ago(minutes: float) -> Instant:
    back = round(minutes * 60) * SECOND
    return Instant("boot-1", time.monotonic_ns() - back, time.time_ns() - back)


def tell_a_morning(home: Any) -> None:
    for minute in range(120, -1, -2):
        home.hear("pm2_5", 40.0 if 80 > minute > 40 else 6.0, at=ago(minute), age_s=12.0)
        home.hear("co2", 600.0 + minute, at=ago(minute), age_s=30.0)
        home.hear("presence", "somebody" if minute < 60 else "nobody", at=ago(minute))


async def test_the_page_says_what_is_done_and_why_and_how_sure_the_readings_are(home, server, tab):
    tell_a_morning(home)
    home.hear("temperature", None, "uncertain", "no unit declared")
    home.hear("pm2_5", 40.0, age_s=12.0)
    await tab.goto(server.url)
    await expect(tab.get_by_role("heading", name="Living room air")).to_be_visible()
    await expect(tab.locator(".now strong")).to_have_text("High")
    await expect(tab.locator(".because")).to_have_text("Because the fine dust is 40 µg/m³, above 12.")
    dust = tab.locator("[data-channel=pm2_5]")
    await expect(dust).to_contain_text("40 µg/m³")
    await expect(dust.locator(".age")).to_have_text("12 s ago")
    await expect(dust.get_by_role("img", name="good")).to_have_text("●")
    warmth = tab.locator("[data-channel=temperature]")
    await expect(warmth).to_contain_text("uncertain: no unit declared")
    await expect(warmth.get_by_role("img", name="uncertain")).to_have_text("▲")


async def test_one_chart_shows_readings_and_actions_on_one_time_axis(home, server, tab):
    tell_a_morning(home)
    await tab.goto(server.url)
    plot = tab.locator("svg.plot")
    await expect(plot.locator("polyline")).not_to_have_count(0)
    names = await plot.locator(".lane-name").all_text_contents()
    assert names == ["Fine dust, µg/m³", "CO₂, ppm", "Presence", "What it was told"]
    spoken = await plot.get_attribute("aria-label")
    assert "Fine dust 6 µg/m³" in spoken
    assert spoken.endswith("off.")
    # The action on "high" stands where the dust was high: both lie on the same axis.
    peak = await plot.locator("polyline").first.evaluate(
        "line => { const p = [...line.points].map(p => [p.x, p.y]);"
        " const top = Math.min(...p.map(q => q[1]));"
        " return p.filter(q => q[1] === top).map(q => q[0]); }"
    )
    blocks = await plot.locator("rect.block").evaluate_all(
        "all => all.map(r => [r.x, r.width, r.height].map(s => s.baseVal.value))"
    )
    tallest = max(blocks, key=lambda block: block[2])
    assert tallest[0] == pytest.approx(min(peak), abs=3)
    await plot.focus()
    await tab.keyboard.press("ArrowLeft")
    await expect(tab.locator("figcaption")).to_contain_text("Fine dust")


async def test_a_decision_of_the_list_opens_with_its_account_and_what_would_have_changed_it(
    home, server, tab
):
    tell_a_morning(home)
    home.hear("pm2_5", 40.0, age_s=12.0)
    await tab.goto(server.url)
    await tab.locator(".lately li", has_text="40 µg/m³").first.get_by_role("button").click()
    dialog = tab.get_by_role("dialog")
    await expect(dialog.locator("[data-part=sentence]")).to_have_text(
        "High, because the fine dust is 40 µg/m³, above 12."
    )
    await expect(dialog).to_contain_text("rule clean_air (rule) wants high to turbo")
    await expect(dialog.locator("[data-part=inputs]")).to_contain_text("Fine dust 40 µg/m³, 12 s ago, good")
    await expect(dialog.locator("[data-part=flips] li").first).to_have_text(
        "Nearest flip: pm2_5 at 11.9 µg/m³ (281 steps less than 40): off"
    )
    await dialog.get_by_role("button", name="Why not turbo?").click()
    await expect(dialog.locator("[data-part=answer]")).to_contain_text(
        "Not turbo, because nobody asks for more"
    )
    await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_be_hidden()


async def test_two_taps_set_an_override_and_one_hands_it_back(home, server, tab):
    tell_a_morning(home)
    await tab.goto(f"{server.url}#token={TOKEN}")
    assert TOKEN not in tab.url
    await tab.get_by_role("button", name="Turbo").click()
    await tab.get_by_role("button", name="30 min").click()
    await expect(tab.locator(".held")).to_contain_text("A person chose turbo until")
    await expect(tab.locator(".now strong")).to_have_text("Turbo")
    assert home.spoken == [("turbo", 1800, "page")]
    await tab.get_by_role("button", name="Hand back").click()
    await expect(tab.locator(".held")).to_be_hidden()
    await expect(tab.locator(".now strong")).to_have_text("Off")
    assert home.held is None


async def test_until_the_morning_is_less_than_a_day_away(home, server, tab):
    await tab.goto(f"{server.url}#token={TOKEN}")
    await tab.get_by_role("button", name="Low").click()
    await tab.get_by_role("button", name="07:00").click()
    await expect(tab.locator(".held")).to_contain_text("07:00")
    ((action, seconds, by),) = home.spoken
    assert (action, by) == ("low", "page")
    assert 60 <= seconds <= 24 * 3600
    ends = home.held.until.wall_ns / 1e9
    # 07:00 in Berlin is a whole hour everywhere in Europe.
    assert min(ends % 3600, 3600 - ends % 3600) < 120


async def test_the_token_is_asked_for_once_and_again_when_it_is_wrong(home, server, tab):
    await tab.goto(server.url)
    await tab.get_by_role("button", name="High").click()
    await tab.get_by_role("button", name="2 h", exact=True).click()
    dialog = tab.get_by_role("dialog")
    await expect(dialog).to_contain_text("appliance token")
    await dialog.get_by_label("Token").fill("not the token of this home")
    await dialog.get_by_role("button", name="Use it").click()
    await expect(dialog.get_by_role("alert")).to_have_text("That is not the token of this home.")
    await dialog.get_by_label("Token").fill(TOKEN)
    await tab.keyboard.press("Enter")
    await expect(tab.locator(".held")).to_contain_text("A person chose high")
    await tab.reload()
    await tab.get_by_role("button", name="Low").click()
    await tab.get_by_role("button", name="30 min").click()
    await expect(tab.locator(".held")).to_contain_text("A person chose low")
    assert home.spoken == [("high", 7200, "page"), ("low", 1800, "page")]


async def test_a_script_in_a_name_or_a_word_is_shown_and_not_run(home, server, tab):
    evil = '<img src=x onerror="window.stolen=1"><script>window.stolen=1</script>\'"&'
    home.name = evil
    home.hear("presence", evil, "good")
    home.hear("co2", None, "bad", evil)
    home.hear("pm2_5", 40.0)
    await tab.goto(server.url)
    await expect(tab.get_by_role("heading", level=2)).to_have_text(evil)
    await expect(tab.locator("[data-channel=presence]")).to_contain_text(evil)
    await expect(tab.locator("[data-channel=co2]")).to_contain_text(f"bad: {evil}")
    home.hear("co2", None, "uncertain", evil)
    await expect(tab.locator("[data-channel=co2]")).to_contain_text("uncertain")
    await expect(tab.locator(".lane-name")).not_to_have_count(0)
    assert await tab.evaluate(
        "[window.stolen, document.querySelectorAll('main img, main script').length]"
    ) == [None, 0]


async def test_what_happens_shows_without_a_reload(home, server, tab):
    home.hear("pm2_5", 5.0)
    await tab.goto(server.url)
    await expect(tab.locator("#link")).to_have_text("● live")
    await expect(tab.locator(".now strong")).to_have_text("Off")
    home.hear("pm2_5", 90.0)
    await expect(tab.locator(".now strong")).to_have_text("Turbo")
    await expect(tab.locator(".because")).to_have_text("Because the fine dust is 90 µg/m³, above 12.")
    await expect(tab.locator("[data-channel=pm2_5]")).to_contain_text("90 µg/m³")
    await expect(tab.locator(".lately li").first).to_contain_text("turbo")


async def test_an_answer_that_was_overtaken_by_an_event_does_not_undo_it(home, server, tab):
    home.hear("pm2_5", 5.0)
    answered, overtaken = asyncio.Event(), asyncio.Event()

    async def late(route: Any) -> None:
        answer = await route.fetch()
        answered.set()
        await overtaken.wait()
        await route.fulfill(response=answer)

    await tab.route("**/v1/appliances", late)
    await tab.goto(server.url)
    await asyncio.wait_for(answered.wait(), 5)
    home.hear("pm2_5", 90.0)
    await tab.evaluate(
        "new Promise((done) => { const other = new EventSource('/v1/events');"
        " other.onopen = () => { other.close(); done(); }; })"
    )
    async with tab.expect_response("**/v1/decisions*"):
        overtaken.set()
    await expect(tab.locator(".now strong")).to_have_text("Turbo")
    await expect(tab.locator(".lately li").first).to_contain_text("turbo")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_overflows_a_phone_and_text_stands_out_from_its_ground(home, server, tab, scheme):
    tell_a_morning(home)
    home.name = "A purifier with a name that somebody made very long on purpose_without_any_space_to_break_at"
    await tab.emulate_media(color_scheme=scheme)
    await tab.goto(server.url)
    await expect(tab.locator("svg.plot polyline")).not_to_have_count(0)
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
    ratios = await tab.evaluate(
        """() => {
          const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
          const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
          const light = (c) => rgb(c).map((v) => linear(v / 255))
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const ground = (node) => { for (; node; node = node.parentElement) {
              const c = getComputedStyle(node).backgroundColor; if (!c.endsWith(", 0)")) return c; }
            return "rgb(255,255,255)"; };
          return [".now strong", ".because", ".channel", ".age", ".ladder button", ".ladder .current",
                  ".lately li", "#link"]
            .map((query) => document.querySelector(query)).map((node) => {
              const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
              return (a + 0.05) / (b + 0.05); });
        }"""
    )
    # WCAG 2.2, 1.4.3: at least 4.5.
    assert min(ratios) >= 4.5, ratios


async def test_the_page_finds_the_home_again_after_a_restart(home, tab):
    first = serve(create_app(home, token=TOKEN))
    task = asyncio.create_task(first.run())
    home.hear("pm2_5", 5.0)
    await tab.goto(first.url)
    await expect(tab.locator("#link")).to_have_text("● live")
    await first.close()
    await task
    await expect(tab.locator("#link")).to_contain_text("not live")
    home.hear("pm2_5", 90.0)
    again = serve(create_app(home, token=TOKEN), port=first.port)
    task = asyncio.create_task(again.run())
    await expect(tab.locator(".now strong")).to_have_text("Turbo", timeout=15_000)
    await expect(tab.locator("#link")).to_have_text("● live")
    await tab.goto("about:blank")
    await again.close()
    await task
