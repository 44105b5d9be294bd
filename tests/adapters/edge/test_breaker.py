"""Something that is gone is tried again seldom, boundedly, and never in step with the neighbours."""

import random
from itertools import pairwise

from appliance.adapters.edge.breaker import Breaker


def breaker(seed: int = 0, failures: int = 3) -> Breaker:
    return Breaker(failures=failures, base_s=2.0, most_s=900.0, draw=random.Random(seed).random)


def test_one_lost_answer_does_not_open_it_and_an_answer_between_forgets_the_losses() -> None:
    one = breaker()
    assert not one.settle(0.0, "lost")
    assert not one.settle(1.0, "lost")
    assert not one.settle(2.0, None)
    assert not one.settle(3.0, "lost")
    assert not one.settle(4.0, "lost")
    assert one.admits(5.0)
    assert one.settle(6.0, "lost")
    assert (one.state, one.admits(6.0), one.why) == ("open", False, "lost")


def test_while_one_try_is_under_way_nobody_else_asks() -> None:
    one = breaker(failures=1)
    one.settle(0.0, "gone")
    assert not one.admits(one.retry_s - 0.001)
    assert one.admits(one.retry_s)
    assert not one.admits(one.retry_s + 100)
    assert one.settle(one.retry_s + 100, None)
    assert one.admits(one.retry_s + 100)


def tries(hours: float, seed: int) -> list[float]:
    one, now, found = breaker(seed, 1), 0.0, []
    one.settle(now, "gone")
    while now < hours * 3600:
        now = one.retry_s
        assert one.admits(now)
        found.append(now)
        assert not one.settle(now, "gone")
    return found


def test_a_day_away_is_few_tries_at_bounded_distances() -> None:
    found = tries(24, 1)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert 96 <= len(found) <= 24 * 8 + 12
    assert max(gaps) <= 900
    assert min(gaps[12:]) >= 450


def test_homes_that_lost_their_edge_together_do_not_come_back_in_step() -> None:
    tenth = sorted(tries(3, seed)[10] for seed in range(100))
    assert tenth[-10] - tenth[10] > 300


def test_it_waits_as_long_as_it_was_asked_to_but_not_for_ever() -> None:
    one = breaker(failures=1)
    one.settle(0.0, "busy", wait_s=120.0)
    assert one.retry_s == 120.0
    other = breaker(failures=1)
    other.settle(0.0, "busy", wait_s=1e12)
    assert other.retry_s == 900.0


def test_a_year_of_failures_overflows_nothing() -> None:
    one = breaker(failures=1)
    for second in range(100_000):
        one.settle(float(second), "gone")
    assert one.retry_s < 100_000 + 900


def test_what_answers_the_one_try_and_nothing_after_it_is_tried_ever_more_seldom() -> None:
    one, now, waits = breaker(), 0.0, []
    for _ in range(8):
        for _ in range(3):
            one.settle(now, "late")
        waits.append(one.retry_s - now)
        now = one.retry_s
        assert one.admits(now)
        one.settle(now, None)
    assert waits[7] > 32 * waits[0]
    one.settle(now, None)
    for _ in range(3):
        one.settle(now, "late")
    assert one.retry_s - now <= 2.0
