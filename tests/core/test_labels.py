"""Labels, error levels and novelty, where decisions are made: what a model may do in this home."""

from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from appliance.core.clock import SECOND
from appliance.core.controller import Controller
from appliance.core.events import Labelled, Memory, Remember
from appliance.core.features import Feature, FeatureSpec
from appliance.core.home import Home
from appliance.core.readings import Quality
from appliance.core.trust import Region, Sets, Trust
from appliance.errors import ProfileError
from tests.core.home import PROFILE, START, House, appliance_of

RULE = '[[rules]]\nid = "people"\nwhen = "presence is somebody"\nat_least = "high"\nbecause = "{presence}"\n'
SETS = Sets((0.2, 0.1, 0.05), ((0.6, 0.6), (0.4, 0.4), (0.05, 0.05)), (100, 100))
REGION = Region((300.0,), (2000.0,), (500.0,), (1.2,), (1.0,), 9.0)


class Nose:
    """A model that smells people where CO₂ is above 800."""

    spec = FeatureSpec((Feature("co2", "mean", "co2", 120),))
    labels = ("nobody", "somebody")
    trust = Trust(labels, 0.5, SETS, REGION, ("co2",), 4)

    def predict(self, rows):
        somebody = np.where(np.isnan(rows[:, 0]), np.nan, np.where(rows[:, 0] > 800, 0.9, 0.1)).astype("f4")
        return np.stack([1 - somebody, somebody], axis=1)


def house(channel: str = "", memory: Memory | None = None) -> House:
    learned = f'[channels.presence]\nmodel = "nose"\nwords = ["nobody", "somebody"]\n{channel}\n'
    made = House(PROFILE.replace("[fallback]", learned + "[fallback]") + RULE)
    made.home = Home([made.spec], {"nose": Nose()}, ZoneInfo("UTC"))
    memories = {} if memory is None else {"fan": memory}
    made.controller = Controller(made.home, made.home.at_start(memories, made.start))
    made.report(1, "off")
    return made


def said(made: House):
    return made.controller.state.appliances["fan"].learned["presence"]


def label(made: House, at: float, word: str, since: float | None = None, until: float | None = None, channel="presence"):  # fmt: skip
    wall = START.wall_ns
    return made.events(
        at,
        Labelled(
            "fan", channel, word,
            wall + round((at if since is None else since) * SECOND),
            wall + round((at if until is None else until) * SECOND), "http",
        ),
    )  # fmt: skip


def test_a_model_that_is_sure_decides_and_one_that_never_smelt_the_like_does_not() -> None:
    made = house()
    made.say(2, "air", co2=900, pm25=3)
    assert (said(made).label, said(made).quality) == ("somebody", Quality.GOOD)
    assert made.last.action == "high"
    assert said(made).probabilities == pytest.approx((0.1, 0.9))
    made = house()
    made.say(2, "air", co2=4000, pm25=3)
    assert said(made).reason == "unlike anything seen: co2"
    assert made.last.action != "high", "it may only be recommended"


@pytest.mark.parametrize(("alpha", "quality"), [(0.1, Quality.GOOD), (0.05, Quality.UNCERTAIN)])
def test_the_profile_says_at_which_error_level_a_model_is_acted_on(alpha, quality) -> None:
    made = house(f"alpha = {alpha}")
    made.say(2, "air", co2=900, pm25=3)
    assert said(made).quality is quality


@pytest.mark.parametrize("alpha", [0, -0.1, 0.5, 1, 7])
def test_an_error_level_that_is_none_is_refused(alpha) -> None:
    with pytest.raises(ProfileError, match="alpha"):
        house(f"alpha = {alpha}")


def test_only_a_model_has_an_error_level() -> None:
    with pytest.raises(ProfileError, match="alpha"):
        appliance_of(PROFILE.replace("[channels.co2]", "[channels.co2]\nalpha = 0.1"))


def test_labels_that_say_otherwise_silence_a_model_and_are_remembered() -> None:
    made = house()
    made.say(2, "air", co2=900, pm25=3)
    effects = [label(made, 3 + n, "nobody") for n in range(6)]
    remembered = [one.memory for some in effects for one in some if isinstance(one, Remember)]
    # After the first its level is below 0.1, so that of 0.05 is kept: from there on its set holds what is told.
    assert (remembered[-1].trust["presence"].heard, remembered[-1].trust["presence"].missed) == (
        (6, 0),
        (1, 0),
    )
    made.say(20, "air", co2=901, pm25=3)
    assert (said(made).label, said(made).quality, said(made).reason) == (
        "somebody", Quality.UNCERTAIN, "hard",
    )  # fmt: skip
    kept = msgspec.json.decode(msgspec.json.encode(remembered[-1]), type=Memory)
    again = house(memory=kept)
    again.say(2, "air", co2=900, pm25=3)
    assert said(again).quality is Quality.UNCERTAIN, "a restart does not make it bolder"


def test_a_label_of_the_past_is_for_the_refit_and_changes_nothing_now() -> None:
    made = house()
    made.say(2000, "air", co2=900, pm25=3)
    for number in range(9):
        label(made, 2001 + number, "nobody", since=0, until=1900)
    assert made.controller.state.appliances["fan"].memory.trust == {}


@pytest.mark.parametrize(
    ("word", "channel"), [("elephant", "presence"), ("nobody", "pm2_5"), ("nobody", "x")]
)
def test_a_label_that_fits_no_model_changes_nothing(word, channel) -> None:
    made = house()
    made.say(2, "air", co2=900, pm25=3)
    label(made, 3, word, channel=channel)
    assert made.controller.state.appliances["fan"].memory.trust == {}


def test_a_label_for_a_model_that_said_nothing_lately_changes_nothing() -> None:
    made = house()
    label(made, 3, "nobody")
    assert made.controller.state.appliances["fan"].memory.trust == {}
