"""What a person answers on the page, in a real Chromium: recommendations, alarms, and until when their own word holds."""

import os
import re

import pytest

from appliance.adapters.http.port import AlarmView
from appliance.core.arbitration import Authority
from appliance.core.clock import SECOND
from appliance.core.events import Advice
from appliance.errors import ConfigError, TooManyWords
from tests.adapters.http.conftest import TOKEN, now
from tests.adapters.http.test_http_page import (  # noqa: F401  fixtures
    BROWSER,
    browser,
    expect,
    tab,
    tell_a_morning,
)

if BROWSER is None and os.environ.get("CI") != "true":
    pytestmark = pytest.mark.skip(reason="no Chromium on PATH: the page is not tested")

SMOKE = AlarmView("smoke", "there is smoke in the stairs", acknowledged=False, waits=True)


def advised(source: str = "rule dusty", action: str = "high", because: str = "dust is near") -> Advice:
    return Advice(source, action, because, now(), now().plus(3600 * SECOND))


async def test_what_is_recommended_is_accepted_and_dismissed_one_by_one(home, server, tab):  # noqa: F811
    home.hear("pm2_5", 5.0)
    home.advice = (advised(), advised("rule stale", "turbo", "the air is old"))
    await tab.goto(f"{server.url}#token={TOKEN}")
    asked = tab.get_by_role("list", name="Recommended").get_by_role("listitem")
    await expect(asked).to_have_count(2)
    await expect(asked.nth(0)).to_contain_text(
        re.compile(r"Recommended: high\. Dust is near\. Until .*\d\d:\d\d, then it is taken back")
    )
    await expect(asked.nth(1)).to_contain_text("Recommended: turbo ◆.")
    await tab.get_by_role("button", name="Dismiss: turbo").click()
    await expect(asked).to_have_count(1)
    await expect(tab.locator(".held")).to_be_hidden()
    await tab.get_by_role("button", name="Accept: high").click()
    await expect(asked).to_have_count(0)
    await expect(tab.locator(".held")).to_contain_text(
        "A person chose high by accepting what was recommended until"
    )
    assert home.spoken == [("dismiss", "rule stale", "page"), ("accept", "rule dusty", "page")]


async def test_an_alarm_is_in_sight_wherever_one_scrolled_until_it_was_seen(home, server, tab):  # noqa: F811
    tell_a_morning(home)
    await tab.goto(f"{server.url}#token={TOKEN}")
    await expect(tab.locator("#link")).to_have_text("● live")
    await tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    home.alarms = (SMOKE,)
    home.changed()
    bar = tab.locator("#alarms")
    await expect(bar).to_be_in_viewport()
    await expect(bar).to_have_role("alert")
    await expect(bar).to_contain_text("Alarm: there is smoke in the stairs. Living room air")
    await expect(tab).to_have_title("⚠ Alarm: Living room air")
    await bar.get_by_role("link").click()
    seen = tab.get_by_role("button", name="I have seen it")
    await expect(seen).to_be_in_viewport()
    await seen.click()
    await expect(seen).to_have_count(0)
    await expect(bar).to_be_hidden()
    await expect(tab).to_have_title("appliance")
    await expect(tab.get_by_role("list", name="Alarms")).to_contain_text(
        "Seen. It ends once its cause is gone."
    )
    assert home.spoken == [("acknowledge", "smoke", "page")]


async def test_what_protects_the_device_does_not_cry_alarm(home, server, tab):  # noqa: F811
    """Whoever is shouted at every day for a full tank does not look when there is smoke."""
    home.alarms = (AlarmView("tank", "the tank is full", False, False, Authority.EQUIPMENT),)
    await tab.goto(server.url)
    told = tab.get_by_role("list", name="Alarms")
    await expect(told).to_contain_text("Protection: the tank is full. It ends once its cause is gone.")
    await expect(told.get_by_role("button")).to_have_count(0)
    await expect(tab.locator("#alarms")).to_be_hidden()


async def test_an_override_ends_at_a_time_of_day_a_condition_or_when_told(home, server, tab):  # noqa: F811
    home.hear("pm2_5", 5.0)
    await tab.goto(f"{server.url}#token={TOKEN}")
    held = tab.locator(".held")
    await tab.get_by_role("button", name="Low").click()
    await tab.get_by_label("A time of day").fill("06:45")
    await tab.get_by_role("button", name="until then").click()
    await expect(held).to_contain_text(re.compile(r"A person chose low until .*:45\."))
    await tab.get_by_role("button", name="High").click()
    await tab.get_by_role("button", name="until the air is clean").click()
    await expect(held).to_contain_text(
        re.compile(r"chose high until the air is clean \(tomorrow .* at the latest\)")
    )
    await tab.get_by_role("button", name="Turbo").click()
    await tab.get_by_role("button", name="until I say otherwise").click()
    await expect(held).to_contain_text("A person chose turbo until you say otherwise.")
    assert home.wishes == [
        ("low", None, "06:45", False),
        ("high", None, "the air is clean", False),
        ("turbo", None, None, True),
    ]


async def test_the_choice_of_an_end_is_left_with_escape_and_the_focus_returns(home, server, tab):  # noqa: F811
    await tab.goto(server.url)
    turbo = tab.get_by_role("button", name="Turbo")
    await expect(turbo).to_have_accessible_description("◆ only a person enters this")
    await turbo.focus()
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_role("button", name="30 min")).to_be_focused()
    await tab.keyboard.press("Escape")
    await expect(turbo).to_be_focused()
    await expect(tab.get_by_role("group", name="How long turbo")).to_be_hidden()
    assert home.spoken == []


async def test_a_button_is_not_lost_under_the_finger_while_readings_come(home, server, tab):  # noqa: F811
    home.hear("pm2_5", 5.0)
    home.advice = (advised(),)
    await tab.goto(f"{server.url}#token={TOKEN}")
    accept = tab.get_by_role("button", name="Accept: high")
    await accept.focus()
    home.hear("pm2_5", 90.0)
    await expect(tab.locator(".now strong")).to_have_text("Turbo")
    await expect(accept).to_be_focused()


async def test_without_the_token_nothing_is_answered(home, server, tab):  # noqa: F811
    home.advice, home.alarms = (advised(),), (SMOKE,)
    await tab.goto(server.url)
    dialog = tab.get_by_role("dialog")
    for name in ("Accept: high", "Dismiss: high", "I have seen it"):
        await tab.get_by_role("button", name=name).click()
        await expect(dialog).to_contain_text("appliance token")
        await dialog.get_by_role("button", name="Cancel").click()
    await tab.get_by_role("button", name="Low").click()
    await tab.get_by_role("button", name="until I say otherwise").click()
    await dialog.get_by_label("Token").fill("not the token of this home")
    await dialog.get_by_role("button", name="Use it").click()
    await expect(dialog.get_by_role("alert")).to_have_text("That is not the token of this home.")
    await dialog.get_by_role("button", name="Cancel").click()
    assert (home.spoken, len(home.advice), home.alarms, home.held) == ([], 1, (SMOKE,), None)


@pytest.mark.parametrize(
    ("refuses", "told"),
    [
        (None, "✕ Nothing like that is recommended now. What is, stands in the appliance's advice."),
        (TooManyWords("purifier was told too much", hint="wait a minute"), "purifier was told too much wait"),
    ],
)
async def test_an_answer_that_comes_too_late_or_too_often_is_told_in_words(
    home,
    server,
    tab,  # noqa: F811
    refuses,
    told,
):
    home.advice = (advised(),)
    tab.expects = ("409", "429")
    await tab.goto(f"{server.url}#token={TOKEN}")
    accept = tab.get_by_role("button", name="Accept: high")
    await expect(accept).to_be_visible()
    home.refuses = refuses
    if refuses is None:
        home.advice = ()
    await accept.click()
    await expect(tab.locator("#trouble")).to_contain_text(told.removeprefix("✕ "))
    await expect(accept).to_have_count(0 if refuses is None else 1)


async def test_a_condition_that_is_not_understood_is_pointed_at(home, server, tab):  # noqa: F811
    said = "until, line 1, column 5: expected a comparison\n    the air is clean\n        ^"
    home.refuses = ConfigError(said, hint="write a condition")
    tab.expects = ("422",)
    await tab.goto(f"{server.url}#token={TOKEN}")
    await tab.get_by_role("button", name="Low").click()
    await tab.get_by_role("button", name="until the air is clean").click()
    trouble = tab.locator("#trouble")
    await expect(trouble).to_be_visible()
    assert await trouble.evaluate("node => node.innerText") == f"{said}\nwrite a condition"
    assert "ono" in await trouble.evaluate("node => getComputedStyle(node).fontFamily")


async def test_a_script_in_an_alarm_a_recommendation_or_an_end_is_shown_and_not_run(home, server, tab):  # noqa: F811
    evil = '<img src=x onerror="window.stolen=1">'
    home.advice = (advised(because=evil),)
    home.alarms = (AlarmView("smoke", evil, False, True),)
    home.ends = (evil,)
    await tab.goto(server.url)
    await expect(tab.locator("#alarms")).to_contain_text(evil)
    await expect(tab.get_by_role("list", name="Recommended")).to_contain_text(evil)
    await tab.get_by_role("button", name="Low").click()
    await expect(tab.get_by_role("button", name=f"until {evil}")).to_be_visible()
    assert await tab.evaluate("[window.stolen, document.querySelectorAll('img').length]") == [None, 0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_what_is_asked_fits_a_phone_and_stands_out_from_its_ground(home, server, tab, scheme):  # noqa: F811
    long = (
        "a reason that somebody made very long_on_purpose_without_any_space_at_which_it_could_break, and more"
    )
    home.advice, home.alarms = (advised(because=long),), (SMOKE, AlarmView("co", long, True, True))
    home.ends = ("the air is clean", long)
    await tab.emulate_media(color_scheme=scheme)
    await tab.goto(server.url)
    await tab.get_by_role("button", name="Low").click()
    await expect(tab.get_by_role("button", name="until I say otherwise")).to_be_visible()
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
    ratios = await tab.evaluate(
        """() => {
          const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
          const light = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((v) => linear(v / 255))
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const ground = (node) => { for (; node; node = node.parentElement) {
              const c = getComputedStyle(node).backgroundColor; if (!c.endsWith(", 0)")) return c; } };
          return ["#alarms", ".loud b", ".loud span", ".loud button", ".advice b", ".advice span", ".advice .strong",
                  ".advice .quiet", ".mark", ".durations span", ".durations input", ".durations [type=submit]"]
            .map((query) => [query, document.querySelector(query)]).map(([query, node]) => {
              const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
              return [(a + 0.05) / (b + 0.05), query]; });
        }"""
    )
    # WCAG 2.2, 1.4.3: at least 4.5.
    assert min(ratios)[0] >= 4.5, min(ratios)


async def test_a_model_is_corrected_with_a_tap_and_the_page_says_that_it_was_noted(home, server, tab):  # noqa: F811
    home.learned = {"presence": ("nobody", "somebody")}
    await tab.goto(f"{server.url}#token={TOKEN}")
    await tab.get_by_role("button", name="presence now is really somebody", exact=False).click()
    await expect(tab.locator(".right")).to_contain_text("noted, thank you")
    assert home.told == [("purifier", "presence", "somebody", None, None, "page")]


async def test_a_home_without_models_asks_nothing_of_them(home, server, tab):  # noqa: F811
    home.hear("pm2_5", 5.0)
    await tab.goto(f"{server.url}#token={TOKEN}")
    await expect(tab.locator("#link")).to_have_text("● live")
    await expect(tab.locator(".right")).to_be_empty()
