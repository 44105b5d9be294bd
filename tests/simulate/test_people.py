"""The day of the people who live in a simulated home."""

from datetime import date, timedelta

import numpy as np

from appliance.simulate.parameters import HomeParameters
from appliance.simulate.people import DAY, HOUR, Day, plan

MONDAY = date(2026, 1, 12)


def days(home: HomeParameters, count: int = 28, seed: int = 5) -> list[tuple[date, Day]]:
    dates = [MONDAY + timedelta(days=index) for index in range(count)]
    return [(day, plan(day, home, np.random.default_rng([seed, day.toordinal()]))) for day in dates]


def test_never_more_or_fewer_than_live_there_unless_guests_came() -> None:
    for seed in range(30):
        home = HomeParameters.draw(np.random.default_rng(seed))
        for day, planned in days(home, seed=seed):
            for minute in range(0, 1440, 3):
                moment = planned.at(minute * 60.0)
                assert moment.awake >= 0
                assert moment.asleep >= 0
                if "guests" not in moment.events:
                    assert moment.home <= home.people, (seed, day, minute)


def test_working_people_leave_on_weekdays_and_are_home_at_night() -> None:
    home = HomeParameters(people=2, home_days=0.0)
    for day, planned in days(home):
        assert planned.at(3 * HOUR).asleep == 2
        if day.weekday() < 5:
            assert planned.at(12 * HOUR).home == 0


def test_nobody_cooks_burns_or_vacuums_in_an_empty_home() -> None:
    for seed in range(20):
        home = HomeParameters.draw(np.random.default_rng(seed))
        for day, planned in days(home, seed=seed):
            for span in planned.spans:
                if span.name in ("cooking", "breakfast", "lunch", "vacuuming", "guests"):
                    assert planned.at(span.start).awake > 0, (seed, day, span)


def test_nobody_falls_asleep_at_home_while_away() -> None:
    home = HomeParameters(people=1, home_days=0.0)
    for day, planned in days(home, count=365):
        for span in planned.spans:
            if span.name == "asleep" and span.start > 12 * HOUR:
                assert planned.at(span.start - 60.0).awake >= 1, day


def test_night_is_quiet() -> None:
    for _, planned in days(HomeParameters(candles_per_week=7.0, vacuums_per_week=7.0, guests_per_week=7.0)):
        for minute in range(60, 300):
            moment = planned.at(minute * 60.0)
            assert moment.sources.pm2_5 == 0.0
            assert not moment.window


def test_weekends_differ_from_weekdays() -> None:
    home = HomeParameters(people=1, home_days=0.0)
    planned = days(home, count=56)

    def hours_at_home(weekend: bool) -> float:
        chosen = [one for day, one in planned if (day.weekday() >= 5) is weekend]
        return (
            sum(one.at(second).home for one in chosen for second in np.arange(0, DAY, 300.0))
            / len(chosen)
            / 12
        )

    assert hours_at_home(weekend=True) > hours_at_home(weekend=False) + 3.0


def test_the_same_seed_gives_the_same_day() -> None:
    first, second = days(HomeParameters(), seed=1), days(HomeParameters(), seed=1)
    assert [one.spans for _, one in first] == [one.spans for _, one in second]
    assert [one.spans for _, one in first] != [one.spans for _, one in days(HomeParameters(), seed=2)]
