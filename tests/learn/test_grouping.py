"""Groups of features are taken or left as one, every subset of them, by held-out days alone."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from appliance.errors import LearnError
from appliance.learn.choosing import Outcome
from appliance.learn.features import GROUPS, offered
from appliance.learn.grouping import SEEDS, candidates, choose_set
from appliance.learn.judging import judge_rooms
from appliance.learn.recipe import load_recipe

ALL = ("co2", "humidity", "temperature")


def asked(groups=tuple(GROUPS), channels=ALL, most=17):
    recipe, _ = load_recipe("presence")
    features = msgspec.structs.replace(recipe.features, groups=groups, most=most)
    spec = offered(channels, 60.0, time_of_day="time_of_day" in groups, series=False, groups=groups)
    return msgspec.structs.replace(recipe, features=features), SimpleNamespace(spec=spec)


def test_all_subsets_over_all_channels_are_tried_but_the_time_alone() -> None:
    recipe, lessons = asked()
    found = dict(candidates(recipe, lessons))
    assert len(found) == 7 * 14
    assert len(set(found.values())) == len(found)
    assert max(len(places) for places in found.values()) == 17
    for name, places in found.items():
        kinds = {lessons.spec.features[at].kind for at in places}
        assert kinds != {"day_sin", "day_cos"}
        assert ("day_sin" in kinds) == ("time_of_day" in name)


def test_no_set_is_larger_than_the_recipe_allows_and_an_unknown_group_is_refused() -> None:
    recipe, lessons = asked(most=6)
    assert 0 < max(len(places) for _, places in candidates(recipe, lessons)) <= 6
    recipe, lessons = asked()
    wrong = msgspec.structs.replace(
        recipe, features=msgspec.structs.replace(recipe.features, groups=("mood",))
    )
    with pytest.raises(LearnError, match="no group 'mood'"):
        list(candidates(wrong, lessons))


def test_a_tie_goes_to_the_better_worst_day() -> None:
    recipe, lessons = asked(groups=("slope", "spread"), channels=("co2",))
    block = np.repeat(np.arange(4), 1000)
    labels = np.zeros(4000, np.int64)
    # Spread alone is right a little more often; slope alone has the better worst day, and the tie.
    right = {1: [1.0, 1.0, 1.0, 0.9], 2: [0.974, 0.974, 0.974, 0.974], 3: [0.9, 0.9, 0.9, 0.9]}

    class Judging(SimpleNamespace):
        def judge(self, said, _by):
            return judge_rooms(said, labels, {"one": np.ones(4000, np.bool_)}, block)

    def outcomes(trials):
        found = []
        for trial in trials:
            share = np.repeat(right[len(trial.columns)], 1000)
            hit = np.tile(np.arange(1000) / 1000, 4) < share
            found.append(Outcome(np.where(hit[:, None], [1.0, 0.0], [0.0, 1.0]), np.zeros(1)))
        assert len(trials) == 3 * SEEDS
        return found

    tried, chosen = choose_set(recipe, Judging(spec=lessons.spec), outcomes, lambda *_: None)
    assert [round(one.judged.value, 3) for one in tried] == [0.975, 0.974, 0.9]
    assert len(chosen.features) == 2
